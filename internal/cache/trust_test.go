package cache

import (
	"testing"
	"time"
)

// Rule 6: L2 is read only while everything that could be missing there has landed.
func TestFailedMoveKeepsItsProcessFromReadingL2(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "old")
		other.read("a")
		f.writeUnmoved(p, "a", "new", Changed)
		got, how := p.read("a")
		equal(t, "the author's read", got, "new")
		equal(t, "its outcome", how, Miss)

		if !p.drain("a") {
			t.Fatal("a drain that delivered everything wins trust back")
		}
		got, _ = other.read("a")
		equal(t, "another process's read after the drain", got, "new")
		_, how = p.read("a")
		equal(t, "the author's process reads L2 again", how, HitL2)
	})
}

// Interleaving 8: a drain that found nothing before a move failed ends the distrust that
// began after it.
func TestDrainFromBeforeTheFailureDoesNotEndDistrust(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "old")
		other.read("a")
		p.Distrust() // for another reason
		_, end, needed := p.BeginDrain()
		if !needed {
			t.Fatal("a drain is needed")
		}
		f.writeUnmoved(p, "a", "new", Changed)
		end()
		got, _ := p.read("a")
		equal(t, "the author's read", got, "new")
		if _, _, needed := p.BeginDrain(); !needed {
			t.Error("the drain knew nothing of the failed move")
		}
	})
}

func TestLostSubscriptionDistrustsL2UntilADrain(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		p.read("a")
		began := time.Now()
		p.Lost()
		since, _, needed := p.BeginDrain()
		if !needed || since.Before(began) {
			t.Errorf("a drain is needed: %v, since %v", needed, since)
		}
		_, how := p.read("a")
		equal(t, "while distrusted", how, Miss)
		if !p.drain("a") {
			t.Error("the drain did not win trust back")
		}
	})
}

func TestSilentRedisCostsOneBudgetAndThenNothing(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		p.read("a")
		p.gate.silence()
		time.Sleep(6 * time.Second)
		for i, want := range []time.Duration{p.l2.Timeout(), 0, 0} {
			began := time.Now()
			p.Subscribed() // so that L1 does not answer
			got, _ := p.read("a")
			equal(t, "the read", got, "v")
			if took := time.Since(began); took > want {
				t.Errorf("read %d took %v, want at most %v", i, took, want)
			}
		}
	})
}
