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
	if gates := s.pending(); len(gates) > 0 && s.draw(10) < s.plan.eager {
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
