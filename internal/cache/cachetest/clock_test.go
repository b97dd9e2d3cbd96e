package cachetest

import (
	"runtime"
	"slices"
	"strings"
	"testing/synctest"
	"time"
)

// someTime lets time pass. Where Redis is not slow, it first does all that was
// asked of it.
func (s *sim) someTime() {
	d := []time.Duration{
		time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond, time.Second,
		2 * time.Second, 3 * time.Second, 6 * time.Second, 20 * time.Second,
	}[s.draw(9)]
	if d > 2*time.Second && s.chance(0.5) {
		d = 100 * time.Millisecond
	}
	s.trace("%v pass", d)
	if s.hits(slowRedis, 0.3) {
		end := time.Now().Add(d)
		for time.Now().Before(end) {
			time.Sleep(min(50*time.Millisecond, time.Until(end)))
			s.settle()
		}
		return
	}
	s.pass(d)
}

// pass lets time pass for a healthy network: what is asked of Redis is done at
// once. Loads take until a gate opens, or not long where they are not slow.
func (s *sim) pass(d time.Duration) {
	end := time.Now().Add(d)
	kinds := []gateKind{requestGate, replyGate, brokenGate}
	if d > 3*time.Second || len(s.pending(loadGate)) == 0 || !s.hits(slowLoads, 0.9) {
		kinds = append(kinds, loadGate)
	}
	if s.chance(0.7) {
		kinds = append(kinds, writeGate)
	}
	if len(s.pending(messageGate)) == 0 || !s.hits(lateNews, 0.8) {
		kinds = append(kinds, messageGate)
	}
	for {
		s.settle()
		if gates := s.pending(kinds...); len(gates) > 0 {
			s.tick()
			if g := gates[s.draw(len(gates))]; g.kind == messageGate {
				s.openMail(g.p, true)
			} else {
				s.openOne(g, true)
			}
			continue
		}
		left := time.Until(end)
		if left <= 0 || s.over() {
			return
		}
		select {
		case <-s.arrived:
		default:
			t := time.NewTimer(left)
			select {
			case <-s.arrived:
			case <-t.C:
			}
			t.Stop()
		}
	}
}

// wind ends a run: every fault is over, everything under way ends well, everything
// undelivered is delivered. Then everybody must answer with what is true.
func (s *sim) wind() {
	s.mode = healthy
	s.plan.faults = nil
	for _, p := range s.processes {
		p.cut.Store(false)
	}
	if !s.over() {
		s.begin()
		s.trace("all faults are over")
		s.drainAll(30 * time.Second)
		for _, p := range s.processes {
			if _, _, needed := p.cache.BeginDrain(); needed {
				s.violate("%s still distrusts L2 half a minute after the last fault", p)
			}
			for _, row := range s.plan.rows {
				s.begin()
				s.read(p, "site", row, s.plan.viewers[0])
			}
		}
		s.begin()
		s.drainAll(time.Second)
		s.loaded = make(map[string]time.Time)
		for range 2 {
			for _, p := range s.processes {
				s.begin()
				s.read(p, "row", s.plan.rows[0])
				s.begin()
				s.drainAll(50 * time.Millisecond)
			}
		}
	}
	synctest.Wait() // a run that ends early may end in the middle of a step
	for _, p := range s.processes {
		s.end(p)
	}
	for _, c := range slices.Clone(s.conns) {
		c.server.Close()
	}
	for range 100 { // what is under way sees the end
		s.settleQuietly()
		for _, g := range s.all() {
			if s.take(g) && (g.kind == loadGate || g.kind == writeGate || g.kind == turnGate) {
				g.open(lost)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.redis.Close()
	synctest.Wait()
	s.leaks()
}

func (s *sim) drainAll(d time.Duration) {
	end := time.Now().Add(d)
	for time.Now().Before(end) && len(s.violated) == 0 {
		s.settle()
		if gates := s.pending(); len(gates) > 0 {
			s.tick()
			if gates[0].kind == messageGate {
				s.openMail(gates[0].p, false)
			} else {
				s.openOne(gates[0], false)
			}
			continue
		}
		select {
		case <-s.arrived:
		case <-time.After(time.Until(end)):
		}
	}
}

func (s *sim) settleQuietly() {
	synctest.Wait()
	s.mu.Lock()
	s.finished = nil
	s.mu.Unlock()
}

// leaks finds goroutines of this bubble that are left over.
func (s *sim) leaks() {
	buf := make([]byte, 1<<20)
	all := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	_, bubble, ok := strings.Cut(strings.SplitN(all[0], "\n", 2)[0], "synctest bubble ")
	if !ok {
		return
	}
	bubble = strings.TrimRight(bubble, "]:")
	for _, g := range all[1:] {
		if head, _, _ := strings.Cut(g, "\n"); strings.Contains(head, "synctest bubble "+bubble+"]") && !strings.Contains(g, "testing/synctest.Test") && !strings.Contains(g, "testing.tRunner") {
			s.violate("a goroutine is left over:\n%s", g)
		}
	}
}
