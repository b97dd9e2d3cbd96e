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

// Interleaving 13: a page is composed of a row that has been in L1 for two seconds, of
// which nothing could be heard since.
func TestPageIsAsOldAsItsOldestFragment(t *testing.T) {
	for _, tiers := range []struct {
		name    string
		process func(*fleet) *process
		impair  func(*process)
	}{
		{"without L2", (*fleet).alone, func(*process) {}},
		{"L2 is distrusted", (*fleet).process, func(p *process) { p.Distrust() }},
		{"the message is lost", (*fleet).process, func(*process) {}},
	} {
		t.Run(tiers.name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p, other := tiers.process(f), f.process()
				tiers.impair(p)
				f.origin.set("a", "one")
				p.read("a") // at second 0
				p.send(lost)
				time.Sleep(2 * time.Second)
				f.origin.set("a", "two")
				other.Invalidate(t.Context(), Changed(rowTag("a"))) // where it can be told, it is not heard
				got, _ := p.readPage("a", "42")
				equal(t, "at second 2, the row being two seconds old", got, "one+")
				time.Sleep(3*time.Second - time.Millisecond)
				_, how := p.readPage("a", "42")
				equal(t, "before second 5", how, HitL1)
				time.Sleep(time.Millisecond)
				got, _ = p.readPage("a", "42")
				equal(t, "at second 5", got, "two+")
			})
		})
	}
}

// Interleaving 13: the same of the time for which a page is fresh.
func TestPageIsFreshForNoLongerThanItsFragments(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		p.read("a")
		time.Sleep(20 * time.Second)
		for _, who := range []*process{p, f.process()} {
			for range 2 { // composed, and kept
				r, err := who.page.Fetch(t.Context(), "a", "42")
				if err != nil {
					t.Fatal(err)
				}
				if most := 33*time.Second - 20*time.Second; r.TTL <= 0 || r.TTL > most { // jitter included
					t.Errorf("%v: still fresh for %v, want at most %v", r.Outcome, r.TTL, most)
				}
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
