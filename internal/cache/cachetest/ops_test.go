package cachetest

import "example.com/communityfeed/internal/cache"

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
	{"purge", 1, (*sim).purge},
	{"quiet change", 2, (*sim).quietChange},
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

// someKey picks a key that shows a row, or the quiet one.
func (s *sim) someKey(row string) (shape string, values []string) {
	switch n := s.draw(10); {
	case n < 4:
		return "row", []string{row}
	case n < 5:
		return "row", []string{quiet}
	case n < 8:
		return "page", []string{row, pick(s, s.plan.viewers)}
	case n < 9:
		return "pair", []string{row, pick(s, append(s.plan.rows, quiet))}
	}
	return "site", []string{row, pick(s, s.plan.viewers)}
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
	case n < 9:
		s.write(s.someProcess(), false, false, row)
	case n < 11:
		s.write(s.someProcess(), false, false, viewer)
	default:
		s.write(s.someProcess(), false, false, row, viewer)
	}
}

func (s *sim) someRevocation() {
	s.write(s.someProcess(), true, s.chance(0.4), pick(s, s.plan.rows))
}

func (s *sim) purge() { s.write(s.someProcess(), true, false, purges) }

// quietChange changes what no event tells of.
func (s *sim) quietChange() {
	v, _ := s.db.commit([]string{quiet}, false, cache.Move{})
	s.trace("%s becomes version %d behind everybody's back", quiet, v)
}
