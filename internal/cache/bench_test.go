package cache

import (
	"context"
	"fmt"
	"testing"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"example.com/communityfeed/internal/cache/remote"
)

// A hit in L1 beside its floor, the library's own Get on a rendered key that is there
// already: over one hot key, and over as many keys as L1 holds. Run with -cpu 1,2 they
// show what contention costs either.

var hotKeys = []int{1, 5000}

// onKeys runs do in parallel with the numbers below n, in turn.
func onKeys(b *testing.B, n int, do func(i int)) {
	b.ReportAllocs()
	b.ResetTimer() // what came before was setup
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if i == n {
				i = 0
			}
			do(i)
		}
	})
}

func benchKeys(n int) (ids, rendered []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("%04d", i))
		rendered = append(rendered, "feed.page/1|id="+ids[i]+"|user=42|locale=de")
	}
	return ids, rendered
}

func BenchmarkRawLRU(b *testing.B) {
	for _, n := range hotKeys {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			cache, err := lru.New[string, string](n)
			if err != nil {
				b.Fatal(err)
			}
			_, keys := benchKeys(n)
			for _, k := range keys {
				cache.Add(k, "v")
			}
			onKeys(b, n, func(i int) {
				if _, ok := cache.Get(keys[i]); !ok {
					b.Error("miss")
				}
			})
		})
	}
}

func BenchmarkHitL1(b *testing.B) {
	for _, n := range hotKeys {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			c := New(remote.None{}, Options{L1Entries: n})
			defer c.Close()
			s := NewSource(c, benchSpec, verbatim{}, func(context.Context, Key) (*benchPage, error) { return &benchPage{[]byte("v")}, nil })
			ctx := b.Context()
			ids, _ := benchKeys(n)
			for _, id := range ids {
				if _, err := s.Fetch(ctx, id, "42", "de"); err != nil {
					b.Fatal(err)
				}
			}
			onKeys(b, n, func(i int) {
				if _, err := s.Fetch(ctx, ids[i], "42", "de"); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// benchSpec has the dimensions of a personal page, and three tags with Everything.
var benchSpec = Spec{
	Name: "feed.page", Version: 1, Dims: []string{"id", "user", "locale"}, Policy: Policy{TTL: time.Hour},
	Tags: func(k Key) []Tag { return []Tag{Tag("community:" + k.Get("id")), Tag("user:" + k.Get("user"))} },
}

// A benchPage is a value as a handler's response is one: a pointer.
type benchPage struct{ body []byte }

// verbatim is its Codec.
type verbatim struct{}

func (verbatim) Encode(p *benchPage) ([]byte, error) { return p.body, nil }
func (verbatim) Decode(b []byte) (*benchPage, error) { return &benchPage{b}, nil }
