package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/communityfeed/internal/cache/remote"
)

// Part 15 of the contract of pages: the origin's breaker is asked before loads, not before
// pages; the loads of one page are one probe.

// An outage is an origin that fails for a while, whose loads take 20 ms.
type outage struct {
	failing          atomic.Bool
	underWay, loaded atomic.Int32
	most             atomic.Int32 // loads that were under way at the same time
}

func (o *outage) load(ctx context.Context, k Key) (string, error) {
	o.loaded.Add(1)
	o.most.Store(max(o.most.Load(), o.underWay.Add(1)))
	defer o.underWay.Add(-1)
	time.Sleep(20 * time.Millisecond)
	if o.failing.Load() {
		return "", errBroken
	}
	return "v", nil
}

// twoLoads declares a page of two fragments that are loaded from an origin in an outage.
func twoLoads(p *process, o *outage) *Page[string] {
	row := NewSource(p.Cache, rowSpec("outage"), JSON[string]{}, o.load)
	own := NewSource(p.Cache, ownSpec("outage_own"), JSON[string]{}, o.load)
	return NewPage(p.Cache, pageSpec("outage_page"), textSize, func(m *Composition) (string, error) {
		name, viewer := m.Key().Get("name"), m.Key().Get("viewer")
		w, v := row.Want(m, name), own.Want(m, name, viewer)
		if _, err := w.Get(); err != nil {
			return "", err
		}
		return v.Get()
	})
}

// Fresh pages come back within four seconds of healing, and until then one page's loads
// are under way at the most.
func TestFreshPagesComeBackAfterAnOutage(t *testing.T) {
	for _, test := range []struct {
		name    string
		process func(*fleet) *process
		known   bool // each page was opened before
		most    int32
	}{
		{"without L2", (*fleet).alone, false, 2},
		{"with L2, pages that nobody has opened", (*fleet).process, false, 2},
		{"with L2, by stale reads alone", (*fleet).process, true, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p := test.process(f)
				var o outage
				page := twoLoads(p, &o)
				readAll := func() (fresh int) {
					var reads []readUnderWay
					for i := range 8 {
						reads = append(reads, later(page, fmt.Sprint(i), "42"))
					}
					for _, read := range reads {
						switch r, err := read(); {
						case err == nil && r.Outcome != Stale:
							fresh++
						case err == nil && !test.known:
							t.Fatal("a stale page of nothing")
						case err != nil && test.known:
							t.Fatalf("a page that was opened before: %v", err)
						}
					}
					return fresh
				}
				if test.known {
					readAll()
					time.Sleep(40 * time.Second) // all is expired, within Stale
				}
				o.failing.Store(true)
				for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
					readAll()
				}
				o.most.Store(0)
				before := o.loaded.Load()
				for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
					readAll()
				}
				if most := o.most.Load(); most == 0 || most > test.most {
					t.Errorf("%d loads at the same time while the breaker is open, want one probe, of at most %d", most, test.most)
				}
				if n := o.loaded.Load() - before; n < 4 || n > 6*test.most {
					t.Errorf("%d loads in ten seconds, want four probes at least, and six at the most", n)
				}
				o.failing.Store(false)
				healed := time.Now()
				for readAll() < 8 {
					if time.Since(healed) > 4*time.Second {
						t.Fatal("four seconds after healing, pages are not fresh")
					}
					time.Sleep(50 * time.Millisecond)
				}
			})
		})
	}
}

// The probe is a page whose loads are let through together: it needs both.
func TestLoadsOfOnePageAreOneProbe(t *testing.T) {
	for name, process := range map[string]func(*fleet) *process{"without L2": (*fleet).alone, "with L2": (*fleet).process} {
		t.Run(name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p := process(f)
				var o outage
				page := twoLoads(p, &o)
				o.failing.Store(true)
				for i := range 3 {
					page.Fetch(t.Context(), fmt.Sprint(i), "42")
				}
				synctest.Wait() // until all of their loads have ended
				if !p.origin.Open() {
					t.Fatal("the breaker was to be open")
				}
				o.failing.Store(false)
				before := o.loaded.Load()
				if _, err := page.Fetch(t.Context(), "early", "42"); err == nil || o.loaded.Load() != before {
					t.Errorf("the breaker lets a page through at once: %v", err)
				}
				time.Sleep(time.Second)
				probe := later(page, "probe", "42")
				another := later(page, "another", "42")
				equal(t, "loads, with both of the probe", o.loaded.Load()-before, 2)
				if r, err := another(); !errors.Is(err, ErrUnavailable) {
					t.Errorf("another page beside the probe: got %q, %v", r.Value, err)
				}
				shows(t, "the probe", probe, "v")
				if r, err := page.Fetch(t.Context(), "another", "42"); err != nil || r.Value != "v" {
					t.Errorf("after the probe: got %q, %v", r.Value, err)
				}
			})
		})
	}
}

// A refresh may be the probe. One whose load ends its goroutine is answered, too.
func TestRefreshThatEndsItsGoroutineDoesNotKeepTheBreakerOpen(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		exits := false
		exit := NewSource(p.Cache, rowSpec("exit"), JSON[string]{}, func(context.Context, Key) (string, error) {
			if exits {
				runtime.Goexit()
			}
			return "v", nil
		})
		exit.Fetch(t.Context(), "a")
		time.Sleep(40 * time.Second) // expired, within Stale
		for i := range 5 {
			f.origin.fail(fmt.Sprint(i), errBroken)
			p.row.GetOrSet(t.Context(), fmt.Sprint(i))
		}
		time.Sleep(testBreakerStep)
		exits = true
		if r, err := exit.Fetch(t.Context(), "a"); err != nil || r.Outcome != Stale {
			t.Fatalf("got %q as %v, %v", r.Value, r.Outcome, err)
		}
		synctest.Wait() // the refresh was the probe, and has ended
		time.Sleep(2 * testBreakerStep)
		f.origin.set("a", "v")
		got, _ := p.read("a")
		equal(t, "the next probe", got, "v")
	})
}

// Part 14: a lease whose holder died costs no page. It lives for five seconds, longer than
// any load may take.
func TestLeaseWhoseHolderDiedCostsNoPage(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(f *fleet, other *process)
		want    Outcome
	}{
		{"with an expired copy", func(_ *fleet, other *process) { other.read("a"); time.Sleep(2 * time.Minute) }, Stale},
		// What has changed may be its reader's own write, and nobody has found the origin away.
		{"with a changed copy", func(f *fleet, other *process) { other.read("a"); f.write(other, "a", "v", Changed) }, Miss},
		{"without one", func(*fleet, *process) {}, Miss},
	} {
		t.Run(test.name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				other, p := f.process(), f.process()
				f.origin.set("a", "v")
				test.prepare(f, other)
				if err := f.redis.Set("cf:l:{row/1|name=a}", "of a process that died"); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				got, how := p.readPage("a", "42")
				equal(t, "the page", got, "v+")
				equal(t, "its outcome", how, test.want)
				equal(t, "took", time.Since(began), remote.LeaseLife)
			})
		})
	}
	t.Run("and the load takes its time", func(t *testing.T) {
		inFleet(t, func(t *testing.T, f *fleet) {
			p := f.process()
			f.origin.set("a", "v")
			if err := f.redis.Set("cf:l:{row/1|name=a}", "of a process that died"); err != nil {
				t.Fatal(err)
			}
			atLoad := f.origin.hold("a")
			reader := later(p.page, "a", "42")
			time.Sleep(remote.LeaseLife + p.o.LoadTimeout - time.Millisecond)
			atLoad.release()
			shows(t, "the page", reader, "v+")
		})
	})
}
