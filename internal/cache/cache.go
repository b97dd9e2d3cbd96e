package cache

import (
	"context"
	"errors"
	"time"

	"example.com/communityfeed/internal/cache/breaker"
	"example.com/communityfeed/internal/cache/fence"
	"example.com/communityfeed/internal/cache/local"
	"example.com/communityfeed/internal/cache/remote"
)

// ErrUnavailable is the error of a read that could not be answered although the origin may
// have the answer: another process's load failed, or the cache is closed. Trying again
// later may help.
var ErrUnavailable = errors.New("cache: unavailable")

// A Cache is both tiers of one process. Reads go through the [Source]s and [Page]s that
// were made for it, writes through [Cache.Invalidate].
type Cache struct {
	o Options
	inProcess
	declared
	lifecycle

	l2          trusted
	waiters     waiters
	fills       fills
	pageFlights pageFlights
	leases      heldLeases
	origin      *breaker.Breaker // of all loads together: they go to one database
	failed      failures
	refreshing  refreshing
	stats       stats
}

// New makes a cache over l2, which is [remote.None] if it is nil, and starts listening to
// the invalidations of other processes. Close it.
func New(l2 remote.Tier, o Options) *Cache {
	c := newCache(l2, o)
	c.spawn(func(ctx context.Context) { c.l2.Listen(ctx, listener{c}) })
	return c
}

// newCache makes a cache that hears nothing yet.
func newCache(l2 remote.Tier, o Options) *Cache {
	o = o.withDefaults()
	if l2 == nil {
		l2 = remote.None{}
	}
	_, none := l2.(remote.None)
	c := &Cache{
		o: o,
		inProcess: inProcess{
			base:  time.Now(),
			fence: fence.New(o.TagsRemembered),
			l1:    local.New[localCopy](o.L1Entries, o.L1Bytes, o.L1MaxEntry),
		},
		l2:     trusted{Tier: l2, trust: trust{none: none}},
		origin: breaker.New(originSpare, originMost),
	}
	c.root, c.cancel = context.WithCancel(context.Background())
	return c
}

// Close stops listening, cancels the loads under way, releases their leases and waits for
// all of it to end. Reads after Close load nothing.
func (c *Cache) Close() { c.end() }
