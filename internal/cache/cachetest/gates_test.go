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
	order order    // breaks ties
	p     *process // whose it is
	c     *conn    // on which connection, if any
	kind  gateKind
	query bool // a load's that holds a slot of the database
	born  time.Time
	open  func(verdict)
}

type gateKind int

const (
	handshakeGate gateKind = iota // opened at once: connections are not what is looked at
	turnGate                      // opened at once, so that goroutines woken together go on one by one
	requestGate
	replyGate
	messageGate
	brokenGate // the news that a subscription is broken
	loadGate
	writeGate
	cancelGate
)

// onNetwork reports whether a gate is on the way between a process and Redis.
func (k gateKind) onNetwork() bool {
	return k == handshakeGate || k == requestGate || k == replyGate || k == messageGate
}

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

// An order tells gates apart that are for the same step. It follows from what
// happened before and not from who came first.
type order struct {
	actor time.Duration // who: when its goroutine was first seen
	nth   int           // how many gates it had before: what it gave up waiting for may still be there
}

func (o order) compare(other order) int {
	return cmp.Or(cmp.Compare(o.actor, other.actor), cmp.Compare(o.nth, other.nth))
}

// An actor is a goroutine that comes to gates. Two that do the same thing are told
// apart by when they were first seen: two flights of one key can be woken by one
// message, but have begun at different instants.
type actor struct {
	seen  time.Duration
	rank  int // the step in which that was
	gates int
}

// put adds a gate.
func (s *sim) put(g *gate) *gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.born = time.Now()
	if g.order == (order{}) {
		a := s.actor()
		a.gates++
		g.order = order{a.seen, a.gates}
	}
	s.gates = append(s.gates, g)
	s.stir()
	return g
}

// actor returns the calling goroutine's.
func (s *sim) actor() *actor {
	buf := make([]byte, 40)
	id, _, _ := strings.Cut(strings.TrimPrefix(string(buf[:runtime.Stack(buf, false)]), "goroutine "), " ")
	a := s.actors[id]
	if a == nil {
		a = &actor{seen: time.Since(s.began), rank: s.step}
		s.actors[id] = a
	}
	return a
}

// rank is the calling goroutine's, which may not come to a gate for long.
func (s *sim) rank() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.actor().rank
}

// inTurn lets a goroutine of p that may have been woken together with others go on
// when it is its turn: what they do next must not depend on who is faster.
func (s *sim) inTurn(p *process, what string) {
	if p.dead.Load() {
		return // nothing of it counts any more, and what ends first in it depends on nothing
	}
	ch := make(chan struct{})
	s.put(&gate{what: p.String() + what, p: p, kind: turnGate, open: func(verdict) { close(ch) }})
	<-ch
}

// tick begins a step.
func (s *sim) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step++
}

// at is the step that goes on.
func (s *sim) at() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.step
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
		if g.p != nil && g.p.cut.Load() && g.kind.onNetwork() {
			continue // the network between them is down
		}
		out = append(out, g)
	}
	if len(out) == 0 {
		return nil
	}
	slices.SortFunc(out, func(a, b *gate) int { return cmp.Or(cmp.Compare(a.what, b.what), a.order.compare(b.order)) })
	for i, g := range out[1:] {
		same := g.kind == handshakeGate || g.p.dead.Load() // whichever goes first
		if g.what == out[i].what && g.order == out[i].order && !same {
			s.blurred = g.what
		}
	}
	return out
}
