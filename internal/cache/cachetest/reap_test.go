package cachetest

import (
	"cmp"
	"slices"
	"time"

	"example.com/communityfeed/internal/cache"
)

// finish hands something that has ended to the scheduler.
func (s *sim) finish(what any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = append(s.finished, what)
	s.stir()
}

// reap judges what has ended since the last step.
func (s *sim) reap() {
	s.mu.Lock()
	ended := s.finished
	s.finished = nil
	s.mu.Unlock()
	order := func(x any) int {
		switch x := x.(type) {
		case answered:
			return 4 * x.read.id
		case moved:
			return 4*x.id + 1
		case *write:
			return 4*x.id + 2
		case turnedAway:
			return 4*x.query + 3
		case stopped:
			return -x.id
		}
		return 0
	}
	which := func(x any) string { // of those that one moment has turned away together
		if t, ok := x.(turnedAway); ok {
			return t.String() + t.key
		}
		return ""
	}
	slices.SortStableFunc(ended, func(a, b any) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(which(a), which(b)))
	})
	for _, x := range ended {
		switch x := x.(type) {
		case answered:
			r := x.read
			r.answer = x.answer
			if r.p.dead.Load() {
				continue
			}
			s.checked++
			why := r.err
			if r.p.stopping && r.how() == "failed" {
				why = cache.ErrUnavailable // by the page's context or by a fragment's, whichever ends first
			}
			s.trace("%s ends: %s %v %v", r, r.how(), r.result.Value.text(), why)
			s.oracle.judge(r)
			s.oracle.loadedAgain(r)
			if r.err == nil && r.result.Outcome == cache.Miss {
				r.p.lastMiss = time.Now()
			}
			if r.err == nil && s.chance(0.3) {
				s.follow(func() { s.again(r) })
			}
			if r.err == nil && r.result.Outcome != cache.Stale && s.chance(0.1) {
				s.follow(func() { s.writeThroughTo(r) })
			}
		case repeated:
			x.done(s.now())
		case moved:
			if x.err == nil {
				x.event.done(s.now())
			}
			for _, f := range x.facts {
				f.returned = s.now()
			}
			s.trace("%s: Move has returned, failed=%v", x.write, x.err != nil)
			if row := x.rows[0]; slices.Contains(s.plan.rows, row) {
				for range 2 { // authors look at what they have written
					s.follow(func() { s.readOf(x.p, row) })
				}
			}
			if x.took > moveMost {
				s.violate("%s: its Move took %v", x.write, x.took)
			}
		case turnedAway:
			s.count(noSlot)
			s.trace("%s has no slot for %s, with %d queries under way", x.process, x.key, x.under)
			s.oracle.turnedAway(x)
		case stopped:
			s.trace("%s has stopped", x.process)
			s.oracle.stopped(x.process)
		case *write:
			if !x.died {
				s.trace("%s is answered", x)
			}
		}
	}
	if len(s.reads) > 400 {
		kept := s.reads[:0]
		for _, r := range s.reads {
			if r.ended.IsZero() || time.Since(r.begun) < time.Minute {
				kept = append(kept, r)
			}
		}
		s.reads = kept
	}
}
