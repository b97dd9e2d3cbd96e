package cache

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A whole is a load under way, as the loads see it that it asks for its parts.
//
// A page is put together from parts that are cached under keys of their own. The
// whole is stored under the snapshot taken before its load, so a part must not be
// older than that, or it would pass for fresh under tags it has not seen:
//
//  1. Process A moves the tag; the message to B is late.
//  2. B snapshots the whole's tags: they are from after the move.
//  3. B takes the part from its own L1, from before the move.
//  4. B stores the whole. Everybody sees it as fresh, with the old part in it.
//
// The same happens when the part comes from a flight that began before the move.
// Hence these rules:
//
//   - A part's tags are among the whole's. Else the whole would not hear of moves
//     that concern the part. Nor is it fresh for longer than the whole.
//   - A part is fresh, or the load fails.
//   - A part that was begun before the whole had its ids counts only if it carries
//     the same ids for its tags. Absent ids equal nothing. It is not enough that its
//     snapshot is younger than the whole's: the whole takes its number before it
//     reads its ids, and in between a part may be read, and moved.
//   - The whole is as old as its oldest part, in both tiers.
type whole struct {
	key   Key
	snap  snapshot
	began uint64 // the number when its load began, its ids being known
	alone bool   // in a process without L2

	mu     sync.Mutex
	filled time.Duration // when the oldest part was read from the origin
	taken  time.Duration // when the oldest part's tags were read
	failed error         // the first part that failed
}

type wholeKey struct{}

func wholeOf(ctx context.Context) *whole {
	w, _ := ctx.Value(wholeKey{}).(*whole)
	return w
}

func (c *Cache) newWhole(k Key, snap snapshot) *whole {
	return &whole{key: k, snap: snap, began: c.heard.number(), alone: c.l2 == nil, filled: snap.taken, taken: snap.taken}
}

func (w *whole) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, wholeKey{}, w)
}

// includes reports whether a part taken under part, which counts, may go into the
// whole. In a process without L2 there are no ids and no others to hear of late: that
// the part counts says everything.
func (w *whole) includes(part *snapshot) bool {
	if w.alone || part.n > w.began {
		return true
	}
	if w.snap.ids == nil || part.ids == nil {
		return false
	}
	for i, t := range part.tags {
		j := slices.Index(w.snap.tags, t)
		if j < 0 || part.ids[i].state(w.snap.ids[j]) != fresh {
			return false
		}
	}
	return true
}

// covers returns an error unless a part may belong to the whole at all.
func (w *whole) covers(part Key, tags []Tag) error {
	if part.spec.Policy.Fresh > w.key.spec.Policy.Fresh {
		return fmt.Errorf("cache: %s uses %s, which is fresh for longer: the whole, as old as its part, would often be expired from the start",
			w.key.spec.head, part.spec.head)
	}
	for _, t := range tags {
		if !slices.Contains(w.snap.tags, t) {
			return fmt.Errorf("cache: %s uses %s, but does not carry its tag %s", w.key.spec.head, part.spec.head, t)
		}
	}
	return nil
}

// add notes a part that went into the whole, or failed to.
func (w *whole) add(part answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.filled, w.taken = min(w.filled, part.filled), min(w.taken, part.snap.taken)
	if w.failed == nil {
		w.failed = part.err
	}
}

// result returns the age of the whole and the failure of its parts, if any.
func (w *whole) result() (filled, taken time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.filled, w.taken, w.failed
}

// beginPart answers a part from L1, boards a flight for it, or refuses it.
func (r *read) beginPart(copied *l1Copy, first look) {
	c := r.cache
	if err := r.in.covers(r.key, r.tags); err != nil {
		r.answer.err = err
		return
	}
	if copied != nil && c.valid(copied, c.now()) && r.in.includes(&copied.snap) {
		r.origin.stats.hitL1.Add(1)
		r.answer = copied.answer
		r.answer.outcome = HitL1
		return
	}
	r.flight, r.joined = c.board(r, 0, first)
	if r.flight == nil {
		r.answer.err = ErrUnavailable
	}
}

// endPart waits for a part's flight. One that began before the whole may have
// brought something too old; one that begins now is right by construction.
func (r *read) endPart(ctx context.Context) answer {
	if r.flight != nil {
		r.answer = r.await(ctx)
		if r.answer.err == nil && !r.in.includes(&r.answer.snap) {
			r.flight, r.joined = r.cache.board(r, r.in.began, func(ctx context.Context) (snapshot, reading, error) {
				return r.cache.look(ctx, r.key, r.tags, false)
			})
			r.answer = r.await(ctx)
		}
	}
	r.in.add(r.answer)
	return r.answer
}
