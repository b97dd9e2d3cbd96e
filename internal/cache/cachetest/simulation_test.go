package cachetest

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
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
		next   atomic.Int64
		mu     sync.Mutex
		counts = make(map[string]int)
		failed int
	)
	next.Store(int64(*from) - 1)
	t.Run("seeds", func(t *testing.T) {
		for w := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(w), func(t *testing.T) {
				t.Parallel()
				for seed := next.Add(1); seed < int64(*from+*seeds); seed = next.Add(1) {
					s := simulate(t, uint64(seed))
					mu.Lock()
					for what, n := range s.counts {
						counts[what] += n
					}
					counts["reads checked"] += s.checked
					counts["steps"] += s.step
					counts["entries stored"] += s.stores
					failed += min(1, len(s.violated))
					mu.Unlock()
					if len(s.violated) > 0 {
						t.Errorf("seed %d: %s\nreplay: %s\n%s", seed, s.violated[0], replay(uint64(seed)), strings.Join(s.lines[max(0, len(s.lines)-40):], "\n"))
					}
				}
			})
		}
	})
	var faults, reads []string
	injected := 0
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		if slices.Contains(allFaults, fault(what)) {
			faults = append(faults, fmt.Sprintf("%d × %s", counts[what], what))
			injected += counts[what]
		} else {
			reads = append(reads, fmt.Sprintf("%d %s", counts[what], what))
		}
	}
	fmt.Printf("%d seeds in %v, %d failed: %s\n%d faults injected: %s\n", *seeds, time.Since(began).Round(time.Millisecond), failed,
		strings.Join(reads, ", "), injected, strings.Join(faults, ", "))
}

func TestSameSeedGivesTheSameTrace(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		a, b := simulate(t, seed), simulate(t, seed)
		if diff := cmp.Diff(a.lines, b.lines); diff != "" {
			t.Fatalf("seed %d:\n%s", seed, diff)
		}
	}
}
