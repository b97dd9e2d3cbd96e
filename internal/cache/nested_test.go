package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

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

// Rule 12: what is being stored answers who was refused its lease, but no whole that has
// newer ids. The process has not heard of the move, so only the ids tell.
func TestPartThatIsBeingStoredIsComparedWithTheSnapshotOfTheWhole(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "old")
		atStore := p.gate.holdBefore("'SET', KEYS[1], ARGV[2]")
		first := later(p.row, "a") // has loaded, and is about to store
		p.delayMessages()
		f.write(other, "a", "new", Changed) // has landed
		whole := later(p.whole, "a", "42")
		atStore.release()
		first()
		if r, err := whole(); err != nil || r.Value != "new+" {
			t.Errorf("the whole is %q, %v", r.Value, err)
		}
		p.deliver()
		for _, p := range []*process{p, other} {
			if r, err := p.whole.Fetch(t.Context(), "a", "42"); err != nil || r.Value != "new+" {
				t.Errorf("once the message has come: %q, %v", r.Value, err)
			}
		}
	})
}
