package cachetest

import (
	"encoding/json"
	"strings"
	"time"
)

// What lies in Redis is judged as well. The oracle does not take an entry apart: its
// body is what a load has returned, and whether it is under a tag's ids of now is
// seen by looking for them before the body, for no two ids are equal.

// stored judges an entry at the moment in which it is stored for a time.
func (o *oracle) stored(p *process, key, entry string, life time.Duration) {
	s := o.s
	key = strings.Trim(key, "{}")
	ids, v, ok := open(entry)
	if !ok || !o.wasProduced(key, v) {
		s.violate("%s stores under %s what no load has returned: %q", p, key, entry)
		return
	}
	if o.current(ids, v, "c", "r") {
		for row, version := range v.Saw {
			for _, f := range o.facts[row] {
				if f.changed.landed.is() && version < f.version {
					s.violate("%s stores version %d of %s in %s as fresh after version %d has landed", p, version, row, key, f.version)
				}
			}
		}
	}
	policy := s.plan.policy
	most := policy.Fresh*11/10 + max(policy.Stale, policy.OnError) + 10*time.Millisecond
	if s.plan.lingering {
		most += ghostLife
	}
	for row, version := range v.Saw {
		at, _ := s.db.superseded(row, version)
		if !at.IsZero() && time.Since(at)+life > most {
			s.violate("%s stores version %d of %s in %s, %v after it was superseded, for %v; at most %v together", p, version, row, key, time.Since(at), life, most)
		}
	}
}

// open returns what an entry has before its body, and its body.
func open(entry string) (ids string, v page, ok bool) {
	i := strings.LastIndex(entry, `{"Saw"`)
	if i < 0 {
		return "", page{}, false
	}
	err := json.Unmarshal([]byte(entry[i:]), &v)
	return entry[:i], v, err == nil
}

// current reports whether an entry lies under the ids of now, in these fields of
// its tags.
func (o *oracle) current(ids string, v page, fields ...string) bool {
	for row := range v.Saw {
		for _, f := range fields {
			id := o.s.redis.HGet(prefix+"t:"+string(tagOf(row)), f)
			if id == "" || !strings.Contains(ids, id) {
				return false
			}
		}
	}
	return true
}

// whole checks that a tag has both of its ids.
func (o *oracle) whole(tag string) {
	for _, field := range []string{"c", "r"} {
		if o.s.redis.HGet(prefix+"t:"+tag, field) == "" {
			o.s.violate("the tag %s has no id in %s", tag, field)
		}
	}
}

// A standby is a copy in Redis that a read may fall back on, with what its process
// knew then. It is zero where nobody can tell from outside.
type standby struct {
	entry string
	trust uint64
}

// standby looks for a copy that could stand in should the load of a read fail.
func (s *sim) standby(r *read) standby {
	policy := s.plan.policy
	if !s.plan.calm || policy.OnError == 0 || policy.OnError < policy.Stale {
		return standby{}
	}
	stats := r.p.cache.Stats()
	entry, err := s.redis.Get(prefix + "e:{" + r.key + "}")
	if err != nil || stats.L2Distrusted || stats.L2Open {
		return standby{}
	}
	if ids, v, ok := open(entry); !ok || !s.oracle.current(ids, v, "r") {
		return standby{}
	}
	return standby{entry, stats.TrustLost}
}

// standsBy checks that a read has not failed while a copy lay there that could have
// stood in, from its beginning to its end.
func (o *oracle) standsBy(r *read) {
	if was := r.usable; was != (standby{}) && o.s.standby(r) == was {
		o.s.violate("%s: error %v, though a copy lay in Redis all the time", r, r.err)
	}
}

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
	for key, l := range o.s.leases {
		if o.s.plan.calm && l.p == p && o.s.redis.Exists(prefix+"l:"+key) {
			o.s.violate("%s has stopped and keeps the lease of %s", p, key)
		}
	}
}
