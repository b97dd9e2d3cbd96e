package cache

import (
	"context"
	"fmt"
	"time"
)

// lead fills under the lease, or waits for the process that has it. seen is the
// snapshot of the last read of L2.
func (c *Cache) lead(ctx context.Context, f *flight, o *origin, k Key, seen snapshot) answer {
	patience := time.NewTimer(leaseLife)
	defer patience.Stop()
	for {
		told, leave := c.waiters.wait(k.text)
		l, snap, r, err := c.claim(ctx, k, seen.tags, seen.missing())
		if l != nil || err != nil {
			leave()
			if err != nil {
				o.stats.l2Errors.Add(1)
				return c.fill(ctx, o, k, snap, nil)
			}
			return c.fillLeased(ctx, f, o, k, snap, r, l)
		}
		seen = snap
		if a, ok := c.beingStored(f, k); ok {
			leave()
			return a
		}
		if a, ok := c.freshIn(o, k, snap, r); ok {
			leave()
			return a
		}
		how, patient := waitFor(ctx, told, patience.C)
		leave()
		o.stats.waited(how, patient)
		if how == failed {
			// Of another process, or of a refresh in this one; perhaps of a fill from
			// before the one that holds the lease now. The key has failed a moment ago.
			err := fmt.Errorf("%w: the load that was waited for has failed", ErrUnavailable)
			c.failed.note(k.text, err, c.now())
			return answer{err: err, snap: seen}
		}
		if a, ok := c.beingStored(f, k); ok {
			return a
		}
		snap, r, err = c.look(ctx, k, seen.tags, false)
		if err != nil {
			return c.fill(ctx, o, k, snap, nil) // alone, once, without storing in L2
		}
		if a, ok := c.freshIn(o, k, snap, r); ok {
			return a
		}
		if !patient { // nobody has filled it for the whole life of a lease
			if r.entry != nil && r.state() == expired { // a changed one may lack this reader's own write
				if a, ok := c.usableIn(o, k, snap, r); ok {
					return a
				}
			}
			return c.fill(ctx, o, k, snap, nil)
		}
		seen = snap
	}
}

// beingStored answers a read that was refused the lease because another fill of this
// process has it: one that has looked again since the write for which the read did not
// join its flight. What that has loaded answers before it is stored, but no page that has
// read ids since, and found it revoked.
func (c *Cache) beingStored(f *flight, k Key) (answer, bool) {
	a, ok := c.answerOf(c.holdings.copyOf(k.text))
	return a, ok && a.snap.n > f.after
}

// pollLease is how long a waiter goes without being told before it looks for
// itself: messages can be lost, and a holder can die.
const pollLease = 250 * time.Millisecond

// waitFor waits to be told how another process's fill ended. It reports false when
// patience or ctx ended first.
func waitFor(ctx context.Context, told <-chan ending, patience <-chan time.Time) (ending, bool) {
	poll := time.NewTimer(pollLease)
	defer poll.Stop()
	select {
	case how := <-told:
		return how, true
	case <-poll.C:
		return unheard, true
	case <-patience:
		return unheard, false
	case <-ctx.Done():
		return unheard, false
	}
}

// claim asks for the lease of a key, which it takes from a useless fill of this process if
// need be, and reads L2 again, since somebody may have filled after the read that found
// nothing. All of that is one round trip. The lease is nil when somebody else has it; what
// was read is known all the same.
//
// A lease comes with ids or not at all: a fill that has none stores nothing, and those who
// wait for it wait in vain. So no lease is asked for while L2 is distrusted; and one that
// was given, or may have been, is given back when the ids could not be read.
func (c *Cache) claim(ctx context.Context, k Key, tags, create []Tag) (*lease, snapshot, reading, error) {
	q := question{k.text, tags}
	snaps, err := c.approach([]question{q})
	snap := snaps[0]
	if err != nil {
		return nil, snap, reading{}, err
	}
	l := c.l2.lease(k.text)
	from := c.holdings.useless(k.text, c.heard)
	c.holdings.hold(l, snap)
	taken, r, err := c.l2.claim(ctx, l, from, q, create)
	snap.ids = r.ids
	switch {
	case err == nil && taken:
		return l, snap, r, nil
	case err == nil || notGiven(err):
		c.holdings.drop(l)
	default:
		c.holdings.abandon(l)
		release := func(ctx context.Context) { c.release(ctx, l, refused, false) }
		if !c.spawn(release) {
			release(ctx) // the cache is being closed, and waits for this flight
		}
	}
	return nil, snap, r, err
}

// missing returns the tags that had no ids, which a fill needs.
func (s *snapshot) missing() (tags []Tag) {
	for i, id := range s.ids {
		if id.change == "" || id.revoke == "" {
			tags = append(tags, s.tags[i])
		}
	}
	return tags
}

// fillLeased fills under a lease, unless what was read with it is fresh. The snapshot of
// that read is the fill's.
func (c *Cache) fillLeased(ctx context.Context, f *flight, o *origin, k Key, snap snapshot, r reading, l *lease) (a answer) {
	ended := false // stays so when the load ends its goroutine
	defer func() {
		if !ended {
			c.release(ctx, l, failed, false)
		}
	}()
	if f != nil {
		f.snap.Store(&snap)
	}
	early := f == nil // a refresh may have begun before the entry's time is over
	if a, ok := c.freshIn(o, k, snap, r); ok && !(early && a.nearEnd(c.now())) {
		c.release(ctx, l, landed, false)
		ended = true
		return a
	}
	a = c.fill(ctx, o, k, snap, l)
	ended = true
	return a
}

// fill loads under a snapshot that was taken before, and stores: in L2 if it holds
// a lease, in L1 if nothing was heard meanwhile.
func (c *Cache) fill(ctx context.Context, o *origin, k Key, snap snapshot, l *lease) answer {
	began := c.now()
	loadCtx, cancel := context.WithTimeout(withAllowance(ctx, nil), c.o.LoadTimeout)
	v, err := c.call(loadCtx, o, k)
	cancel()
	a := answer{value: v, err: err, outcome: Miss, snap: snap, filled: snap.taken}
	var body []byte
	if a.err == nil {
		body, a.err = o.encode(v)
	}
	switch {
	case a.err == nil:
		e := o.entry(o.spec.Policy.jittered(c.o.Rand()), body, c.now()-began, snap.ids)
		a.expires, a.cost = a.filled+e.fresh, e.cost
		copied := c.keep(o, k, a, len(body))
		if l != nil {
			c.holdings.loaded(l, copied)
			c.waiters.tell(k.text, landed) // in this process, where they need not wait for the store
		}
		c.store(ctx, o, l, e, snap.tags, a.filled)
	case !c.fault(a.err):
		a.expires = a.filled + o.spec.Policy.Negative
		c.release(ctx, l, refused, true)
		c.keep(o, k, a, 0)
	case ctx.Err() != nil: // the cache is being closed: the origin was not asked to the end
		c.release(ctx, l, refused, false)
	default:
		c.failed.note(k.text, a.err, c.now())
		c.release(ctx, l, failed, false)
	}
	return a
}

// entry makes an entry of a value that was read, or made, under ids.
func (o *origin) entry(fresh time.Duration, body []byte, cost time.Duration, under []ids) *entry {
	p := o.spec.Policy
	return &entry{retention: fresh + max(p.Stale, p.OnError), fresh: fresh, cost: cost, ids: under, body: body}
}

// store puts an entry into L2 and ends the lease, telling the waiters either way. It
// reports whether L2 is known to have the entry now.
func (c *Cache) store(ctx context.Context, o *origin, l *lease, e *entry, tags []Tag, filled time.Duration) bool {
	if l == nil {
		return false
	}
	stored := false
	ended := c.settle(ctx, l, func(ctx context.Context) bool {
		var err error
		if stored, err = l.store(ctx, e, tags, c.base.Add(filled+e.retention)); !stored {
			why := leaseLost
			if err != nil {
				why = storeFailed
			}
			o.stats.refused.add(why)
			return c.giveBack(ctx, l, refused, false)
		}
		return true
	})
	return ended && stored
}

// release ends the lease without an entry.
func (c *Cache) release(ctx context.Context, l *lease, how ending, unlink bool) {
	if l == nil {
		return
	}
	c.settle(ctx, l, func(ctx context.Context) bool { return c.giveBack(ctx, l, how, unlink) })
}

// settle brings a lease to its end, which the fleet waits for: end reports whether it
// is known to have come. It takes the time that this needs; the flight waits along only
// while its allowance lasts. It reports whether it has waited to the end.
func (c *Cache) settle(ctx context.Context, l *lease, end func(context.Context) bool) bool {
	finish := func(ctx context.Context) {
		if end(ctx) {
			c.holdings.drop(l)
		} else {
			c.holdings.abandon(l)
		}
	}
	done := make(chan struct{})
	if !c.spawn(func(root context.Context) {
		defer close(done)
		ctx, cancel := context.WithTimeout(root, 2*c.l2.budget) // for the turn and the call
		defer cancel()
		finish(ctx)
	}) {
		finish(withAllowance(ctx, nil)) // the cache is being closed, and waits for this flight
		return true
	}
	return allowanceOf(ctx).await(done)
}

// giveBack gives a lease back and tells its waiters, also when the cache is being
// closed: the rest of the fleet goes on. It reports whether it is known to have come.
func (c *Cache) giveBack(ctx context.Context, l *lease, how ending, unlink bool) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*c.l2.budget)
	defer cancel()
	err := l.release(ctx, how, unlink)
	c.waiters.tell(l.key, how)
	if err != nil {
		// The lease ends by itself, and the waiters look for themselves.
		c.o.Log.Debug("cache: release", "key", l.key, "error", err)
	}
	return err == nil
}

// keep puts an answer into L1, counted from when its tags were read, unless a move
// was heard of since: then it is right for those who wait for it, and for nobody
// after. It returns the copy, or nil.
func (c *Cache) keep(o *origin, k Key, a answer, size int) *l1Copy {
	if !c.heard.counts(&a.snap) {
		o.stats.fenced.Add(1)
		return nil
	}
	until := min(a.snap.taken+o.spec.Policy.l1Age(), a.expires)
	if until <= c.now() {
		return nil // it would only push out a copy that is of use
	}
	copied := &l1Copy{answer: a, of: k, key: k.text, size: int64(len(k.text)+size) + copyOverhead, until: until}
	c.l1.keep(copied)
	return copied
}

// answerOf makes an answer of a copy in the process, if there is one and it may still be
// served.
func (c *Cache) answerOf(copied *l1Copy) (answer, bool) {
	if copied == nil || !c.valid(copied, c.now()) {
		return answer{}, false
	}
	a := copied.answer
	a.outcome = HitL1
	return a, true
}

// valid reports whether a copy in L1 may still be served.
func (c *Cache) valid(copied *l1Copy, now time.Duration) bool {
	return now < copied.until && c.heard.still(&copied.snap, &copied.judged)
}
