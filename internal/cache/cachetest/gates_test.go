package cachetest

import (
	"cmp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A gate is a step that somebody waits to be allowed.
type gate struct {
	what  string   // the step, as the trace shows it; sorts the gates
	order int      // breaks ties: the step in which its goroutine was first seen
	p     *process // whose it is
	c     *conn    // on which connection, if any
	kind  gateKind
	born  time.Time
	open  func(verdict)
}

type gateKind int

const (
	handshakeGate gateKind = iota // opened at once: connections are not what is looked at
	requestGate
	replyGate
	messageGate
	brokenGate // the news that a subscription is broken
	loadGate
	writeGate
	cancelGate
)

// A verdict says how the step goes.
type verdict int

const (
	well verdict = iota
	lost
	doubled
	refusedByServer
	reset
	failing
	panicking
)

func (v verdict) String() string {
	return [...]string{"", " lost", " doubled", " refused", " reset", " fails", " panics"}[v]
}

// put adds a gate.
func (s *sim) put(g *gate) *gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.born = time.Now()
	if g.order == 0 {
		g.order = s.rank()
	}
	s.gates = append(s.gates, g)
	s.stir()
	return g
}

// rank tells goroutines that do the same thing apart: two flights of one key can
// be woken by one message. It is the step in which the goroutine first came to a
// gate, for they came in different ones.
func (s *sim) rank() int {
	buf := make([]byte, 40)
	id, _, _ := strings.Cut(strings.TrimPrefix(string(buf[:runtime.Stack(buf, false)]), "goroutine "), " ")
	if s.ranks[id] == 0 {
		s.ranks[id] = s.step
	}
	return s.ranks[id]
}

// seen is rank, for a goroutine that may not come to a gate for long.
func (s *sim) seen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rank()
}

// tick begins a step.
func (s *sim) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step++
}

// stir wakes the scheduler up from letting time pass.
func (s *sim) stir() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

// take removes a gate. It reports false when it is gone.
func (s *sim) take(g *gate) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.gates, g)
	if i < 0 {
		return false
	}
	s.gates = slices.Delete(s.gates, i, i+1)
	return true
}

// pending returns the gates that may be opened now, in an order that does not
// depend on who came first.
func (s *sim) pending(kinds ...gateKind) []*gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*gate
	for _, g := range s.gates {
		if len(kinds) > 0 && !slices.Contains(kinds, g.kind) {
			continue
		}
		if g.p != nil && g.p.cut.Load() && g.kind <= messageGate {
			continue // the network between them is down
		}
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *gate) int { return cmp.Or(cmp.Compare(a.what, b.what), cmp.Compare(a.order, b.order)) })
	return out
}
