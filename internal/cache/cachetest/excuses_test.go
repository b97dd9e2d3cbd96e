package cachetest

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/communityfeed/internal/cache"
)

// A page can fail although no load has: its error is ErrUnavailable, and there are three
// reasons for it. Each is looked for from outside.

// pageLife is how long a page is composed at most.
const pageLife = 14 * time.Second

// An unease is what a process has seen of Redis that makes it doubt what it reads.
type unease struct {
	distrust bool
	open     bool   // the breaker
	failures uint64 // of calls, and times that trust was lost
}

func (p *process) unease() unease {
	stats := p.cache.Stats()
	u := unease{distrust: stats.L2Distrusted, open: stats.L2.Open}
	for _, n := range stats.TrustLost {
		u.failures += n
	}
	for _, n := range stats.L2.Failures {
		u.failures += n
	}
	return u
}

// excused reports whether a page may have failed without a load that did.
func (o *oracle) excused(r *read) bool {
	if !r.isPage() || !errors.Is(r.err, cache.ErrUnavailable) {
		return false
	}
	return o.ranOut(r) || o.mayBeStale(r) && (o.maySayNothing(r) || o.uneasy(r))
}

// ranOut reports whether a page may have been composed for as long as it may.
func (o *oracle) ranOut(r *read) bool {
	took := r.ended.Sub(r.begun)
	if !r.alone {
		took += l1Life // of a flight that was under way
	}
	return took >= pageLife
}

// mayBeStale reports whether a page may have a fragment that is stale while it is
// refreshed: one whose time was over and whose stale time was not.
func (o *oracle) mayBeStale(r *read) bool {
	policy := o.s.plan.policy
	if policy.StaleWhileRevalidate == 0 {
		return false
	}
	oldest := r.begun.Add(-l1Life - policy.TTL*11/10 - policy.StaleWhileRevalidate)
	if o.s.plan.lingering {
		oldest = oldest.Add(-ghostLife)
	}
	youngest := r.ended.Add(-policy.TTL*9/10 + l1Life) // what a load takes is of its value's time
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.ContainsFunc(r.parts, func(key string) bool {
		return slices.ContainsFunc(o.loads[key], func(l load) bool { return l.at.After(oldest) && l.at.Before(youngest) })
	})
}

// maySayNothing reports whether a page may have been told, by a version that it may show,
// that there is nothing.
func (o *oracle) maySayNothing(r *read) bool {
	policy := o.s.plan.policy
	since := r.begun.Add(-policy.TTL*11/10 - max(policy.StaleWhileRevalidate, policy.StaleIfError, policy.Negative) - l1Life - ghostLife)
	for _, row := range rowsOf(r.shape, r.values) {
		if o.s.db.saidNothing(row, since) {
			return true
		}
	}
	return false
}

// uneasy reports whether a process may not have been able to tell, while it read, what was
// revoked.
func (o *oracle) uneasy(r *read) bool {
	now := r.p.unease()
	return now != r.unease || now.distrust || now.open || o.s.plan.any(errorReply, unready)
}

// leaseLife is for how long a fragment waits for a lease whose holder may have died. Then a
// changed copy stands in, as for a load that failed.
const leaseLife = 5 * time.Second

// waitedOut reports whether a read may have been answered by a flight that waited for as
// long: one that another read, with which it shares a fragment, has begun.
func (o *oracle) waitedOut(r *read) bool {
	return slices.ContainsFunc(o.s.reads, func(other *read) bool {
		return other.p == r.p && r.ended.Sub(other.begun) >= leaseLife && r.begun.Sub(other.begun) < pageLife &&
			(other.ended.IsZero() || !other.ended.Before(r.begun) || other.ctxErr != nil) &&
			slices.ContainsFunc(other.parts, func(key string) bool { return slices.Contains(r.parts, key) })
	})
}

// idsLate is how old the ids may be that a stale answer was last judged by: they were
// read by one call to Redis, and nothing was waited for since.
const idsLate = moveMost

// unrevoked checks that what is stale was not revoked, also not while it was waited for. A
// page may have fragments that are fresh, and in L1 when nobody has told.
func (o *oracle) unrevoked(r *read) {
	if r.many {
		return // it was answered earlier
	}
	stale := []value{r.result.Value}
	if r.isPage() {
		stale = nil
		for _, key := range slices.Sorted(maps.Keys(r.result.Value.Parts)) {
			if part := r.result.Value.Parts[key]; r.knows(part) || o.expired(key, part, r.ended) {
				stale = append(stale, part)
			}
		}
	}
	for _, v := range stale {
		for _, row := range slices.Sorted(maps.Keys(v.Saw)) {
			version := v.Saw[row]
			for _, f := range o.facts[row] {
				if n := f.revoked; f.revoke && version < f.version && n.landed.is() && r.ended.Sub(n.landed.at) > idsLate {
					o.s.violate("%s shows version %d of %s as stale, %v after version %d revoked it", r, version, row, r.ended.Sub(n.landed.at), f.version)
				}
			}
		}
	}
}

// knows reports whether a fragment is surely not fresh in an answer: it owes a later
// version.
func (r *read) knows(v value) bool {
	return slices.ContainsFunc(r.duties, func(d duty) bool {
		version, shown := v.Saw[d.f.row]
		return shown && version < d.f.version && d.strict && !d.f.changed.undone.is()
	})
}

// expired reports whether a fragment is surely not fresh in an answer: it was loaded so
// long ago that its time was over when its tags were read.
func (o *oracle) expired(key string, v value, ended time.Time) bool {
	since := ended.Add(-o.s.plan.policy.TTL*11/10 - l1Life)
	if o.s.plan.lingering {
		since = since.Add(-ghostLife)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	known := false
	for _, l := range o.loads[key] {
		if l.value == v.text() {
			known = true
			if l.at.After(since) {
				return false
			}
		}
	}
	return known
}

// A load is one that has returned a value.
type load struct {
	p     *process
	at    time.Time
	value string // as text
}

// loaded notes that a process has loaded a fragment.
func (o *oracle) loaded(p *process, key string, v value) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.loads[key] = append(o.loads[key], load{p, time.Now(), v.text()})
}

// outcome checks that the outcome of a read is one of its kind's, and that something was
// loaded, there and not long ago, for a page that says so.
func (o *oracle) outcome(r *read) {
	how := r.result.Outcome
	if r.isPage() && how == cache.HitL2 || !r.isPage() && how == cache.Composed {
		o.s.violate("%s is said to be a %v", r, how)
	}
	if !r.isPage() || how != cache.Miss {
		return
	}
	since := r.begun
	if !r.alone {
		since = since.Add(-pageLife)
	}
	o.mu.Lock()
	ok := slices.ContainsFunc(r.parts, func(key string) bool {
		return slices.ContainsFunc(o.loads[key], func(l load) bool { return l.p == r.p && !l.at.Before(since) })
	})
	o.mu.Unlock()
	if !ok {
		o.s.violate("%s is a miss, and none of %s was loaded", r, strings.Join(r.parts, ", "))
	}
}
