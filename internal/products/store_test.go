package products

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/cachehttp"
)

func TestListsPageOverACategoryOrAll(t *testing.T) {
	s := newShop(t)
	s.stock(13, "books")
	s.stock(12, "toys")
	for _, c := range []struct {
		category Category
		total    int64
		pages    []int // how many products on each
	}{
		{"", 25, []int{10, 10, 5, 0}},
		{"books", 13, []int{10, 3, 0}},
		{"toys", 12, []int{10, 2, 0}},
		{"music", 0, []int{0}},
	} {
		seen := map[ID]bool{}
		for i, want := range c.pages {
			list, total, err := s.List(t.Context(), c.category, i+1, 10)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) != want || total != c.total {
				t.Errorf("%q page %d: %d of %d, want %d of %d", c.category, i+1, len(list), total, want, c.total)
			}
			for _, p := range list {
				if seen[p.ID] || c.category != "" && p.Category != c.category {
					t.Errorf("%q page %d shows %d (%s), again or wrongly", c.category, i+1, p.ID, p.Category)
				}
				seen[p.ID] = true
			}
		}
	}
}

func TestUpdatesCountVersionsAndRepeatsDoNot(t *testing.T) {
	s := newShop(t)
	before, err := s.Create(t.Context(), book("Atlas"))
	if err != nil {
		t.Fatal(err)
	}
	s.heard()
	after := before
	after.Category, after.Version = "toys", 2
	for i, want := range [][]any{{ProductUpdated{Before: before, After: after}}, nil} {
		got, err := s.Update(t.Context(), before.ID, after.Fields, cachehttp.Preconditions{})
		if err != nil || got != after {
			t.Errorf("time %d: %+v, %v; want %+v", i+1, got, err, after)
		}
		if diff := cmp.Diff(want, s.heard()); diff != "" {
			t.Errorf("time %d emits (-want +got):\n%s", i+1, diff)
		}
	}
}

func TestConcurrentUpdatesEachCount(t *testing.T) {
	const writers = 50
	s := newShop(t)
	p, err := s.Create(t.Context(), book("Atlas"))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for n := range writers {
		all.Go(func() {
			if _, err := s.Update(t.Context(), p.ID, book(fmt.Sprintf("Atlas %d", n)), cachehttp.Preconditions{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if p, err = s.Product(t.Context(), p.ID); err != nil || p.Version != 1+writers {
		t.Errorf("version %d, %v; want %d", p.Version, err, 1+writers)
	}
}
