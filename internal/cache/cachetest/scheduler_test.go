package cachetest

import (
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"example.com/communityfeed/internal/cache"
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
			}
		}
	}
}

// next takes one step.
func (s *sim) next() {
	s.tick()
	time.Sleep(instant)
	s.settle()
	if gates := s.pending(); len(gates) > 0 && s.draw(10) < s.plan.eager {
		s.openOne(gates[s.draw(len(gates))], true)
		return
	}
	if n := len(s.followers); n > 0 && s.chance(0.4) {
		i := s.draw(n)
		read := s.followers[i]
		s.followers = slices.Delete(s.followers, i, i+1)
		read()
		return
	}
	if s.copied != nil && s.chance(0.05) {
		s.failOver()
		return
	}
	switch n := s.draw(100); {
	case n < 55:
		s.someRead()
	case n < 75:
		s.someWrite()
	case n < 85:
		s.strike()
	default:
		s.someTime()
	}
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
		case s.hits(errorReply, 0.05):
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
		case s.hits(badLoads, 0.3):
			return failing
		case s.hits(panics, 0.1):
			return panicking
		}
	case writeGate:
		if strings.HasSuffix(g.what, "delivered") && s.hits(unmarked, 0.3) {
			return lost
		}
	}
	return well
}

func (s *sim) someProcess() *process { return s.processes[s.draw(len(s.processes))] }

func pick[T any](s *sim, from []T) T { return from[s.draw(len(from))] }

// follow lets a read follow soon on something: that is when it is answered wrongly,
// if at all.
func (s *sim) follow(read func()) {
	if len(s.followers) < 4 {
		s.followers = append(s.followers, read)
	}
}

func (s *sim) someRead() { s.readOf(s.someProcess(), pick(s, s.plan.rows)) }

func (s *sim) readOf(p *process, name string) {
	if p.dead.Load() {
		return
	}
	switch n := s.draw(10); {
	case n < 4:
		s.read(p, "row", name)
	case n < 5:
		s.read(p, "row", quiet)
	case n < 8:
		s.read(p, "page", name, pick(s, s.plan.viewers))
	case n < 9:
		s.read(p, "pair", name, pick(s, append(s.plan.rows, quiet)))
	default:
		s.read(p, "site", name, pick(s, s.plan.viewers))
	}
}

func (s *sim) someWrite() {
	p := s.someProcess()
	switch n := s.draw(20); {
	case n < 9:
		s.write(p, false, false, pick(s, s.plan.rows))
	case n < 11:
		s.write(p, false, false, pick(s, s.plan.viewers))
	case n < 12:
		s.write(p, false, false, pick(s, s.plan.rows), pick(s, s.plan.viewers))
	case n < 15:
		s.write(p, true, false, pick(s, s.plan.rows))
	case n < 17:
		s.write(p, true, true, pick(s, s.plan.rows))
	case n < 18:
		s.write(p, true, false, purges)
	default:
		v, _ := s.db.commit([]string{quiet}, false, cache.Move{})
		s.trace("%s becomes version %d behind everybody's back", quiet, v)
	}
}
