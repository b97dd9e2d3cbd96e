package cache

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"example.com/communityfeed/internal/cache/remote"

	"example.com/communityfeed/internal/cache/local"
)

// Rule 4: one load in the fleet, under a lease whose end is told.
func TestOneLoadServesTheFleet(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		f.origin.set("a", "v")
		atLoad := f.origin.hold("a")
		var reads []func() (Result[string], error)
		for range 3 {
			p := f.process()
			for range 50 {
				reads = append(reads, later(p.row, "a"))
			}
		}
		began := time.Now()
		atLoad.release()
		for _, read := range reads {
			r, err := read()
			if err != nil || r.Value != "v" {
				t.Fatalf("got %q, %v", r.Value, err)
			}
		}
		equal(t, "loads", f.origin.count(), 1)
		equal(t, "time from the end of the load to the last answer: told, not polled", time.Since(began), 0)
	})
}

func TestFillThatLostItsLeaseStoresNothing(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		atLoad := f.origin.hold("a")
		reader := later(p.row, "a")
		if err := f.redis.Set("cf:l:{row/1|name=a}", "somebody else's"); err != nil {
			t.Fatal(err)
		}
		atLoad.release()
		if r, err := reader(); err != nil || r.Value != "v" {
			t.Fatalf("got %q, %v", r.Value, err)
		}
		equal(t, "an entry is in L2", f.redis.Exists("cf:e:{row/1|name=a}"), false)
		token, _ := f.redis.Get("cf:l:{row/1|name=a}")
		equal(t, "the other's lease", token, "somebody else's")
	})
}

func TestWaitersElsewhereAreToldOfAFailedLoad(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.fail("a", errBroken)
		atLoad := f.origin.hold("a")
		first := later(p.row, "a")
		second := later(other.row, "a")
		began := time.Now()
		atLoad.release()
		if _, err := first(); !errors.Is(err, errBroken) {
			t.Errorf("the filling process: %v", err)
		}
		if _, err := second(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("the waiting process: %v", err)
		}
		equal(t, "loads", f.origin.count(), 1)
		equal(t, "time until the waiter knew", time.Since(began), 0)
	})
}

func TestWordThatComesBetweenTheLeaseRefusedAndTheWaitIsNotLost(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "v")
		atLoad := f.origin.hold("a")
		first := later(p.row, "a")
		atRefusal := other.gate.holdAfter("cf:l:{row/1|name=a}")
		second := later(other.row, "a")
		atLoad.release()
		first()
		synctest.Wait() // the word is out
		began := time.Now()
		atRefusal.release()
		second()
		equal(t, "time until the waiter knew", time.Since(began), 0)
	})
}

func TestFillerReadsL2AgainUnderItsLease(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "v")
		atMiss := p.gate.holdAfter("cf:e:{row/1|name=a}")
		reader := later(p.row, "a") // has seen the miss, and does not go on yet
		other.read("a")             // fills
		atMiss.release()
		if r, err := reader(); err != nil || r.Value != "v" {
			t.Fatalf("got %q, %v", r.Value, err)
		}
		equal(t, "loads", f.origin.count(), 1)
	})
}

func TestDeadHolderKeepsTheKeyNoLongerThanItsLease(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		f.redis.Set("cf:l:{row/1|name=a}", "of a process that died")
		f.redis.SetTTL("cf:l:{row/1|name=a}", 2*time.Second)
		began := time.Now()
		got, _ := p.read("a")
		equal(t, "the read", got, "v")
		if waited := time.Since(began); waited < 2*time.Second || waited > 2*time.Second+2*pollLease {
			t.Errorf("waited %v for a lease of 2 s", waited)
		}
		equal(t, "an entry is in L2", f.redis.Exists("cf:e:{row/1|name=a}"), true)
	})
}

func TestWhoGivesUpWaitingLoadsWithoutStoring(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		f.redis.Set("cf:l:{row/1|name=a}", "of a process that renews it for ever")
		began := time.Now()
		got, _ := p.read("a")
		equal(t, "the read", got, "v")
		equal(t, "its patience", time.Since(began), remote.LeaseLife)
		equal(t, "an entry is in L2", f.redis.Exists("cf:e:{row/1|name=a}"), false)
	})
}

// Rule 4: a fill that a write has made useless is not waited for by who reads after the
// write. Its lease is taken from it, and it stores nothing.
func TestAuthorDoesNotWaitForTheFillFromBeforeTheirWrite(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "old")
		atLoad := f.origin.hold("a")
		reader := later(p.row, "a")
		f.write(p, "a", "new", Changed)

		got, how := p.read("a") // while the first load is held
		equal(t, "the author's read", got, "new")
		equal(t, "its outcome", how, Miss)
		got, how = other.read("a")
		equal(t, "another process's read", got, "new")
		equal(t, "its outcome", how, HitL2)

		atLoad.release()
		if r, _ := reader(); r.Value != "old" {
			t.Errorf("the first reader is answered by its flight: got %q", r.Value)
		}
		equal(t, "fills refused for their lease", p.Stats().Keys["row/1"].Refused[refusedLeaseLost], 1)
		_, how = f.process().read("a")
		equal(t, "L2 has what the author loaded", how, HitL2)
	})
}

func TestAuthorDoesNotWaitForWhoIsAboutToAskForTheLease(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "old")
		atLease := p.gate.holdBefore("cf:l:{row/1|name=a}")
		first := later(p.row, "a") // has its snapshot's number, and not the lease
		f.write(p, "a", "new", Changed)
		began := time.Now()
		got, _ := p.read("a")
		equal(t, "the author's read", got, "new")
		equal(t, "took", time.Since(began), 0)
		atLease.release()
		if r, err := first(); err != nil || r.Value != "new" {
			t.Errorf("who asks for the lease by then got %q, %v", r.Value, err)
		}
		equal(t, "loads", f.origin.count(), 1)
	})
}

func TestAuthorDoesNotWaitForWhoIsBeingGivenTheLease(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "old")
		atAnswer := p.gate.holdAfter("cf:l:{row/1|name=a}")
		first := later(p.row, "a") // has been given the lease, and does not know it yet
		f.write(p, "a", "new", Changed)
		began := time.Now()
		got, _ := p.read("a")
		equal(t, "the author's read", got, "new")
		equal(t, "took", time.Since(began), 0)
		atAnswer.release()
		if _, err := first(); err != nil {
			t.Error(err)
		}
		_, how := f.process().read("a")
		equal(t, "L2 has what the author loaded", how, HitL2)
	})
}

// A fill that has asked for its lease since a write counts, and keeps it; but who read
// between the write and that has not joined its flight. What it has loaded answers
// them, before it is stored.
func TestWhatIsBeingStoredAnswersWhoWasRefusedItsLease(t *testing.T) {
	for _, when := range []string{"asks before the load has ended", "asks after it"} {
		t.Run(when, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p := f.process()
				p.l1 = local.New[localCopy](-1, 0, 0)
				f.origin.set("a", "old")
				atMiss := p.gate.holdAfter("cf:e:{row/1|name=a}")
				first := later(p.row, "a") // is about to ask for the lease
				f.write(p, "a", "new", Changed)
				atLook := p.gate.holdAfter("cf:e:{row/1|name=a}")
				second := later(p.row, "a") // is about to ask for it, too
				atLoad, atStore := f.origin.hold("a"), p.gate.holdBefore("'SET', KEYS[1], ARGV[2]")
				began := time.Now()
				steps := []*hold{atMiss, atLook, atLoad}
				if when == "asks after it" {
					steps = []*hold{atMiss, atLoad, atLook}
				}
				for _, step := range steps {
					step.release()
					synctest.Wait()
				}
				r, err := second()
				if err != nil || r.Value != "new" {
					t.Errorf("the second reader got %q, %v", r.Value, err)
				}
				equal(t, "it waited for the store", time.Since(began), 0)
				equal(t, "loads", f.origin.count(), 1)
				atStore.release()
				first()
				_, how := f.process().read("a")
				equal(t, "L2 has it then", how, HitL2)
			})
		})
	}
}

// A lease is taken from nobody else: not from a fill that counts, and not from another
// process.
func TestLeaseIsNotTakenFromAFillThatCounts(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		p.read("a")
		time.Sleep(40 * time.Second) // expired, within Stale
		atLoad := f.origin.hold("a")
		p.read("a")
		synctest.Wait()
		equal(t, "loads, with the refresh's, which is no flight", f.origin.count(), 2)
		f.redis.Del("cf:e:{row/1|name=a}") // or the copy would answer
		reader := later(p.row, "a")
		atLoad.release()
		if r, err := reader(); err != nil || r.Value != "v" {
			t.Errorf("got %q, %v", r.Value, err)
		}
		equal(t, "loads when the refresh has ended", f.origin.count(), 2)
	})
}

func TestLeaseThatWasNeverGivenIsForgotten(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "v")
		atLoad := f.origin.hold("a")
		holder := later(other.row, "a")
		waiter := later(p.row, "a")
		equal(t, "leases that this process may have", len(p.leases.byKey), 0)
		atLoad.release()
		holder()
		waiter()
		equal(t, "and the other, when all is over", len(other.leases.byKey), 0)
	})
}

func TestLeaseIsNotTakenFromAnotherProcess(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "old")
		mine := f.origin.hold("a")
		first := later(p.row, "a")
		f.redis.Del("cf:l:{row/1|name=a}")
		theirs := f.origin.hold("a")
		second := later(other.row, "a") // has the lease now
		f.write(p, "a", "new", Changed)
		author := later(p.row, "a") // their own process's fill is useless, but has lost its lease
		equal(t, "loads", f.origin.count(), 2)
		mine.release()
		theirs.release()
		first()
		second()
		if r, err := author(); err != nil || r.Value != "new" {
			t.Errorf("got %q, %v", r.Value, err)
		}
	})
}

// A lease that could be neither used nor given back is taken from nobody: it does not
// lock its key until it ends by itself.
func TestLeaseThatCouldNotBeGivenBackIsTaken(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		p.l1 = local.New[localCopy](-1, 0, 0)
		f.origin.set("a", "v")
		p.gate.refuse("'SET', KEYS[1], ARGV[2]")
		p.gate.refuse("'UNLINK', KEYS[1]")
		p.read("a")
		if !f.redis.Exists("cf:l:{row/1|name=a}") {
			t.Fatal("the lease was to be left")
		}
		began := time.Now()
		_, how := p.read("a")
		equal(t, "the next read", how, Miss)
		equal(t, "took", time.Since(began), 0)
		_, how = p.read("a")
		equal(t, "the one after", how, HitL2)
	})
}
