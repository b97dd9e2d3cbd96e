package cache

import (
	"fmt"
	"slices"
	"time"

	"example.com/communityfeed/internal/cache/fence"
)

// Why a composed page is sound: the last look.
//
// A fragment counts when the page takes it, and may be overtaken while the page waits for
// another one. So the page relies on nothing that it saw before its last wait. It judges all
// of its fragments after that, in this order:
//
//  1. Close. The flight leaves the table; no read joins it any more.
//  2. Number. The page takes its number now, not when it begins.
//  3. Judge. Each fragment must count, and the tags of a fresh one were read less than five
//     seconds ago. A stale one is judged, too, since it may be expired only: a writer that
//     has changed it, and then joined, must not see it unless its load fails.
//  4. Read the ids. Only Redis can say whether a stale fragment was revoked. So the page
//     asks whether L2 is trusted, then reads the ids of now. They must be those of the
//     lookup that the fragment was judged by. The page leaves this out only if it has waited
//     for nothing since that lookup, the fragment counts, and the lookup was made after the
//     last read joined the flight.
//  5. Again. What fails in 3 or 4 is forgotten, the page's function runs again, which fetches
//     it anew, and all begins at 2. After step 4 has read ids, a fragment needs a number above
//     that lookup's, or the page might take the same dead copy again.
//  6. Keep. Only a fresh page whose last judgement was clean is kept, under the number of 2.
//     Its versions are looked up after that number, and minVersion is read after them. The
//     page is as old as its oldest fragment.
//
// Before all that: if the function fails by stale fragments (the community is not found), it
// runs again with fresh ones. They may be expired only, and the origin well.
//
// Every read that joined did so before 1. So all that it may have heard, or its caller may
// know of, has a smaller number than the page, and is seen by the judgements, which follow.
// Whatever is heard after 2 ends the kept page. Nothing else needs to be judged: not a
// fragment when it is first used or when it arrives, nor the answer by those that joined.

// How often a page looks, at most. If fragments are overtaken again and again, the page is
// answered once all of them were fetched since the flight was closed, and it is not kept. The
// same holds for a stale fragment that is changed again and again. A fragment that a later run is the first to use
// may be older than that. A stale page gets one more look for what is revoked, and fails
// then.
const (
	freshLooks = 3
	staleLooks = freshLooks + 1
)

// composeSoundly composes the page in a flight, by the steps above.
func (m *Composition) composeSoundly() answer {
	c := m.cache
	closed := uint64(0) // the number at the first look
	for look := 1; ; look++ {
		v, err := m.call()
		if c.o.fault(err) {
			return answer{err: err}
		}
		if err != nil && !m.onlyFresh && m.forget(m.stale) > 0 {
			m.onlyFresh, m.above = true, c.fence.Number() // it may be expired only, and the origin well
			continue
		}
		joined := c.pageFlights.close(m.key, m.flight) // 1
		n := c.fence.Number()                          // 2
		if closed == 0 {
			closed = n
		}
		forgotten, clean, least := 0, true, fence.Changed
		if look < freshLooks { // 3
			forgotten = m.forgetOvertaken()
		} else {
			clean, least = !slices.ContainsFunc(m.wants, m.overtaken), fence.Revoked
			forgotten = m.forget(func(w *want) bool { return m.overtaken(w) && w.answer.snapshot.Number <= closed })
		}
		if forgotten == 0 && m.mustRecheckStale(joined) { // 4
			if forgotten = m.forgetInvalidated(least); forgotten > 0 && look >= staleLooks {
				return answer{err: fmt.Errorf("%w: %s has a stale fragment that may have been revoked", ErrUnavailable, m.key)}
			}
		}
		if forgotten > 0 {
			continue // 5
		}
		a := m.answer(v, err)
		if !clean {
			return a
		}
		return m.keep(a, n) // 6
	}
}

// close keeps reads from joining the flight, and returns the number when one last did.
func (p *pageFlights) close(k Key, f *pageFlight) (joined uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byKey[k.text] == f { // else a younger one has taken its place
		delete(p.byKey, k.text)
	}
	return f.lastJoin
}

// stale reports whether a fragment that was used is.
func (m *Composition) stale(w *want) bool { return m.uses(w) && w.answer.outcome == Stale }

// overtaken reports whether a fragment does not count any more, or passes for fresh although
// its tags were read five seconds ago.
func (m *Composition) overtaken(w *want) bool {
	a, c := &w.answer, m.cache
	if !m.uses(w) || c.o.fault(a.err) {
		return false
	}
	return !c.fence.Counts(&a.snapshot) || a.outcome != Stale && c.now()-a.snapshot.Taken >= maxL1Age
}

// forgetOvertaken forgets the fragments that were overtaken, and returns how many.
func (m *Composition) forgetOvertaken() int { return m.forget(m.overtaken) }

// forget forgets fragments, so that the next call fetches them again, and returns how many.
func (m *Composition) forget(which func(*want) bool) (n int) {
	for _, w := range m.wants {
		if which(w) {
			w.known, w.answer = false, answer{}
			n++
		}
	}
	return n
}

// mustRecheckStale reports whether a stale fragment must be judged by the ids of now: unless it was
// judged by ids that were read after the last read joined, and nothing was waited for
// since.
func (m *Composition) mustRecheckStale(joined uint64) bool {
	return slices.ContainsFunc(m.wants, func(w *want) bool {
		a := &w.answer
		return m.stale(w) &&
			(w.ended < m.waited || a.snapshot.Number <= joined || !m.cache.fence.Counts(&a.snapshot))
	})
}

// forgetInvalidated forgets the fragments whose ids show least or worse since, and those of
// which that is not known, and returns how many. First the number, then trust, then the ids.
func (m *Composition) forgetInvalidated(least fence.State) int {
	c := m.cache
	m.above = c.fence.Number()
	tags := m.tags()
	now, err := c.l2.LookupIDs(m.ctx, c.l2.NewBudget(), tags)
	m.waited = c.fence.Number() // also for a stale fragment that only the next run uses
	return m.forget(func(w *want) bool {
		a := &w.answer
		switch {
		case !m.uses(w):
			return false
		case a.snapshot.IDs == nil:
			return !c.fence.Counts(&a.snapshot)
		case err != nil:
			return true
		}
		for i, t := range a.snapshot.Tags {
			if j := slices.Index(tags, t); a.snapshot.IDs[i].Since(now[j]) >= least {
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
	fragments := make([]fragment, 0, len(m.wants))
	first, until := 0, time.Duration(0)
	for _, w := range m.wants {
		if !m.uses(w) {
			continue
		}
		part := &w.answer
		leaves := min(part.snapshot.Taken+w.source.spec.Policy.l1Age(), part.expires)
		if len(fragments) == 0 || leaves < until {
			until = leaves
		}
		if len(fragments) == 0 || part.expires < a.expires {
			a.expires, a.cost, first = part.expires, part.cost, len(fragments)
		}
		if len(fragments) == 0 || part.filled < a.filled {
			a.filled = part.filled
		}
		fragments = append(fragments, w.fragment)
	}
	fragments[0], fragments[first] = fragments[first], fragments[0]
	a.snapshot = c.fence.SnapshotAt(n, m.tags()) // its versions, after the number
	if c.fence.Counts(&a.snapshot) {             // minVersion, after the versions
		c.keep(localCopy{answer: a, key: m.key, fragments: fragments}, until, m.page.size(a.value))
	}
	return a
}

// call runs the page's function. Its error is that of the first fragment that has failed.
func (m *Composition) call() (v any, err error) {
	m.run++
	m.failed = nil
	v, err = m.page.function(m)
	switch {
	case m.missing:
		return nil, errMissing
	case m.failed != nil: // also when the function went on without it
		err = fmt.Errorf("%s: %w", m.culprit, m.failed)
	case err == nil && !slices.ContainsFunc(m.wants, m.uses):
		err = fmt.Errorf("cache: page %s uses no fragment: nothing would say when it is wrong", m.page.spec.head)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", m.key, err) // for the log, where operators find keys
	}
	return v, err
}

// uses reports whether the last run has used a want.
func (m *Composition) uses(w *want) bool { return w.used == m.run }

// tags returns the tags of the fragments that were used, each once.
func (m *Composition) tags() (tags []Tag) {
	for _, w := range m.wants {
		if !m.uses(w) {
			continue
		}
		for _, t := range w.tags {
			if !slices.Contains(tags, t) {
				tags = append(tags, t)
			}
		}
	}
	return tags
}
