package cache

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/communityfeed/internal/cache/remote"
)

// Rule 1: what was read from the origin before a write never passes for fresh after
// it, whatever the process is in the middle of, however the write moves its tags, and
// whether or not the process hears of it.
func TestFenceKeepsAFillFromBeforeAWriteFromPassingForFresh(t *testing.T) {
	for _, m := range middles {
		for _, w := range writes {
			for _, n := range news {
				t.Run(m.name+"/"+w.name+"/"+n.name, func(t *testing.T) {
					inFleet(t, func(t *testing.T, f *fleet) {
						s := &scene{fleet: f, t: t, p: f.process(), other: f.process(), written: w}
						s.author, s.unheard = s.other, n.post != punctual
						if n.own {
							s.author, s.unheard = s.p, false
						}
						s.play(m, n.post)
					})
				})
			}
		}
	}
}

// A written is what can become of the row, and the move that says so.
type written struct {
	name string
	now  error // what the origin answers after it; nil: the new value
	move Invalidation
}

var writes = []written{
	{"changed", nil, Changed(rowTag("a"))},
	{"revoked", nil, Revoked(rowTag("a"))},
	{"delete", errNothing, Revoked(rowTag("a"))},
	{"purge", nil, Revoked(Everything)},
}

// news is how p hears of the write.
var news = []struct {
	name string
	own  bool // it is p's
	post post
}{
	{"same process", true, lost}, // it knows, and needs no message
	{"other process", false, punctual},
	{"message lost", false, lost},
	{"message late", false, late},
}

// A scene is one case of the matrix: p is in the middle of something, with the old
// row in its hands, and the author writes.
type scene struct {
	*fleet
	t                *testing.T
	p, other, author *process
	written          written
	unheard          bool // p does not hear of it, or not yet
	bare             bool // nothing lies in L2 that could stand in
	page             bool // it is about a page that has the row as a fragment
}

// A readUnderWay returns what the read got, once it has ended.
type readUnderWay = func() (Result[string], error)

func (s *scene) play(m middle, how post) {
	s.origin.set("a", "old")
	reader, goOn := m.begin(s)

	s.p.send(how)
	s.origin.set("a", "new")
	s.origin.fail("a", s.written.now)
	if err := s.author.Invalidate(s.t.Context(), s.written.move); err != nil {
		s.t.Fatal(err)
	}
	synctest.Wait() // until everybody who hears has heard
	goOn()
	if s.page && !s.unheard {
		s.isNow("the reader, whose page has taken its last look", reader)
	} else if r, err := reader(); err != nil || value(r) != "old" {
		s.t.Fatalf("the reader was not in the middle of it: got %q, %v", r.Value, err)
	}
	synctest.Wait() // until what was begun has ended

	s.origin.fail("a", errBroken)
	s.origin.fail("a/42", errBroken)
	s.whileLoadsFail(how)

	s.origin.fail("a", s.written.now)
	s.origin.fail("a/42", nil)
	time.Sleep(failureLife)
	for _, who := range s.everybody() {
		s.isNow(who.name, s.read(who.p))
	}
}

// whileLoadsFail checks what is read after the write when whatever is still taken for
// usable has to show itself: a changed copy does, marked stale, a revoked one never.
func (s *scene) whileLoadsFail(how post) {
	if s.unheard {
		r, err := s.read(s.p)()
		if err != nil || value(r) != "old" || r.Outcome != HitL1 {
			s.t.Errorf("p has its own copy until it hears: got %q, %v, %v", r.Value, r.Outcome, err)
		}
		if how == late {
			s.p.deliver()
		} else {
			time.Sleep(maxL1Age)
		}
	}
	for _, who := range s.everybody() {
		r, err := s.read(who.p)()
		switch {
		case err == nil && value(r) == "old" && (s.written.move.Revoke || r.Outcome != Stale):
			s.t.Errorf("%s, while loads fail: got %q as %v", who.name, r.Value, r.Outcome)
		case err != nil && (!s.written.move.Revoke && !s.bare || !errors.Is(err, errBroken)):
			s.t.Errorf("%s, while loads fail: %v", who.name, err)
		}
	}
}

// An asker is a process that reads once the write has been answered.
type asker struct {
	name string
	p    *process
}

// everybody is the fleet, whose author is one of the first two, and a process that has
// just started: it knows nothing but what is in L2.
func (s *scene) everybody() []asker {
	return []asker{{"p", s.p}, {"the other process", s.other}, {"a new process", s.process()}}
}

func (s *scene) read(p *process) readUnderWay {
	if s.page {
		return later(p.page, "a", "42")
	}
	return later(p.row, "a")
}

// value is what the row was when r was read.
func value(r Result[string]) string { return strings.TrimSuffix(r.Value, "+") }

// isNow fails the test unless a read has what the origin has.
func (s *scene) isNow(who string, read readUnderWay) {
	s.t.Helper()
	r, err := read()
	switch {
	case s.written.now != nil && !errors.Is(err, s.written.now):
		s.t.Errorf("%s: got %q as %v, %v, want %v", who, r.Value, r.Outcome, err, s.written.now)
	case s.written.now == nil && (err != nil || value(r) != "new"):
		s.t.Errorf("%s: got %q as %v, %v, want what was written", who, r.Value, r.Outcome, err)
	}
}

// A middle is what p can be in the middle of. It is begun with a read, and goes on
// once the write has been answered.
type middle struct {
	name  string
	begin func(*scene) (reader readUnderWay, goOn func())
}

var middles = []middle{
	{"foreground fill", func(s *scene) (readUnderWay, func()) {
		atLoad := s.origin.hold("a")
		return s.read(s.p), atLoad.release
	}},
	{"background refresh", func(s *scene) (readUnderWay, func()) {
		s.p.read("a")
		time.Sleep(40 * time.Second) // expired, within Stale
		atLoad := s.origin.hold("a")
		reader := s.read(s.p)
		equal(s.t, "loads, with the one that nobody waits for", s.origin.count(), 2)
		return reader, atLoad.release
	}},
	{"copy from L2 to L1", func(s *scene) (readUnderWay, func()) {
		s.other.read("a")
		atRead := s.p.gate.holdAfter("cf:e:{row/1|name=a}")
		return s.read(s.p), atRead.release
	}},
	{"flight joined late", func(s *scene) (readUnderWay, func()) {
		atLoad := s.origin.hold("a")
		return s.read(s.p), func() {
			joiner := s.read(s.p)
			atLoad.release()
			if !s.unheard {
				s.isNow("who asks after the move", joiner)
			} else if r, err := joiner(); err != nil || value(r) != "old" {
				s.t.Errorf("until the move is heard the flight counts: got %q, %v", r.Value, err)
			}
		}
	}},
	{"page's fragment", func(s *scene) (readUnderWay, func()) {
		s.page = true
		atLoad := s.origin.hold("a")
		return s.read(s.p), func() {
			atLoad.release()
			synctest.Wait()
			another := later(s.p.page, "a", "43")
			if !s.unheard {
				s.isNow("another page", another)
			} else if r, err := another(); err != nil || value(r) != "old" {
				s.t.Errorf("until the move is heard the fragment counts: got %q, %v", r.Value, err)
			}
		}
	}},
	{"waiter's unleased load", func(s *scene) (readUnderWay, func()) {
		s.bare = true // or the copy would be served in the end
		const lease = "cf:l:{row/1|name=a}"
		if err := s.redis.Set(lease, "of a process that keeps it"); err != nil {
			s.t.Fatal(err)
		}
		atLoad := s.origin.hold("a")
		reader := s.read(s.p)
		time.Sleep(remote.LeaseLife)
		synctest.Wait() // it has given up waiting
		return reader, func() {
			s.redis.Del(lease)
			atLoad.release()
		}
	}},
}
