package cache

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

var moves = []struct {
	name string
	move func(...Tag) Invalidation
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
		p.Invalidate(t.Context(), Changed(rowTag("a")))
		synctest.Wait()
		for range 3 {
			if _, err := s.GetOrSet(t.Context(), "a"); !errors.Is(err, errNothing) {
				t.Fatalf("got %v", err)
			}
		}
		equal(t, "loads: one that found, one that did not", f.origin.count(), 2)
		equal(t, "an entry is in L2", f.redis.Exists("cf:e:{neg/1|name=a}"), false)

		f.origin.fail("a", nil)
		p.Invalidate(t.Context(), Changed(rowTag("a")))
		if v, err := s.GetOrSet(t.Context(), "a"); err != nil || v != "was there" {
			t.Errorf("after it came back: %q, %v", v, err)
		}
	})
}

// Rule 14: a fill that found nothing is fenced like any other, and "nothing there" is
// never stale.
func TestNothingThereIsFencedAndNeverStale(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		spec := rowSpec("neg")
		spec.Policy.Negative = 2 * time.Second
		s := NewSource(p.Cache, spec, JSON[string]{}, f.origin.load)
		f.origin.fail("a", errNothing)
		atLoad := f.origin.hold("a")
		reader := later(s, "a")
		f.origin.fail("a", nil)
		f.write(p, "a", "created", Changed)
		atLoad.release()
		if _, err := reader(); !errors.Is(err, errNothing) {
			t.Fatalf("the reader was not in the middle of the move: got %v", err)
		}
		if v, err := s.GetOrSet(t.Context(), "a"); err != nil || v != "created" {
			t.Errorf("the author's read: got %q, %v", v, err)
		}

		f.origin.fail("b", errNothing)
		s.GetOrSet(t.Context(), "b")
		time.Sleep(spec.Policy.Negative)
		f.origin.fail("b", errBroken)
		if _, err := s.GetOrSet(t.Context(), "b"); !errors.Is(err, errBroken) {
			t.Errorf("past its time, while the load fails: got %v", err)
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
		p.Subscribed()
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
		if err := p.Invalidate(t.Context(), Changed(rowTag("a"))); err == nil {
			t.Error("a move that did not reach Redis must say so")
		}
		f.origin.set("a", "v2")
		got, _ = p.read("a")
		equal(t, "the read after a failed move", got, "v2")
	})
}

// The four classes of freshness are policies, each with all that goes with it.
func TestEveryClassOfFreshnessIsAPolicy(t *testing.T) {
	for _, class := range []time.Duration{Short, Medium, Long, Day} {
		if err := (Policy{TTL: class, StaleWhileRevalidate: Long, StaleIfError: 12 * Long, Negative: Short}).validate(); err != nil {
			t.Errorf("%v: %v", class, err)
		}
	}
}
