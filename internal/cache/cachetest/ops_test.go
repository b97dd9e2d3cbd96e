package cachetest

import (
	"slices"
	"strings"
	"time"

	"example.com/communityfeed/internal/cache"
)

// An operation is something that the fleet is asked to do, or that happens to it.
// What the cache learns to do gets a line below; what its answer must show is for
// the oracle to judge, in reap.
type operation struct {
	name  string
	often int // its weight, where the theme has no other
	do    func(*sim)
}

var operations = []operation{
	{"read", 55, (*sim).someRead},
	{"many", 5, (*sim).someReads},
	{"rush", 2, (*sim).rush},
	{"set", 2, (*sim).someSet},
	{"delete", 1, (*sim).someDeletion},
	{"change", 12, (*sim).someChange},
	{"write through", 3, (*sim).someWriteThrough},
	{"revoke", 5, (*sim).someRevocation},
	{"outage", 0, (*sim).outage},
	{"revoke beside", 1, (*sim).revokeBeside},
	{"purge", 1, (*sim).purge},
	{"quiet change", 2, (*sim).quietChange},
	{"flood", 3, (*sim).flood},
	{"fault", 10, (*sim).strike},
	{"time", 15, (*sim).someTime},
}

// operate does one of the operations.
func (s *sim) operate() {
	weight := func(o operation) int {
		if w, ok := s.plan.theme.often[o.name]; ok {
			return w
		}
		return o.often
	}
	total := 0
	for _, o := range operations {
		total += weight(o)
	}
	n := s.draw(total)
	for _, o := range operations {
		if n -= weight(o); n < 0 {
			o.do(s)
			return
		}
	}
}

func (s *sim) someProcess() *process { return pick(s, s.processes) }

func pick[T any](s *sim, from []T) T { return from[s.draw(len(from))] }

// follow lets an operation follow soon on something: that is when it is answered
// wrongly, if at all.
func (s *sim) follow(do func()) {
	if len(s.followers) < 4 {
		s.followers = append(s.followers, do)
	}
}

func (s *sim) someRead() { s.readOf(s.someProcess(), pick(s, s.plan.rows)) }

func (s *sim) readOf(p *process, name string) {
	if p.serves() {
		shape, values := s.someKey(name)
		s.read(p, shape, values...)
	}
}

// someReads reads several rows at a time.
//
// Not while a breaker is open: of several reads at one instant, one would be its probe,
// and which of them depends on nothing that can be replayed.
func (s *sim) someReads() {
	p := s.someProcess()
	if stats := p.cache.Stats(); p.serves() && !stats.Origin.Open && !stats.L2.Open {
		s.readMany(p, append(s.plan.rows, quiet, pick(s, s.plan.rows))...)
	}
}

// rush has all processes read one key, each in a step of its own.
func (s *sim) rush() {
	shape, values := s.someKey(pick(s, append(s.plan.rows, quiet)))
	for _, p := range s.processes {
		s.read(p, shape, values...)
		s.begin()
	}
}

// warmUp reads all fragments, so that pages can be stale.
func (s *sim) warmUp() {
	for _, row := range s.plan.rows {
		for _, viewer := range s.plan.viewers {
			s.begin()
			s.read(s.processes[0], "site", row, viewer)
			s.pass(time.Second)
		}
	}
}

// someKey picks a key that shows a row, or the quiet one.
func (s *sim) someKey(row string) (shape string, values []string) {
	switch n := s.draw(20); {
	case n < s.plan.fragments:
		return s.someFragment(row)
	case n < 14:
		return "page", []string{row, pick(s, s.plan.viewers)}
	case n < 17:
		return "pair", []string{row, pick(s, append(s.plan.rows, quiet))}
	}
	return "site", []string{row, pick(s, s.plan.viewers)}
}

// someFragment picks a fragment that shows a row, or another one.
func (s *sim) someFragment(row string) (shape string, values []string) {
	viewer := pick(s, s.plan.viewers)
	switch n := s.draw(10); {
	case n < 6:
		return "row", []string{row}
	case n < 7:
		return "row", []string{quiet}
	case n < 8:
		return "viewer", []string{viewer}
	}
	return "member", []string{row, viewer}
}

func (s *sim) someWrite() {
	if s.chance(0.3) {
		s.someRevocation()
	} else {
		s.someChange()
	}
}

func (s *sim) someChange() {
	row, viewer := pick(s, s.plan.rows), pick(s, s.plan.viewers)
	switch n := s.draw(12); {
	case n < 8:
		s.write(s.someProcess(), false, false, row)
	case n < 11:
		s.write(s.someProcess(), false, false, viewer)
	default:
		s.write(s.someProcess(), false, false, row, viewer)
	}
}

func (s *sim) someRevocation() {
	if s.chance(0.2) {
		s.write(s.someProcess(), true, false, pick(s, s.plan.viewers))
	} else {
		s.write(s.someProcess(), true, s.chance(0.4), pick(s, s.plan.rows))
	}
}

// outage has a page composed of stale fragments, one of which is there before the other:
// the origin goes away, what a page shows has just changed, and one of two loads takes
// longer to fail.
func (s *sim) outage() {
	p, row, viewer := s.someProcess(), pick(s, s.plan.rows), pick(s, s.plan.viewers)
	if !p.serves() {
		return
	}
	s.away = false
	s.trace("the origin is there")
	s.write(p, false, false, row)
	s.pass(time.Second)
	s.read(p, "page", row, viewer)
	s.read(p, "viewer", viewer)
	s.pass(4 * time.Second)
	s.count(away)
	s.away = true
	s.trace("the origin is away")
	s.write(p, false, false, row, viewer)
	s.pass(300 * time.Millisecond)
	s.read(p, "page", row, viewer)
	for range 12 + s.draw(12) {
		s.begin()
		gates := slices.DeleteFunc(s.pending(requestGate, replyGate, loadGate), func(g *gate) bool {
			return g.query && strings.Contains(g.what, "viewer=")
		})
		if len(gates) > 0 {
			s.openOne(gates[s.draw(len(gates))], true)
		}
	}
	s.revokeBeside()
}

// revokeBeside revokes in another process what a page shows while it is being composed.
// Redis is told at once, and the page's process not yet; time passes while the page's other loads are under way.
func (s *sim) revokeBeside() {
	i := slices.IndexFunc(s.reads, func(r *read) bool { return r.isPage() && r.ended.IsZero() && len(r.written()) > 0 })
	if i < 0 {
		return
	}
	r := s.reads[i]
	others := slices.DeleteFunc(slices.Clone(s.processes), func(p *process) bool { return p == r.p })
	s.write(pick(s, others), true, false, r.written()[0])
	for range 4 {
		s.begin()
		gates := slices.DeleteFunc(s.pending(writeGate, requestGate, replyGate), func(g *gate) bool {
			return !strings.HasSuffix(g.what, moves) && !strings.Contains(g.what, "→ move") && !strings.Contains(g.what, "reply to move")
		})
		if len(gates) > 0 {
			s.openOne(gates[0], true)
		}
	}
	s.pass(600 * time.Millisecond)
}

func (s *sim) purge() { s.write(s.someProcess(), true, false, purges) }

// quietChange changes what no event tells of.
func (s *sim) quietChange() {
	v, _ := s.db.commit([]string{quiet}, false, cache.Invalidation{})
	s.trace("%s becomes version %d behind everybody's back", quiet, v)
}
