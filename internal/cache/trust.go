package cache

import (
	"errors"
	"sync"
	"time"
)

// trust says whether L2 may be read.
//
// A move that failed leaves entries in L2 that pass for fresh although they were
// invalidated. From then on L2 is distrusted: it is not read until whoever repeats
// failed moves (the outbox) has delivered all that could be missing there. That is
// a drain, and it must have begun after the last failure:
//
//  1. A drain begins, and finds nothing undelivered.
//  2. A move fails; L2 is distrusted.
//  3. The drain ends. It knows nothing of the move of step 2.
//
// For the same reason every read of L2 takes its snapshot's number first, then
// looks here, then reads; and a failed move distrusts first, then is heard of, then
// its writer is answered. Any other order lets a reader pass between two steps with
// an old entry and a young number.
type trust struct {
	mu    sync.Mutex
	lost  uint64 // times that trust was lost
	why   tally
	since time.Time // when it was lost first; zero: trusted
}

// Why L2 was not read.
var (
	errNoL2       = errors.New("cache: there is no L2")
	errDistrusted = errors.New("cache: L2 may hold what was invalidated")
)

// lose distrusts L2 from now on.
func (t *trust) lose(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
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
	return t.why.by(moveFailed, subscriptionLost, eventLate), !t.since.IsZero()
}

// Distrust stops reads of L2 until a drain has ended: something is known to be
// undelivered.
func (c *Cache) Distrust() { c.trust.lose(eventLate) }

// BeginDrain begins an attempt to win trust in L2 back, and reports whether one is
// needed. The caller then repeats every move that may not have landed (all that are
// undelivered now, and those that a failing Redis may have lost, from shortly
// before since) and calls end when all of them have. L2 is trusted again then,
// unless trust was lost anew in between.
func (c *Cache) BeginDrain() (since time.Time, end func(), needed bool) {
	t := &c.trust
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
