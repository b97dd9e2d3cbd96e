package cache

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/cache/local"
)

const pageKey = "page/1|name=a|viewer=42"

// inspect returns what p holds under the page's key.
func inspect(t *testing.T, p *process) (Inspection, bool) {
	t.Helper()
	i, found, err := p.Inspect(t.Context(), pageKey)
	if err != nil || !i.Process {
		t.Errorf("inspecting a page: %+v, %v", i, err)
	}
	return i, found
}

func TestInspectShowsWhatAPageOfThisProcessIsMadeOf(t *testing.T) {
	for name, process := range map[string]func(*fleet) *process{"without L2": (*fleet).alone, "with L2": (*fleet).process} {
		t.Run(name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p, other := process(f), process(f)
				p.o.Rand = func() float64 { return 0.5 } // no jitter: what is loaded first expires first
				f.origin.set("a", "v")
				f.origin.set("a/42", "own")
				p.row.Fetch(t.Context(), "a")
				time.Sleep(2 * time.Second)
				if _, found := inspect(t, p); found {
					t.Error("found before it was read")
				}
				p.page.Fetch(t.Context(), "a", "42")
				if _, found := inspect(t, other); found {
					t.Error("found in a process that has not read it")
				}
				time.Sleep(time.Second)

				got, _ := inspect(t, p)
				row, _ := p.l1.Peek("row/1|name=a")
				want := Inspection{
					Key: pageKey, State: "fresh", Age: 3 * time.Second, Fresh: row.Value.expires - row.Value.filled, Left: 2 * time.Second,
					Tags: []Tag{"row:a", Everything, "own:a/42"}, Bytes: len(pageKey) + len("v+own") + local.Overhead,
					Process: true, Fragments: got.Fragments,
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if len(got.Fragments) != 2 || got.Fragments[0] != "row/1|name=a" || got.Fragments[1] != "own/1|name=a|viewer=42" {
					t.Errorf("it is made of %q", got.Fragments)
				}

				time.Sleep(2 * time.Second)
				got, _ = inspect(t, p)
				equal(t, "after five seconds", got.State, "expired")
				equal(t, "time left", got.Left, 0)
				p.page.Fetch(t.Context(), "a", "42")
				f.write(p, "a", "w", Changed)
				got, _ = inspect(t, p)
				equal(t, "after a write", got.State, "overtaken")
			})
		})
	}
}

func TestDeleteOfAPageRemovesItFromThisProcessAlone(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		f.origin.set("a", "v")
		f.origin.set("a/42", "own")
		for _, each := range []*process{p, other} {
			each.page.Fetch(t.Context(), "a", "42")
		}
		loads := f.origin.count()
		p.gate.silence() // Redis is not asked
		began := time.Now()
		for _, want := range []int{1, 0} {
			n, err := p.Delete(t.Context(), pageKey, "page/1|name=a|viewer=43")
			if err != nil {
				t.Error(err)
			}
			equal(t, "deleted", n, want)
		}
		equal(t, "time that it took", time.Since(began), 0)
		if _, found := inspect(t, p); found {
			t.Error("it is still there")
		}
		if _, found := inspect(t, other); !found {
			t.Error("another process has lost its page")
		}
		left := p.l1.Stats()
		equal(t, "copies left: the fragments", left.Entries, 2)
		equal(t, "their bytes", left.Bytes, int64(len("row/1|name=a")+len(`"v"`)+len("own/1|name=a|viewer=42")+len(`"own"`)+2*local.Overhead))
		r, err := p.page.Fetch(t.Context(), "a", "42")
		if err != nil || r.Value != "v+own" {
			t.Errorf("the next read is %q, %v", r.Value, err)
		}
		equal(t, "the next read", r.Outcome, Composed)
		equal(t, "loads by all of this", f.origin.count()-loads, 0)
	})
}

func TestDeleteTakesKeysOfPagesAndOfFragmentsTogether(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		p.page.Fetch(t.Context(), "a", "42")
		f.redis.Set("cf:e:{row/9|old=key}", "of a version that this program does not know")
		n, err := p.Delete(t.Context(), pageKey, "row/1|name=a", "row/9|old=key", "page/1|name=a")
		if err != nil {
			t.Error(err)
		}
		equal(t, "deleted", n, 3)
		for _, key := range []string{"row/1|name=a", "row/9|old=key"} {
			equal(t, "Redis has "+key, f.redis.Exists("cf:e:{"+key+"}"), false)
		}
		if _, _, err := p.Inspect(t.Context(), "page/1|name=a"); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("a page's key that lacks a dimension: %v", err)
		}
		if c, _ := p.l1.Peek("row/1|name=a"); c == nil {
			t.Error("this process's copy of a fragment is gone: it is deleted in Redis alone")
		}
	})
}

func TestDeletePatternDeletesThePagesOfThisProcess(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p, other := f.process(), f.process()
		for _, name := range []string{"a", "b"} {
			for _, viewer := range []string{"1", "2"} {
				for _, each := range []*process{p, other} {
					each.page.Fetch(t.Context(), name, viewer)
				}
			}
		}
		for _, row := range []struct {
			pattern string
			want    int
		}{
			{"page/1|name=a|*", 2},
			{"page/1|name=a|*", 0},
			{"*|name=b|viewer=[^1]", 2}, // a page, and in Redis a fragment
			{"page/*", 1},
			{"*", 5}, // in Redis: two rows and three fragments of viewers
		} {
			n, err := p.DeletePattern(t.Context(), row.pattern)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, row.pattern, n, row.want)
		}
		equal(t, "fragments of this process", p.l1.Stats().Entries, 6)
		equal(t, "copies of another", other.l1.Stats().Entries, 10)

		// Without Redis, the pages are gone all the same, and the error says that more may be there.
		p.page.Fetch(t.Context(), "a", "1")
		p.gate.silence()
		n, err := p.DeletePattern(t.Context(), "*")
		if err == nil {
			t.Error("no error although Redis has not answered")
		}
		equal(t, "deleted before Redis failed", n, 1)
	})
}

func TestDeletePatternWithoutRedisDeletesPages(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.alone()
		p.page.Fetch(t.Context(), "a", "42")
		n, err := p.DeletePattern(t.Context(), "page/1|*")
		if err != nil {
			t.Error(err)
		}
		equal(t, "deleted", n, 1)
	})
}
