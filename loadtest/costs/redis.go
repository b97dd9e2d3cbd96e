package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/remote"
	"example.com/communityfeed/internal/embedded"
	"example.com/communityfeed/internal/report"
)

// A shelf is a cache without L1 before a Redis of its own that holds one size.
type shelf struct {
	*cost
	server *embedded.Server
	tier   *remote.Redis
	cache  *cache.Cache
	pages  *cache.Source[*page]
	users  []string
}

// inRedis measures what goes past L1. All sizes are there at once and take turns: a
// round trip lasts as long as the machine's mood has it, and that is not to look like
// growth.
func (all costs) inRedis(ctx context.Context) (err error) {
	var shelves []*shelf
	defer func() {
		for _, s := range shelves {
			err = errors.Join(err, s.close())
		}
	}()
	for i := range all {
		s, err := newShelf(ctx, &all[i])
		if err != nil {
			return err
		}
		shelves = append(shelves, s)
		if err := s.fill(ctx); err != nil {
			return err
		}
	}
	for _, m := range []struct {
		into func(*cost) *float64
		do   func(s *shelf, n int) error
	}{
		{func(c *cost) *float64 { return &c.hitL2 }, func(s *shelf, n int) error {
			return fetch(ctx, s.pages, s.users[n%len(s.users)], cache.HitL2)
		}},
		{func(c *cost) *float64 { return &c.miss }, func(s *shelf, n int) error {
			return fetch(ctx, s.pages, fmt.Sprintf("nobody %d", n), cache.Miss)
		}},
		{func(c *cost) *float64 { return &c.invalidation }, func(s *shelf, _ int) error {
			return s.cache.Invalidate(ctx, cache.Changed(hot))
		}},
	} {
		if err := inTurn(shelves, m.into, m.do); err != nil {
			return err
		}
	}
	for _, s := range shelves { // the invalidations have reached what has the tag
		if err := fetch(ctx, s.pages, s.users[0], cache.Miss); err != nil {
			return err
		}
	}
	return nil
}

// inTurn lets every shelf do some of its work, one after the other, until all is done,
// and takes the median of each.
func inTurn(shelves []*shelf, into func(*cost) *float64, do func(s *shelf, n int) error) error {
	const times, turn = 2000, 50
	took := make([][]float64, len(shelves))
	for n := 0; n < times; n += turn {
		for i, s := range shelves {
			for m := range turn {
				began := time.Now()
				if err := do(s, n+m); err != nil {
					return err
				}
				took[i] = append(took[i], time.Since(began).Seconds())
			}
		}
	}
	for i, s := range shelves {
		*into(s.cost) = report.Median(took[i])
	}
	return nil
}

func newShelf(ctx context.Context, c *cost) (*shelf, error) {
	server, err := embedded.StartRedis(ctx)
	if err != nil {
		return nil, err
	}
	// A machine that is busy must not make a miss of a hit.
	tier, err := remote.Open(server.URL, remote.Options{Timeout: 5 * time.Second})
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	l2 := cache.New(tier, cache.Options{L1Entries: -1})
	return &shelf{c, server, tier, l2, pages(l2, c.body), drawn(c.entries, min(c.entries, 2000))}, nil
}

func (s *shelf) close() error {
	s.cache.Close()
	return errors.Join(s.tier.Close(), s.server.Close())
}

// fill reads every page once, and takes what Redis then has more of.
func (s *shelf) fill(ctx context.Context) error {
	// The first one brings what there is once: connections, and the tag.
	if err := fetch(ctx, s.pages, "0", cache.Miss); err != nil {
		return err
	}
	before, err := usedMemory(ctx, s.server.URL)
	if err != nil {
		return err
	}
	all, within := errgroup.WithContext(ctx)
	all.SetLimit(16)
	for user := 1; user < s.entries; user++ {
		all.Go(func() error { return fetch(within, s.pages, strconv.Itoa(user), cache.Miss) })
	}
	if err := all.Wait(); err != nil {
		return err
	}
	after, err := usedMemory(ctx, s.server.URL)
	s.redis = float64(after-before) / float64(s.entries-1)
	return err
}

// usedMemory is how many bytes Redis has allocated.
func usedMemory(ctx context.Context, url string) (int64, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return 0, err
	}
	client := redis.NewClient(options)
	defer client.Close()
	info, err := client.InfoMap(ctx, "memory").Result()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(info["Memory"]["used_memory"], 10, 64)
	if err != nil {
		return 0, errors.New("this Redis does not tell its memory; put a redis-server on PATH")
	}
	return n, nil
}
