package cache

import (
	"context"
	"testing"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// The floor of a hit: the library's own Get on a key that is there already.
func BenchmarkRawLRU(b *testing.B) {
	cache, err := lru.New[string, string](5000)
	if err != nil {
		b.Fatal(err)
	}
	cache.Add("feed.page/1|id=12|user=42|locale=de", "v")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, ok := cache.Get("feed.page/1|id=12|user=42|locale=de"); !ok {
				b.Error("miss")
			}
		}
	})
}

func BenchmarkHitL1(b *testing.B) {
	c := New(nil, Options{})
	defer c.Close()
	s := NewSource(c, Spec{
		Name: "feed.page", Version: 1, Dims: []string{"id", "user", "locale"}, Policy: Policy{Fresh: time.Hour},
		Tags: func(Key) []Tag { return []Tag{"community:12", "user:42"} },
	}, JSON[string]{}, func(context.Context, Key) (string, error) { return "v", nil })
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.GetOrSet(ctx, "12", "42", "de"); err != nil {
				b.Error(err)
			}
		}
	})
}
