package cache

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestHotKeyIsRefreshedBeforeItExpiresAndNobodyWaits(t *testing.T) {
	for _, tiers := range []string{"memory", "both"} {
		t.Run(tiers, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p := f.alone()
				if tiers == "both" {
					p = f.process()
				}
				var loads atomic.Int32
				spec := rowSpec("hot")
				spec.Policy = Policy{TTL: 10 * time.Second}
				hot := NewSource(p.Cache, spec, JSON[int32]{}, func(context.Context, Key) (int32, error) {
					time.Sleep(100 * time.Millisecond) // δ
					return loads.Add(1), nil
				})
				hot.GetOrSet(t.Context(), "a")
				longest := time.Duration(0)
				for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
					began := time.Now()
					if _, err := hot.GetOrSet(t.Context(), "a"); err != nil {
						t.Fatal(err)
					}
					longest = max(longest, time.Since(began))
				}
				// Without L2, L1's five seconds force a load that readers wait for.
				if tiers == "both" && longest > 0 {
					t.Errorf("a reader waited %v", longest)
				}
				if n := loads.Load(); tiers == "both" && (n < 6 || n > 9) {
					t.Errorf("%d loads in a minute of a key that is fresh for 10 s", n)
				}
				synctest.Wait()
			})
		})
	}
}

func TestColdKeyIsNotRefreshedEarly(t *testing.T) {
	a := answer{expires: 10 * time.Second, cost: 10 * time.Millisecond}
	for range 1000 {
		if a.early(9*time.Second, rand.Float64) {
			t.Fatal("refreshed a hundred δ before its end")
		}
	}
	if !a.early(10*time.Second, rand.Float64) {
		t.Error("not refreshed at its end")
	}
}
