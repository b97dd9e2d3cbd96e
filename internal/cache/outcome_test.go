package cache

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Every read counts by what it tells its client, whether it began the flight that answered
// it or joined it; and who joined is counted besides.
func TestReadsCountByWhatAnsweredThemAlsoWhenTheyJoined(t *testing.T) {
	type holds func(*fleet, *process) *hold
	load := func(f *fleet, _ *process) *hold { return f.origin.hold("a") }
	lookup := func(_ *fleet, p *process) *hold { return p.gate.holdAfter("cf:e:{row/1|name=a}") }
	for _, row := range []struct {
		name  string
		age   time.Duration // of what Redis holds; zero: nothing
		fails error
		hold  holds

		fragment, page func(KeyStats) uint64
		outcomes       [2]Outcome // of the fragment and of the page
	}{
		{"miss", 0, nil, load, misses, misses, [2]Outcome{Miss, Miss}},
		{"hit in Redis", time.Second, nil, lookup, func(s KeyStats) uint64 { return s.HitL2 },
			func(s KeyStats) uint64 { return s.Composed }, [2]Outcome{HitL2, Composed}},
		{"stale", 40 * time.Second, nil, lookup, func(s KeyStats) uint64 { return s.Stale },
			func(s KeyStats) uint64 { return s.Stale }, [2]Outcome{Stale, Stale}},
		{"error", 0, errBroken, load, func(s KeyStats) uint64 { return s.Errors },
			func(s KeyStats) uint64 { return s.Errors }, [2]Outcome{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			play := func(t *testing.T, key string, want Outcome, counted func(KeyStats) uint64, read func(*process) func() (Result[string], error)) {
				inFleet(t, func(t *testing.T, f *fleet) {
					f.origin.set("a", "v")
					f.origin.set("a/42", "own")
					if row.age > 0 {
						other := f.process()
						other.read("a")
						other.own.Fetch(t.Context(), "a", "42")
						time.Sleep(row.age)
					}
					p := f.process()
					f.origin.fail("a", row.fails)
					held := row.hold(f, p)
					first, joins := read(p), read(p)
					held.release()
					for _, r := range []func() (Result[string], error){first, joins} {
						if r, err := r(); !errors.Is(err, row.fails) || r.Outcome != want {
							t.Errorf("a read is %v, %v; want %v", r.Outcome, err, want)
						}
					}
					s := p.Stats().Keys[key]
					equal(t, "reads that count by it", counted(s), 2)
					equal(t, "reads that count at all", reads(s), 2)
					equal(t, "reads that joined", s.Joined, 1)
				})
			}
			t.Run("fragment", func(t *testing.T) {
				play(t, "row/1", row.outcomes[0], row.fragment, func(p *process) func() (Result[string], error) { return later(p.row, "a") })
			})
			t.Run("page", func(t *testing.T) {
				play(t, "page/1", row.outcomes[1], row.page, func(p *process) func() (Result[string], error) { return laterPage(p, "a", "42") })
			})
		})
	}
}

func misses(s KeyStats) uint64 { return s.Miss }

// reads are all reads that are counted.
func reads(s KeyStats) uint64 {
	return s.HitL1 + s.HitL2 + s.Composed + s.Stale + s.Miss + s.Bypass + s.Errors
}

// laterPage is later for a page.
func laterPage(p *process, values ...string) func() (Result[string], error) {
	var r Result[string]
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, err = p.page.Fetch(context.Background(), values...)
	}()
	synctest.Wait() // until it is held or done
	return func() (Result[string], error) { <-done; return r, err }
}

// A reader who leaves has joined all the same.
func TestAReadThatLeftItsFlightIsAnErrorThatJoined(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.alone()
		f.origin.set("a", "v")
		held := f.origin.hold("a")
		stays := laterPage(p, "a", "42")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.page.Fetch(ctx, "a", "42"); !errors.Is(err, context.Canceled) {
			t.Errorf("who left got %v", err)
		}
		if _, err := p.row.Fetch(ctx, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("who left got %v", err)
		}
		held.release()
		stays()
		for _, key := range []string{"page/1", "row/1"} {
			s := p.Stats().Keys[key]
			equal(t, key+": joined", s.Joined, 1)
			equal(t, key+": errors", s.Errors, 1)
			equal(t, key+": misses", s.Miss, 1)
		}
	})
}

// A page is a miss if anything was loaded for it, also what was refusedOvertaken and is found in
// L1 when it is fetched again.
func TestAPageIsAMissIfAnythingWasLoadedForIt(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "old")
		f.origin.set("a/42", "own")
		p.own.Fetch(t.Context(), "a", "42") // the other fragment is there
		held := f.origin.hold("a")
		page := laterPage(p, "a", "42")
		f.write(p, "a", "new", Changed)
		p.read("a") // is loaded under the lease of the first
		held.release()
		r, err := page()
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the page", r.Value, "new+own")
		equal(t, "its outcome", r.Outcome, Miss)
		equal(t, "loads of the row", p.Stats().Keys["row/1"].Loads, 2)
		equal(t, "misses of the page", p.Stats().Keys["page/1"].Miss, 1)
	})
}

// What a client asks for is one read of a page, and what it is made of is counted under
// keys of another kind.
func TestPagesResponsesAndFragmentsCountApart(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		spec := rowSpec("answer")
		spec.Response = true
		response := NewSource(p.Cache, spec, JSON[string]{}, f.origin.load)
		f.origin.set("a", "v")
		f.origin.set("a/42", "own")
		for range 3 { // loaded, and two hits
			p.page.Fetch(t.Context(), "a", "42")
			response.Fetch(t.Context(), "a")
		}
		p.page.Fetch(t.Context(), "a", "43") // shares the row
		for key, want := range map[string]KeyStats{
			"page/1":   {Kind: "page", Miss: 2, HitL1: 2},
			"row/1":    {Kind: "fragment", Miss: 1, HitL1: 1},
			"own/1":    {Kind: "fragment", Miss: 2},
			"answer/1": {Kind: "response", Miss: 1, HitL1: 2},
		} {
			s := p.Stats().Keys[key]
			equal(t, "kind of "+key, s.Kind, want.Kind)
			equal(t, "misses of "+key, s.Miss, want.Miss)
			equal(t, "hits of "+key, s.HitL1, want.HitL1)
			equal(t, "reads of "+key, reads(s), want.Miss+want.HitL1)
		}
	})
}

// With the cache off a read is neither a hit nor a miss, as its client is told.
func TestWithTheCacheOffReadsCountAsBypass(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.alone()
		p.o.Off = true
		f.origin.set("a", "v")
		for range 2 {
			if r, err := p.page.Fetch(t.Context(), "a", "42"); err != nil || r.Outcome != Bypass {
				t.Errorf("got %v, %v", r.Outcome, err)
			}
		}
		for _, key := range []string{"page/1", "row/1"} {
			s := p.Stats().Keys[key]
			equal(t, key+": bypass", s.Bypass, 2)
			equal(t, key+": reads", reads(s), 2)
		}
	})
}
