package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Rule 1, the fence: what was read from the origin before a write never passes for
// fresh after it.
func TestFenceKeepsAFillFromBeforeAWriteFromPassingForFresh(t *testing.T) {
	for _, m := range moves {
		t.Run(m.name+"/foreground fill", func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p, writer := f.process(), f.process()
				p.delayMessages()
				f.origin.set("a", "old")
				atLoad := f.origin.hold("a")
				reader := later(p.row, "a")
				f.write(writer, "a", "new", m.move)
				atLoad.release()
				reader()
				synctest.Wait()
				got, _ := writer.read("a")
				equal(t, "the writer's read after the fill landed", got, "new")
			})
		})
		t.Run(m.name+"/background refresh", func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p, writer := f.process(), f.process()
				f.origin.set("a", "old")
				p.read("a")
				time.Sleep(40 * time.Second)
				atLoad := f.origin.hold("a")
				_, how := p.read("a") // starts the refresh
				equal(t, "an expired read", how, Stale)
				synctest.Wait()
				f.write(writer, "a", "new", m.move)
				atLoad.release()
				synctest.Wait()
				for _, who := range []*process{writer, p} {
					got, _ := who.read("a")
					equal(t, "a read after the refresh landed", got, "new")
				}
			})
		})
		t.Run(m.name+"/copy from L2 to L1", func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p, writer := f.process(), f.process()
				f.origin.set("a", "old")
				writer.read("a")
				atRead := p.gate.holdAfter("cf:e:{row/1|name=a}")
				reader := later(p.row, "a")
				f.write(writer, "a", "new", m.move) // p hears before it keeps
				atRead.release()
				reader()
				got, _ := p.read("a")
				equal(t, "a read after the copy was made", got, "new")
			})
		})
	}
}

var moves = []struct {
	name string
	move func(...Tag) Move
}{{"changed", Changed}, {"revoked", Revoked}}

// Rule 2: a tag that Redis lost reads as revoked.
func TestLostTagIsARevokedTag(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "old")
		p.read("a")
		f.redis.Del("cf:t:row:a")
		f.origin.set("a", "new")
		got, how := other.read("a")
		equal(t, "a read after the tag was lost", got, "new")
		equal(t, "its outcome", how, Miss)

		f.redis.Del("cf:t:row:a")
		f.origin.fail("a", errBroken)
		if r, err := f.process().row.Fetch(t.Context(), "a"); !errors.Is(err, errBroken) {
			t.Errorf("got %q, %v; want the load's error, for nobody knows what happened to the copy", r.Value, err)
		}
	})
}

// Rule 3: a changed copy is served when the load fails, a revoked one is not.
func TestChangedIsServedOnErrorAndRevokedNever(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "old")
		p.read("a")
		f.origin.fail("a", errBroken)

		f.write(p, "a", "new", Changed)
		got, how := p.read("a")
		equal(t, "a changed copy on error", got, "old")
		equal(t, "its outcome", how, Stale)

		f.write(p, "a", "", Revoked)
		f.write(p, "a", "", Changed) // must not hide the revocation
		if r, err := p.row.Fetch(t.Context(), "a"); !errors.Is(err, errBroken) {
			t.Errorf("a revoked copy on error: got %q, %v", r.Value, err)
		}
	})
}

func TestStaleCopiesAreServedAsLongAsThePolicySaysAndNoLonger(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v1")
		p.read("a")
		f.origin.set("a", "v2") // nobody is told: time must do

		time.Sleep(40 * time.Second)
		got, how := p.read("a")
		equal(t, "an expired copy within Stale", got, "v1")
		equal(t, "its outcome", how, Stale)
		synctest.Wait()
		got, how = p.read("a")
		equal(t, "after the refresh", got, "v2")
		equal(t, "its outcome", how, HitL1)

		f.origin.set("a", "v3")
		time.Sleep(100 * time.Second)
		got, how = p.read("a")
		equal(t, "past Stale", got, "v3")
		equal(t, "its outcome", how, Miss)

		f.origin.fail("a", errBroken)
		time.Sleep(59 * time.Minute)
		got, _ = p.read("a")
		equal(t, "on error, within OnError", got, "v3")
		time.Sleep(3 * time.Minute)
		if _, err := p.row.Fetch(t.Context(), "a"); !errors.Is(err, errBroken) {
			t.Errorf("on error, past OnError: got %v", err)
		}
	})
}

// Rule 4, the lease: one load in the fleet, and its end is told.
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
		equal(t, "its patience", time.Since(began), leaseLife)
		equal(t, "an entry is in L2", f.redis.Exists("cf:e:{row/1|name=a}"), false)
	})
}

// Rule 5, the flight: nobody's cancelled context and nobody's panic is another's.
func TestCallerWhoLeavesTakesNobodyAlong(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.alone()
		f.origin.set("a", "v")
		atLoad := f.origin.hold("a")
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() {
			_, err := p.row.GetOrSet(ctx, "a") // starts the flight
			gone <- err
		}()
		synctest.Wait()
		stays := later(p.row, "a")
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("who left got %v", err)
		}
		atLoad.release()
		if r, err := stays(); err != nil || r.Value != "v" {
			t.Errorf("who stayed got %q, %v", r.Value, err)
		}
		equal(t, "loads", f.origin.count(), 1)
	})
}

func TestPanicInALoadIsAnErrorForItsWaiters(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		bad := NewSource(p.Cache, rowSpec("bad"), JSON[string]{}, func(context.Context, Key) (string, error) { panic("oh no") })
		_, err := bad.GetOrSet(t.Context(), "a")
		var panicked *PanicError
		if !errors.As(err, &panicked) || panicked.Value != "oh no" || !strings.Contains(string(panicked.Stack), "rules_test.go") {
			t.Errorf("got %v", err)
		}
		f.origin.set("a", "v")
		got, _ := p.read("a")
		equal(t, "another key", got, "v")
	})
}

// Rule 8: L1 is brief.
func TestCopyLeavesL1AfterFiveSecondsFromItsSnapshot(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "old")
		atLoad := f.origin.hold("a")
		reader := later(p.row, "a")
		time.Sleep(3 * time.Second) // a slow load
		atLoad.release()
		reader()
		p.delayMessages()
		f.write(other, "a", "new", Revoked)
		time.Sleep(2*time.Second - time.Millisecond)
		_, how := p.read("a")
		equal(t, "just before five seconds from the snapshot", how, HitL1)
		time.Sleep(2 * time.Millisecond)
		got, _ := p.read("a")
		equal(t, "just after", got, "new")
	})
}

func TestCopyDoesNotOutliveFreshInL1(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		spec := rowSpec("brief")
		spec.Policy = Policy{Fresh: 10 * time.Second}
		a := NewSource(p.Cache, spec, JSON[string]{}, f.origin.load)
		b := NewSource(other.Cache, spec, JSON[string]{}, f.origin.load)
		f.origin.set("a", "v")
		a.GetOrSet(t.Context(), "a")
		time.Sleep(8 * time.Second)
		r, err := b.Fetch(t.Context(), "a")
		if err != nil || r.Outcome != HitL2 || r.Fresh > 3*time.Second {
			t.Fatalf("got %+v, %v; want a hit in L2 with at most 3 s left", r, err)
		}
		time.Sleep(r.Fresh + time.Millisecond)
		r, err = b.Fetch(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "past Fresh, within five seconds in L1", r.Outcome, Miss)
	})
}

// Rule 9: when a write has answered, no read in its process returns the older copy,
// whatever the readers around it are doing.
func TestWriterReadsTheirWrite(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		for i := range 50 {
			before, after := fmt.Sprint("v", i), fmt.Sprint("v", i+1)
			f.origin.set("a", before)
			other.Move(t.Context(), Changed(rowTag("a")))
			var atLoad *hold
			if i%2 == 0 {
				atLoad = f.origin.hold("a")
			}
			reader := later(p.row, "a")
			f.origin.set("a", after)
			p.Move(t.Context(), Changed(rowTag("a"))) // and no waiting for messages
			author := later(p.row, "a")
			if atLoad != nil {
				atLoad.release()
			}
			r, err := author()
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "the author's read", r.Value, after)
			reader()
		}
	})
}

// Rule 12: what holds inside a load that reads other cached loads.
func TestPartWhoseTagTheWholeLacksFailsLoudly(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		spec := wholeSpec("careless")
		spec.Tags = func(Key) []Tag { return []Tag{"unrelated"} }
		whole := NewSource(p.Cache, spec, JSON[string]{}, func(ctx context.Context, k Key) (string, error) {
			v, _ := p.row.GetOrSet(ctx, k.Get("name")) // and does not even look
			return v, nil
		})
		f.origin.set("a", "v")
		p.read("a") // in L1, so that no flight is needed
		_, err := whole.GetOrSet(t.Context(), "a", "42")
		if err == nil || !strings.Contains(err.Error(), "careless/1") || !strings.Contains(err.Error(), "row:a") {
			t.Errorf("got %v; want an error that names the key and the tag", err)
		}
	})
}

func TestPartsFailureIsTheWholesFailure(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		whole := NewSource(p.Cache, wholeSpec("forgiving"), JSON[string]{}, func(ctx context.Context, k Key) (string, error) {
			p.row.GetOrSet(ctx, k.Get("name"))
			return "a page without its part", nil
		})
		f.origin.fail("a", errBroken)
		if v, err := whole.GetOrSet(t.Context(), "a", "42"); !errors.Is(err, errBroken) {
			t.Errorf("got %q, %v", v, err)
		}
	})
}

func TestStaleCopyIsNoPart(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v1")
		p.read("a")
		f.origin.set("a", "v2")
		time.Sleep(40 * time.Second) // expired, within Stale
		r, err := p.whole.Fetch(t.Context(), "a", "42")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the whole", r.Value, "v2+")

		f.write(p, "a", "v3", Changed)
		f.origin.fail("a", errBroken) // the part may be served on error, to others
		r, err = p.whole.Fetch(t.Context(), "a", "43")
		if !errors.Is(err, errBroken) {
			t.Errorf("got %q, %v; want the part's error", r.Value, err)
		}
	})
}

func TestPartIsLoadedOnceForManyWholes(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		for name, p := range map[string]*process{"with L2": f.process(), "without": f.alone()} {
			f.origin.set("a", "v")
			before := f.origin.count()
			for viewer := range 100 {
				if _, err := p.whole.Fetch(t.Context(), "a", fmt.Sprint(viewer)); err != nil {
					t.Fatal(err)
				}
			}
			equal(t, name+", loads: one row, and one small one for each viewer", f.origin.count()-before, 101)
		}
	})
}

// Rule 14: "nothing there" is kept like anything else, in L1 only.
func TestNegativeCopyIsBriefFencedAndNotInL2(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		spec := rowSpec("neg")
		spec.Policy.Negative = 2 * time.Second
		s := NewSource(p.Cache, spec, JSON[string]{}, f.origin.load)
		f.origin.set("a", "was there")
		s.GetOrSet(t.Context(), "a")

		f.origin.fail("a", errNothing)
		p.Move(t.Context(), Changed(rowTag("a")))
		synctest.Wait()
		for range 3 {
			if _, err := s.GetOrSet(t.Context(), "a"); !errors.Is(err, errNothing) {
				t.Fatalf("got %v", err)
			}
		}
		equal(t, "loads: one that found, one that did not", f.origin.count(), 2)
		equal(t, "an entry is in L2", f.redis.Exists("cf:e:{neg/1|name=a}"), false)

		f.origin.fail("a", nil)
		p.Move(t.Context(), Changed(rowTag("a")))
		if v, err := s.GetOrSet(t.Context(), "a"); err != nil || v != "was there" {
			t.Errorf("after it came back: %q, %v", v, err)
		}
	})
}

// A process that may have missed moves trusts nothing from before.
func TestLostSubscriptionEmptiesL1(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		p.read("a")
		_, how := p.read("a")
		equal(t, "before", how, HitL1)
		p.deafen()
		_, how = p.read("a")
		equal(t, "after", how, HitL2)
	})
}

func TestRedisOutOfOrderIsAMissAndNoError(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		f.redis.SetError("LOADING")
		got, how := p.read("a")
		equal(t, "the read", got, "v")
		equal(t, "its outcome", how, Miss)
		if err := p.Move(t.Context(), Changed(rowTag("a"))); err == nil {
			t.Error("a move that did not reach Redis must say so")
		}
		f.origin.set("a", "v2")
		got, _ = p.read("a")
		equal(t, "the read after a failed move", got, "v2")
	})
}

func TestSpecsListsWhatWasDeclared(t *testing.T) {
	c := New(nil, Options{})
	defer c.Close()
	for _, name := range []string{"b", "a"} {
		NewSource(c, rowSpec(name), JSON[string]{}, func(context.Context, Key) (string, error) { return "", nil })
	}
	var names []string
	for _, s := range c.Specs() {
		names = append(names, s.Name)
	}
	if !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("got %v", names)
	}
	defer func() {
		if recover() == nil {
			t.Error("a second source of the same name and version must be refused")
		}
	}()
	NewSource(c, rowSpec("a"), JSON[string]{}, func(context.Context, Key) (string, error) { return "", nil })
}
