package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// A flight is the one read of a key, past L1, that a process has under way. Who
// asks for the same key meanwhile joins it. It belongs to nobody: it runs under
// the cache's own context, and each of those who wait leaves when their own
// context ends.
type flight struct {
	snap   atomic.Pointer[snapshot] // the latest; its number says whether the flight counts
	done   chan struct{}
	answer answer // set before done is closed
}

// An answer is how a flight ended.
type answer struct {
	value   any
	outcome Outcome
	err     error // the load's, or why there was none

	snap    snapshot      // what the value was read under
	filled  time.Duration // when the origin was read, on the cache's clock
	expires time.Duration // when the value stops being fresh
	cost    time.Duration // how long its load took
}

// flights holds the flights that may be joined. A part of a whole (nested.go)
// needs a fresh answer or none, so it does not share flights that may end stale.
type flights struct {
	mu    sync.Mutex
	byKey map[flightKey]*flight
}

type flightKey struct {
	key  string
	part bool
}

// fetch answers a read that found no valid copy in L1, or that is part of a whole.
func (c *Cache) fetch(ctx context.Context, o *origin, k Key, copied *l1Copy, in *whole) answer {
	if c.o.Off {
		return c.bypass(ctx, o, k)
	}
	if in == nil {
		return c.await(ctx, o, k, o.tags(k), false, 0)
	}
	a := c.part(ctx, o, k, copied, in)
	in.add(a)
	return a
}

// await joins a flight that was begun after the snapshot with the number after, or
// begins one, and waits for its answer as long as ctx allows.
func (c *Cache) await(ctx context.Context, o *origin, k Key, tags []Tag, part bool, after uint64) answer {
	f, joined := c.board(o, k, tags, part, after)
	if f == nil {
		return answer{err: ErrUnavailable}
	}
	select {
	case <-f.done:
		o.stats.count(f.answer, joined)
		return f.answer
	case <-ctx.Done():
		o.stats.errors.Add(1)
		return answer{err: ctx.Err(), snap: *f.snap.Load()}
	}
}

// board returns the flight to wait for, and whether it was under way. It returns
// nil when the cache is closed.
//
// A flight is joined only while it counts, so that who has written does not join a
// flight from before their write, and only while its snapshot is young, since a
// stalled flight's answer may be as old as its snapshot.
func (c *Cache) board(o *origin, k Key, tags []Tag, part bool, after uint64) (f *flight, joined bool) {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	at := flightKey{k.text, part && c.l2 != nil} // without L2 nothing ends stale
	if f := c.flights.byKey[at]; f != nil {
		s := f.snap.Load()
		if s.n > after && c.heard.counts(s) && c.now()-s.taken < maxL1Age {
			return f, true
		}
	}
	f = &flight{done: make(chan struct{})}
	first := c.watch(tags)
	f.snap.Store(&first)
	if !c.spawn(func(root context.Context) { c.fly(root, f, o, k, at) }) {
		return nil, false
	}
	if c.flights.byKey == nil {
		c.flights.byKey = make(map[flightKey]*flight)
	}
	c.flights.byKey[at] = f
	return f, false
}

// fly runs a flight to its end.
func (c *Cache) fly(root context.Context, f *flight, o *origin, k Key, at flightKey) {
	// Every step has a bound of its own; this one is for all of them together.
	ctx, cancel := context.WithTimeout(root, 2*leaseLife+c.o.LoadTimeout)
	defer cancel()
	f.answer.err = errEnded
	defer func() { // also when a load ends its goroutine
		c.flights.mu.Lock()
		if c.flights.byKey[at] == f { // else a younger one has taken its place
			delete(c.flights.byKey, at)
		}
		c.flights.mu.Unlock()
		close(f.done)
	}()
	f.answer = c.resolve(ctx, f, o, k, at.part)
}

var errEnded = errors.New("cache: the load ended its goroutine")

// watch takes the process's half of a snapshot.
func (c *Cache) watch(tags []Tag) snapshot {
	taken := c.now()
	s := c.heard.watch(tags)
	s.taken = taken
	return s
}

// bypass loads for one caller and keeps nothing. The load sees no more of the caller
// than any other does: only that it has left.
func (c *Cache) bypass(ctx context.Context, o *origin, k Key) answer {
	load, cancel := context.WithTimeout(c.root, c.o.LoadTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	v, err := c.call(load, o, k)
	a := answer{value: v, err: err, outcome: Bypass, expires: c.now()}
	o.stats.count(a, false)
	return a
}

// call asks the origin and counts it.
func (c *Cache) call(ctx context.Context, o *origin, k Key) (any, error) {
	began := time.Now()
	v, err := o.load(ctx, k)
	o.stats.loads.Add(1)
	o.stats.loadNanos.Add(int64(time.Since(began)))
	return v, err
}
