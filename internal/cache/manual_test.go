package cache

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/cache/remote"
)

// Rule 6: what may be missing in L2 makes it no place to store either.
func TestSetIsNotStoredWhileL2IsDistrusted(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		from := p.row.Snapshot(t.Context(), "a")
		p.Distrust()
		if err := p.row.Set(t.Context(), from, "v"); !errors.Is(err, ErrNotStored) {
			t.Errorf("got %v", err)
		}
		equal(t, "an entry is in L2", f.redis.Exists("cf:e:{row/1|name=a}"), false)
	})
}

// Without Redis there is nothing to distrust: a Set keeps what it is given.
func TestSetWithoutL2IsKeptAlsoWhenAnEventIsLate(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.alone()
		p.Distrust()
		if err := p.row.Set(t.Context(), p.row.Snapshot(t.Context(), "a"), "v"); err != nil {
			t.Fatal(err)
		}
		got, how := p.read("a")
		equal(t, "value", got, "v")
		equal(t, "outcome", how, HitL1)
	})
}

func TestGetFindsWhatIsFreshAndLoadsNothing(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		other, p := f.process(), f.process()
		if r, found := p.row.Get(t.Context(), "a"); found {
			t.Errorf("found %q", r.Value)
		}
		equal(t, "loads", f.origin.count(), 0)
		f.origin.set("a", "v")
		other.read("a")
		for _, how := range []Outcome{HitL2, HitL1} {
			r, found := p.row.Get(t.Context(), "a")
			equal(t, "found", found, true)
			equal(t, "value", r.Value, "v")
			equal(t, "outcome", r.Outcome, how)
		}
		f.write(p, "a", "w", Changed)
		if r, found := p.row.Get(t.Context(), "a"); found {
			t.Errorf("found %q after a move", r.Value)
		}
		equal(t, "loads", f.origin.count(), 1)
	})
}

func TestSetValueAnswersTheFleet(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		from := p.row.Snapshot(t.Context(), "a")
		if err := p.row.Set(t.Context(), from, "v"); err != nil {
			t.Fatal(err)
		}
		for who, want := range map[*process]Outcome{p: HitL1, other: HitL2} {
			got, how := who.read("a")
			equal(t, "value", got, "v")
			equal(t, "outcome", how, want)
		}
		equal(t, "loads", f.origin.count(), 0)
	})
}

// Rule 1 for values that come from elsewhere: a write between the snapshot and the Set
// makes the value old, in both tiers.
func TestSetDoesNotPassForFreshAfterAWrite(t *testing.T) {
	for _, m := range moves {
		t.Run(m.name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p, other := f.process(), f.process()
				from := p.row.Snapshot(t.Context(), "a")
				f.write(other, "a", "new", m.move)
				_ = p.row.Set(t.Context(), from, "old")
				for _, who := range []*process{p, other} {
					got, _ := who.read("a")
					equal(t, "value", got, "new")
				}
			})
		})
	}
}

// Rule 4: a Set stores under the lease, so it undoes no fill and is undone by none.
func TestSetDuringAFillIsRefusedByL2(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "loaded")
		from := p.row.Snapshot(t.Context(), "a")
		atLoad := f.origin.hold("a")
		reader := later(other.row, "a")
		if err := p.row.Set(t.Context(), from, "set"); !errors.Is(err, ErrNotStored) {
			t.Errorf("got %v", err)
		}
		atLoad.release()
		reader()
		r, found, err := p.Inspect(t.Context(), "row/1|name=a")
		if err != nil || !found || string(r.Body) != `"loaded"` {
			t.Errorf("L2 holds %s, %v, %v", r.Body, found, err)
		}
	})
}

// Nor is it stored in the place of what somebody has filled since.
func TestSetDoesNotTakeThePlaceOfWhatIsYounger(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		from := p.row.Snapshot(t.Context(), "a")
		f.write(other, "a", "new", Changed)
		other.read("a")
		if err := p.row.Set(t.Context(), from, "old"); !errors.Is(err, ErrNotStored) {
			t.Errorf("got %v", err)
		}
		if i, _, err := p.Inspect(t.Context(), "row/1|name=a"); string(i.Body) != `"new"` || err != nil {
			t.Errorf("L2 holds %s, %v", i.Body, err)
		}
	})
}

func TestSetOfAnOldSnapshotStoresNothing(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		from := p.row.Snapshot(t.Context(), "a")
		time.Sleep(2 * time.Hour)
		if err := p.row.Set(t.Context(), from, "v"); !errors.Is(err, ErrNotStored) {
			t.Errorf("got %v", err)
		}
		f.origin.set("a", "new")
		got, _ := p.read("a")
		equal(t, "value", got, "new")
	})
}

// Rule 4: deleting a key voids its lease, so the fill under way stores nothing.
func TestDeleteVoidsTheLease(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		atLoad := f.origin.hold("a")
		reader := later(p.row, "a")
		if n, err := p.Delete(t.Context(), "row/1|name=a"); err != nil || n != 0 {
			t.Errorf("deleted %d, %v", n, err)
		}
		atLoad.release()
		if r, err := reader(); err != nil || r.Value != "v" {
			t.Errorf("the reader got %q, %v", r.Value, err)
		}
		if f.redis.Exists("cf:e:{row/1|name=a}") {
			t.Error("the fill has stored after its key was deleted")
		}
		equal(t, "refusals for the lease", p.Stats().Keys["row/1"].Refused[refusedLeaseLost], 1)
	})
}

func TestDeletePatternDeletesWhatFits(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		p.row.GetMany(t.Context(), names(25))
		for _, name := range []string{"1", "1*"} {
			p.row.Fetch(t.Context(), name)
			p.own.Fetch(t.Context(), name, "42")
		}
		for _, test := range []struct {
			pattern string
			want    int
		}{
			{"own/1|name=1\\*|*", 1},
			{"own/*", 1},
			{"row/1|name=1*", 12}, // 1, 1*, and 10 to 19
			{"row/1|name=2", 1},
			{"row/1|name=2", 0},
			{"*", 13},
		} {
			n, err := p.DeletePattern(t.Context(), test.pattern)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, test.pattern, n, test.want)
		}
		equal(t, "tags are left alone", f.redis.Exists("cf:t:row:1"), true)
	})
}

func TestInspectShowsWhatHasBecomeOfAnEntry(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		key := "row/1|name=a"
		if _, found, err := p.Inspect(t.Context(), key); found || err != nil {
			t.Errorf("before: %v, %v", found, err)
		}
		p.read("a")
		state := func(want string) Inspection {
			t.Helper()
			i, found, err := p.Inspect(t.Context(), key)
			if err != nil || !found {
				t.Fatal(found, err)
			}
			equal(t, "state", i.State, want)
			return i
		}
		i := state("fresh")
		if diff := cmp.Diff([]Tag{"row:a", "*"}, i.Tags); diff != "" || string(i.Body) != `"v"` {
			t.Errorf("body %s, tags %s", i.Body, diff)
		}
		time.Sleep(40 * time.Second)
		equal(t, "age", state("expired").Age, 40*time.Second)
		f.write(p, "a", "w", Changed)
		state("changed")
		f.write(p, "a", "w", Revoked)
		state("revoked")
		for _, odd := range []string{"", "row/1", "row/1|name=a|b=c", "row/1|name=%61", "other/1|name=a"} {
			if _, _, err := p.Inspect(t.Context(), odd); !errors.Is(err, ErrUnknownKey) {
				t.Errorf("%q: got %v", odd, err)
			}
		}
	})
}

func TestLockIsHeldByOneProcessAtATime(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		ran := func(c *process, name string) bool {
			ran, err := c.WithLock(t.Context(), name, func(context.Context) error { return nil })
			if err != nil {
				t.Error(err)
			}
			return ran
		}
		held := &hold{released: make(chan struct{})}
		done := make(chan error, 1)
		go func() {
			_, err := p.WithLock(context.Background(), "sweep", func(context.Context) error { <-held.released; return errBroken })
			done <- err
		}()
		synctest.Wait()
		equal(t, "another process, meanwhile", ran(other, "sweep"), false)
		equal(t, "the same process, meanwhile", ran(p, "sweep"), false)
		equal(t, "another name", ran(other, "other"), true)
		held.release()
		if err := <-done; !errors.Is(err, errBroken) {
			t.Errorf("the holder's own error: got %v", err)
		}
		equal(t, "afterwards", ran(other, "sweep"), true)

		f.redis.SetError("out of order")
		equal(t, "when Redis cannot say", ran(other, "sweep"), true)
		equal(t, "without Redis", ran(f.alone(), "sweep"), true)
	})
}

func TestLockEndsBeforeItsLease(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		began := time.Now()
		_, err := f.process().WithLock(t.Context(), "sweep", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took >= remote.LeaseLife {
			t.Errorf("got %v after %v", err, took)
		}
	})
}
