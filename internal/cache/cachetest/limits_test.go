package cachetest

import (
	"maps"
	"slices"
	"time"

	"example.com/communityfeed/internal/cache"
)

// querying checks that a query is one of as many as there are slots.
func (o *oracle) querying(g *gate) {
	if n := 1 + len(o.s.queries(g.p)); n > o.s.plan.slots {
		o.s.violate("%s has %d queries under way, with %d slots", g.p, n, o.s.plan.slots)
	}
}

// turnedAway checks that who got no slot was kept from it by queries, and not by
// somebody who held one while waiting for something else.
func (o *oracle) turnedAway(x turnedAway) {
	if x.under != o.s.plan.slots {
		o.s.violate("%s has no slot for %s, but of %d only %d have a query under way", x.process, x.key, o.s.plan.slots, x.under)
	}
}

// stopped checks that a process that was closed has given its leases back.
func (o *oracle) stopped(p *process) {
	for _, key := range slices.Sorted(maps.Keys(o.s.leases)) {
		if l := o.s.leases[key]; o.s.plan.calm && l.p == p && o.s.redis.Exists(prefix+"l:"+key) {
			o.s.violate("%s has stopped and keeps the lease of %s", p, key)
		}
	}
}

// loadedAgain checks, when every fault is over, that what was loaded a moment ago is
// not loaded again, there or in another process.
func (o *oracle) loadedAgain(r *read) {
	s := o.s
	if s.loaded == nil || r.err != nil || r.shape != "row" || r.result.Outcome != cache.Miss {
		return
	}
	if at := s.loaded[r.key]; !at.IsZero() && time.Since(at) < time.Second {
		s.violate("%s is a miss, %v after its key was loaded in good health", r, time.Since(at))
	}
	s.loaded[r.key] = time.Now()
}
