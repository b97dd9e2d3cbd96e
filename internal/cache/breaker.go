package cache

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A breaker keeps calls from what does not answer. It opens at a number of failures
// in a row (one, where spare is zero). From then on the nth failure keeps everybody
// back for min(n × 200 ms, most); then one call is let through as a probe, and its
// success closes the breaker. The schedule is linear and short because trying early
// costs one call. Failures that nobody has followed up for a while are forgotten:
// after a quiet night, the first reader is not a probe that keeps the second waiting.
type breaker struct {
	spare int           // failures in a row that do not open it yet
	most  time.Duration // the longest that it keeps everybody back

	mu       sync.Mutex
	failures int
	until    time.Time
	probing  bool
	by       *probe // of whom the call is that probes; nil: of itself
	opened   uint64 // times
	why      tally  // calls failed
}

const (
	breakerStep = 200 * time.Millisecond
	l2Most      = 5 * time.Second
	originMost  = 2 * time.Second // readers see stale pages for as long
)

// A probe is several calls that are let through together: the loads of one page, which
// needs all of them.
type probe struct{ _ byte }

// allow reports whether a call may be made, by itself or as one of a probe's. Who is
// allowed calls done.
func (b *breaker) allow(by *probe) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	switch {
	case b.failures <= b.spare:
		return true
	case b.holds(now):
		return b.probing && by != nil && b.by == by
	case now.After(b.until.Add(b.most)):
		b.failures = 0
		return true
	}
	b.probing, b.by = true, by
	return true
}

// done notes how a call ended. Calls that were under way when the breaker opened
// count as one failure with the one that opened it.
func (b *breaker) done(ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case ok:
		b.failures, b.probing = 0, false
	case b.failures <= b.spare || b.probing:
		b.failures++
		b.probing = false
		if b.failures == b.spare+1 {
			b.opened++
		}
		b.until = time.Now().Add(min(time.Duration(b.failures-b.spare)*breakerStep, b.most))
	}
}

// because notes why a call failed, for those who ask why the breaker is open.
func (b *breaker) because(err error) {
	if errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		b.why.add(callTimeout)
	} else {
		b.why.add(callError)
	}
}

// holds reports whether an open breaker keeps calls back at this moment: until its
// time is over, and while a probe is under way. Its caller has the mutex.
func (b *breaker) holds(now time.Time) bool { return b.probing || now.Before(b.until) }

// refuses reports whether allow would say no. It lets nobody through as the probe.
func (b *breaker) refuses() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures > b.spare && b.holds(time.Now())
}

// open reports whether calls are being kept back.
func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures > b.spare
}

// A BreakerStats is the state of a breaker, and what has brought it there.
type BreakerStats struct {
	Open     bool
	Opened   uint64            // times
	Failures map[string]uint64 // of calls: timeout or error
}

func (b *breaker) stats() BreakerStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return BreakerStats{b.failures > b.spare, b.opened, b.why.by(callTimeout, callError)}
}
