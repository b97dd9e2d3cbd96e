package cachetest

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"example.com/communityfeed/internal/cache"
)

// The limits that the contract states.
const (
	l1Life    = 5 * time.Second         // a copy in another process's L1, or a flight that is still joined
	seenLate  = 2500 * time.Millisecond // until an undelivered event is seen, and L2 distrusted
	moveMost  = 400 * time.Millisecond  // a turn and a call to L2
	storeMost = 800 * time.Millisecond  // a store that fails, and the lease that is given back
	faultLife = 25 * time.Second        // how long a failed load excuses errors: breaker, flight, and waiters of waiters
)

// An oracle knows what has happened outside the caches, and so what an answer may
// show.
type oracle struct {
	s     *sim
	facts map[string][]*fact // by row

	mu       sync.Mutex
	values   map[string]map[string]bool      // by key: what its loads have returned, and whether a write has made it of a copy
	loads    map[string][]load               // by key
	failures map[*process]map[string]failure // the last one of each key
}

// A fact is a version of a row that was committed with an event, and what is known
// of its move. A mark is zero for what has not happened.
type fact struct {
	row       string
	version   int
	revoke    bool
	by        *process
	event     *event
	committed mark
	returned  mark // the writer's Move
	changed   news // a move of the tag
	revoked   news // a move of the tag as revoked
}

// news is how far a move has got.
type news struct {
	landed mark
	heard  map[*process]mark
	undone mark // by a failover to a copy without it
}

// A mark is a moment.
type mark struct {
	step int
	at   time.Time
}

func (m mark) is() bool { return m.step > 0 }

func (s *sim) now() mark { return mark{s.step, time.Now()} }

func newOracle(s *sim) *oracle {
	return &oracle{
		s: s, facts: make(map[string][]*fact), values: make(map[string]map[string]bool),
		loads: make(map[string][]load), failures: make(map[*process]map[string]failure),
	}
}

// committed notes a write with its event.
func (o *oracle) committed(p *process, rows []string, version int, e *event, revoke bool) (facts []*fact) {
	for _, r := range rows {
		f := &fact{row: r, version: version, revoke: revoke, by: p, event: e, committed: o.s.now()}
		o.facts[r] = append(o.facts[r], f)
		facts = append(facts, f)
	}
	return facts
}

func rowOf(tag string) string {
	if tag == string(cache.Everything) {
		return purges
	}
	return tag[len("row:"):]
}

// landed notes that Redis has moved a tag.
func (o *oracle) landed(tag string, revoke bool) {
	for _, f := range o.facts[rowOf(tag)] {
		f.changed.land(o.s.now())
		if revoke {
			f.revoked.land(o.s.now())
		}
	}
}

func (n *news) land(now mark) {
	if !n.landed.is() {
		n.landed = now
	}
}

func (n *news) hear(p *process, now mark) {
	if n.heard == nil {
		n.heard = make(map[*process]mark)
	}
	if !n.heard[p].is() {
		n.heard[p] = now
	}
}

// heard notes that a process was told of a move published at a step.
func (o *oracle) heard(p *process, tag string, published int, revoke bool) {
	for _, f := range o.facts[rowOf(tag)] {
		if f.committed.step > published {
			continue
		}
		f.changed.hear(p, o.s.now())
		if revoke {
			f.revoked.hear(p, o.s.now())
		}
	}
}

// subscribed notes that a process's subscription stands: what it took before counts
// no more.
func (o *oracle) subscribed(p *process) {
	for _, facts := range o.facts {
		for _, f := range facts {
			for _, n := range []*news{&f.changed, &f.revoked} {
				if n.landed.is() {
					n.hear(p, o.s.now())
				}
			}
		}
	}
}

// cutOff notes that a process knows its subscription to be broken. What it took
// before counts no more, and it reads L2 no more until all of this was delivered.
func (o *oracle) cutOff(p *process) {
	for _, facts := range o.facts {
		for _, f := range facts {
			f.changed.hear(p, o.s.now())
			f.revoked.hear(p, o.s.now())
		}
	}
}

// done notes that a Move of an event has returned and has not failed.
func (e *event) done(now mark) {
	if !e.moved.is() {
		e.moved = now
	}
}

// failedOver notes that Redis has forgotten what it did since a step. Until a
// process knows, or the move is repeated, an old copy may pass there. It reports
// whether a move was among it.
func (o *oracle) failedOver(step int) (lost bool) {
	for _, facts := range o.facts {
		for _, f := range facts {
			if f.event.moved.step > step {
				f.event.moved = mark{}
			}
			for _, n := range []*news{&f.changed, &f.revoked} {
				if n.landed.step > step {
					*n = news{undone: o.s.now()}
					lost = true
				}
			}
		}
	}
	return lost
}

// due reports whether an answer to p from now on must know of the news.
func (f *fact) due(n *news, p *process) bool {
	now := time.Now()
	switch {
	case n.heard[p].is():
		return true
	case n.landed.is() && now.Sub(n.landed.at) >= l1Life:
		return true
	case n.undone.is():
		return false
	case f.by == p && f.returned.is():
		return true
	}
	return now.Sub(f.committed.at) >= seenLate+l1Life
}

// A duty is what an answer owes, as of when it was asked for.
type duty struct {
	f       *fact
	strict  bool // any answer must show it
	revoked bool // and stale ones too
	landed  bool // an answer must show it that was looked for after the question
	gone    bool // the same for stale ones
	own     bool // its own move has returned, so an answer that was looked for after the question does not lack it
	ownLong bool // and so long ago that no answer does
}

// ask returns the duties of a read that begins now.
func (o *oracle) ask(p *process, rows []string) (duties []duty) {
	for _, r := range rows {
		for _, f := range o.facts[r] {
			d := duty{f: f, strict: f.due(&f.changed, p), landed: f.changed.landed.is()}
			if f.revoke {
				d.revoked, d.gone = f.due(&f.revoked, p), f.revoked.landed.is()
			}
			if at := f.event.moved; at.is() {
				d.own, d.ownLong = true, f.by == p && f.returned.is() || time.Since(at.at) >= l1Life
			}
			if d != (duty{f: f}) {
				duties = append(duties, d)
			}
		}
	}
	return duties
}

// judge checks the answer to a read.
func (o *oracle) judge(r *read) {
	s := o.s
	s.answer(r)
	faulty := !s.lastFault.IsZero() && r.ended.Sub(s.lastFault) < faultLife
	if most := r.deadline; r.ended.After(most) {
		s.violate("%s waited %v past its deadline", r, r.ended.Sub(most))
	}
	saw, lacking, none := r.result.Value.Saw, r.result.Value.Lacks, nothing{}
	switch {
	case r.err == nil:
		o.made(r)
		o.outcome(r)
	case errors.As(r.err, &none):
		saw, lacking = none.Saw, none.Lacks
	case r.ctxErr != nil:
		return
	case faulty:
		o.standsBy(r)
		return
	case errors.Is(r.err, cache.ErrUnavailable) && s.lastFault.After(r.p.lastMiss):
		o.standsBy(r)
		return // half open, however long ago: one probe, and the others are kept back
	case r.p.stopping:
		return
	case o.excused(r):
		s.excused++
		return
	default:
		s.violate("%s: error %v, though no load has failed", r, r.err)
		return
	}
	stale := r.err == nil && r.result.Outcome == cache.Stale
	faulty = faulty || stale && o.waitedOut(r)
	for _, d := range r.duties {
		version, shown := saw[d.f.row]
		if !shown {
			if r.err == nil {
				s.violate("%s shows no version of %s", r, d.f.row)
			}
			continue
		}
		lacks := slices.Contains(lacking[d.f.row], d.f.version)
		if version >= d.f.version && !lacks {
			continue
		}
		looked := r.alone && r.err == nil && r.result.Outcome != cache.HitL1 && (!r.isPage() || s.plan.l1 < 0)
		changedDue := (d.strict || looked && d.landed) && d.f.changed.undone.step <= r.step
		revokedDue := (d.revoked || looked && d.gone) && d.f.revoked.undone.step <= r.step
		if lacks { // others' moves of the tag say nothing of this one
			due := d.ownLong || looked && d.own
			changedDue = due && d.f.changed.undone.step <= r.step
			revokedDue = due && d.f.revoke && d.f.revoked.undone.step <= r.step
		}
		switch {
		case stale && d.f.revoke && revokedDue:
			s.violate("%s shows version %d of %s, which was revoked by version %d", r, version, d.f.row, d.f.version)
		case stale && !faulty && changedDue:
			s.violate("%s shows version %d of %s as stale after version %d, though no load has failed", r, version, d.f.row, d.f.version)
		case !stale && changedDue:
			s.violate("%s shows version %d of %s as fresh after version %d", r, version, d.f.row, d.f.version)
		}
	}
	if stale {
		o.withdrawn(r)
		o.unrevoked(r)
	}
	o.age(r, saw, stale, faulty)
}

// age checks that nothing is shown for longer than the policy allows, told or not.
func (o *oracle) age(r *read, saw map[string]int, stale, faulty bool) {
	s, policy := o.s, o.s.plan.policy
	most := policy.TTL*11/10 + 10*time.Millisecond
	if !r.alone {
		most += l1Life // of a flight that was under way
	}
	if s.plan.lingering {
		most += ghostLife // of an entry that was long on its way to Redis
	}
	switch {
	case stale && faulty:
		most += max(policy.StaleWhileRevalidate, policy.StaleIfError) + 15*time.Second
	case stale:
		most += policy.StaleWhileRevalidate
	case r.err != nil:
		most += policy.Negative + l1Life
	case r.alone && r.result.Outcome == cache.Miss && !r.isPage():
		most = 0
	}
	for _, row := range slices.Sorted(maps.Keys(saw)) {
		version := saw[row]
		at, known := s.db.superseded(row, version)
		if !known {
			s.violate("%s shows version %d of %s, which there never was", r, version, row)
		}
		if !at.IsZero() && r.begun.Sub(at) > most {
			s.violate("%s shows version %d of %s, %v after it was superseded; at most %v", r, version, row, r.begun.Sub(at), most)
		}
	}
	if r.err == nil && r.result.TTL > policy.TTL*11/10 {
		s.violate("%s is said to be fresh for %v", r, r.result.TTL)
	}
}

// produced notes what a load of a key returned, or a write has made of a copy.
func (o *oracle) produced(key string, v value, byWrite bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.values[key] == nil {
		o.values[key] = make(map[string]bool)
	}
	o.values[key][v.text()] = byWrite
}

// made checks that a value is what a load has returned or a write has made, or a page of
// such fragments.
func (o *oracle) made(r *read) {
	values := map[string]value{r.key: r.result.Value}
	if r.isPage() {
		values = r.result.Value.Parts
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if yes, _ := o.wasProduced(key, values[key]); !yes || !slices.Contains(r.parts, key) {
			o.s.violate("%s: no load of %s has returned %v", r, key, values[key])
		}
	}
}

// wasProduced reports whether a load has returned the value, or a write has made it.
func (o *oracle) wasProduced(key string, v value) (yes, byWrite bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	byWrite, yes = o.values[key][v.text()]
	return yes, byWrite
}

func (v value) text() string {
	b, _ := json.Marshal(v)
	return string(b)
}
