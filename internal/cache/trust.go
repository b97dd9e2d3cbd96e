package cache

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"example.com/communityfeed/internal/cache/fence"
	"example.com/communityfeed/internal/cache/remote"
)

// trust says whether L2 may be read.
//
// An invalidation that failed leaves entries in L2 that pass for fresh. From then on L2 is
// distrusted: it is not read until the failed invalidations were repeated (by the outbox),
// and all that could be missing was delivered. That is a drain, and it must have begun
// after the last failure:
//
//  1. A drain begins, and finds nothing undelivered.
//  2. An invalidation fails; L2 is distrusted.
//  3. The drain ends. It knows nothing of the invalidation of step 2.
//
// For the same reason every lookup takes its snapshot's number first, then asks here, then
// reads; and a failed invalidation distrusts first, then is heard of, then its writer is
// answered. Any other order lets a reader pass between two steps with an old entry and a
// young number.
type trust struct {
	none bool // there is no L2, and nothing to distrust

	mu    sync.Mutex
	lost  uint64 // times that trust was lost
	why   tally
	since time.Time // when it was lost first; zero: trusted
}

// errDistrusted says why L2 was not read.
var errDistrusted = errors.New("cache: L2 may hold what was invalidated")

// trusted is L2, which is not read while it is distrusted. A snapshot's number is taken
// before any of these calls.
type trusted struct {
	remote.Tier
	trust trust
}

func (t *trusted) Lookup(ctx context.Context, b *remote.Budget, queries []remote.Query, create bool) []remote.Result {
	if !t.trust.holds() {
		return slices.Repeat([]remote.Result{{Err: errDistrusted}}, len(queries))
	}
	return t.Tier.Lookup(ctx, b, queries, create)
}

func (t *trusted) LookupIDs(ctx context.Context, b *remote.Budget, tags []Tag) ([]fence.IDs, error) {
	if !t.trust.holds() {
		return nil, errDistrusted
	}
	return t.Tier.LookupIDs(ctx, b, tags)
}

func (t *trusted) Claim(ctx context.Context, b *remote.Budget, c remote.Claim) (bool, remote.Result, error) {
	if !t.trust.holds() {
		return false, remote.Result{}, errDistrusted
	}
	return t.Tier.Claim(ctx, b, c)
}

func (t *trusted) Replace(ctx context.Context, b *remote.Budget, r remote.Replacement) (bool, error) {
	if !t.trust.holds() {
		return false, errDistrusted
	}
	return t.Tier.Replace(ctx, b, r)
}

// patient returns the context of a call that runs to its end whatever becomes of ctx: one
// timeout for the connection, and one for the call.
func (t *trusted) patient(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 2*t.Timeout())
}

// lose distrusts L2 from now on.
func (t *trust) lose(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.none {
		return
	}
	t.lost++
	t.why.add(why)
	if t.since.IsZero() {
		t.since = time.Now()
	}
}

func (t *trust) holds() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.since.IsZero()
}

func (t *trust) report() (lost map[string]uint64, distrusted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.why.by(invalidationFailed, subscriptionLost, eventLate), !t.since.IsZero()
}

// Distrust stops reads of L2 until a drain has ended: something is known to be
// undelivered.
func (c *Cache) Distrust() { c.l2.trust.lose(eventLate) }

// BeginDrain begins an attempt to win trust in L2 back, and reports whether one is
// needed. The caller then repeats every invalidation that may not have reached Redis (all
// that are undelivered now, and those that a failing Redis may have lost, from shortly before
// since) and calls end when all of them have. Then L2 is trusted again, unless trust was lost
// anew in between.
func (c *Cache) BeginDrain() (since time.Time, end func(), needed bool) {
	t := &c.l2.trust
	t.mu.Lock()
	defer t.mu.Unlock()
	lost := t.lost
	return t.since, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.lost == lost {
			t.since = time.Time{}
		}
	}, !t.since.IsZero()
}
