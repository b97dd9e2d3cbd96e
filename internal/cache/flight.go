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
	look   look
	done   chan struct{}
	answer answer // set before done is closed
}

// An answer is how a flight ended. What a hit in L1 looks at comes first, and lies
// together.
type answer struct {
	value   any
	err     error         // the load's, or why there was none
	expires time.Duration // when the value stops being fresh
	cost    time.Duration // how long its load took
	outcome Outcome

	snap   snapshot      // what the value was read under
	filled time.Duration // when the origin was read, on the cache's clock
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

// A look is a flight's first look at L2: its snapshot and what was there.
type look func(context.Context) (snapshot, reading, error)

// A read is one caller's question that L1 did not answer.
type read struct {
	cache  *Cache
	origin *origin
	key    Key
	tags   []Tag
	in     *whole  // of which the answer is to be a part, or nil
	flight *flight // that will answer, if answer does not already
	joined bool    // it was under way
	answer answer
}

// fetch answers a read that found no copy in L1 to answer it.
func (c *Cache) fetch(ctx context.Context, o *origin, k Key, copied *l1Copy, in *whole) answer {
	tags := o.tags(k)
	return c.begin(o, k, tags, copied, in, func(ctx context.Context) (snapshot, reading, error) {
		return c.look(ctx, k, tags, false)
	}).end(ctx)
}

// begin boards the flight that will answer a read. A part may be answered by the
// copy in L1; see nested.go.
func (c *Cache) begin(o *origin, k Key, tags []Tag, copied *l1Copy, in *whole, first look) *read {
	r := &read{cache: c, origin: o, key: k, tags: tags, in: in}
	switch {
	case c.o.Off:
	case in == nil:
		r.flight, r.joined = c.board(r, 0, first)
	default:
		r.beginPart(copied, first)
	}
	return r
}

// end waits for the answer as long as ctx allows.
func (r *read) end(ctx context.Context) answer {
	switch {
	case r.cache.o.Off:
		return r.cache.bypass(ctx, r.origin, r.key)
	case r.in == nil:
		return r.await(ctx)
	}
	return r.endPart(ctx)
}

// await waits for the flight.
func (r *read) await(ctx context.Context) answer {
	if r.flight == nil {
		return answer{err: ErrUnavailable}
	}
	select {
	case <-r.flight.done:
		r.origin.stats.count(r.flight.answer, r.joined)
		return r.flight.answer
	case <-ctx.Done():
		r.origin.stats.errors.Add(1)
		return answer{err: ctx.Err(), snap: *r.flight.snap.Load()}
	}
}

// board returns the flight for a read to wait for, and whether it was under way; it
// was begun after the snapshot with the number after. It is nil when the cache is
// closed.
//
// A flight is joined only while it counts, so that who has written does not join a
// flight from before their write, and only while its snapshot is young, since a
// stalled flight's answer may be as old as its snapshot.
func (c *Cache) board(r *read, after uint64, first look) (f *flight, joined bool) {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	at := flightKey{r.key.text, r.in != nil && c.l2 != nil} // without L2 nothing ends stale
	if f := c.flights.byKey[at]; f != nil {
		s := f.snap.Load()
		if s.n > after && c.heard.counts(s) && c.now()-s.taken < maxL1Age {
			return f, true
		}
	}
	f = &flight{look: first, done: make(chan struct{})}
	snap := c.watch(r.tags)
	f.snap.Store(&snap)
	if !c.spawn(func(root context.Context) { c.fly(root, f, r.origin, r.key, at) }) {
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
	ctx, cancel := context.WithTimeout(root, c.flightLife())
	defer cancel()
	if c.l2 != nil {
		ctx = c.l2.allow(ctx)
	}
	f.answer.err = errEnded
	defer func() { // also when a load ends its goroutine
		store := allowanceOf(ctx).outstanding()
		if store != nil {
			close(f.done)
			<-store // until then the flight answers at once, and L2 cannot
		}
		c.flights.mu.Lock()
		if c.flights.byKey[at] == f { // else a younger one has taken its place
			delete(c.flights.byKey, at)
		}
		c.flights.mu.Unlock()
		if store == nil {
			close(f.done)
		}
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
