// Package breaker keeps calls from a server that does not answer. One breaker stands in
// front of Redis, and one in front of the origin.
package breaker

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A Breaker opens at a number of failures in a row. From then on the nth failure keeps
// every call back for n × 200 ms, up to a limit. Then one call is let through as a probe,
// and its success closes the breaker. The schedule is linear and short because trying
// early costs one call. Failures that no call has followed up for a while are forgotten:
// after a quiet night, the first reader is not a probe that keeps the second waiting.
type Breaker struct {
	spare int           // failures in a row that do not open it yet
	most  time.Duration // the longest that it keeps calls back

	mu       sync.Mutex
	failures int
	until    time.Time
	probing  bool
	by       *Probe // whose call probes; nil: a call of its own
	opened   uint64
	timeouts uint64
	errors   uint64
}

const step = 200 * time.Millisecond

// New makes a breaker that ignores so many failures in a row (none opens it where spare is
// one below), and keeps calls back for most at the longest.
func New(spare int, most time.Duration) *Breaker { return &Breaker{spare: spare, most: most} }

// A Probe is several calls that are let through together: the loads of one page, which
// needs all of them.
type Probe struct{ _ byte }

// Allow reports whether a call may be made, by itself (nil) or as one of a probe's. A call
// that is allowed must be followed by Done.
func (b *Breaker) Allow(by *Probe) bool {
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

// Done notes how a call ended: with a failure of the server, or well, which is nil. Calls
// that were under way when the breaker opened count as one failure with the one that
// opened it.
func (b *Breaker) Done(failure error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case failure == nil:
	case isTimeout(failure):
		b.timeouts++
	default:
		b.errors++
	}
	switch {
	case failure == nil:
		b.failures, b.probing = 0, false
	case b.failures <= b.spare || b.probing:
		b.failures++
		b.probing = false
		if b.failures == b.spare+1 {
			b.opened++
		}
		b.until = time.Now().Add(min(time.Duration(b.failures-b.spare)*step, b.most))
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// holds reports whether an open breaker keeps calls back at this moment: until its time is
// over, and while a probe is under way. Its caller has the mutex.
func (b *Breaker) holds(now time.Time) bool { return b.probing || now.Before(b.until) }

// Refuses reports whether Allow would say no. It lets no call through as the probe.
func (b *Breaker) Refuses() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures > b.spare && b.holds(time.Now())
}

// Open reports whether calls are being kept back.
func (b *Breaker) Open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures > b.spare
}

// Stats is the state of a breaker, and what has brought it there.
type Stats struct {
	Open     bool
	Opened   uint64            // times
	Failures map[string]uint64 // of calls, by timeout or error
}

// Stats returns the state of the breaker.
func (b *Breaker) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return Stats{b.failures > b.spare, b.opened, map[string]uint64{"timeout": b.timeouts, "error": b.errors}}
}
