package cache

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Each test is an order of steps that let an old copy pass in a draft of this
// cache. The steps are forced with barriers; nothing is left to chance. The numbers are
// those of docs/interleavings.md, which also names the tests that are elsewhere.

// Interleaving 1: a reader reads L2; the write moves and answers; the reader keeps its
// copy in L1.
func TestCopyReadBeforeAMoveIsNotKeptInL1AfterIt(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		other, p := f.process(), f.process()
		f.origin.set("a", "old")
		other.read("a") // fills L2

		atRead := p.gate.holdAfter("cf:e:{row/1|name=a}")
		reader := later(p.row, "a") // has read the old entry, still current
		f.write(p, "a", "new", Changed)
		atRead.release()
		if r, _ := reader(); r.Value != "old" {
			t.Fatalf("the reader was not in the middle of the move: got %q", r.Value)
		}
		got, _ := p.read("a")
		equal(t, "the author's read", got, "new")
	})
}

// Interleaving 2: the author's read joins a flight that was begun before the write.
func TestAuthorDoesNotJoinAFlightFromBeforeTheirWrite(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.alone()
		f.origin.set("a", "old")
		atLoad := f.origin.hold("a")
		reader := later(p.row, "a")
		f.write(p, "a", "new", Changed)

		author := later(p.row, "a")
		atLoad.release()
		r, err := author()
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the author's read", r.Value, "new")
		if r, _ := reader(); r.Value != "old" {
			t.Errorf("the first reader joined before the move and is answered by its flight: got %q", r.Value)
		}
		got, _ := p.read("a")
		equal(t, "a read after both flights", got, "new")
	})
}

// Interleaving 3: a whole's snapshot is from after a move, and its part is in an L1 that
// has not heard of it.
func TestPartFromL1IsComparedWithTheSnapshotOfTheWhole(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		writer, p := f.process(), f.process()
		f.origin.set("a", "old")
		p.read("a") // the part is in p's L1
		p.delayMessages()
		f.write(writer, "a", "new", Changed)

		r, err := p.whole.Fetch(t.Context(), "a", "42") // its snapshot is from after the move
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the whole", r.Value, "new+")
		r, err = writer.whole.Fetch(t.Context(), "a", "42")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "what everybody else reads", r.Value, "new+")
	})
}

// Interleaving 4: the same, with a part that comes from a flight under way.
func TestPartFromAFlightUnderWayIsComparedWithTheSnapshotOfTheWhole(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		writer, p := f.process(), f.process()
		f.origin.set("a", "old")
		p.delayMessages()
		atLoad := f.origin.hold("a")
		first := later(p.whole, "a", "1") // its part's flight has read the old row
		f.write(writer, "a", "new", Changed)

		second := later(p.whole, "a", "2") // would join that flight
		atLoad.release()
		r, err := second()
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the whole that began after the move", r.Value, "new+")
		if _, err := first(); err != nil {
			t.Error(err)
		}
	})
}

// Interleaving 17: a part that is read while the ids of the whole are on their way.
func TestPartFromWhileTheWholeWasAskingForItsIDsIsComparedWithThem(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		writer, p := f.process(), f.process()
		f.origin.set("a", "old")
		writer.read("a") // fills L2
		p.send(late)
		atSnapshot := p.gate.holdBefore("cf:l:{whole/1|name=a|viewer=42}")
		whole := later(p.whole, "a", "42") // has its number, not yet its ids
		p.read("a")                        // a younger number, and the old ids
		f.write(writer, "a", "new", Changed)
		atSnapshot.release()
		r, err := whole()
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the whole", r.Value, "new+")
		r, err = writer.whole.Fetch(t.Context(), "a", "42")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "what everybody else reads", r.Value, "new+")
	})
}

// Interleaving 5: a tag that was evicted is recreated by a change, with no id for
// revocations to replace.
func TestTagRecreatedByAChangeStillCarriesRevocations(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "old")
		evict := func() { f.redis.Del("cf:t:row:a") }

		evict()
		f.write(p, "a", "shown", Changed) // recreates the tag
		if f.redis.HGet("cf:t:row:a", "r") == "" {
			t.Error("the tag was recreated without the id of a revocation")
		}
		p.read("a") // stored under it
		f.write(p, "a", "withdrawn", Revoked)
		evict()
		f.write(p, "a", "withdrawn", Changed) // recreates it again

		f.origin.fail("a", errBroken)
		if r, err := p.row.Fetch(t.Context(), "a"); err == nil {
			t.Errorf("a revoked copy was served on error: %q", r.Value)
		}
	})
}

// Interleaving 10: a copy that was usable before the load is revoked while it runs, and
// the load fails.
func TestCopyRevokedWhileTheLoadRanIsNotServedWhenItFails(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		writer, p := f.process(), f.process()
		f.origin.set("a", "old")
		p.read("a")
		f.write(writer, "a", "newer", Changed) // usable on error

		atLoad := f.origin.hold("a")
		reader := later(p.row, "a")
		f.write(writer, "a", "", Revoked) // no longer
		f.origin.fail("a", errBroken)
		atLoad.release()
		if r, err := reader(); !errors.Is(err, errBroken) {
			t.Errorf("got %q, %v; want the load's error", r.Value, err)
		}
	})
}

// Interleaving 13: nothing has ids while L2 does not answer, and no ids equal no ids.
func TestAbsentIDsEqualNothing(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.redis.SetError("out of order") // no ids for anybody
		f.origin.set("a", "one")
		p.read("a")
		time.Sleep(2 * time.Second)
		f.origin.set("a", "two") // another process's write, whose move nobody can hear
		r, err := p.whole.Fetch(t.Context(), "a", "42")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the whole", r.Value, "two+")
	})
}

// Interleaving 13: the age. A whole counts its five seconds from its own snapshot, and
// its part has been in L1 for three.
func TestWholeIsAsOldAsItsOldestPart(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "one")
		p.read("a")
		time.Sleep(3 * time.Second)
		if _, err := p.whole.Fetch(t.Context(), "a", "42"); err != nil {
			t.Fatal(err)
		}
		loads := f.origin.count()
		equal(t, "loads: the row's and the whole's own", loads, 2)

		// The part has been in L1 since 0 s, so the whole leaves L1 at 5 s, not at 8.
		time.Sleep(2*time.Second + time.Millisecond)
		r, err := p.whole.Fetch(t.Context(), "a", "42")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the outcome after 5 s", r.Outcome, HitL2)

		// A part that was read from the origin 20 s ago leaves the whole at most the
		// rest of its Fresh, jitter included.
		time.Sleep(15 * time.Second)
		for _, who := range []*process{p, f.process()} {
			r, err = who.whole.Fetch(t.Context(), "a", "43")
			if err != nil {
				t.Fatal(err)
			}
			if most := 33*time.Second - 20*time.Second; r.TTL > most {
				t.Errorf("%v: still fresh for %v, want at most %v", r.Outcome, r.TTL, most)
			}
		}
	})
}

// Interleaving 14: a flight that stalls is joined when its snapshot is long past.
func TestStalledFlightIsNotJoined(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.alone()
		f.origin.set("a", "old")
		atLoad := f.origin.hold("a")
		atLoad.heedless = true
		first := later(p.row, "a")
		f.origin.set("a", "new") // elsewhere; nothing is heard of it
		time.Sleep(5*time.Second + time.Millisecond)
		got, _ := p.read("a")
		equal(t, "a read 5 s after the flight's snapshot", got, "new")
		atLoad.release()
		if _, err := first(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		got, _ = p.read("a")
		equal(t, "a read after the stalled flight has landed", got, "new")
	})
}
