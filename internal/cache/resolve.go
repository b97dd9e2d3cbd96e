package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// look reads L2 for one key.
func (c *Cache) look(ctx context.Context, k Key, tags []Tag, create bool) (snapshot, reading, error) {
	snaps, readings := c.lookMany(ctx, []question{{k.text, tags}}, create)
	return snaps[0], readings[0], readings[0].err
}

// lookMany reads L2: the entries and the ids.
func (c *Cache) lookMany(ctx context.Context, questions []question, create bool) ([]snapshot, []reading) {
	snaps, err := c.approach(questions)
	if err != nil {
		return snaps, slices.Repeat([]reading{{err: err}}, len(questions))
	}
	readings := c.l2.readMany(ctx, questions, create)
	for i := range snaps {
		snaps[i].ids = readings[i].ids
	}
	return snaps, readings
}

// approach is what comes before every read of L2: first the process's half of the
// snapshots, then whether L2 is trusted. The order is the proof; see trust.go.
func (c *Cache) approach(questions []question) ([]snapshot, error) {
	snaps := make([]snapshot, len(questions))
	for i, q := range questions {
		snaps[i] = c.watch(q.tags)
	}
	if !c.trust.holds() {
		return snaps, errDistrusted
	}
	return snaps, nil
}

// resolve answers a read past L1: from L2 if the policy allows, else by a fill.
func (c *Cache) resolve(ctx context.Context, f *flight, o *origin, k Key) answer {
	snap := *f.snap.Load()
	var r reading
	err := errNoL2
	if c.l2 != nil {
		snap, r, err = f.look(ctx)
	} else if a, ok := c.answerOf(c.l1.get([]byte(k.text))); ok {
		// Who found nothing in L1 was overtaken by a whole flight before boarding this
		// one. What that has brought is also in L2, where there is one.
		return a
	}
	if err == nil {
		if a, ok := c.atOnce(f, o, k, snap, r); ok {
			return a
		}
	}
	a := c.obtain(ctx, f, o, k, snap, err)
	if c.fault(a.err) && c.l2 != nil {
		return c.standIn(ctx, o, k, snap.tags, a)
	}
	return a
}

// atOnce answers a read with what was found in L2, if that is fresh, or expired and
// being refreshed.
func (c *Cache) atOnce(f *flight, o *origin, k Key, snap snapshot, r reading) (answer, bool) {
	if a, ok := c.freshIn(o, k, snap, r); ok {
		if a.early(c.now(), c.o.Rand) {
			c.refresh(o, k, snap.tags)
		}
		return a, true
	}
	if f.exact || r.entry == nil || r.state() != expired || r.age() >= r.entry.fresh+o.spec.Policy.Stale {
		return answer{}, false
	}
	a, ok := c.answerFrom(o, k, snap, r)
	if ok {
		o.stats.stood.add(whileRefreshing)
		c.refresh(o, k, snap.tags)
	}
	return a, ok
}

// obtain loads, or waits for who does, unless that has just failed: for this key, or
// for so many that the origin is taken to be away. Who asks a broken origin again
// and again only keeps it broken, and waits longer for the copy that stands in.
func (c *Cache) obtain(ctx context.Context, f *flight, o *origin, k Key, snap snapshot, l2 error) (a answer) {
	if err := c.failed.recent(k.text, c.now()); err != nil {
		return answer{err: err, snap: snap}
	}
	if !c.origins.allow(f.probe) {
		return answer{err: fmt.Errorf("%w: the origin has been failing", ErrUnavailable), snap: snap}
	}
	ended := false                                             // stays so when the load ends its goroutine
	defer func() { c.judge(ended && !c.away(a.err), a.err) }() // a probe must be answered
	if l2 == nil {
		a = c.lead(ctx, f, o, k, snap)
	} else {
		o.stats.softened(l2)
		a = c.fill(ctx, o, k, snap, nil) // L2 is soft: failing to read it is a miss
	}
	ended = true
	return a
}

// judge tells the origin's breaker how a load ended.
func (c *Cache) judge(ok bool, err error) {
	if !ok {
		c.origins.because(err)
	}
	c.origins.done(ok)
}

// away reports whether a load's error may mean that the origin is away. A panic is
// about one page; it must not keep others from theirs.
func (c *Cache) away(err error) bool {
	var panicked *PanicError
	return c.fault(err) && !errors.As(err, &panicked)
}

// fault reports whether a load's error means that the origin is in trouble.
func (c *Cache) fault(err error) bool { return err != nil && !c.o.Answer(err) }

// standIn answers with an expired or changed copy when the load has failed. L2 is
// read again: what was usable before the load may have been revoked while it ran, or
// filled anew by somebody luckier. That has a budget of its own: who has spent the
// first on a slow Redis would have nothing to show.
func (c *Cache) standIn(ctx context.Context, o *origin, k Key, tags []Tag, failure answer) answer {
	snap, r, err := c.look(c.l2.allow(ctx), k, tags, false)
	if err != nil {
		return failure
	}
	if a, ok := c.freshIn(o, k, snap, r); ok {
		return a
	}
	if old, ok := c.usableIn(o, k, snap, r); ok {
		c.o.Log.Warn("cache: load failed, serving a stale copy", "key", k.text, "error", failure.err)
		return old
	}
	return failure
}

// usableIn makes an answer of what was read from L2 if it may be served stale where a
// load is not to be had.
func (c *Cache) usableIn(o *origin, k Key, snap snapshot, r reading) (answer, bool) {
	if r.entry == nil || r.state() == revoked || r.age() >= r.entry.fresh+o.spec.Policy.OnError {
		return answer{}, false
	}
	old, ok := c.answerFrom(o, k, snap, r)
	switch {
	case !ok:
	case r.state() == changed:
		o.stats.stood.add(whenChanged)
	default:
		o.stats.stood.add(whenExpired)
	}
	return old, ok
}

// answerFrom makes an answer of an entry: stale, until it is known to be fresh.
func (c *Cache) answerFrom(o *origin, k Key, snap snapshot, r reading) (answer, bool) {
	v, err := o.decode(r.entry.body)
	if err != nil {
		c.o.Log.Warn("cache: entry does not decode and is a miss", "key", k.text, "error", err)
		return answer{}, false
	}
	filled := snap.taken - r.age()
	return answer{value: v, outcome: Stale, snap: snap, filled: filled, expires: filled + r.entry.fresh, cost: r.entry.cost}, true
}

// freshIn makes an answer of what was read from L2 if it is fresh, and keeps it in
// L1.
func (c *Cache) freshIn(o *origin, k Key, snap snapshot, r reading) (answer, bool) {
	if r.entry == nil || r.state() != fresh {
		return answer{}, false
	}
	a, ok := c.answerFrom(o, k, snap, r)
	if ok {
		a.outcome = HitL2
		c.keep(o, k, a, len(r.entry.body))
	}
	return a, ok
}
