package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// Rule 13: a failure is everybody's.
func TestFailedKeyIsNotTriedAgainForASecond(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		f.origin.fail("a", errBroken)
		for range 10 {
			if _, err := p.row.GetOrSet(t.Context(), "a"); !errors.Is(err, errBroken) {
				t.Fatalf("got %v", err)
			}
		}
		equal(t, "loads", f.origin.count(), 1)
		f.origin.fail("a", nil)
		time.Sleep(time.Second)
		got, _ := p.read("a")
		equal(t, "a second later", got, "v")
	})
}

func TestCopyStandsInAtOnceWhileTheKeyIsKnownToFail(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		p.read("a")
		f.write(p, "a", "newer", Changed)
		f.origin.fail("a", errBroken)
		for range 10 {
			got, how := p.read("a")
			equal(t, "the read", got, "v")
			equal(t, "its outcome", how, Stale)
		}
		equal(t, "loads: one that succeeded, one that failed", f.origin.count(), 2)
	})
}

func TestRefreshThatFailedIsNotTriedAgainForASecond(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		p.read("a")
		f.origin.fail("a", errBroken)
		time.Sleep(40 * time.Second) // expired, within Stale
		for range 20 {
			got, how := p.read("a")
			equal(t, "the read", got, "v")
			equal(t, "its outcome", how, Stale)
			synctest.Wait() // the refresh has ended
		}
		equal(t, "loads: the first, and one refresh", f.origin.count(), 2)
		time.Sleep(failureLife)
		p.read("a")
		synctest.Wait()
		equal(t, "loads a second later", f.origin.count(), 3)
	})
}

func TestOriginThatKeepsFailingIsLeftAlone(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("kept", "v")
		p.read("kept")
		f.write(p, "kept", "newer", Changed)
		for i := range 20 {
			name := fmt.Sprint("n", i)
			f.origin.fail(name, errBroken)
			if _, err := p.row.GetOrSet(t.Context(), name); err == nil {
				t.Fatal("the origin is broken")
			}
		}
		equal(t, "loads of twenty keys, and the first one", f.origin.count(), 6)
		got, how := p.read("kept")
		equal(t, "what has a copy", got, "v")
		equal(t, "its outcome", how, Stale)

		time.Sleep(testBreakerStep)
		r, err := p.page.Fetch(t.Context(), "kept", "42") // the probe is two loads
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the probe", r.Value, "newer+")
		got, _ = p.read("n19-other")
		equal(t, "after the probe", got, "")
	})
}

func TestOnePageThatPanicsKeepsNoOtherFromItsLoad(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		bad := NewSource(p.Cache, rowSpec("bad"), JSON[string]{}, func(context.Context, Key) (string, error) { panic("a bug") })
		for i := range 20 {
			if _, err := bad.GetOrSet(t.Context(), fmt.Sprint(i)); err == nil {
				t.Fatal("it panics")
			}
		}
		f.origin.set("a", "v")
		got, _ := p.read("a")
		equal(t, "another page", got, "v")
	})
}

func TestProbeThatEndsItsGoroutineDoesNotKeepTheBreakerOpen(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		for i := range 5 {
			f.origin.fail(fmt.Sprint(i), errBroken)
			p.row.GetOrSet(t.Context(), fmt.Sprint(i))
		}
		exit := NewSource(p.Cache, rowSpec("exit"), JSON[string]{}, func(context.Context, Key) (string, error) {
			runtime.Goexit()
			return "", nil
		})
		time.Sleep(testBreakerStep)
		if _, err := exit.GetOrSet(t.Context(), "a"); !errors.Is(err, errEnded) {
			t.Fatalf("the probe: %v", err)
		}
		time.Sleep(2 * testBreakerStep)
		f.origin.set("a", "v")
		got, _ := p.read("a")
		equal(t, "the next probe", got, "v")
	})
}

func TestAnswersThatAreErrorsDoNotCountAgainstTheOrigin(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		for i := range 20 {
			name := fmt.Sprint("n", i)
			f.origin.fail(name, errNothing)
			if _, err := p.row.GetOrSet(t.Context(), name); !errors.Is(err, errNothing) {
				t.Fatalf("got %v", err)
			}
		}
		equal(t, "loads", f.origin.count(), 20)
	})
}
