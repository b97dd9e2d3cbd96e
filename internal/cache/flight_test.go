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

	"example.com/communityfeed/internal/cache/remote"
)

// Rule 5: nobody's cancelled context and nobody's panic is another's.
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

// Rule 5: the load is detached from who began it, runs under its own timeout, and lands
// although everybody has left.
func TestLoadLandsWhenEveryWaiterHasLeft(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		type callersKey struct{}
		source := NewSource(p.Cache, rowSpec("detached"), JSON[string]{}, func(ctx context.Context, k Key) (string, error) {
			if ctx.Value(callersKey{}) != nil {
				t.Error("the load sees a value of who began it")
			}
			end, _ := ctx.Deadline()
			equal(t, "the load's time", time.Until(end), p.o.LoadTimeout)
			return f.origin.load(ctx, k)
		})
		f.origin.set("a", "v")
		atLoad := f.origin.hold("a")
		for patience := range 3 {
			ctx := context.WithValue(t.Context(), callersKey{}, "a caller's")
			ctx, cancel := context.WithTimeout(ctx, time.Duration(patience)*time.Second)
			defer cancel()
			began := time.Now()
			if _, err := source.GetOrSet(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who has no time left got %v", err)
			}
			equal(t, "its wait", time.Since(began), time.Duration(patience)*time.Second)
		}
		atLoad.release()
		synctest.Wait()
		r, err := source.Fetch(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the next read", r.Outcome, HitL1)
		equal(t, "loads", f.origin.count(), 1)
	})
}

func TestPanicInALoadIsAnErrorForItsWaiters(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		bad := NewSource(p.Cache, rowSpec("bad"), JSON[string]{}, func(context.Context, Key) (string, error) { panic("oh no") })
		_, err := bad.GetOrSet(t.Context(), "a")
		var panicked *PanicError
		if !errors.As(err, &panicked) || panicked.Value != "oh no" || !strings.Contains(string(panicked.Stack), "flight_test.go") {
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
		spec.Policy = Policy{TTL: 10 * time.Second}
		a := NewSource(p.Cache, spec, JSON[string]{}, f.origin.load)
		b := NewSource(other.Cache, spec, JSON[string]{}, f.origin.load)
		f.origin.set("a", "v")
		a.GetOrSet(t.Context(), "a")
		time.Sleep(8 * time.Second)
		r, err := b.Fetch(t.Context(), "a")
		if err != nil || r.Outcome != HitL2 || r.TTL > 3*time.Second {
			t.Fatalf("got %+v, %v; want a hit in L2 with at most 3 s left", r, err)
		}
		time.Sleep(r.TTL + time.Millisecond)
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
			other.Invalidate(t.Context(), Changed(rowTag("a")))
			var atLoad *hold
			if i%2 == 0 {
				atLoad = f.origin.hold("a")
			}
			reader := later(p.row, "a")
			f.origin.set("a", after)
			p.Invalidate(t.Context(), Changed(rowTag("a"))) // and no waiting for messages
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

func TestSpecsListsWhatWasDeclared(t *testing.T) {
	c := New(remote.None{}, Options{})
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
