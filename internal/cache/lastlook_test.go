package cache

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"example.com/communityfeed/internal/cache/fence"
)

// Each test is an order of steps that let an old fragment into a page in a draft of the
// last look, or in a model of it (compose.go). The numbers are those of
// docs/interleavings.md. What concerns stale fragments is in stalepage_test.go.

// pair declares a page of a row and the row "b". A load of "b" that is held keeps the page
// waiting when it has the other.
func (p *process) pair() *Page[string] {
	return NewPage(p.Cache, pageSpec("pair"), textSize, func(m *Composition) (string, error) {
		first, second := p.row.Want(m, m.Key().Get("name")), p.row.Want(m, "b")
		a, err := first.Get()
		if err != nil {
			return "", err
		}
		b, err := second.Get()
		return a + "+" + b, err
	})
}

// shows fails the test unless a read has got a value.
func shows(t *testing.T, what string, read readUnderWay, want string) {
	t.Helper()
	if r, err := read(); err != nil || r.Value != want {
		t.Errorf("%s: got %q as %v, %v, want %q", what, r.Value, r.Outcome, err, want)
	}
}

// Interleaving 20: the author writes when the page has judged its fragments and has no
// number yet. Nothing lies between the two that could be held; the mutant stops there.
func TestPageThatWasJudgedBeforeAWriteIsNotKeptAfterIt(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.alone()
		f.origin.set("a", "old")
		p.read("a")
		atLoad := f.origin.hold("a/42")
		reader := later(p.page, "a", "42")
		atLoad.release()
		synctest.Wait() // it is judged, and kept unless it stops before
		f.write(p, "a", "new", Changed)
		shows(t, "the first reader", reader, "old+")
		got, _ := p.readPage("a", "42")
		equal(t, "the author's read", got, "new+")
	})
}

// Interleaving 21: the page has its row from L1 and waits for another fragment. The row
// is refusedOvertaken meanwhile, and whoever knows of it joins.
func TestFragmentIsJudgedWhenThePageHasAllOfThem(t *testing.T) {
	for _, test := range []struct {
		name     string
		overtake func(f *fleet, p, other *process)
	}{
		{"by an own write", func(f *fleet, p, _ *process) { f.write(p, "a", "new", Changed) }},
		{"by another process's, which is heard of", func(f *fleet, _, other *process) { f.write(other, "a", "new", Revoked) }},
		{"by another process's, whose message is late", func(f *fleet, p, other *process) {
			p.delayMessages()
			f.write(other, "a", "new", Changed)
			p.deliver()
		}},
		{"by another process's, while the subscription was lost", func(f *fleet, p, other *process) {
			p.send(lost)
			f.write(other, "a", "new", Changed)
			p.Lost()
		}},
		{"by time", func(f *fleet, p, other *process) {
			p.send(lost)
			f.write(other, "a", "new", Changed)
			time.Sleep(time.Second) // the row has been in L1 for four seconds
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p, other := f.process(), f.process()
				f.origin.set("a", "old")
				p.read("a")
				time.Sleep(4 * time.Second)
				atLoad := f.origin.hold("a/42")
				reader := later(p.page, "a", "42")
				test.overtake(f, p, other)
				joiner := later(p.page, "a", "42")
				atLoad.release()
				shows(t, "whoever joined", joiner, "new+")
				shows(t, "whoever began", reader, "new+")
				got, _ := p.readPage("a", "42")
				equal(t, "a read after it", got, "new+")
			})
		})
	}
}

// Interleaving 21: what is refusedOvertaken again and again is answered, and not kept.
func TestPageWhoseFragmentsAreOvertakenAgainAndAgainIsNotKept(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.alone()
		f.origin.set("a", "v")
		runs := 0
		busy := NewPage(p.Cache, pageSpec("busy"), textSize, func(m *Composition) (string, error) {
			v, err := p.row.Want(m, "a").Get()
			if m.ctx != nil {
				runs++
				p.fence.Hear(rowTag("a"))
			}
			return v, err
		})
		for range 2 {
			if r, err := busy.Fetch(t.Context(), "a", "42"); err != nil || r.Value != "v" || r.Outcome != Miss {
				t.Errorf("got %q as %v, %v", r.Value, r.Outcome, err)
			}
		}
		equal(t, "compositions of two reads", runs, 2*freshLooks)
		if p.l1.Get([]byte("busy/1|name=a|viewer=42")) != nil {
			t.Error("a page is kept whose last judgement was not clean")
		}
	})
}

// Interleaving 21: what is answered all the same was fetched since the flight was closed.
// That holds for a fragment which the last run is the first to use, and which was refusedOvertaken
// before.
func TestFragmentThatALaterRunUsesFirstIsNoOlderThanTheOthers(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.alone()
		f.origin.set("b", "old")
		p.read("b") // is in L1
		runs := 0
		late := NewPage(p.Cache, pageSpec("late"), textSize, func(m *Composition) (string, error) {
			first, second := p.row.Want(m, "a"), p.row.Want(m, "b")
			if _, err := first.Get(); err != nil {
				return "", err
			}
			if runs++; runs == 1 {
				f.write(p, "b", "new", Revoked)
			}
			p.fence.Hear(rowTag("a")) // again and again
			if runs < freshLooks {
				return "", nil
			}
			return second.Get()
		})
		r, err := late.Fetch(t.Context(), "a", "42")
		if err != nil || r.Value != "new" {
			t.Errorf("got %q as %v, %v", r.Value, r.Outcome, err)
		}
	})
}

// Interleaving 21: the same where L1 has all fragments, and the reader composes the page.
func TestPageThatItsReaderComposesIsJudged(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.alone()
		write := func() { f.write(p, "a", "new", Changed) }
		page := NewPage(p.Cache, pageSpec("slow"), textSize, func(m *Composition) (string, error) {
			v, err := p.row.Want(m, "a").Get()
			if write != nil {
				do := write
				write = nil
				do() // while the page is composed
			}
			return v, err
		})
		f.origin.set("a", "old")
		p.read("a")
		for range 2 {
			if r, err := page.Fetch(t.Context(), "a", "42"); err != nil || r.Value != "new" {
				t.Errorf("got %q as %v, %v", r.Value, r.Outcome, err)
			}
		}
	})
}

// Interleaving 26: a page whose cells are those of its fragments. They are forgotten two
// generations after the fragments were read, and the page is younger than the floor that
// rises then. An invalidation marks another cell.
func TestPageOutlivesNoMoveWhenItsFragmentsCellsAreForgotten(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.alone()
		p.fence = fence.New(4) // of which a page has three
		tags := 0
		forget := func(n int) {
			for range n {
				tags++
				p.fence.Snapshot([]Tag{Tag(rune('0' + tags))})
			}
		}
		f.origin.set("a", "old")
		p.row.Fetch(t.Context(), "a")
		p.own.Fetch(t.Context(), "a", "42")
		forget(2) // the second begins another generation
		_, how := p.readPage("a", "42")
		equal(t, "the page", how, Composed)
		forget(4) // and the last one a third
		f.origin.set("a", "new")
		p.Invalidate(t.Context(), Changed(rowTag("a")))
		got, _ := p.readPage("a", "42")
		equal(t, "the author's read", got, "new+")
	})
}

// Interleaving 27: the floor is looked at before the page's cells are looked up, and rises
// above the page's number while they are. Each hit looks at the floor again, so such a page
// is never shown; but it is of no use, and is not kept.
func TestPageWhoseCellsRaiseTheFloorIsNotKept(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.alone()
		p.fence = fence.New(3) // and the page has four
		page := NewPage(p.Cache, pageSpec("wide"), textSize, func(m *Composition) (string, error) {
			for _, w := range []Wanted[string]{p.row.Want(m, "a"), p.row.Want(m, "b"), p.own.Want(m, "a", "42")} {
				if _, err := w.Get(); err != nil {
					return "", err
				}
			}
			return "v", nil
		})
		p.read("a")
		p.read("b")
		p.own.Fetch(t.Context(), "a", "42") // begins a generation
		p.fence.Snapshot([]Tag{"another"})  // and now that is full
		r, err := page.Fetch(t.Context(), "a", "42")
		if err != nil || r.Outcome != Composed {
			t.Errorf("got %q as %v, %v", r.Value, r.Outcome, err)
		}
		equal(t, "copies in L1, of the fragments alone", p.Stats().L1.Entries, 3)
	})
}

// Interleaving 28: a page's flight is joined when a fragment of it is five seconds old. The
// load that it waits for has stalled; whoever asks by then begins anew.
func TestPagesFlightIsNotJoinedOnceAFragmentIsFiveSecondsOld(t *testing.T) {
	for _, test := range []struct {
		name string
		age  time.Duration // of the row when the page is begun
	}{{"which it had from L1", 4 * time.Second}, {"which it waits for", 0}} {
		t.Run(test.name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p := f.alone()
				f.origin.set("a", "old")
				if test.age > 0 {
					p.read("a")
					time.Sleep(test.age)
				}
				atLoad := f.origin.hold("a/42")
				atLoad.heedless = true
				reader := later(p.page, "a", "42")
				f.origin.set("a", "new") // elsewhere; nothing is heard of it
				time.Sleep(maxL1Age - test.age - time.Millisecond)
				before := later(p.page, "a", "42")
				time.Sleep(time.Millisecond)
				after := later(p.page, "a", "42")
				atLoad.release()
				for _, read := range []readUnderWay{reader, before, after} {
					if _, err := read(); err != nil {
						t.Error(err)
					}
				}
				equal(t, "reads that joined a page's flight", p.Stats().Keys["page/1"].Joined, 1)
				got, _ := p.readPage("a", "42")
				equal(t, "a read after it", got, "new+")
			})
		})
	}
}

// Interleaving 30: a message is late. The page may have the old row until it comes, and no
// longer.
func TestPageEndsWithTheMessageThatWasLate(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "old")
		p.read("a")
		p.delayMessages()
		f.write(other, "a", "new", Revoked)
		got, _ := p.readPage("a", "42") // is made, and kept, of the row in L1
		equal(t, "until the message comes", got, "old+")
		p.deliver()
		got, _ = p.readPage("a", "42")
		equal(t, "when it has come", got, "new+")
		got, _ = other.readPage("a", "42")
		equal(t, "what everybody else reads", got, "new+")
	})
}

// Interleaving 31: a fragment's flight has read the old row; its author writes, and reads a
// page of it.
func TestAuthorsPageDoesNotJoinAFragmentsFlightFromBeforeTheirWrite(t *testing.T) {
	for name, process := range map[string]func(*fleet) *process{"without L2": (*fleet).alone, "with L2": (*fleet).process} {
		t.Run(name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p := process(f)
				f.origin.set("a", "old")
				atLoad := f.origin.hold("a")
				reader := later(p.row, "a")
				f.write(p, "a", "new", Changed)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				r, err := p.page.Fetch(ctx, "a", "42")
				if err != nil || r.Value != "new+" {
					t.Errorf("the author's page is %q, %v", r.Value, err)
				}
				atLoad.release()
				shows(t, "the reader from before", reader, "old")
				got, _ := p.readPage("a", "42")
				equal(t, "the page after both", got, "new+")
			})
		})
	}
}

// Interleaving 32: the subscription is lost while a page is composed. What it has may lack
// what was missed, and is not kept either.
func TestPageIsNotKeptOverALostSubscription(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "old")
		p.readPage("a", "42")
		p.send(lost)
		f.write(other, "a", "new", Revoked)
		p.Lost()
		r, err := p.page.Fetch(t.Context(), "a", "42")
		if err != nil || r.Value != "new+" {
			t.Errorf("got %q, %v", r.Value, err)
		}
		f.origin.fail("a", errBroken)
		p.Subscribed()
		if r, err := p.page.Fetch(t.Context(), "a", "42"); !errors.Is(err, errBroken) {
			t.Errorf("while L2 is distrusted: got %q as %v, %v", r.Value, r.Outcome, err)
		}
	})
}
