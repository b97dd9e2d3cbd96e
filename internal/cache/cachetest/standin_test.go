package cachetest

import (
	"maps"
	"slices"
	"strings"
)

// A standby is what lies in Redis that a read may fall back on: a copy, or those of all
// fragments of a page, with what its process knew then. It is zero where nobody can tell
// from outside.
type standby struct {
	copies string
	trust  uint64
}

// standby looks for copies that could stand in should the loads of a read fail. Of a read
// that may join a flight it says nothing: the flight may have looked before they were stored.
func (s *sim) standby(r *read) standby {
	policy := s.plan.policy
	if !s.plan.calm || policy.StaleIfError == 0 || policy.StaleIfError < policy.StaleWhileRevalidate {
		return standby{}
	}
	stats := r.p.cache.Stats()
	if stats.L2Distrusted || stats.L2.Open || !r.alone || r.isPage() && s.oracle.maySayNothing(r) {
		return standby{}
	}
	var copies []string
	for _, key := range r.parts {
		entry, err := s.redis.Get(prefix + "e:{" + key + "}")
		if err != nil {
			return standby{}
		}
		if ids, v, ok := open(entry); !ok || !s.oracle.current(ids, v, "r") {
			return standby{}
		}
		copies = append(copies, entry)
	}
	lost := uint64(0)
	for _, n := range stats.TrustLost {
		lost += n
	}
	return standby{strings.Join(copies, "\n"), lost}
}

// standsBy checks that a read has not failed while a copy lay there that could have
// stood in, from its beginning to its end.
func (o *oracle) standsBy(r *read) {
	if r.isPage() && o.ranOut(r) {
		return
	}
	if was := r.usable; was != (standby{}) && o.s.standby(r) == was {
		o.s.violate("%s: error %v, though copies lay in Redis all the time", r, r.err)
	}
}

// A failure is a load that has failed, and in which steps it began and ended.
type failure struct{ began, ended int }

// fell notes that a load of a process has failed.
func (o *oracle) fell(p *process, key string, f failure) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failures[p] == nil {
		o.failures[p] = make(map[string]failure)
	}
	o.failures[p][key] = f
}

// withdrawn checks that what stands in for a failed load was looked for after it had
// failed, and not before: it may have been revoked meanwhile. Where the policy lets no
// expired copy be served, nothing is stale but what stands in.
func (o *oracle) withdrawn(r *read) {
	o.mu.Lock()
	failed := o.failures[r.p][r.key]
	o.mu.Unlock()
	if r.isPage() || !r.alone || o.s.plan.policy.StaleWhileRevalidate > 0 || failed.began < r.step {
		return
	}
	for _, row := range slices.Sorted(maps.Keys(r.result.Value.Saw)) {
		version := r.result.Value.Saw[row]
		for _, f := range o.facts[row] {
			if n := f.revoked; version < f.version && n.landed.is() && n.landed.step < failed.ended && !n.undone.is() {
				o.s.violate("%s shows version %d of %s, which version %d revoked in step %d, before the load failed in step %d",
					r, version, row, f.version, n.landed.step, failed.ended)
			}
		}
	}
}
