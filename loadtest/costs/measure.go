package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/report"
)

// page is a value as a handler's response is one: bytes that are stored as they are.
type page struct{ body []byte }

type verbatim struct{}

func (verbatim) Encode(p *page) ([]byte, error) { return p.body, nil }
func (verbatim) Decode(b []byte) (*page, error) { return &page{b}, nil }

// hot is the tag of all entries.
const hot cache.Tag = "community:1"

// pages has the dimensions of a personal page, and its tags.
func pages(c *cache.Cache, body int) *cache.Source[*page] {
	return cache.NewSource(c, cache.Spec{
		Name: "feed.page", Version: 1, Dims: []string{"id", "user", "locale"},
		Policy: cache.Policy{TTL: cache.Long},
		Tags:   func(k cache.Key) []cache.Tag { return []cache.Tag{hot, cache.Tag("user:" + k.Get("user"))} },
	}, verbatim{}, func(context.Context, cache.Key) (*page, error) {
		return &page{bytes.Repeat([]byte("x"), body)}, nil
	})
}

// fetch reads one user's page, and fails unless it was answered as expected.
func fetch(ctx context.Context, s *cache.Source[*page], user string, want ...cache.Outcome) error {
	r, err := s.Fetch(ctx, "1", user, "de")
	if err != nil {
		return err
	}
	for _, outcome := range want {
		if r.Outcome == outcome {
			return nil
		}
	}
	return fmt.Errorf("the page of user %s was a %v, not a %v", user, r.Outcome, want)
}

// drawn are users in no order, none twice.
func drawn(from, n int) []string {
	users := make([]string, n)
	for i, user := range rand.New(rand.NewPCG(1, 2)).Perm(from)[:n] {
		users[i] = strconv.Itoa(user)
	}
	return users
}

// timed is how many entries are looked at, at the most. They lie everywhere in memory,
// so a hit meets the processor's caches as a reader would.
const timed = 50_000

// inProcess measures L1, without L2: a cache that holds all entries and no more.
func (c *cost) inProcess(ctx context.Context) (err error) {
	before := heap()
	l1 := cache.New(nil, cache.Options{L1Entries: c.entries, L1Bytes: 64 << 30})
	defer l1.Close()
	s := pages(l1, c.body)
	for user := range c.entries {
		if err := fetch(ctx, s, strconv.Itoa(user), cache.Miss); err != nil {
			return err
		}
	}
	c.heap = (heap() - before) / float64(c.entries)
	stats := l1.Stats()
	if stats.L1.Entries != c.entries {
		return fmt.Errorf("L1 holds %d of %d entries", stats.L1.Entries, c.entries)
	}
	c.accounted = float64(stats.L1.Bytes) / float64(c.entries)

	// Copies live for five seconds, and filling many takes longer than that: those
	// that will be looked at are taken anew.
	users := drawn(c.entries, min(timed, c.entries))
	for _, user := range users {
		if err := fetch(ctx, s, user, cache.Miss, cache.HitL1); err != nil {
			return err
		}
	}
	c.hitL1, err = batched(users, func(user string) error { return fetch(ctx, s, user, cache.HitL1) })
	return err
}

// inLRU measures the floor: the library's own Get of keys that are rendered already,
// in the same order.
func (c *cost) inLRU(context.Context) error {
	entries, err := lru.New[string, *page](c.entries)
	if err != nil {
		return err
	}
	key := func(user string) string { return "feed.page/1|id=1|user=" + user + "|locale=de" }
	for user := range c.entries {
		entries.Add(key(strconv.Itoa(user)), new(page))
	}
	keys := drawn(c.entries, min(timed, c.entries))
	for i, user := range keys {
		keys[i] = key(user)
	}
	c.rawLRU, err = batched(keys, func(key string) error {
		if _, ok := entries.Get(key); !ok {
			return fmt.Errorf("%s is not there", key)
		}
		return nil
	})
	return err
}

// batched is the median time of do, in seconds. One hit is about as long as asking the
// clock, so hundreds are timed at once.
func batched(list []string, do func(string) error) (float64, error) {
	const batch = 500
	var took []float64
	for some := range slices.Chunk(list, batch) {
		began := time.Now()
		for _, of := range some {
			if err := do(of); err != nil {
				return 0, err
			}
		}
		took = append(took, time.Since(began).Seconds()/float64(len(some)))
	}
	return report.Median(took), nil
}

// heap is how many bytes are in use.
func heap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
