package cache

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Get and Set are the two halves of GetOrSet, for whoever asks the origin otherwise:
// one query that brings many values, say. Nobody who uses them is spared a stampede.

// Get returns a fresh copy if one is kept, and asks nobody for it: there is no load
// and no wait for one. Inside a load it finds nothing; see alone.
func (s *Source[T]) Get(ctx context.Context, values ...string) (r Result[T], found bool) {
	c, o := s.cache, s.origin
	text := string(o.spec.render(nil, values))
	if c.o.Off || alone(ctx, o.spec) != nil {
		return r, false
	}
	if copied, left, hit := c.hit(o, []byte(text), values); hit {
		r, err := result[T](&copied.answer, HitL1, left)
		return r, err == nil
	}
	if c.l2 == nil {
		return r, false
	}
	k := o.spec.key(text, values)
	snap, seen, err := c.look(ctx, k, o.tags(k), false)
	if err != nil {
		o.stats.softened(err)
		return r, false
	}
	a, ok := c.freshIn(o, k, snap, seen)
	if !ok {
		return r, false
	}
	r, _ = result[T](&a, HitL2, a.expires-c.now())
	return r, true
}

// A Snapshot is what was known of a key's tags at some moment.
type Snapshot struct {
	key  Key
	snap snapshot
}

// Snapshot prepares a [Source.Set]. Take it first and read the value from the origin
// after it: a write that falls between the two makes the value old, and the snapshot
// is how that is noticed.
func (s *Source[T]) Snapshot(ctx context.Context, values ...string) Snapshot {
	c, o := s.cache, s.origin
	k := o.spec.key(string(o.spec.render(nil, values)), values)
	if c.l2 == nil {
		return Snapshot{k, c.watch(o.tags(k))}
	}
	snap, _, err := c.look(ctx, k, o.tags(k), true)
	if err != nil {
		o.stats.softened(err)
	}
	return Snapshot{k, snap}
}

// ErrNotStored is the error of a Set whose value L2 did not take: somebody fills the
// key just now, the key was deleted meanwhile, a tag has moved since the snapshot, or L2
// was not to be read.
var ErrNotStored = errors.New("cache: L2 did not take the value")

// Set stores a value that was read from the origin after the snapshot, never one that
// this cache has returned. It is as old as the snapshot. In L2 it is stored under the
// lease of its key like any fill, so it undoes nobody else's; in L1 it is kept
// whatever becomes of that, unless a tag has moved since.
func (s *Source[T]) Set(ctx context.Context, from Snapshot, value T) error {
	c, o := s.cache, s.origin
	if from.key.spec != o.spec {
		panic(fmt.Sprintf("cache: the snapshot is not one of %s", o.spec.head))
	}
	if c.o.Off {
		return nil
	}
	body, err := o.encode(value)
	if err != nil {
		return fmt.Errorf("cache: set %s: %w", from.key, err)
	}
	e := o.entry(o.spec.Policy.jittered(c.o.Rand()), body, c.now()-from.snap.taken, from.snap.ids)
	a := answer{value: value, outcome: Miss, snap: from.snap, filled: from.snap.taken, expires: from.snap.taken + e.fresh, cost: e.cost}
	c.keep(o, from.key, a, len(body))
	if c.l2 == nil {
		return nil
	}
	return c.put(ctx, o, from.key, from.snap.tags, e, a.filled)
}

// put stores an entry of a key in L2 under its lease, unless somebody else has that. L2
// is read with the lease: an entry whose tags have moved would only take the place of a
// better one.
func (c *Cache) put(ctx context.Context, o *origin, k Key, tags []Tag, e *entry, filled time.Duration) error {
	if e.ids == nil {
		return ErrNotStored
	}
	leave, ok := c.enter() // so that the lease is given back before the cache is closed
	if !ok {
		return ErrNotStored
	}
	defer leave()
	l, _, r, err := c.claim(ctx, k, tags, nil)
	if err != nil {
		o.stats.refused.add(storeFailed)
		return fmt.Errorf("%w: %w", ErrNotStored, err)
	}
	if l == nil {
		return ErrNotStored
	}
	if stateOf(e.ids, r.ids) != fresh {
		o.stats.refused.add(overtaken)
		c.release(ctx, l, refused, false)
		return ErrNotStored
	}
	if !c.store(ctx, o, l, e, tags, filled) {
		return ErrNotStored
	}
	return nil
}
