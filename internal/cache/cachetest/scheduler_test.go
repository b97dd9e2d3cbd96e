package cachetest

import (
	"slices"
	"strings"
	"testing/synctest"
	"time"
)

// instant is what a step takes, so that timers set by two steps never fire together.
const instant = 10_007 * time.Nanosecond

// settle waits until everybody waits, and does what needs no choice.
func (s *sim) settle() {
	for {
		synctest.Wait()
		s.reap()
		s.bury()
		auto := s.pending(handshakeGate, turnGate)
		if len(auto) == 0 {
			return
		}
		for _, g := range auto {
			if s.take(g) {
				g.open(well)
				synctest.Wait()
				time.Sleep(time.Nanosecond) // whoever is begun by the next one begins later
			}
		}
	}
}

// next takes one step.
func (s *sim) next() {
	s.begin()
	if gates := s.awaited(s.pending()); len(gates) > 0 && s.draw(10) < s.plan.eager {
		s.openOne(gates[s.draw(len(gates))], true)
		return
	}
	if n := len(s.followers); n > 0 && s.chance(0.4) {
		i := s.draw(n)
		do := s.followers[i]
		s.followers = slices.Delete(s.followers, i, i+1)
		do()
		return
	}
	if s.copied != nil && s.chance(0.15) {
		s.failOver()
		return
	}
	s.operate()
}

// What a page's look at ids is called at its gates, on its way to Redis and back.
const (
	asksIDs  = "→ HMGET"
	hearsIDs = "← reply to HMGET"
)

// awaited leaves out, most often, what should take long: the replies with ids by which
// stale pages are judged, since what they say should have changed until they arrive, and
// the loads of one fragment, while others of its page are there and revoked.
func (s *sim) awaited(gates []*gate) []*gate {
	if s.plan.lateIDs && !s.chance(0.1) {
		gates = slices.DeleteFunc(gates, func(g *gate) bool { return strings.Contains(g.what, hearsIDs) })
	}
	if s.plan.lateViewers && !s.chance(0.1) {
		gates = slices.DeleteFunc(gates, func(g *gate) bool { return g.query && strings.Contains(g.what, "viewer=") })
	}
	return gates
}

// beside lets somebody revoke what a page shows, and somebody else ask for it, while its
// ids are on their way.
func (s *sim) beside(g *gate) {
	if !s.plan.lateIDs || g.kind != requestGate || !strings.Contains(g.what, asksIDs) {
		return
	}
	for _, r := range s.reads {
		if r.p == g.p && r.isPage() && r.ended.IsZero() && len(r.written()) > 0 {
			s.follow(func() {
				if g.p.serves() {
					s.write(g.p, s.chance(0.7), false, pick(s, r.written()))
				}
			})
			s.follow(func() { s.again(r) })
			s.follow(func() { s.again(r) })
			return
		}
	}
}

// begin begins a step.
func (s *sim) begin() {
	s.tick()
	time.Sleep(instant)
	s.settle()
}

// openOne opens a gate. With faults, it may go otherwise than well.
func (s *sim) openOne(g *gate, faults bool) {
	if !s.take(g) {
		return
	}
	v := well
	if faults {
		v = s.verdict(g)
	}
	s.trace("%s%s", g.what, v)
	if g.query {
		s.oracle.querying(g)
	}
	g.open(v)
	s.settle()
	time.Sleep(instant)
	s.settle()
	s.beside(g)
}

// openMail lets all messages through that wait for a process.
func (s *sim) openMail(p *process, faults bool) {
	for _, g := range s.pending(messageGate) {
		if g.p != p || !s.take(g) {
			continue
		}
		v := well
		if faults {
			v = s.verdict(g)
		}
		s.trace("%s%s", g.what, v)
		g.open(v)
		synctest.Wait() // who is told by one has acted before the next: a breaker counts in the order of ends
	}
	s.settle()
	time.Sleep(instant)
	s.settle()
}

func (s *sim) verdict(g *gate) verdict {
	switch g.kind {
	case requestGate:
		switch {
		case s.hits(lostCalls, 0.05):
			return lost
		case s.hits(errorReply, 0.05), strings.Contains(g.what, "→ move") && s.hits(failedMoves, 0.3):
			return refusedByServer
		case s.hits(brokenConns, 0.05):
			return reset
		}
	case replyGate:
		switch {
		case s.hits(lostCalls, 0.05):
			return lost
		case s.hits(brokenConns, 0.05):
			return reset
		}
	case messageGate:
		switch {
		case s.hits(lostNews, 0.3):
			return lost
		case s.hits(twiceNews, 0.2):
			return doubled
		}
	case loadGate:
		switch {
		case s.away, s.hits(badLoads, 0.3):
			return failing
		case s.hits(panics, 0.1):
			return panicking
		}
	case writeGate:
		if strings.HasSuffix(g.what, delivered) && s.hits(unmarked, 0.3) {
			return lost
		}
	}
	return well
}
