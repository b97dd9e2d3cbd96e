package cache

import (
	"context"
	"slices"
	"sync"
)

// Writing through: a writer that knows what its write makes of a copy need not leave
// that to a load. Elsewhere this is how caches go wrong for good, since two writers
// store in another order than they commit:
//
//  1. A copy shows three likes. Two processes have it in hand.
//  2. A commits a like, and then B does. There are five.
//  3. Each stores four, and four stays.
//
// Here a copy names the ids that it lies under, and a move says which ids it has
// replaced. Say that the copy lay under I before the write began, and the write's own
// move has put X in the place of exactly I. Another write that the copy does not show
// was committed after the copy was read from the origin, so it moves the tag when I is
// there already: had it come before our move, that would have found other ids than I;
// it comes after, and takes X away again. So the copy with the write added to it
// belongs under X, and is judged there like any other. At step 3, A or B finds that it
// has replaced the other's id, stores nothing, and the next read loads.
//
// The copy is looked for before the write begins, so whatever it does show was
// committed before: what changes it is added in the order of the commits. It may be that
// of L1, which names its ids as well.
//
// It takes the place of the entry that still lies under the ids of the copy, and of
// nothing else: not of what was filled meanwhile, and not of nothing, which an operator
// may have left. Whoever has the lease of the key keeps it, and stores what is younger,
// unless that is a fill of this process which the write has made useless.

// WriteThrough runs write, which changes the origin and then moves tags by [Cache.Move]
// with the context that it is given, and saves the next reader a load: if a fresh copy
// was there before, and nobody else has moved one of its tags since, then change makes
// the new value of it, which is stored in its place and is no younger than it was.
// change(v) must be what a load would return after the write, if v is what one would
// have returned before it, and must leave v as it is.
//
// It is an attempt, and its failing no error: the tags have moved all the same. It adds
// one budget of L2 before the write, at the most, and one after it. A revocation is
// never written through. The error is write's own.
func (s *Source[T]) WriteThrough(ctx context.Context, write func(context.Context) error, change func(T) T, values ...string) error {
	c, o := s.cache, s.origin
	if c.o.Off || c.l2 == nil {
		return write(ctx)
	}
	// Redis has its own time: a client who leaves says nothing about it.
	allowed := func() context.Context { return c.l2.allow(context.WithoutCancel(ctx)) }
	k := o.spec.key(string(o.spec.render(nil, values)), values)
	old, ok := c.freshCopy(allowed(), o, k)
	if !ok {
		return write(ctx)
	}
	w := &trail{tags: old.snap.tags, ids: slices.Clone(old.snap.ids)}
	if err := write(context.WithValue(ctx, trailKey{}, w)); err != nil {
		return err
	}
	if ids, moved := w.end(); moved {
		c.carry(allowed(), o, k, old, ids, func(v any) any { return change(v.(T)) })
	}
	return nil
}

// freshCopy returns a fresh copy whose ids are known: the one in L1, or else the one in L2.
func (c *Cache) freshCopy(ctx context.Context, o *origin, k Key) (answer, bool) {
	if a, ok := c.answerOf(c.l1.get([]byte(k.text))); ok && a.err == nil && a.snap.ids != nil {
		return a, true
	}
	snap, r, err := c.look(ctx, k, o.tags(k), false)
	if err != nil {
		o.stats.softened(err)
	}
	if err != nil || r.entry == nil || r.state() != fresh {
		return answer{}, false
	}
	return c.answerFrom(o, k, snap, r)
}

// carry stores what a write has made of a copy, under the ids that its moves have left, in
// the place of the entry that the copy was.
func (c *Cache) carry(ctx context.Context, o *origin, k Key, old answer, now []ids, change func(any) any) {
	body, err := func() (_ []byte, err error) {
		defer recoverTo(&err)
		return o.encode(change(old.value))
	}()
	if err != nil {
		c.o.Log.Warn("cache: what a write has changed is left to a load", "key", k.text, "error", err)
		return
	}
	if !c.trust.holds() {
		o.stats.refused.add(storeFailed)
		return
	}
	e := o.entry(old.expires-old.filled, body, old.cost, now)
	useless := c.holdings.useless(k.text, c.heard)
	switch replaced, err := c.l2.replace(ctx, k.text, old.snap.ids, e, c.base.Add(old.filled+e.retention), useless); {
	case err != nil:
		o.stats.refused.add(storeFailed)
	case !replaced:
		o.stats.refused.add(overtaken)
	default:
		o.stats.writtenThrough.Add(1)
	}
}

// A trail follows the ids of a copy through the moves of one write.
type trail struct {
	tags []Tag

	mu    sync.Mutex
	ids   []ids
	moved bool
}

type trailKey struct{}

// trailOf returns the trail that moves leave, or nil.
func trailOf(ctx context.Context) *trail {
	w, _ := ctx.Value(trailKey{}).(*trail)
	return w
}

// A replacement is what a move did to the ids of one tag.
type replacement struct{ was, is ids }

// moves follows a move of tags, which need not be the copy's. What does not follow from
// the ids that the copy has is left as it is: then the copy lies under ids that have
// gone.
func (w *trail) moves(m Move, did []replacement, err error) {
	if w == nil || err != nil || m.Revoke {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, t := range m.Tags {
		j := slices.Index(w.tags, t)
		if j >= 0 && w.ids[j].state(did[i].was) == fresh {
			w.ids[j], w.moved = did[i].is, true
		}
	}
}

// end returns the ids that the copy lies under after the write, and whether they are
// others than before: else the write has changed nothing, or nobody knows what.
func (w *trail) end() ([]ids, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.ids), w.moved
}
