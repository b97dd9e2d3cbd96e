package cachetest

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

var (
	oneSeed = flag.Uint64("seed", 0, "simulate this seed alone and print its trace")
	seeds   = flag.Int("seeds", 300, "how many seeds to simulate")
	from    = flag.Int("from", 1, "the first of them")
	about   = flag.String("theme", "", "simulate only those of the seeds that have this theme")
	first   = flag.Bool("first", false, "end at the first seed that finds something")
)

func init() { redis.SetLogger(quietLog{}) }

// quietLog keeps the client from telling of every connection that a fault has ended.
type quietLog struct{}

func (quietLog) Printf(context.Context, string, ...any) {}

// simulate runs one seed. It returns after its goroutines have ended.
func simulate(t *testing.T, seed uint64) *sim {
	hang := time.AfterFunc(2*time.Minute, func() {
		fmt.Fprintf(os.Stderr, "seed %d hangs: %s\n", seed, replay(seed))
	})
	defer hang.Stop()
	var s *sim
	synctest.Test(t, func(t *testing.T) {
		s = newSim(seed)
		s.run()
		if len(s.violated) > 0 { // before a goroutine that is left over can end the test
			fmt.Fprintf(os.Stderr, "seed %d: %s\nreplay: %s\n", seed, s.violated[0], replay(seed))
		}
	})
	return s
}

func replay(seed uint64) string {
	return fmt.Sprintf("go test ./internal/cache/cachetest -run TestSimulation -seed %d -v", seed)
}

func TestSimulation(t *testing.T) {
	if *oneSeed != 0 {
		s := simulate(t, *oneSeed)
		t.Log("\n" + strings.Join(s.lines, "\n"))
		if len(s.violated) > 0 {
			t.Errorf("seed %d: %s", *oneSeed, strings.Join(s.violated, "\n"))
		}
		return
	}
	began := time.Now()
	var (
		next atomic.Int64
		mu   sync.Mutex
		all  summary
	)
	next.Store(int64(*from) - 1)
	t.Run("seeds", func(t *testing.T) {
		for w := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(w), func(t *testing.T) {
				t.Parallel()
				for seed := next.Add(1); seed < int64(*from+*seeds); seed = next.Add(1) {
					if *about != "" && themeOf(uint64(seed)).name != *about {
						continue
					}
					s := simulate(t, uint64(seed))
					mu.Lock()
					all.add(s)
					mu.Unlock()
					if len(s.violated) > 0 {
						if *first {
							next.Store(int64(*from + *seeds))
						}
						t.Errorf("seed %d: %s\nreplay: %s\n%s", seed, s.violated[0], replay(uint64(seed)), strings.Join(s.lines[max(0, len(s.lines)-40):], "\n"))
					}
				}
			})
		}
	})
	fmt.Printf("%d seeds in %v, %d failed, %d ended early (two steps could not be told apart)\n%s",
		*seeds, time.Since(began).Round(time.Millisecond), all.failed, all.blurred, all.String())
	if all.blurred > max(1, *seeds/100) {
		t.Errorf("%d seeds ended early: the order of steps depends on too much", all.blurred)
	}
}

// A summary is how much was looked at, and what went wrong meanwhile.
type summary struct {
	failed, blurred int // seeds
	steps, checked  int
	stores, through int
	excused         int
	answers, pages  map[string]int
	faults          map[fault]int
}

func (m *summary) add(s *sim) {
	if m.answers == nil {
		m.answers, m.pages, m.faults = make(map[string]int), make(map[string]int), make(map[fault]int)
	}
	m.failed += min(1, len(s.violated))
	if s.blurred != "" {
		m.blurred++
	}
	m.steps, m.checked = m.steps+s.step, m.checked+s.checked
	m.stores, m.through = m.stores+s.stores, m.through+s.through
	m.excused += s.excused
	for how, n := range s.answers {
		m.answers[how] += n
	}
	for how, n := range s.pages {
		m.pages[how] += n
	}
	for f, n := range s.faults {
		m.faults[f] += n
	}
}

func (m *summary) String() string {
	list := func(answers map[string]int) string {
		var out []string
		for _, how := range slices.Sorted(maps.Keys(answers)) {
			out = append(out, fmt.Sprintf("%d %s", answers[how], how))
		}
		return strings.Join(out, ", ")
	}
	var faults []string
	injected := 0
	for _, f := range allFaults {
		faults = append(faults, fmt.Sprintf("%7d %s", m.faults[f], f))
		injected += m.faults[f]
	}
	return fmt.Sprintf("%d steps, %d reads checked\nfragments: %s\npages: %s; %d of them failed without a load that did\n%d entries stored, %d of them by writes\n%d faults:\n%s\n",
		m.steps, m.checked, list(m.answers), list(m.pages), m.excused, m.stores, m.through, injected, strings.Join(faults, "\n"))
}

// What a seed has found must be found again. This looks at a few seeds of each theme. The
// order of the steps is compared, and their times to the microsecond: a step takes ten, and
// which of two timers ends a call may differ by a nanosecond.
func TestSameSeedGivesTheSameTrace(t *testing.T) {
	for seed := range uint64(3 * len(themes)) {
		a, b := simulate(t, 1+seed), simulate(t, 1+seed)
		if diff := cmp.Diff(coarse(a.lines), coarse(b.lines)); diff != "" {
			t.Fatalf("seed %d:\n%s", 1+seed, diff)
		}
	}
}

// coarse leaves out the nanoseconds of a trace.
func coarse(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = moment.ReplaceAllStringFunc(line, func(at string) string {
			d, err := time.ParseDuration(at)
			if err != nil {
				return at
			}
			return d.Truncate(time.Microsecond).String()
		})
	}
	return out
}

// moment is the time of a step, which its line has behind its number.
var moment = regexp.MustCompile(`\b[0-9][0-9a-zµ.]*s\b`)
