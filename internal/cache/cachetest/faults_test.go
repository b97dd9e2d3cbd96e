package cachetest

import (
	"slices"
	"time"
)

// strike lets something happen to the fleet, if the plan has it.
func (s *sim) strike() {
	switch pick(s, []fault{eviction, eviction, emptied, refusing, unready, failover, failover, cutOffs, deaths}) {
	case eviction:
		if keys := s.redis.Keys(); len(keys) > 0 && s.hits(eviction, 1) {
			key := keys[s.draw(len(keys))]
			s.trace("Redis evicts %s", key)
			s.evict(key)
		}
	case emptied:
		if s.hits(emptied, 0.5) {
			s.trace("Redis restarts, empty")
			s.redis.FlushAll()
			clear(s.leases)
			s.copied = nil
			s.breakAll()
		}
	case refusing:
		s.switchTo(outOfMemory, refusing)
	case unready:
		s.switchTo(loading, unready)
	case failover:
		s.failOver()
	case cutOffs:
		p := s.someProcess()
		if p.cut.Load() {
			p.cut.Store(false)
			s.trace("%s is back on the network", p)
		} else if s.hits(cutOffs, 0.5) {
			p.cut.Store(true)
			s.trace("%s is cut off from Redis", p)
		}
	case deaths:
		if s.hits(deaths, 0.5) {
			s.kill(s.draw(len(s.processes)))
		}
	}
}

func (s *sim) evict(key string) {
	s.redis.Del(key)
	if len(key) > len(prefix)+2 {
		if k := key[len(prefix)+2:]; key[len(prefix)] == 'l' {
			delete(s.leases, k)
		}
	}
}

func (s *sim) switchTo(m serverMode, f fault) {
	if s.mode == m {
		s.mode = healthy
		s.trace("Redis is healthy")
	} else if s.hits(f, 0.5) {
		s.mode = m
		s.trace("Redis is %v", m)
	}
}

// replicaLag is how old a copy may be that takes over.
const replicaLag = 2 * time.Second

// failOver first takes a copy, and at another time puts it in the place of what
// Redis holds.
func (s *sim) failOver() {
	if !s.plan.faults[failover] {
		s.copied = nil
		return
	}
	if s.copied == nil || time.Since(s.copied.at) > replicaLag {
		s.trace("the replica is up to date for the last time")
		s.copied = s.copyState()
		return
	}
	s.count(string(failover))
	s.trace("Redis fails over to the replica of step %d", s.copied.step)
	s.breakAll()
	s.restore(s.copied)
	s.oracle.failedOver(s.copied.step)
	s.copied = nil
}

// kill ends a process as it stands: what it has sent may arrive or not, what it has
// not done is not done. Another one takes its place.
func (s *sim) kill(i int) {
	p := s.processes[i]
	s.trace("%s dies", p)
	s.end(p)
	for _, g := range s.all() {
		if g.p != p {
			continue
		}
		switch g.kind {
		case loadGate, writeGate:
			if s.take(g) {
				g.open(lost)
			}
		case requestGate:
			if s.chance(0.5) {
				s.take(g)
			}
		default:
			s.take(g)
		}
	}
	s.processes = slices.Delete(s.processes, i, i+1)
	s.settle()
	s.trace("%s takes its place", s.launch())
}
