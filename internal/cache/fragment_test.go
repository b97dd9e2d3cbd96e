package cache

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type (
	testID   int64
	testName string
	testKey  struct {
		Row   testID   `key:"row"`
		Name  testName `key:"name"`
		Owner int      `key:"user,owner"`
	}
)

func fragmentTags(k testKey) []Tag { return []Tag{Tag(fmt.Sprint("row:", k.Row))} }

func TestTypedKeyComesToTheLoadAsItWasAskedFor(t *testing.T) {
	c := newCache(nil, Options{L1Entries: -1})
	defer c.Close()
	var loaded testKey
	f := NewFragments(c, Fragment[testKey, string]{Name: "typed", Version: 1, Policy: testPolicy, Tags: fragmentTags},
		func(_ context.Context, k testKey) (string, error) { loaded = k; return "v", nil })
	rapid.Check(t, func(t *rapid.T) {
		want := testKey{testID(rapid.Int64().Draw(t, "row")), testName(rapid.String().Draw(t, "name")), rapid.Int().Draw(t, "user")}
		if _, err := f.Fetch(context.Background(), want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, loaded); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		text := string(f.render(nil, &want))
		k, err := f.source.spec.parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Tag{Tag(fmt.Sprint("row:", want.Row)), Everything}, f.source.spec.tags(k)); diff != "" {
			t.Fatalf("tags (-want +got):\n%s", diff)
		}
	})
}

func TestHitOfATypedKeyAllocatesNothing(t *testing.T) {
	c := newCache(nil, Options{})
	defer c.Close()
	f := NewFragments(c, Fragment[testKey, string]{Name: "typed", Version: 1, Policy: Policy{TTL: time.Hour}, Tags: fragmentTags},
		func(context.Context, testKey) (string, error) { return "v", nil })
	k := testKey{1234567, "some name", 42}
	read := func() {
		if r, err := f.Fetch(t.Context(), k); err != nil || r.Value != "v" {
			t.Error(r, err)
		}
	}
	read()
	equal(t, "allocations", testing.AllocsPerRun(100, read), 0)
}

// What is wrong with a declaration is said at start, with the names of the fragment and the
// field.
func TestMalformedKeyTypesAreRefusedByName(t *testing.T) {
	c := newCache(nil, Options{})
	defer c.Close()
	refused := func(name string, declare func(), parts ...string) {
		t.Helper()
		defer func() {
			p := fmt.Sprint(recover())
			for _, part := range parts {
				if !strings.Contains(p, part) {
					t.Errorf("%s: %q does not name %q", name, p, part)
				}
			}
		}()
		declare()
		t.Errorf("%s: accepted", name)
	}
	refused("no tags", func() {
		NewFragments(c, Fragment[testKey, string]{Name: "bare", Version: 1, Policy: testPolicy}, func(context.Context, testKey) (string, error) { return "", nil })
	}, "fragment bare", "tags")
	refused("no struct", func() {
		NewFragments(c, Fragment[int, string]{Name: "a", Version: 1, Policy: testPolicy}, func(context.Context, int) (string, error) { return "", nil })
	}, "fragment a", "int")
	type untagged struct{ Row int64 }
	refused("no tag", func() {
		NewFragments(c, Fragment[untagged, string]{Name: "b", Version: 1, Policy: testPolicy}, func(context.Context, untagged) (string, error) { return "", nil })
	}, "fragment b", "Row")
	type float struct {
		Row float64 `key:"row"`
	}
	refused("another kind", func() {
		NewFragments(c, Fragment[float, string]{Name: "c", Version: 1, Policy: testPolicy}, func(context.Context, float) (string, error) { return "", nil })
	}, "fragment c", "Row")
	type marked struct {
		Row int64 `key:"row,own"`
	}
	refused("a mark that is none", func() {
		NewFragments(c, Fragment[marked, string]{Name: "d", Version: 1, Policy: testPolicy}, func(context.Context, marked) (string, error) { return "", nil })
	}, "fragment d", "Row", `"own"`)
	type silent struct {
		Row int64 `key:"row"`
	}
	refused("a value that is not JSON", func() {
		NewFragments(c, Fragment[silent, chan int]{Name: "e", Version: 1, Policy: testPolicy, Tags: func(silent) []Tag { return nil }}, func(context.Context, silent) (chan int, error) { return nil, nil })
	}, "key e/1", "chan int")
}

func TestTheShapeOfAFragmentIsPartOfItsKey(t *testing.T) {
	c := newCache(nil, Options{})
	defer c.Close()
	type key struct {
		Row int64 `key:"row"`
	}
	type value struct {
		Name string `json:"name"`
		Next *int64 `json:"next"`
	}
	NewFragments(c, Fragment[key, value]{Name: "shaped", Version: 2, Policy: testPolicy, Tags: func(key) []Tag { return []Tag{"t"} }}, func(context.Context, key) (v value, err error) { return v, nil })
	if want := "shaped/2|row=\n    {name:string next:integer?}\n"; c.Manifest().String() != want {
		t.Errorf("the manifest is\n%swant\n%s", c.Manifest(), want)
	}
}
