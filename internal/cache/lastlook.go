package cache

import (
	"fmt"
	"slices"
	"time"
)

// Why a composed page is sound: the last look.
//
// A fragment counts when it is taken, and may be overtaken while another one is waited
// for. So nothing that was seen of a fragment before the last wait is relied on. All of it
// is judged after that, in this order:
//
//  1. Close. The flight leaves the table; no read joins it any more.
//  2. Number. The page takes its number now, not when it begins.
//  3. Judge. Each fragment must count, and the tags of a fresh one have been read less
//     than five seconds ago. A stale one is judged, too, since it may be expired only: a
//     writer that has changed it, and then joined, must not see it unless its load fails.
//  4. Read the ids. Only Redis can say whether a stale fragment was revoked. So trust is
//     looked at, then the ids of now are read, and must be the fragment's own. This is left
//     out only if nothing was waited for since the ids were read that the fragment was
//     judged by, it counts, and it was read after the last read joined the flight.
//  5. Again. What fails in 3 or 4 is fetched again, the page is composed anew, and all
//     begins at 2. After a read of 4, only what has a number above that read's will do, or
//     the same dead copy might be taken again.
//  6. Keep. Only a fresh page whose last judgement was clean is kept, under the number of
//     2, with its cells looked up after that number and the floor read after the cells. It
//     is as old as its oldest fragment.
//
// Every read that joined did so before 1. So all that it may have heard, or its caller may
// know of, has a smaller number than the page, and is seen by the judgements, which follow;
// and whatever is heard after 2 ends the kept page. Nothing else need be judged: not a
// fragment when it is first used or when it arrives, nor the answer by those who joined.

// Looks at most: what is overtaken again and again is answered once it has been fetched
// since the flight was closed, and not kept; so is a stale fragment that is changed again
// and again. A fragment that a later run is the first to use may be older than that. A
// stale page gets one look more for what is revoked, and fails then.
const (
	freshLooks = 3
	staleLooks = freshLooks + 1
)

// compose composes the page in a flight. The steps are those of the last look.
func (m *Composition) compose() answer {
	c := m.cache
	closed := uint64(0) // the number at the first look
	for look := 1; ; look++ {
		v, err := m.call()
		if c.fault(err) {
			return answer{err: err}
		}
		if err != nil && !m.exact && m.void(m.stale) > 0 {
			m.exact, m.after = true, c.heard.number() // it may be expired only, and the origin well
			continue
		}
		joined := c.composed.close(m.key, m.flight)
		n := c.heard.number()
		if closed == 0 {
			closed = n
		}
		void, clean, least := 0, true, changed
		if look < freshLooks {
			void = m.voidOvertaken()
		} else {
			clean, least = !slices.ContainsFunc(m.wants, m.overtaken), revoked
			void = m.void(func(w *want) bool { return m.overtaken(w) && w.answer.snap.n <= closed })
		}
		if void == 0 && m.staleSince(joined) {
			if void = m.voidMoved(least); void > 0 && look >= staleLooks {
				return answer{err: fmt.Errorf("%w: %s has a stale fragment that may have been revoked", ErrUnavailable, m.key)}
			}
		}
		if void > 0 {
			continue
		}
		a := m.answer(v, err)
		if !clean {
			return a
		}
		return m.keep(a, n)
	}
}

// stale reports whether a fragment that was used is.
func (m *Composition) stale(w *want) bool { return m.uses(w) && w.answer.outcome == Stale }

// overtaken reports whether a fragment does not count any more, or is fresh and too old to.
func (m *Composition) overtaken(w *want) bool {
	a, c := &w.answer, m.cache
	if !m.uses(w) || c.fault(a.err) {
		return false
	}
	return !c.heard.counts(&a.snap) || a.outcome != Stale && c.now()-a.snap.taken >= maxL1Age
}

// voidOvertaken has the fragments fetched again that were overtaken, and returns how many.
func (m *Composition) voidOvertaken() int { return m.void(m.overtaken) }

// void has fragments fetched again by the next call, and returns how many.
func (m *Composition) void(which func(*want) bool) (n int) {
	for _, w := range m.wants {
		if which(w) {
			w.known, w.answer = false, answer{}
			n++
		}
	}
	return n
}

// staleSince reports whether a stale fragment must be looked at again: unless it was
// judged by ids that were read after the last read joined, and nothing was waited for
// since.
func (m *Composition) staleSince(joined uint64) bool {
	return slices.ContainsFunc(m.wants, func(w *want) bool {
		a := &w.answer
		return m.stale(w) &&
			(w.ended < m.waited || a.snap.n <= joined || !m.cache.heard.counts(&a.snap))
	})
}

// voidMoved has the fragments fetched again whose ids show least or worse since, or of
// which nobody can tell, and returns how many. First the number, then trust, then the ids.
func (m *Composition) voidMoved(least state) int {
	c := m.cache
	m.after = c.heard.number()
	tags, known := m.tags(), false
	var now []ids
	if c.trust.holds() {
		var err error
		now, err = c.l2.readIDs(c.l2.allow(m.ctx), tags)
		known = err == nil
		m.waited = c.heard.number() // also for a stale fragment that only the next run uses
	}
	return m.void(func(w *want) bool {
		a := &w.answer
		switch {
		case !m.uses(w):
			return false
		case a.snap.ids == nil:
			return !c.heard.counts(&a.snap)
		case !known:
			return true
		}
		for i, t := range a.snap.tags {
			if j := slices.Index(tags, t); a.snap.ids[i].state(now[j]) >= least {
				return true
			}
		}
		return false
	})
}

// answer makes an answer of what the page's function returned: the worst of its fragments,
// and a miss if anything was loaded for it.
func (m *Composition) answer(v any, err error) answer {
	a := answer{value: v, err: err, outcome: Composed}
	if m.loaded {
		a.outcome = Miss
	}
	if slices.ContainsFunc(m.wants, m.stale) {
		a.outcome = Stale
	}
	if err != nil && a.outcome == Stale {
		// What could not be loaded may have become right for this reader a moment ago.
		a.err = fmt.Errorf("%w: by stale fragments: %v", ErrUnavailable, err)
	}
	return a
}

// keep keeps a page in L1 under its number, if it is fresh.
func (m *Composition) keep(a answer, n uint64) answer {
	if a.err != nil || a.outcome == Stale {
		return a
	}
	c := m.cache
	parts := make([]fragment, 0, len(m.wants))
	first, until := 0, time.Duration(0)
	for _, w := range m.wants {
		if !m.uses(w) {
			continue
		}
		part := &w.answer
		leaves := min(part.snap.taken+w.origin.spec.Policy.l1Age(), part.expires)
		if len(parts) == 0 || leaves < until {
			until = leaves
		}
		if len(parts) == 0 || part.expires < a.expires {
			a.expires, a.cost, first = part.expires, part.cost, len(parts)
		}
		if len(parts) == 0 || part.filled < a.filled {
			a.filled = part.filled
		}
		parts = append(parts, w.fragment)
	}
	parts[0], parts[first] = parts[first], parts[0]
	a.snap = c.heard.watchFrom(n, m.tags()) // its cells, after the number
	if until <= c.now() || !c.heard.counts(&a.snap) {
		return a // the floor, after the cells
	}
	c.l1.keep(&l1Copy{
		answer: a, of: m.key, key: m.key.text, page: true, until: until, parts: parts,
		size: int64(len(m.key.text)+m.page.size(a.value)) + copyOverhead,
	})
	return a
}
