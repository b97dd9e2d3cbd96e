package cache

import (
	"errors"
	"testing"
	"testing/synctest"
)

// Rule 6: the order of steps. Every read of L2 takes its snapshot's number, then looks
// whether L2 is trusted, then reads. A move that fails distrusts L2, then is heard of,
// then answers.
//
// Two of these steps may stand side by side in the code, with nothing between them
// that a test could hold. The tests let the other side run at every point where this
// one can be held, and after it has ended; a mutant that swaps two steps stops between
// them by itself, so that the same test finds it there.

// Interleaving 6: trust looked at too early. A reader sees L2 trusted; its process's
// move fails, distrusts, is heard of and answers; the reader takes its number, reads
// the old entry and keeps it.
func TestReaderWhoSawL2TrustedBeforeAMoveFailedKeepsNothingAfterIt(t *testing.T) {
	for _, at := range []struct {
		name string
		hold func(*gate) *hold
	}{
		{"not held", nil},
		{"held before it reads", func(g *gate) *hold { return g.holdBefore("cf:e:{row/1|name=a}") }},
		{"held when it has read", func(g *gate) *hold { return g.holdAfter("cf:e:{row/1|name=a}") }},
	} {
		t.Run(at.name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p, other := f.process(), f.process()
				f.origin.set("a", "old")
				other.read("a")
				goOn := func() {}
				if at.hold != nil {
					goOn = at.hold(p.gate).release
				}
				reader := later(p.row, "a")
				f.writeUnmoved(p, "a", "new", Changed)
				goOn()
				if _, err := reader(); err != nil { // wherever it was, it may have either
					t.Error(err)
				}
				got, _ := p.read("a")
				equal(t, "the author's read", got, "new")
			})
		})
	}
}

// Interleaving 6: the other order. A reader reads L2 while it is distrusted, and looks
// whether it is trusted when a drain has ended.
func TestWhatIsReadAfterADrainIsNotFromBeforeIt(t *testing.T) {
	for _, read := range []string{"the first", "the one with the lease"} {
		t.Run(read, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p, other := f.process(), f.process()
				f.origin.set("a", "old")
				begin := func() func() (Result[string], error) { return later(p.row, "a") }
				if read == "the one with the lease" {
					atMiss := p.gate.holdAfter("cf:e:{row/1|name=a}")
					reader := later(p.row, "a")
					begin = func() func() (Result[string], error) {
						atMiss.release()
						synctest.Wait()
						return reader
					}
				}
				other.read("a")
				f.origin.set("a", "new") // by a writer that died before its move
				p.Distrust()             // the row is there

				atRead := p.gate.holdAfter("cf:e:{row/1|name=a}") // if it is read at all
				reader := begin()
				p.send(lost)
				_, end, _ := p.BeginDrain()
				other.Invalidate(t.Context(), Changed(rowTag("a"))) // delivers it
				end()
				atRead.release()
				r, err := reader()
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "the read", r.Value, "new")
			})
		})
	}
}

// Interleaving 6: every read of L2. A process that saw L2 trusted when it read the
// first time looks again before it reads again.
func TestTrustIsLookedAtBeforeEveryReadOfL2(t *testing.T) {
	for _, at := range []struct {
		name  string
		begin func(f *fleet, p, other *process) (goOn func())
	}{
		{"under the lease", func(f *fleet, p, other *process) func() {
			atMiss := p.gate.holdAfter("cf:e:{row/1|name=a}")
			later(p.row, "a")
			other.read("a")
			return atMiss.release
		}},
		{"told of another's fill", func(f *fleet, p, other *process) func() {
			atLoad := f.origin.hold("a")
			later(other.row, "a")
			later(p.row, "a")
			return atLoad.release
		}},
		{"for a copy that stands in", func(f *fleet, p, other *process) func() {
			p.read("a")
			f.write(other, "a", "old", Changed)
			atLoad := f.origin.hold("a")
			later(p.row, "a")
			return func() {
				f.origin.fail("a", errBroken)
				atLoad.release()
			}
		}},
	} {
		t.Run(at.name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p, other := f.process(), f.process()
				f.origin.set("a", "old")
				goOn := at.begin(f, p, other)
				f.writeUnmoved(p, "a", "new", Revoked)
				goOn()
				synctest.Wait()
				r, err := p.row.Fetch(t.Context(), "a")
				if r.Value == "old" || err != nil && !errors.Is(err, errBroken) {
					t.Errorf("the author's read: got %q as %v, %v", r.Value, r.Outcome, err)
				}
			})
		})
	}
}

// Interleaving 7: heard before distrusted. A move fails and is heard of; a reader takes
// its number, sees L2 trusted, and keeps the old entry; L2 is distrusted, and the writer
// is answered.
func TestReaderBesideAFailingMoveKeepsNothingAfterIt(t *testing.T) {
	besideAMove(t, func(p *process) { p.gate.refuse(invalidationMessage(rowTag("a"))) })
}

// Interleaving 7: where nothing fails. The own move is heard of before Redis has it,
// and a reader between the two keeps the old entry.
func TestReaderBesideAMoveKeepsNothingAfterIt(t *testing.T) {
	besideAMove(t, func(*process) {})
}

// besideAMove lets a reader run at each point where a move of its process can be held,
// and lets the author read when the move has answered.
func besideAMove(t *testing.T, prepare func(*process)) {
	for _, at := range []struct {
		name string
		hold func(*gate) *hold
	}{
		{"not held", nil},
		{"held before it asks Redis", func(g *gate) *hold { return g.holdBefore(invalidationMessage(rowTag("a"))) }},
		{"held when Redis has answered", func(g *gate) *hold { return g.holdAfter(invalidationMessage(rowTag("a"))) }},
	} {
		t.Run(at.name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p, other := f.process(), f.process()
				f.origin.set("a", "old")
				other.read("a")
				p.send(lost) // its own message must not be what saves it
				goOn := func() {}
				if at.hold != nil {
					goOn = at.hold(p.gate).release
				}

				f.origin.set("a", "new")
				prepare(p)
				answered := make(chan struct{})
				go func() {
					p.Invalidate(t.Context(), Changed(rowTag("a")))
					close(answered)
				}()
				synctest.Wait() // until it is held or done
				reader := later(p.row, "a")
				goOn()
				<-answered
				got, _ := p.read("a")
				equal(t, "the author's read", got, "new")
				if _, err := reader(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
