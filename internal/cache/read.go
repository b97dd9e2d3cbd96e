package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"example.com/communityfeed/internal/cache/breaker"
	"example.com/communityfeed/internal/cache/fence"
	"example.com/communityfeed/internal/cache/remote"
)

// A fill answers one key that L1 does not have. From the top down:
//
//	L2 has it fresh                  that copy, kept in L1
//	… expired, may be revalidated    that copy, and a refresh behind it
//	otherwise, with the lease        load, store, tell the fleet
//	… without the lease              wait for the process that has it, look again
//	the load failed                  the old copy, if the policy allows it
//
// A process has at most one fill of a key that reads may join. It belongs to none of them:
// it runs under the cache's own context, and each read leaves when its own context ends.
type fill struct {
	*source
	key    Key
	tags   []Tag
	budget *remote.Budget // what the fill may still give to Redis; nil: one timeout for each call

	// What a page wants of the fills that it begins.
	probe     *breaker.Probe // its loads are one probe
	above     uint64         // only answers with a number above this are of use to it
	onlyFresh bool           // an expired copy is loaded again at once, not served meanwhile

	refreshes bool                           // it was begun behind a copy that is served, and no read joins it
	looked    *lookupResult                  // the first lookup; nil until it was made
	lease     *heldLease                     // nil until this process has it
	snapshot  atomic.Pointer[fence.Snapshot] // of the last lookup, or of the claim; it says whether the fill may be joined

	done   chan struct{}
	answer answer // set before done is closed
	ended  uint64 // the fence's number when the answer was there
}

// read answers a read that L1 did not answer.
func (s *source) read(ctx context.Context, k Key) answer {
	if s.cache.o.Off {
		return s.bypass(ctx, k)
	}
	f, joined := s.join(s.newFill(k))
	if !joined {
		f.start()
	}
	return f.wait(ctx, joined)
}

func (s *source) newFill(k Key) *fill { return &fill{source: s, key: k, tags: s.spec.tags(k)} }

// fills are those that may be joined.
type fills struct {
	mu    sync.Mutex
	byKey map[string]*fill
}

// join returns the fill of f's key that is under way, if f may join it, or else f, which
// others may join from now on.
//
// A fill is joined only while its snapshot counts, so a writer's read does not join a fill
// from before the write. It is joined only while its snapshot is young, because a stalled
// fill's answer may be as old as its snapshot.
func (s *source) join(f *fill) (its *fill, joined bool) {
	c := s.cache
	c.fills.mu.Lock()
	defer c.fills.mu.Unlock()
	if other := c.fills.byKey[f.key.text]; other != nil {
		if s := other.snapshot.Load(); s.Number > f.above && c.fence.Counts(s) && c.now()-s.Taken < maxL1Age {
			return other, true
		}
	}
	snapshot := c.snapshot(f.tags)
	f.snapshot.Store(&snapshot)
	f.done = make(chan struct{})
	if c.fills.byKey == nil {
		c.fills.byKey = make(map[string]*fill)
	}
	c.fills.byKey[f.key.text] = f
	return f, false
}

// leave keeps others from joining a fill from now on.
func (t *fills) leave(f *fill) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byKey[f.key.text] == f { // else a younger one has taken its place
		delete(t.byKey, f.key.text)
	}
}

// start runs a fill in the background.
func (f *fill) start() {
	if !f.cache.spawn(f.run) {
		f.end(answer{err: ErrUnavailable}, f.cache.fence.Number())
	}
}

// lookupTogether looks the keys of fills up in one round trip, and ends the fills that this
// answers. The others go on by themselves.
func (c *Cache) lookupTogether(ctx context.Context, fills []*fill) {
	budget := c.l2.NewBudget()
	queries := make([]remote.Query, len(fills))
	for i, f := range fills {
		queries[i] = f.query()
	}
	results := c.lookup(ctx, budget, queries, false)
	ended := c.fence.Number()
	for i, f := range fills {
		found := results[i]
		f.snapshot.Store(&found.snapshot)
		if a, ok := f.fromL2(found); ok {
			f.end(a, ended)
			continue
		}
		f.looked, f.budget = &found, budget.Split()
		f.start()
	}
}

// wait waits for the answer for as long as ctx allows.
func (f *fill) wait(ctx context.Context, joined bool) answer {
	var a answer
	select {
	case <-f.done:
		a = f.answer
	case <-ctx.Done():
		a = answer{err: ctx.Err()}
	}
	f.stats.count(a, joined)
	return a
}

var errEnded = errors.New("cache: the load ended its goroutine")

// run runs a fill to its end.
func (f *fill) run(root context.Context) {
	ctx, cancel := context.WithTimeout(root, f.cache.o.fillLife())
	defer cancel()
	if f.budget == nil {
		f.budget = f.cache.l2.NewBudget()
	}
	a := answer{err: errEnded}
	defer func() { f.end(a, f.cache.fence.Number()) }() // also when a load ends its goroutine
	a = f.resolve(ctx)
}

// end gives a fill its answer. at is the number of the fence when the answer was there. What
// was loaded may still be being stored. Until it is, the fill may be joined: it answers at
// once, which L2 cannot do yet.
func (f *fill) end(a answer, at uint64) {
	f.answer, f.ended = a, at
	stored := f.budget.Unsettled()
	if stored != nil {
		close(f.done)
		<-stored
	}
	f.cache.fills.leave(f)
	if stored == nil {
		close(f.done)
	}
}

// resolve finds the answer: in L2 if the policy allows, else by a load.
func (f *fill) resolve(ctx context.Context) answer {
	if f.looked == nil { // else that has not answered it
		found := f.lookup(ctx)
		if a, ok := f.fromL2(found); ok {
			return a
		}
		f.looked = &found
	}
	found := *f.looked
	if found.Err != nil {
		// Another fill may have come and gone between the look into L1 that found nothing and
		// this one. What that has brought is also in L2, but L2 does not say so.
		if a, ok := f.cache.answerOfEntry(f.cache.l1.Get([]byte(f.key.text))); ok && a.snapshot.Number > f.above {
			return a
		}
	}
	a := f.obtain(ctx, found)
	if f.cache.o.fault(a.err) {
		return f.serveStale(ctx, a)
	}
	return a
}

// obtain loads, or waits for the process that does, unless a load has just failed: of this
// key, or so many that the origin is taken to be away. Asking a broken origin again and
// again only keeps it broken, and delays the stale copy.
func (f *fill) obtain(ctx context.Context, found lookupResult) answer {
	c := f.cache
	if err := c.failed.recent(f.key.text, c.now()); err != nil {
		return answer{err: err, snapshot: found.snapshot}
	}
	if !c.origin.Allow(f.probe) {
		return answer{err: fmt.Errorf("%w: the origin has been failing", ErrUnavailable), snapshot: found.snapshot}
	}
	return f.reporting(func() answer {
		if found.Err != nil {
			f.stats.softened(found.Err)
			return f.loadAndStore(ctx, found.snapshot) // Redis is soft: failing to read it is a miss
		}
		return f.loadUnderLease(ctx, found)
	})
}

// reporting loads, or waits for a load, and tells the origin's breaker how that ended. The breaker must be told in
// any case: the load may be a probe.
func (f *fill) reporting(load func() answer) (a answer) {
	a.err = errEnded
	defer func() {
		if f.cache.o.away(a.err) {
			f.cache.origin.Done(a.err)
		} else {
			f.cache.origin.Done(nil)
		}
	}()
	a = load()
	return a
}

// loadUnderLease loads once in the fleet: under the lease, or by waiting for the fill that has
// it, of another process or of this one.
func (f *fill) loadUnderLease(ctx context.Context, found lookupResult) answer {
	patience := time.NewTimer(remote.LeaseLife)
	defer patience.Stop()
	for {
		told, leave := f.cache.waiters.register(f.key.text)
		var err error
		found, err = f.claim(ctx, found.snapshot.Lacks())
		if f.lease != nil || err != nil {
			leave()
			if err != nil {
				f.stats.l2Errors.Add(1)
				return f.loadAndStore(ctx, found.snapshot)
			}
			return f.fillLeased(ctx, found)
		}
		if a, ok := f.refused(found); ok {
			leave()
			return a
		}
		how, patient := waitFor(ctx, told, patience.C)
		leave()
		f.stats.waited(how, patient)
		if how == remote.Failed {
			// Of another process, or of a refresh in this one; perhaps of a fill from
			// before the one that holds the lease now. The key has failed a moment ago.
			err := fmt.Errorf("%w: the load that was waited for has failed", ErrUnavailable)
			f.cache.failed.note(f.key.text, err, f.cache.now())
			return answer{err: err, snapshot: found.snapshot}
		}
		if a, ok := f.beingStored(); ok {
			return a
		}
		found = f.lookup(ctx)
		if found.Err != nil {
			return f.loadAndStore(ctx, found.snapshot) // alone, once, without storing in L2
		}
		if a, ok := f.freshIn(found, f.key); ok {
			return a
		}
		if !patient { // no process has filled it for the whole life of a lease
			if found.Is(fence.Expired) { // a changed one may lack this reader's own write
				if a, ok := f.usableIn(found); ok {
					return a
				}
			}
			return f.loadAndStore(ctx, found.snapshot)
		}
	}
}

// refused answers a read that was refused the lease, if what is there by now does.
func (f *fill) refused(found lookupResult) (answer, bool) {
	if a, ok := f.beingStored(); ok {
		return a, true
	}
	return f.freshIn(found, f.key)
}

// beingStored answers a read that was refused the lease because another fill of this process
// has it. What that fill has loaded answers before it is stored, if it still counts. It does
// not answer a page that has read ids since, and found the fragment revoked.
func (f *fill) beingStored() (answer, bool) {
	a, ok := f.cache.answerOfEntry(f.cache.leases.copyOf(f.key.text))
	return a, ok && a.snapshot.Number > f.above
}

// fillLeased fills under the lease, unless what was read with it is fresh. The snapshot of
// that lookup is the fill's.
func (f *fill) fillLeased(ctx context.Context, found lookupResult) (a answer) {
	ended := false // stays so when the load ends its goroutine
	defer func() {
		if !ended {
			f.release(ctx, remote.Failed, false)
		}
	}()
	f.snapshot.Store(&found.snapshot)
	if a, ok := f.freshIn(found, f.key); ok && !(f.refreshes && a.nearEnd(f.cache.now())) {
		f.release(ctx, remote.Stored, false)
		ended = true
		return a
	}
	a = f.loadAndStore(ctx, found.snapshot)
	ended = true
	return a
}

// loadAndStore loads under a snapshot that was taken before, and stores: in L2 if the fill
// holds the lease, in L1 if nothing was heard meanwhile.
func (f *fill) loadAndStore(ctx context.Context, snapshot fence.Snapshot) answer {
	c := f.cache
	began := c.now()
	v, err := f.callWithin(ctx, f.key, c.o.LoadTimeout)
	a := answer{value: v, err: err, outcome: Miss, snapshot: snapshot, filled: snapshot.Taken}
	var body []byte
	if a.err == nil {
		body, a.err = f.encode(v)
	}
	switch {
	case a.err == nil:
		e := f.newEntry(f.spec.Policy.jittered(c.o.Rand()), body, c.now()-began, snapshot.IDs)
		a.expires, a.cost = a.filled+e.Fresh, e.Cost
		copied := f.keep(f.key, a, len(body))
		if f.lease != nil {
			c.leases.loaded(f.lease, copied)
			c.waiters.tell(f.key.text, remote.Stored) // in this process, where they need not wait for the store
		}
		f.store(ctx, e, a.filled)
	case !c.o.fault(a.err):
		a.expires = a.filled + f.spec.Policy.Negative
		f.release(ctx, remote.NotStored, true)
		f.keep(f.key, a, 0)
	case ctx.Err() != nil: // the cache is being closed, or the fill has had its time: nothing is known of the origin
		f.release(ctx, remote.NotStored, false)
	default:
		c.failed.note(f.key.text, a.err, c.now())
		f.release(ctx, remote.Failed, false)
	}
	return a
}
