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
	probe  *probe     // of the page that began it, or nil
	left   *allowance // what that page's lookup has left of its budget, or nil
	after  uint64     // that page has no use for what has a number not above this
	exact  bool       // nor for what is expired, if it can be loaded
	done   chan struct{}
	answer answer // set before done is closed
	ended  uint64 // the number when the answer was there
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

// flights holds the flights that may be joined.
type flights struct {
	mu    sync.Mutex
	byKey map[string]*flight
}

// A look is a flight's first look at L2: its snapshot and what was there.
type look func(context.Context) (snapshot, reading, error)

// A read is one caller's question that L1 did not answer.
type read struct {
	cache  *Cache
	origin *origin
	key    Key
	tags   []Tag
	flight *flight // that will answer
	joined bool    // it was under way
}

// fetch answers a read that found no copy in L1 to answer it.
func (c *Cache) fetch(ctx context.Context, o *origin, k Key) answer {
	tags := o.tags(k)
	return c.begin(o, k, tags, func(ctx context.Context) (snapshot, reading, error) {
		return c.look(ctx, k, tags, false)
	}).end(ctx)
}

// begin boards the flight that will answer a read.
func (c *Cache) begin(o *origin, k Key, tags []Tag, first look) *read {
	r := &read{cache: c, origin: o, key: k, tags: tags}
	if !c.o.Off {
		r.flight, r.joined = c.board(r, first)
	}
	return r
}

// end waits for the answer as long as ctx allows.
func (r *read) end(ctx context.Context) answer {
	if r.cache.o.Off {
		return r.cache.bypass(ctx, r.origin, r.key)
	}
	if r.flight == nil {
		return answer{err: ErrUnavailable}
	}
	select {
	case <-r.flight.done:
		r.origin.stats.count(r.flight.answer, r.joined)
		return r.flight.answer
	case <-ctx.Done():
		a := answer{err: ctx.Err(), snap: *r.flight.snap.Load()}
		r.origin.stats.count(a, r.joined)
		return a
	}
}

// board returns the flight for a read to wait for, and whether it was under way. It is
// nil when the cache is closed.
func (c *Cache) board(r *read, first look) (f *flight, joined bool) {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	if f := c.underWay(r.key, 0); f != nil {
		return f, true
	}
	f = c.newFlight(r.tags, first)
	if !c.spawn(func(root context.Context) { c.fly(root, f, r.origin, r.key) }) {
		return nil, false
	}
	c.flights.enter(r.key, f)
	return f, false
}

// underWay returns the flight of a key that may be joined, if its snapshot has a number
// above after. Its caller has the mutex.
//
// A flight is joined only while it counts, so that who has written does not join a
// flight from before their write, and only while its snapshot is young, since a
// stalled flight's answer may be as old as its snapshot.
func (c *Cache) underWay(k Key, after uint64) *flight {
	f := c.flights.byKey[k.text]
	if f == nil {
		return nil
	}
	if s := f.snap.Load(); s.n > after && c.heard.counts(s) && c.now()-s.taken < maxL1Age {
		return f
	}
	return nil
}

func (c *Cache) newFlight(tags []Tag, first look) *flight {
	f := &flight{look: first, done: make(chan struct{})}
	snap := c.watch(tags)
	f.snap.Store(&snap)
	return f
}

// enter lets others join a flight. Its caller has the mutex.
func (f *flights) enter(k Key, its *flight) {
	if f.byKey == nil {
		f.byKey = make(map[string]*flight)
	}
	f.byKey[k.text] = its
}

// leave lets nobody join a flight any more.
func (f *flights) leave(k Key, its *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byKey[k.text] == its { // else a younger one has taken its place
		delete(f.byKey, k.text)
	}
}

// fly runs a flight to its end.
func (c *Cache) fly(root context.Context, f *flight, o *origin, k Key) {
	ctx, cancel := context.WithTimeout(root, c.flightLife())
	defer cancel()
	if f.left != nil {
		ctx = withAllowance(ctx, f.left)
	} else if c.l2 != nil {
		ctx = c.l2.allow(ctx)
	}
	f.answer.err = errEnded
	defer func() { // also when a load ends its goroutine
		f.ended = c.heard.number()
		store := allowanceOf(ctx).outstanding()
		if store != nil {
			close(f.done)
			<-store // until then the flight answers at once, and L2 cannot
		}
		c.flights.leave(k, f)
		if store == nil {
			close(f.done)
		}
	}()
	f.answer = c.resolve(ctx, f, o, k)
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
	v, err := o.load(loading(ctx, o.spec), k)
	o.stats.loads.Add(1)
	o.stats.loadNanos.Add(int64(time.Since(began)))
	return v, err
}
