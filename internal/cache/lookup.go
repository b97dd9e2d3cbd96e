package cache

import (
	"context"
	"time"

	"example.com/communityfeed/internal/cache/fence"
	"example.com/communityfeed/internal/cache/remote"
)

// A lookupResult is what one lookup in L2 saw of a key, and the snapshot that was taken
// before it. Its ids are those that the lookup read.
type lookupResult struct {
	remote.Result
	snapshot fence.Snapshot
}

// lookup looks keys up in L2, in one round trip: first the process's half of the snapshots,
// then whether L2 is trusted, then the lookup. The order is the proof; see trust.go.
func (c *Cache) lookup(ctx context.Context, b *remote.Budget, queries []remote.Query, create bool) []lookupResult {
	found := make([]lookupResult, len(queries))
	for i, q := range queries {
		found[i].snapshot = c.snapshot(q.Tags)
	}
	for i, r := range c.l2.Lookup(ctx, b, queries, create) {
		found[i].Result = r
		found[i].snapshot.IDs = r.IDs
	}
	return found
}

func (f *fill) query() remote.Query { return remote.Query{Key: f.key.text, Tags: f.tags} }

// lookup looks the key up.
func (f *fill) lookup(ctx context.Context) lookupResult {
	return f.cache.lookup(ctx, f.budget, []remote.Query{f.query()}, false)[0]
}

// fromL2 answers a read with what was found in L2, if that is fresh, or expired and may be
// revalidated.
func (f *fill) fromL2(found lookupResult) (answer, bool) {
	if a, ok := f.freshIn(found, f.key); ok {
		if a.early(f.cache.now(), f.cache.o.Rand) {
			f.refreshBehind(f.key, f.tags)
		}
		return a, true
	}
	if f.onlyFresh || !found.Is(fence.Expired) || found.Age() >= found.Entry.Fresh+f.spec.Policy.StaleWhileRevalidate {
		return answer{}, false
	}
	a, ok := f.answerOf(found, f.key)
	if ok {
		f.stats.stale.add(staleRefreshing)
		f.refreshBehind(f.key, f.tags)
	}
	return a, ok
}

// freshIn makes an answer of what was found in L2 if it is fresh, and keeps it in L1.
func (s *source) freshIn(found lookupResult, k Key) (answer, bool) {
	if !found.Is(fence.Fresh) {
		return answer{}, false
	}
	a, ok := s.answerOf(found, k)
	if ok {
		a.outcome = HitL2
		s.keep(k, a, len(found.Entry.Body))
	}
	return a, ok
}

// answerOf makes an answer of an entry: stale, until it is known to be fresh.
func (s *source) answerOf(found lookupResult, k Key) (answer, bool) {
	v, err := s.decode(found.Entry.Body)
	if err != nil {
		s.cache.o.Log.Warn("cache: entry does not decode and is a miss", "key", k.text, "error", err)
		return answer{}, false
	}
	filled := found.snapshot.Taken - found.Age()
	return answer{
		value: v, outcome: Stale, snapshot: found.snapshot, filled: filled,
		expires: filled + found.Entry.Fresh, cost: found.Entry.Cost,
	}, true
}

// serveStale answers with an expired or changed copy when the load has failed. L2 is looked
// up again: what was usable before the load may have been revoked while it ran, or filled
// anew by another process. That has a budget of its own. Otherwise a read that has spent
// the first on a slow Redis would have nothing to show.
func (f *fill) serveStale(ctx context.Context, failure answer) answer {
	f.budget = f.cache.l2.NewBudget()
	found := f.lookup(ctx)
	if found.Err != nil {
		return failure
	}
	if a, ok := f.freshIn(found, f.key); ok {
		return a
	}
	if old, ok := f.usableIn(found); ok {
		f.cache.o.Log.Warn("cache: load failed, serving a stale copy", "key", f.key.text, "error", failure.err)
		return old
	}
	return failure
}

// usableIn makes an answer of what was found in L2 if it may be served stale where a load
// is not to be had.
func (f *fill) usableIn(found lookupResult) (answer, bool) {
	if found.Entry == nil || found.State() == fence.Revoked || found.Age() >= found.Entry.Fresh+f.spec.Policy.StaleIfError {
		return answer{}, false
	}
	old, ok := f.answerOf(found, f.key)
	switch {
	case !ok:
	case found.State() == fence.Changed:
		f.stats.stale.add(staleChanged)
	default:
		f.stats.stale.add(staleExpired)
	}
	return old, ok
}

// newEntry makes an entry of a value that was read, or made, under ids.
func (s *source) newEntry(fresh time.Duration, body []byte, cost time.Duration, under []fence.IDs) *remote.Entry {
	return &remote.Entry{Retention: s.spec.Policy.retention(fresh), Fresh: fresh, Cost: cost, IDs: under, Body: body}
}
