package cachetest

import (
	"encoding/json"
	"maps"
	"slices"
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
	produced, byWrite := o.wasProduced(key, v)
	if !ok || !produced {
		s.violate("%s stores under %s what no load has returned: %q", p, key, entry)
		return
	}
	if byWrite {
		s.through++
	}
	if o.current(ids, v, "c", "r") {
		for _, row := range slices.Sorted(maps.Keys(v.Saw)) {
			version := v.Saw[row]
			for _, f := range o.facts[row] {
				if slices.Contains(v.Lacks[row], f.version) {
					if f.event.moved.is() {
						s.violate("%s stores version %d of %s in %s as fresh without version %d", p, version, row, key, f.version)
					}
					continue // others' moves of the tag say nothing of this one
				}
				if f.changed.landed.is() && version < f.version {
					s.violate("%s stores version %d of %s in %s as fresh after version %d has landed", p, version, row, key, f.version)
				}
			}
		}
	}
	policy := s.plan.policy
	most := policy.TTL*11/10 + max(policy.StaleWhileRevalidate, policy.StaleIfError) + 10*time.Millisecond
	if s.plan.lingering {
		most += ghostLife
	}
	for _, row := range slices.Sorted(maps.Keys(v.Saw)) {
		version := v.Saw[row]
		at, _ := s.db.superseded(row, version)
		if !at.IsZero() && time.Since(at)+life > most {
			s.violate("%s stores version %d of %s in %s, %v after it was superseded, for %v; at most %v together", p, version, row, key, time.Since(at), life, most)
		}
	}
}

// open returns what an entry has before its body, and its body.
func open(entry string) (ids string, v value, ok bool) {
	i := strings.LastIndex(entry, `{"Saw"`)
	if i < 0 {
		return "", value{}, false
	}
	err := json.Unmarshal([]byte(entry[i:]), &v)
	return entry[:i], v, err == nil
}

// current reports whether an entry lies under the ids of now, in these fields of
// its tags.
func (o *oracle) current(ids string, v value, fields ...string) bool {
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
