package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// named fails the test unless an error names both.
func named(t *testing.T, err error, names ...string) {
	t.Helper()
	for _, name := range names {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v; want an error that names %s", err, name)
		}
	}
}

func TestPageIsTheWorstOfItsFragments(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "v")
		f.origin.set("a/42", "own")
		other.read("a")
		for _, test := range []struct {
			who    *process
			viewer string
			want   Outcome
		}{
			{p, "42", Miss}, // the row is in L2, and the viewer's own nowhere
			{p, "42", HitL1},
			{other, "42", Composed}, // of L1 and L2
		} {
			_, how := test.who.readPage("a", test.viewer)
			equal(t, "the outcome", how, test.want)
		}
		time.Sleep(40 * time.Second) // expired, within Stale
		got, how := p.readPage("a", "42")
		equal(t, "of what has expired", got, "v+own")
		equal(t, "its outcome", how, Stale)
		synctest.Wait() // it is refreshed meanwhile
		_, how = p.readPage("a", "42")
		equal(t, "after that", how, Composed)
		stats := p.Stats().Keys["page/1"]
		equal(t, "pages by how they ended", fmt.Sprint(stats.Miss, stats.HitL1, stats.Stale, stats.Composed), "1 1 1 1")
	})
}

// Rule 12: a fragment that failed fails its page, also when the function goes on without it.
func TestFragmentsFailureIsItsPagesFailure(t *testing.T) {
	for name, process := range map[string]func(*fleet) *process{"without L2": (*fleet).alone, "with L2": (*fleet).process} {
		t.Run(name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p := process(f)
				forgiving := NewPage(p.Cache, pageSpec("forgiving"), textSize, func(m *Composition) (string, error) {
					p.row.Want(m, m.Key().Get("name")).Get()
					own, err := p.own.Want(m, "ok", m.Key().Get("viewer")).Get()
					return "a page without its row" + own, err
				})
				for _, off := range []bool{false, true} {
					p.o.Off = off
					for _, failure := range []error{errBroken, errNothing} {
						f.origin.fail("a", failure)
						if r, err := forgiving.Fetch(t.Context(), "a", "42"); !errors.Is(err, failure) {
							t.Errorf("off: %v, got %q, %v; want %v", off, r.Value, err, failure)
						}
						time.Sleep(failureLife)
					}
				}
			})
		})
	}
}

// Rule 12: what is one reader's is on their own pages alone.
func TestPageMayNotUseAFragmentThatIsAnothers(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a/42", "private")
		everybodys := NewPage(p.Cache, PageSpec{Name: "everybodys", Version: 1, Dims: []string{"name"}}, textSize,
			func(m *Composition) (string, error) {
				v, _ := p.own.Want(m, m.Key().Get("name"), "42").Get() // and does not even look
				return v, nil
			})
		neighbours := NewPage(p.Cache, pageSpec("neighbours"), textSize, func(m *Composition) (string, error) {
			return p.own.Want(m, m.Key().Get("name"), "42").Get()
		})
		for _, off := range []bool{false, true} {
			p.o.Off = off
			for range 2 { // with the fragment in neither tier, then in both
				_, err := everybodys.Fetch(t.Context(), "a")
				named(t, err, "everybodys/1", "own/1")
				_, err = neighbours.Fetch(t.Context(), "a", "43")
				named(t, err, "neighbours/1", "own/1")
				if r, err := neighbours.Fetch(t.Context(), "a", "42"); err != nil || r.Value != "private" {
					t.Errorf("their own: got %q, %v", r.Value, err)
				}
			}
		}
	})
}

func TestOwnerOfAFragmentIsADimensionOfIt(t *testing.T) {
	s := ownSpec("careless")
	s.Owner = "user"
	_, err := compile(s)
	named(t, err, "careless/1", `"user"`)
}

// Rule 12: a page has the tags of its fragments, so it has one at least.
func TestPageWithoutAFragmentFails(t *testing.T) {
	for name, process := range map[string]func(*fleet) *process{"without L2": (*fleet).alone, "with L2": (*fleet).process} {
		t.Run(name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p := process(f)
				uses := false
				empty := NewPage(p.Cache, pageSpec("empty"), textSize, func(m *Composition) (string, error) {
					w := p.row.Want(m, "a")
					if uses {
						return w.Get()
					}
					return "made of nothing", nil
				})
				_, err := empty.Fetch(t.Context(), "a", "42")
				named(t, err, "empty/1", "no fragment")
				uses = true
				if _, err := empty.Fetch(t.Context(), "a", "42"); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Rule 12: what L2 holds depends on its key alone. A load that asks for another copy fails,
// and the error says for which.
func TestLoadUsesNoFragment(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		p.readPage("a", "42") // all that is asked for is in L1
		for name, ask := range map[string]func(context.Context) error{
			"row/1": func(ctx context.Context) error { _, err := p.row.GetOrSet(ctx, "a"); return err },
			"own/1": func(ctx context.Context) error {
				_, errs := p.own.GetMany(ctx, [][]string{{"a", "42"}})
				return errors.Join(errs...)
			},
			"page/1": func(ctx context.Context) error { _, err := p.page.Fetch(ctx, "a", "42"); return err },
		} {
			head := "asks_for_" + strings.TrimSuffix(name, "/1")
			asking := NewSource(p.Cache, rowSpec(head), JSON[string]{}, func(ctx context.Context, k Key) (string, error) {
				return "", ask(ctx)
			})
			for _, off := range []bool{false, true} {
				p.o.Off = off
				_, err := asking.GetOrSet(t.Context(), "a")
				named(t, err, head+"/1", name)
				time.Sleep(failureLife)
			}
			p.o.Off = false
		}
		gets := NewSource(p.Cache, rowSpec("gets"), JSON[string]{}, func(ctx context.Context, k Key) (string, error) {
			if r, found := p.row.Get(ctx, "a"); found {
				t.Errorf("a load has got %q", r.Value)
			}
			return "", nil
		})
		if _, err := gets.GetOrSet(t.Context(), "a"); err != nil {
			t.Error(err)
		}
	})
}

// Part 7 of a page's bargain: what is named before the first of it is waited for costs one
// round trip together, and its loads run at the same time.
func TestFragmentsAreLookedUpInOneRoundTrip(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		filler, p := f.process(), f.process()
		f.origin.set("a", "v")
		filler.readPage("a", "42")
		p.row.Get(t.Context(), "100") // connects
		var trips roundTrips
		p.client.AddHook(&trips)
		_, how := p.readPage("a", "42")
		equal(t, "what L2 has", how, Composed)
		equal(t, "its round trips", trips.n, 1)
		_, how = p.readPage("a", "42")
		equal(t, "what L1 has", how, HitL1)
		another := NewPage(p.Cache, pageSpec("another"), textSize, p.compose)
		r, err := another.Fetch(t.Context(), "a", "42")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "another page of the same fragments", r.Outcome, Composed)
		equal(t, "round trips when L1 has all of them", trips.n, 1)
	})
}

func TestFragmentsAreLoadedAtTheSameTime(t *testing.T) {
	for name, process := range map[string]func(*fleet) *process{"without L2": (*fleet).alone, "with L2": (*fleet).process} {
		t.Run(name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p := process(f)
				loads := []*hold{f.origin.hold("a"), f.origin.hold("a/42")}
				reader := later(p.page, "a", "42")
				equal(t, "loads that have begun", f.origin.count(), 2)
				for _, h := range loads {
					h.release()
				}
				shows(t, "the page", reader, "+")
			})
		})
	}
}

func TestFragmentIsLoadedOnceForManyPages(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		for name, p := range map[string]*process{"with L2": f.process(), "without": f.alone()} {
			before := f.origin.count()
			for viewer := range 100 {
				p.readPage("a", fmt.Sprint(viewer))
			}
			equal(t, name+", loads: one row, and one small one for each viewer", f.origin.count()-before, 101)
		}
	})
}

func TestPageOfWhatL1HasIsComposedByItsReader(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		runs, byReader := 0, 0
		page := NewPage(p.Cache, pageSpec("traced"), textSize, func(m *Composition) (string, error) {
			runs++
			if strings.Contains(string(debug.Stack()), t.Name()+".func1(") && m.ctx == nil {
				byReader++
			}
			return p.compose(m)
		})
		f.origin.set("a", "v")
		p.read("a")
		p.own.Fetch(t.Context(), "a", "42")
		r, err := page.Fetch(t.Context(), "a", "42")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the page", r.Value, "v+")
		equal(t, "its outcome", r.Outcome, Composed)
		equal(t, "compositions, and those by the reader", fmt.Sprint(runs, byReader), "1 1")
	})
}

func TestPageThatPanicsIsAnErrorForItsReader(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		bad := NewPage(p.Cache, pageSpec("bad"), textSize, func(m *Composition) (string, error) {
			p.row.Want(m, "a").Get()
			panic("oh no")
		})
		for range 2 { // in a flight, and by its reader
			var panicked *PanicError
			if _, err := bad.Fetch(t.Context(), "a", "42"); !errors.As(err, &panicked) {
				t.Errorf("got %v", err)
			}
		}
	})
}
