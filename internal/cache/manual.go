package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/communityfeed/internal/cache/fence"
	"example.com/communityfeed/internal/cache/remote"
)

// Get, Set and GetMany are for callers that ask the origin themselves: one query that brings
// many values, say. Get and Set do not prevent a stampede. Delete, DeletePattern and WithLock
// are for operators and jobs.

// Get returns a fresh copy if there is one. It does not load and does not wait for a load.
// Inside a load it finds nothing; see alone.
func (s *Source[T]) Get(ctx context.Context, values ...string) (r Result[T], found bool) {
	src := s.source
	c := src.cache
	text := string(src.spec.render(nil, values))
	if c.o.Off || alone(ctx, src.spec) != nil {
		return r, false
	}
	if hit, left, ok := src.hit([]byte(text)); ok {
		r, err := result[T](&hit.answer, HitL1, left)
		return r, err == nil
	}
	f := src.newFill(src.spec.split(text))
	seen := f.lookup(ctx)
	if seen.Err != nil {
		src.stats.softened(seen.Err)
		return r, false
	}
	a, ok := f.freshIn(seen, f.key)
	if !ok {
		return r, false
	}
	r, _ = result[T](&a, HitL2, a.expires-c.now())
	return r, true
}

// A Snapshot is what was known of a key's tags at some moment.
type Snapshot struct {
	key   Key
	found lookupResult
}

// Snapshot prepares a [Source.Set]. Take it first and read the value from the origin after
// it: a write that falls between the two makes the value old, and the snapshot is how that
// is noticed.
func (s *Source[T]) Snapshot(ctx context.Context, values ...string) Snapshot {
	src := s.source
	k := src.spec.split(string(src.spec.render(nil, values)))
	found := src.cache.lookup(ctx, nil, []remote.Query{{Key: k.text, Tags: src.spec.tags(k)}}, true)[0]
	if found.Err != nil {
		src.stats.softened(found.Err)
	}
	return Snapshot{k, found}
}

// ErrNotStored is the error of a Set whose value L2 did not take: a fill of the key is under
// way, the key was deleted meanwhile, a tag was invalidated since the snapshot, or L2 was not
// to be read.
var ErrNotStored = errors.New("cache: L2 did not take the value")

// Set stores a value that was read from the origin after the snapshot, never one that this
// cache has returned. It is as old as the snapshot. In L2 it is stored under the lease of
// its key like any fill, so it undoes no other fill; in L1 it is kept whatever becomes of
// that, unless a tag was invalidated since.
func (s *Source[T]) Set(ctx context.Context, from Snapshot, value T) error {
	src := s.source
	c := src.cache
	if from.key.spec != src.spec {
		panic(fmt.Sprintf("cache: the snapshot is not one of %s", src.spec.head))
	}
	if c.o.Off {
		return nil
	}
	body, err := src.encode(value)
	if err != nil {
		return fmt.Errorf("cache: set %s: %w", from.key, err)
	}
	snapshot := from.found.snapshot
	e := src.newEntry(src.spec.Policy.jittered(c.o.Rand()), body, c.now()-snapshot.Taken, snapshot.IDs)
	src.keep(from.key, answer{
		value: value, outcome: Miss, snapshot: snapshot, filled: snapshot.Taken, expires: snapshot.Taken + e.Fresh, cost: e.Cost,
	}, len(body))
	if errors.Is(from.found.Err, remote.ErrNone) {
		return nil
	}
	return src.put(ctx, from, e)
}

// put stores an entry of a key in L2 under its lease, unless another fill has that. L2 is
// read with the lease: an entry whose tags were invalidated would only take the place of a
// better one.
func (s *source) put(ctx context.Context, from Snapshot, e *remote.Entry) error {
	if e.IDs == nil {
		return ErrNotStored
	}
	leave, ok := s.cache.enter() // so that the lease is released before the cache is closed
	if !ok {
		return ErrNotStored
	}
	defer leave()
	f := &fill{source: s, key: from.key, tags: from.found.snapshot.Tags}
	found, err := f.claim(ctx, nil)
	switch {
	case err != nil:
		s.stats.refused.add(refusedError)
		return fmt.Errorf("%w: %w", ErrNotStored, err)
	case f.lease == nil:
		return ErrNotStored
	case fence.Since(e.IDs, found.IDs) != fence.Fresh:
		s.stats.refused.add(refusedOvertaken)
		f.release(ctx, remote.NotStored, false)
		return ErrNotStored
	case !f.store(ctx, e, from.found.snapshot.Taken):
		return ErrNotStored
	}
	return nil
}

// GetMany is Fetch for many keys at a time, each given by its values. What L1 does not have
// is looked up in L2 in one round trip for all; what is not there either is loaded, each key
// by a fill of its own, which others may join and which needs the lease like any other.
//
// Result i answers keys[i]. errs is nil when every read succeeded; else errs[i] is the error
// of keys[i], whose result is then zero.
func (s *Source[T]) GetMany(ctx context.Context, keys [][]string) (results []Result[T], errs []error) {
	src := s.source
	results = make([]Result[T], len(keys))
	if err := alone(ctx, src.spec); err != nil {
		return results, slices.Repeat([]error{err}, len(keys))
	}
	for i, a := range src.readMany(ctx, keys) {
		var err error
		if results[i], err = result[T](&a, a.outcome, a.expires-src.cache.now()); err != nil {
			if errs == nil {
				errs = make([]error, len(keys))
			}
			errs[i] = err
		}
	}
	return results, errs
}

// readMany begins a fill for each key that L1 does not have, or joins the one under way, and
// then waits for all of them.
func (s *source) readMany(ctx context.Context, keys [][]string) []answer {
	c := s.cache
	answers := make([]answer, len(keys))
	fills, joined := make([]*fill, len(keys)), make([]bool, len(keys))
	var begun []*fill
	var scratch [256]byte
	for i, values := range keys {
		text := s.spec.render(scratch[:0], values)
		if hit, _, ok := s.hit(text); ok {
			answers[i] = hit.answer
			answers[i].outcome = HitL1
			continue
		}
		k := s.spec.split(string(text))
		if c.o.Off {
			answers[i] = s.bypass(ctx, k)
			continue
		}
		if fills[i], joined[i] = s.join(s.newFill(k)); !joined[i] {
			begun = append(begun, fills[i])
		}
	}
	if len(begun) > 0 && !c.spawn(func(root context.Context) { c.lookupTogether(root, begun) }) {
		for _, f := range begun {
			f.end(answer{err: ErrUnavailable}, c.fence.Number())
		}
	}
	for i, f := range fills {
		if f != nil {
			answers[i] = f.wait(ctx, joined[i])
		}
	}
	return answers
}

// Delete removes what L2 has under rendered keys, and what this process has under those of
// pages. It returns how many there were. It voids the keys' leases: a fill under way stores
// nothing. A page that is being composed is kept. To withdraw what is wrong, invalidate its
// tags instead: Delete promises nothing about the copies and fills of any process, this one
// included.
func (c *Cache) Delete(ctx context.Context, keys ...string) (deleted int, err error) {
	var rest []string
	for _, key := range keys {
		if s, _, err := c.parse(key); err != nil || s != nil {
			rest = append(rest, key) // also another version's: Redis may have it
		} else {
			deleted += c.l1.DeletePages(func(kept string) bool { return kept == key })
		}
	}
	if len(rest) == 0 {
		return deleted, nil
	}
	n, err := c.l2.Unlink(ctx, rest)
	return deleted + n, err
}

// DeletePattern is [Cache.Delete] for every key that a pattern of Redis's SCAN matches
// ("feed.page/1|id=12|*"). It begins with the pages of this process. Then it walks through
// all of Redis step by step, so it takes as long as that takes; ctx ends it. With an error,
// it returns what it had deleted by then.
func (c *Cache) DeletePattern(ctx context.Context, pattern string) (deleted int, err error) {
	deleted = c.l1.DeletePages(func(key string) bool { return remote.Matches(pattern, key) })
	err = c.l2.Scan(ctx, pattern, func(keys []string) error {
		n, err := c.l2.Unlink(ctx, keys)
		deleted += n
		return err
	})
	return deleted, err
}

// WithLock runs do while no other process of the fleet runs one under the same name, and
// reports whether it ran: it does not wait. The lock is a lease: do's context ends before it
// does, after some four seconds. It is advisory: it spares the fleet the same work twice and
// protects nothing, since do also runs when Redis cannot say which process has the lock, or
// when there is no Redis.
func (c *Cache) WithLock(ctx context.Context, name string, do func(context.Context) error) (ran bool, err error) {
	l := &heldLease{Lease: remote.NewLease("lock:" + name), cache: c} // no key of a source has a colon before its first value
	switch given, err := c.l2.Lock(ctx, l.Lease); {
	case remote.NotGiven(err):
	case !given && err == nil:
		return false, nil
	default:
		defer l.release(ctx, nil, remote.NotStored, false)
	}
	ctx, cancel := context.WithTimeout(ctx, remote.LeaseLife-500*time.Millisecond)
	defer cancel()
	return true, do(ctx)
}
