package cache

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A writing adds something to the row a and writes it through.
type writing struct {
	adds   string
	move   func(...Tag) Invalidation
	before func() // what happens between its commit and its move
	after  func() // and between its move and its end
	fails  error
}

func (f *fleet) writeThrough(p *process, w writing) error {
	f.t.Helper()
	err := p.row.WriteThrough(f.t.Context(), func(ctx context.Context) error {
		if w.fails != nil {
			return w.fails
		}
		f.origin.add("a", w.adds)
		if w.before != nil {
			w.before()
		}
		if w.move != nil {
			_ = p.Invalidate(ctx, w.move(rowTag("a"), "other")) // that it failed is the outbox's to mend
		}
		synctest.Wait()
		if w.after != nil {
			w.after()
		}
		return nil
	}, func(old string) string { return old + w.adds }, "a")
	synctest.Wait()
	return err
}

func (o *rows) add(name, more string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.values[name] += more
}

// Every write through begins with a copy that both processes have in L1, too.
func writingThrough(t *testing.T, test func(t *testing.T, f *fleet, p, other *process)) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "v")
		p.read("a")
		other.read("a")
		test(t, f, p, other)
	})
}

func TestWhatIsWrittenThroughIsNotLoaded(t *testing.T) {
	writingThrough(t, func(t *testing.T, f *fleet, p, other *process) {
		for _, adds := range []string{"1", "2"} { // what was written through can be again
			if err := f.writeThrough(p, writing{adds: adds, move: Changed}); err != nil {
				t.Fatal(err)
			}
		}
		for _, who := range []*process{p, other} {
			got, how := who.read("a")
			equal(t, "value", got, "v12")
			equal(t, "outcome", how, HitL2)
		}
		equal(t, "loads", f.origin.count(), 1)
		equal(t, "counted", p.Stats().Keys["row/1"].WrittenThrough, 2)
	})
}

func TestWriteThroughFollowsAWriteThatMovesTwice(t *testing.T) {
	writingThrough(t, func(t *testing.T, f *fleet, p, other *process) {
		err := p.row.WriteThrough(t.Context(), func(ctx context.Context) error {
			f.origin.set("a", "w")
			return errors.Join(p.Invalidate(ctx, Changed(rowTag("a"))), p.Invalidate(ctx, Changed(rowTag("a"), rowTag("a"))))
		}, func(string) string { return "w" }, "a")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got, how := other.read("a")
		equal(t, "value", got, "w")
		equal(t, "outcome", how, HitL2)
	})
}

// Rule 1 for what is written through: a write that the copy does not show keeps it from
// passing for fresh, wherever its move falls; and so does everything else that leaves
// open what the origin has now.
func TestWhatMayNotBeWrittenThroughIsLoaded(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(f *fleet, p, other *process) writing
		want string
	}{
		{"another write, moved before", func(f *fleet, _, other *process) writing {
			return writing{move: Changed, before: func() {
				f.origin.add("a", "2")
				_ = other.Invalidate(f.t.Context(), Changed(rowTag("a")))
			}}
		}, "v12"},
		{"another write, written through before", func(f *fleet, _, other *process) writing {
			return writing{move: Changed, before: func() { f.writeThrough(other, writing{adds: "2", move: Changed}) }}
		}, "v12"},
		{"another write, moved after", func(f *fleet, _, other *process) writing {
			return writing{
				move: Changed, before: func() { f.origin.add("a", "2") },
				after: func() { _ = other.Invalidate(f.t.Context(), Changed(rowTag("a"))) },
			}
		}, "v12"},
		{"another write of this process, written through before", func(f *fleet, p, _ *process) writing {
			return writing{move: Changed, before: func() { f.writeThrough(p, writing{adds: "2", move: Changed}) }}
		}, "v12"},
		{"a purge", func(f *fleet, _, other *process) writing {
			return writing{move: Changed, before: func() {
				f.origin.set("a", "purged")
				_ = other.Invalidate(f.t.Context(), Revoked(Everything))
			}}
		}, "purged"},
		{"the tag is lost meanwhile", func(f *fleet, _, _ *process) writing {
			return writing{move: Changed, before: func() { unheardOf(f)(); f.redis.Del("cf:t:row:a") }}
		}, "new"},
		{"it is a revocation", func(f *fleet, _, _ *process) writing {
			return writing{move: Revoked, before: unheardOf(f)}
		}, "new"},
		{"its move fails", func(f *fleet, p, other *process) writing {
			return writing{move: Changed, before: func() {
				unheardOf(f)()
				p.gate.refuse(invalidationMessage(rowTag("a")))
			}, after: func() { _ = other.Invalidate(f.t.Context(), Changed(rowTag("a"))) }}
		}, "new"},
		{"the copy is changed", func(f *fleet, _, other *process) writing {
			f.write(other, "a", "w", Changed)
			return writing{move: Changed}
		}, "w1"},
		{"the copy is expired", func(f *fleet, _, _ *process) writing {
			time.Sleep(40 * time.Second)
			return writing{move: Changed, before: unheardOf(f)}
		}, "new"},
		{"there is no copy", func(f *fleet, _, _ *process) writing {
			f.redis.Del("cf:e:{row/1|name=a}")
			return writing{move: Changed, before: unheardOf(f)}
		}, "new"},
		{"Redis does not answer at first", func(f *fleet, p, _ *process) writing {
			p.gate.refuse("cf:e:{row/1|name=a}")
			return writing{move: Changed, before: unheardOf(f)}
		}, "new"},
		{"the copy does not decode", func(f *fleet, p, _ *process) writing {
			p.row.source.decode = func([]byte) (any, error) { return nil, errBroken }
			return writing{move: Changed, before: unheardOf(f)}
		}, "new"},
	} {
		t.Run(test.name, func(t *testing.T) {
			writingThrough(t, func(t *testing.T, f *fleet, p, other *process) {
				w := test.do(f, p, other)
				w.adds = "1"
				if err := f.writeThrough(p, w); err != nil {
					t.Fatal(err)
				}
				for _, who := range []*process{p, other} {
					got, _ := who.read("a")
					equal(t, "value", got, test.want)
				}
			})
		})
	}
}

// unheardOf gives the row a value that no copy can be made into: whoever shows it has
// asked the origin.
func unheardOf(f *fleet) func() { return func() { f.origin.set("a", "new") } }

func TestWriteThatChangesNothingLeavesTheCopyAlone(t *testing.T) {
	for _, w := range []writing{{adds: "1", fails: errBroken}, {adds: ""}} {
		writingThrough(t, func(t *testing.T, f *fleet, p, other *process) {
			err := f.writeThrough(p, w)
			if !errors.Is(err, w.fails) {
				t.Errorf("got %v", err)
			}
			for _, who := range []*process{p, other} {
				got, how := who.read("a")
				equal(t, "value", got, "v")
				equal(t, "outcome", how, HitL1)
			}
			equal(t, "counted", p.Stats().Keys["row/1"].WrittenThrough, 0)
		})
	}
}

func TestWrittenThroughCopyIsAsOldAsItWas(t *testing.T) {
	writingThrough(t, func(t *testing.T, f *fleet, p, _ *process) {
		look := func() Inspection {
			i, found, err := p.Inspect(t.Context(), "row/1|name=a")
			if !found || err != nil {
				t.Fatal(found, err)
			}
			return i
		}
		time.Sleep(20 * time.Second)
		before := look()
		if err := f.writeThrough(p, writing{adds: "1", move: Changed}); err != nil {
			t.Fatal(err)
		}
		after := look()
		equal(t, "body", string(after.Body), `"v1"`)
		equal(t, "state", after.State, "fresh")
		equal(t, "age", after.Age, 20*time.Second)
		equal(t, "left", after.Left, before.Left)
		equal(t, "fresh", after.Fresh, before.Fresh)
		equal(t, "cost", after.Cost, before.Cost)
	})
}

// Rule 4: it is stored under the lease, so it undoes no fill and is undone by none.
func TestWriteThroughDuringAFillLeavesTheKeyToIt(t *testing.T) {
	writingThrough(t, func(t *testing.T, f *fleet, p, other *process) {
		var atLoad *hold
		var reader func() (Result[string], error)
		w := writing{adds: "1", move: Changed, after: func() {
			atLoad = f.origin.hold("a")
			reader = later(other.row, "a")
		}}
		if err := f.writeThrough(p, w); err != nil {
			t.Fatal(err)
		}
		equal(t, "counted", p.Stats().Keys["row/1"].WrittenThrough, 0)
		atLoad.release()
		if r, err := reader(); err != nil || r.Value != "v1" || r.Outcome != Miss {
			t.Errorf("the reader got %q, %v, %v", r.Value, r.Outcome, err)
		}
	})
}

// Rule 4: a fill of this process that the write has made useless does not keep the key from
// the write, and stores nothing after it.
func TestWriteThroughTakesTheKeyFromAFillThatItHasMadeUseless(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "v")
		slow := f.origin.hold("a")
		first := later(p.row, "a")
		time.Sleep(2 * time.Second) // so dear a load is refreshed long before the end
		slow.release()
		shows(t, "the first read", first, "v")
		atLoad := f.origin.hold("a")
		row := p.row.source
		k := row.spec.split("row/1|name=a")
		row.refreshBehind(k, row.spec.tags(k))
		synctest.Wait() // it has the lease, and has read the row
		if err := f.writeThrough(p, writing{adds: "1", move: Changed}); err != nil {
			t.Fatal(err)
		}
		equal(t, "counted", p.Stats().Keys["row/1"].WrittenThrough, 1)
		atLoad.release()
		synctest.Wait()
		got, how := other.read("a")
		equal(t, "value", got, "v1")
		equal(t, "outcome", how, HitL2)
	})
}

// What has come to L2 meanwhile is better than what the write would put in its place, and
// what an operator has deleted stays away.
func TestWriteThroughLeavesWhatIsThereByThenAlone(t *testing.T) {
	for _, test := range []struct {
		name  string
		after func(f *fleet, other *process)
		want  string // in L2
		why   string // it was refused
	}{
		{"filled after another's write", func(f *fleet, other *process) {
			f.origin.add("a", "2")
			_ = other.Invalidate(f.t.Context(), Changed(rowTag("a")))
			other.read("a")
		}, `"v12"`, refusedOvertaken},
		{"filled after a purge", func(f *fleet, other *process) {
			f.origin.add("a", "2") // of another time
			_ = other.Invalidate(f.t.Context(), Revoked(Everything))
			other.read("a")
		}, `"v12"`, refusedOvertaken},
		{"deleted", func(f *fleet, other *process) { _, _ = other.Delete(f.t.Context(), "row/1|name=a") }, "", refusedOvertaken},
		{"a process that distrusts L2", nil, `"v"`, refusedError},
	} {
		t.Run(test.name, func(t *testing.T) {
			writingThrough(t, func(t *testing.T, f *fleet, p, other *process) {
				after := p.Distrust
				if test.after != nil {
					after = func() { test.after(f, other) }
				}
				if err := f.writeThrough(p, writing{adds: "1", move: Changed, after: after}); err != nil {
					t.Fatal(err)
				}
				i, _, err := other.Inspect(t.Context(), "row/1|name=a")
				if string(i.Body) != test.want || err != nil {
					t.Errorf("L2 holds %s, %v; want %s", i.Body, err, test.want)
				}
				s := p.Stats().Keys["row/1"]
				equal(t, "counted", s.WrittenThrough, 0)
				equal(t, "refused", s.Refused[test.why], 1)
				if f.redis.Exists("cf:l:{row/1|name=a}") {
					t.Error("the lease is kept")
				}
			})
		})
	}
}

func TestPanicInAChangeLeavesItToALoad(t *testing.T) {
	writingThrough(t, func(t *testing.T, f *fleet, p, _ *process) {
		if err := p.row.WriteThrough(t.Context(), func(ctx context.Context) error {
			f.origin.set("a", "w")
			return p.Invalidate(ctx, Changed(rowTag("a")))
		}, func(string) string { panic("no idea") }, "a"); err != nil {
			t.Error(err)
		}
		got, how := p.read("a")
		equal(t, "value", got, "w")
		equal(t, "outcome", how, Miss)
	})
}

func TestWriteThroughWithoutL2OnlyWrites(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.alone()
		f.origin.set("a", "v")
		p.read("a")
		if err := f.writeThrough(p, writing{adds: "1", move: Changed}); err != nil {
			t.Fatal(err)
		}
		got, how := p.read("a")
		equal(t, "value", got, "v1")
		equal(t, "outcome", how, Miss)
	})
}
