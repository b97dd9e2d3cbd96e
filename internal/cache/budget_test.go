package cache

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/communityfeed/internal/cache/local"
)

// Rule 6: a read gives L2 one budget, whatever L2 does with it.

// slowest reads distinct keys that nobody has, all at once, and returns how long the
// slowest read took.
func (p *process) slowest(name string, reads int) time.Duration {
	var mu sync.Mutex
	var most time.Duration
	var all sync.WaitGroup
	for i := range reads {
		all.Go(func() {
			began := time.Now()
			if _, err := p.row.GetOrSet(context.Background(), fmt.Sprint(name, i)); err != nil {
				p.t.Errorf("read %d: %v", i, err)
			}
			mu.Lock()
			defer mu.Unlock()
			most = max(most, time.Since(began))
		})
	}
	all.Wait()
	return most
}

// greet opens all connections: the first call on each has more to say.
func (p *process) greet() { p.slowest("greeting", testConnections) }

// A miss asks L2 three times: for the entry, for the lease with the entry again, and to
// store. A load takes no time here.
func TestMissCostsOneBudgetHoweverSlowlyRedisAnswers(t *testing.T) {
	for _, each := range []time.Duration{20, 45, 60, 90, 120, 190, 250} {
		each *= time.Millisecond
		t.Run(each.String(), func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p := f.process()
				p.greet()
				p.client.AddHook(slow{each})
				if took := p.slowest("a", 1); took > p.l2.Timeout() {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

func TestReadsInLineBehindASilentServerCostOneBudget(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		p.gate.silence()
		if took := p.slowest("a", 10*testConnections); took > p.l2.Timeout() {
			t.Errorf("the slowest took %v", took)
		}
		equal(t, "the breaker is open", p.Stats().L2.Open, true)
	})
}

func TestWhoStoodInLineBehindASilentServerDoesNotTryItToo(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		p.gate.silence()
		for i := range testConnections {
			later(p.row, fmt.Sprint("first", i))
		}
		time.Sleep(p.l2.Timeout() * 3 / 4)
		if took := p.slowest("a", 1); took > p.l2.Timeout()/4 {
			t.Errorf("took %v, most of it after the others had given up", took)
		}
	})
}

func TestReadsInLineBehindASlowServerCostOneBudget(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		p.greet()
		p.client.AddHook(slow{80 * time.Millisecond})
		if took := p.slowest("a", 10*testConnections); took > p.l2.Timeout() {
			t.Errorf("the slowest took %v", took)
		}
	})
}

func TestReadsInLineLateInTheirBudgetCostNoMoreThanItsRest(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		p.greet()
		p.client.AddHook(slow{120 * time.Millisecond})
		var younger sync.WaitGroup
		younger.Go(func() {
			time.Sleep(110 * time.Millisecond) // in line before the second calls of those before them
			p.slowest("b", testConnections)
		})
		if took := p.slowest("a", testConnections); took > p.l2.Timeout() {
			t.Errorf("the slowest took %v", took)
		}
		younger.Wait()
	})
}

func TestBurstOfOurOwnOpensNoBreaker(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		p.greet()
		p.client.AddHook(slow{10 * time.Millisecond})
		p.slowest("a", 50*testConnections)
		equal(t, "the breaker is open", p.Stats().L2.Open, false)
	})
}

func TestEntryIsStoredAlsoWhenItsReadWaitsNoLonger(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		p.greet()
		p.client.AddHook(slow{80 * time.Millisecond})
		began := time.Now()
		p.read("a")
		equal(t, "the read took", time.Since(began), p.l2.Timeout())
		equal(t, "an entry is in L2", f.redis.Exists("cf:e:{row/1|name=a}"), false)
		time.Sleep(60 * time.Millisecond)
		equal(t, "an entry is in L2 later", f.redis.Exists("cf:e:{row/1|name=a}"), true)
		equal(t, "somebody has the lease", f.redis.Exists("cf:l:{row/1|name=a}"), false)
	})
}

func TestUsableCopyStandsInAlsoWhenTheReadHasSpentItsBudget(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		p.read("a")
		f.write(p, "a", "w", Changed)
		f.origin.fail("a", errBroken)
		p.client.AddHook(slow{150 * time.Millisecond})
		atLoad := f.origin.hold("a")
		reader := later(p.row, "a")
		time.Sleep(time.Second) // the lease was not to be had in time, and the breaker let go since
		atLoad.release()
		r, err := reader()
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the outcome", r.Outcome, Stale)
	})
}

// A store that takes longer than its flight waits for it keeps the lease. Who reads
// meanwhile, with nothing in L1, gets the flight's answer and does not wait for it.
func TestFlightAnswersUntilItsStoreHasEnded(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		p.l1 = local.New[localCopy](-1, 0, 0)
		f.origin.set("a", "v")
		atStore := p.gate.holdBefore("'SET', KEYS[1], ARGV[2]")
		p.read("a")
		asked := p.gate.holdBefore("cf:") // at the next call, if there is one
		began := time.Now()
		read := later(p.row, "a")
		equal(t, "took", time.Since(began), 0)
		equal(t, "it did not ask L2", slices.Contains(p.gate.before, asked), true)
		asked.release()
		r, _ := read()
		equal(t, "the read", r.Value, "v")
		equal(t, "loads", f.origin.count(), 1)

		f.write(p, "a", "w", Changed)
		got, _ := p.read("a")
		equal(t, "the read after a write", got, "w")
		atStore.release()
	})
}
