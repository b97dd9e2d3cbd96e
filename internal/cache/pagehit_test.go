package cache

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/communityfeed/internal/cache/remote"
)

// What a hit on a page costs, and what it does for its fragments.

func TestPageHitAllocatesNothing(t *testing.T) {
	c := New(remote.None{}, Options{})
	defer c.Close()
	row := NewSource(c, rowSpec("row"), JSON[string]{}, func(context.Context, Key) (string, error) { return "v", nil })
	page := NewPage(c, pageSpec("page"), textSize, func(m *Composition) (string, error) { return row.Want(m, "a").Get() })
	hit := func() {
		if r, err := page.Fetch(t.Context(), "a", "42"); err != nil || r.Value != "v" {
			t.Error(r, err)
		}
	}
	hit()
	if n := testing.AllocsPerRun(100, hit); n >= 1 {
		t.Errorf("a hit allocates %v times", n)
	}
	if got := c.Stats().Keys["page/1"].HitL1; got < 100 {
		t.Errorf("%d hits", got)
	}
}

// Hot pages would hide their fragments from early refreshes.
func TestPageHitRefreshesTheFragmentThatExpiresFirst(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		p.o.Rand = func() float64 { return 0.5 } // no jitter; early by 0.7 of a load's time
		var loads atomic.Int32
		spec := rowSpec("brief")
		spec.Policy = Policy{TTL: 10 * time.Second}
		brief := NewSource(p.Cache, spec, JSON[int32]{}, func(context.Context, Key) (int32, error) {
			time.Sleep(100 * time.Millisecond)
			return loads.Add(1), nil
		})
		page := NewPage(p.Cache, pageSpec("hot"), textSize, func(m *Composition) (string, error) {
			row, brief := p.row.Want(m, "a"), brief.Want(m, "a")
			if _, err := brief.Get(); err != nil {
				return "", err
			}
			return row.Get()
		})
		read := func(want Outcome) {
			t.Helper()
			r, err := page.Fetch(t.Context(), "a", "42")
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "the outcome", r.Outcome, want)
			synctest.Wait()
		}
		read(Miss)
		time.Sleep(8 * time.Second)
		read(Composed) // and is kept
		time.Sleep(1800 * time.Millisecond)
		read(HitL1)
		equal(t, "loads 100 ms before its end", loads.Load(), 1)
		time.Sleep(50 * time.Millisecond)
		read(HitL1)
		time.Sleep(200 * time.Millisecond) // the load has ended
		equal(t, "loads after a hit shortly before its end", loads.Load(), 2)
		equal(t, "loads of the row", f.origin.count(), 1)
	})
}

// A page leaves L1 when its first fragment would.
func TestPageIsInL1ForAsLongAsItsFragmentsAndNoLonger(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		spec := rowSpec("fleeting")
		spec.Policy.L1 = time.Second
		fleeting := NewSource(p.Cache, spec, JSON[string]{}, f.origin.load)
		page := NewPage(p.Cache, pageSpec("short"), textSize, func(m *Composition) (string, error) {
			row, fleeting := p.row.Want(m, "a"), fleeting.Want(m, "a")
			if _, err := row.Get(); err != nil {
				return "", err
			}
			return fleeting.Get()
		})
		for _, step := range []struct {
			after time.Duration
			want  Outcome
		}{{0, Miss}, {time.Second - time.Millisecond, HitL1}, {time.Millisecond, Composed}} {
			time.Sleep(step.after)
			r, err := page.Fetch(t.Context(), "a", "42")
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "the outcome", r.Outcome, step.want)
		}
	})
}

// A page looks for its fragments in L1 twice when one of them is not there.
func TestFragmentOfAPageIsCountedOnce(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		p.read("a")
		p.readPage("a", "42") // of the row in L1, and a load
		equal(t, "hits of the row", p.Stats().Keys["row/1"].HitL1, 1)
		another := NewPage(p.Cache, pageSpec("another"), textSize, p.compose)
		if _, err := another.Fetch(t.Context(), "a", "42"); err != nil { // by its reader
			t.Fatal(err)
		}
		equal(t, "hits of the row", p.Stats().Keys["row/1"].HitL1, 2)
		equal(t, "hits of the viewer's own", p.Stats().Keys["own/1"].HitL1, 1)
	})
}
