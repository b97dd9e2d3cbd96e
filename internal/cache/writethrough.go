package cache

import (
	"context"
	"slices"
	"sync"

	"example.com/communityfeed/internal/cache/fence"
	"example.com/communityfeed/internal/cache/remote"
)

// Writing through: a writer that knows what its write makes of a copy need not leave that to
// a load. Elsewhere this is how caches go wrong for good, since two writers store in another
// order than they commit:
//
//  1. A copy shows three likes. Two processes have it in hand.
//  2. A commits a like, and then B does. There are five.
//  3. Each stores four, and four stays.
//
// Here a copy has the ids of its tags, and an invalidation says which ids it has replaced.
// Say that the copy had the id I before the write began, and the write's own invalidation
// has put X in the place of exactly I. Another write that the copy does not show was
// committed after the copy was read from the origin, so it invalidates the tag when I is
// there already: had it come before our invalidation, that would have found another id than
// I; it comes after, and takes X away again. So the copy with the write added to it belongs
// under X, and is judged there like any other. At step 3, A or B finds that it has replaced
// the other's id, stores nothing, and the next read loads.
//
// The copy is taken before the write begins, so whatever it does show was committed before:
// what changes it is added in the order of the commits. It may be that of L1, which has its
// ids as well.
//
// It takes the place of the entry that still has the ids of the copy, and of nothing else:
// not of what was filled meanwhile, and not of nothing, which an operator may have left. A
// fill that has the lease of the key keeps it, and stores what is younger, unless the write
// has made that fill of this process useless.

// WriteThrough runs write, which changes the origin and then invalidates tags by
// [Cache.Invalidate] with the context that it is given, and saves the next reader a load: if
// a fresh copy was there before, and no other write has invalidated one of its tags since,
// then change makes the new value of it, which is stored in its place and is no younger than
// it was. change(v) must be what a load would return after the write, if v is what one would
// have returned before it, and must leave v as it is.
//
// It is an attempt, and its failing no error: the tags are invalidated all the same. It adds
// one round trip to L2 after the write, and one before it if L1 has no copy; each takes one
// timeout of L2 at the most. A revocation is never written through. The error is write's own.
func (s *Source[T]) WriteThrough(ctx context.Context, write func(context.Context) error, change func(T) T, values ...string) error {
	k := s.source.spec.split(string(s.source.spec.render(nil, values)))
	return s.source.writeThrough(ctx, k, write, func(v any) any { return change(v.(T)) })
}

func (s *source) writeThrough(ctx context.Context, k Key, write func(context.Context) error, change func(any) any) error {
	if s.cache.o.Off {
		return write(ctx)
	}
	f := s.newFill(k)
	patient := context.WithoutCancel(ctx) // a client that leaves says nothing about Redis
	f.budget = s.cache.l2.NewBudget()
	old, ok := f.freshCopy(patient)
	if !ok {
		return write(ctx)
	}
	// The ids travel in the context because the write is user code, and invalidates by
	// way of the events that it emits.
	t := &trail{tags: old.snapshot.Tags, ids: slices.Clone(old.snapshot.IDs)}
	if err := write(context.WithValue(ctx, trailKey{}, t)); err != nil {
		return err
	}
	if ids, renewed := t.end(); renewed {
		f.budget = s.cache.l2.NewBudget()
		f.replace(patient, old, ids, change)
	}
	return nil
}

// freshCopy returns a fresh copy whose ids are known: the one in L1, or else the one in L2.
func (f *fill) freshCopy(ctx context.Context) (answer, bool) {
	if a, ok := f.cache.answerOfEntry(f.cache.l1.Get([]byte(f.key.text))); ok && a.err == nil && a.snapshot.IDs != nil {
		return a, true
	}
	found := f.lookup(ctx)
	if found.Err != nil {
		f.stats.softened(found.Err)
	}
	if !found.Is(fence.Fresh) {
		return answer{}, false
	}
	return f.answerOf(found, f.key)
}

// replace stores what a write has made of a copy, under the ids that its invalidations have
// left, in the place of the entry that the copy was.
func (f *fill) replace(ctx context.Context, old answer, now []fence.IDs, change func(any) any) {
	c := f.cache
	body, err := func() (_ []byte, err error) {
		defer recoverTo(&err)
		return f.encode(change(old.value))
	}()
	if err != nil {
		c.o.Log.Warn("cache: what a write has changed is left to a load", "key", f.key.text, "error", err)
		return
	}
	e := f.newEntry(old.expires-old.filled, body, old.cost, now)
	replaced, err := c.l2.Replace(ctx, f.budget, remote.Replacement{
		Key: f.key.text, Old: old.snapshot.IDs, Entry: e, Until: c.base.Add(old.filled + e.Retention),
		From: c.leases.useless(f.key.text, c.fence),
	})
	switch {
	case err != nil:
		f.stats.refused.add(refusedError)
	case !replaced:
		f.stats.refused.add(refusedOvertaken)
	default:
		f.stats.writtenThrough.Add(1)
	}
}

// A trail follows the ids of a copy through the invalidations of one write.
type trail struct {
	tags []Tag

	mu      sync.Mutex
	ids     []fence.IDs
	renewed bool
}

type trailKey struct{}

// trailOf returns the trail that invalidations leave, or nil.
func trailOf(ctx context.Context) *trail {
	t, _ := ctx.Value(trailKey{}).(*trail)
	return t
}

// follow follows an invalidation, whose tags need not be the copy's. If it did not replace
// the ids that the copy has, the copy's ids are left as they are: they are gone then.
func (t *trail) follow(inv Invalidation, renewed []remote.Renewed, err error) {
	if t == nil || err != nil || inv.Revoke || renewed == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, tag := range inv.Tags {
		j := slices.Index(t.tags, tag)
		if j >= 0 && t.ids[j].Since(renewed[i].Was) == fence.Fresh {
			t.ids[j], t.renewed = renewed[i].Is, true
		}
	}
}

// end returns the ids that the copy has after the write, and whether they are others than
// before. If they are not, the write has changed nothing, or what it did is not known.
func (t *trail) end() ([]fence.IDs, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.ids), t.renewed
}
