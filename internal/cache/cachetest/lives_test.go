package cachetest

import (
	"slices"
	"strings"
	"time"
)

// whoDies picks a process, most often one that has committed a write and not yet
// moved its tags.
func (s *sim) whoDies() *process {
	for _, g := range s.pending(writeGate) {
		if strings.HasSuffix(g.what, moves) && slices.Contains(s.processes, g.p) && s.chance(0.7) {
			return g.p
		}
	}
	return s.someProcess()
}

// kill ends a process as it stands: what it has sent may arrive or not, what it has
// not done is not done. Another one takes its place.
func (s *sim) kill(p *process) {
	s.trace("%s dies", p)
	s.end(p)
	for _, g := range s.all() {
		if g.p != p {
			continue
		}
		switch g.kind {
		case loadGate, writeGate:
			if s.take(g) {
				if strings.HasSuffix(g.what, moves) {
					s.count(orphans)
				}
				g.open(lost)
			}
		case requestGate:
			if s.chance(0.5) {
				s.take(g)
			}
		case turnGate:
		default:
			s.take(g)
		}
	}
	s.replace(p)
}

// end cuts a process off for good. Nobody waits for it: what it waits for may be at
// a gate.
func (s *sim) end(p *process) {
	p.dead.Store(true)
	for _, c := range s.conns {
		if c.p == p {
			c.mu.Lock()
			c.broken, c.failed = true, errReset
			c.signal()
			c.mu.Unlock()
		}
	}
	go p.close()
}

// stop ends a process as a deploy does: it asks for nothing more, and gives back
// what it has taken. Another one takes its place.
func (s *sim) stop(p *process) {
	s.trace("%s stops", p)
	p.stopping = true
	go func() {
		p.close()
		s.finish(stopped{p})
	}()
	s.replace(p)
}

// stopped says that a process has closed its cache.
type stopped struct{ *process }

// close ends what runs in a process, and waits for it.
func (p *process) close() {
	close(p.stop)
	p.cache.Close()
	p.relay.Wait()
	p.tier.Close()
}

// busy is about how many fills a process has under way.
func (s *sim) busy(p *process) (n int) {
	for _, l := range s.leases {
		if l.p == p && time.Now().Before(l.until) {
			n++
		}
	}
	return n + len(slices.DeleteFunc(s.pending(requestGate, replyGate), func(g *gate) bool { return g.p != p }))
}

func (s *sim) replace(p *process) {
	i := slices.Index(s.processes, p)
	s.processes = slices.Delete(s.processes, i, i+1)
	s.settle()
	s.trace("%s takes its place", s.launch())
}
