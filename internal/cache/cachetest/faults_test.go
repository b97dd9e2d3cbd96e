package cachetest

import (
	"slices"
	"strings"
	"time"
)

// A fault is something that goes wrong, as the summary names it.
type fault string

const (
	slowRedis   fault = "slow Redis"
	lostCalls   fault = "call lost"
	errorReply  fault = "error reply"
	failedMoves fault = "move refused"
	brokenConns fault = "connection reset"
	brokenSubs  fault = "subscription reset"
	eviction    fault = "key evicted"
	emptied     fault = "restart, empty"
	refusing    fault = "writes refused"
	unready     fault = "Redis loading"
	failover    fault = "failover"
	lostWrites  fault = "failover that lost a move"
	lostNews    fault = "message lost"
	twiceNews   fault = "message doubled"
	lateNews    fault = "message late"
	cutOffs     fault = "process cut off"
	badLoads    fault = "load fails"
	away        fault = "origin away"
	panics      fault = "load panics"
	slowLoads   fault = "slow load"
	noSlot      fault = "no slot in the database"
	deaths      fault = "process dies"
	orphans     fault = "process dies between commit and move"
	stops       fault = "process stops"
	unmarked    fault = "delivery not marked"
	leaving     fault = "caller leaves"
)

var allFaults = []fault{
	slowRedis, lostCalls, errorReply, failedMoves, brokenConns, brokenSubs, eviction, emptied, refusing, unready,
	failover, lostWrites, lostNews, twiceNews, lateNews, cutOffs, badLoads, away, panics, slowLoads, noSlot,
	deaths, orphans, stops, unmarked, leaving,
}

// ofRedis are the faults of a Redis, or a network, that does not do at once what it
// is asked, or forgets it.
var ofRedis = []fault{
	slowRedis, lostCalls, errorReply, failedMoves, brokenConns, brokenSubs, emptied, refusing, unready, failover, cutOffs,
}

// strike lets something happen to the fleet that the plan has.
func (s *sim) strike() {
	var could []fault
	for _, f := range []fault{eviction, brokenSubs, emptied, refusing, unready, failover, cutOffs, away, deaths, stops} {
		if s.plan.faults[f] {
			could = append(could, f)
		}
	}
	if len(could) == 0 {
		return
	}
	switch f := pick(s, could); f {
	case eviction:
		s.evictSome()
	case brokenSubs:
		s.breakSubscription(s.someProcess())
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
		s.cutOff(s.someProcess())
	case away:
		if s.away = !s.away && s.hits(away, 0.7); s.away {
			s.trace("the origin is away")
			s.follow(s.someChange)
			s.follow(s.rush)
			s.follow(s.someWrite)
		} else {
			s.trace("the origin is there")
		}
	case deaths:
		if s.hits(deaths, 0.5) {
			s.kill(s.whoDies())
		}
	case stops:
		if p := s.someProcess(); s.busy(p) <= 4 && s.hits(stops, 0.7) {
			s.stop(p)
		}
	}
}

// evictSome lets Redis evict an entry, a lease or a tag.
func (s *sim) evictSome() {
	kind := prefix + pick(s, []string{"e", "t", "t", "l"})
	keys := slices.DeleteFunc(s.redis.Keys(), func(k string) bool { return !strings.HasPrefix(k, kind) })
	if len(keys) == 0 || !s.hits(eviction, 1) {
		return
	}
	key := pick(s, keys)
	s.trace("Redis evicts %s", key)
	s.redis.Del(key)
	delete(s.leases, strings.TrimPrefix(key, prefix+"l:"))
	s.follow(s.someRead)
}

// breakSubscription ends the connection on which a process hears of moves. What was
// on its way there is lost.
func (s *sim) breakSubscription(p *process) {
	for _, c := range slices.Clone(s.conns) {
		if c.p != p || !c.subscribed || c.isBroken() || c.isClosed() || !s.hits(brokenSubs, 1) {
			continue
		}
		s.trace("the subscription of %s breaks", p)
		s.breakConn(c)
		for _, g := range s.pending(messageGate) {
			if g.c == c {
				s.take(g)
			}
		}
	}
}

func (s *sim) cutOff(p *process) {
	if p.cut.Load() {
		p.cut.Store(false)
		s.trace("%s is back on the network", p)
	} else if s.hits(cutOffs, 0.7) {
		p.cut.Store(true)
		s.trace("%s is cut off from Redis", p)
	}
}

func (s *sim) switchTo(m serverMode, f fault) {
	if s.mode == m {
		s.mode = healthy
		s.trace("Redis is healthy")
	} else if s.hits(f, 0.7) {
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
		s.follow(s.someWrite)
		return
	}
	s.count(failover)
	s.trace("Redis fails over to the replica of step %d", s.copied.step)
	s.breakAll()
	s.restore(s.copied)
	if s.oracle.failedOver(s.copied.step) {
		s.count(lostWrites)
	}
	s.copied = nil
	s.follow(s.someRead)
	s.follow(s.someRead)
}
