package cache

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
)

// roundTrips counts what a client sends to Redis.
type roundTrips struct{ n int }

func (r *roundTrips) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (r *roundTrips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { r.n++; return next(ctx, cmd) }
}

func (r *roundTrips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { r.n++; return next(ctx, cmds) }
}

func names(n int) (keys [][]string) {
	for i := range n {
		keys = append(keys, []string{fmt.Sprint(i)})
	}
	return keys
}

func TestManyKeysInL2CostOneRoundTrip(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		filler, p := f.process(), f.process()
		for _, k := range names(100) {
			f.origin.set(k[0], "v"+k[0])
		}
		filler.row.GetMany(t.Context(), names(100))
		equal(t, "loads", f.origin.count(), 100)

		p.row.Get(t.Context(), "100") // connects
		var trips roundTrips
		p.client.AddHook(&trips)
		for _, want := range []struct {
			how   Outcome
			trips int
		}{{HitL2, 1}, {HitL1, 1}} {
			results, errs := p.row.GetMany(t.Context(), names(100))
			if errs != nil {
				t.Fatal(errs)
			}
			for i, r := range results {
				equal(t, "value", r.Value, fmt.Sprint("v", i))
				equal(t, "outcome", r.Outcome, want.how)
			}
			equal(t, "round trips so far", trips.n, want.trips)
		}
		equal(t, "loads", f.origin.count(), 100)
	})
}

func TestManyKeysFailOneByOne(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("a", "v")
		f.origin.fail("b", errBroken)
		f.origin.fail("c", errNothing)
		results, errs := p.row.GetMany(t.Context(), [][]string{{"a"}, {"b"}, {"c"}, {"a"}})
		if errs == nil || errs[0] != nil || !errors.Is(errs[1], errBroken) || !errors.Is(errs[2], errNothing) || errs[3] != nil {
			t.Errorf("got %v", errs)
		}
		equal(t, "the first", results[0].Value, "v")
		equal(t, "the same again", results[3].Value, "v")
		equal(t, "loads: one for each key", f.origin.count(), 3)
	})
}

// Rule 5 holds between many and one: a read joins a flight whoever began it.
func TestManyKeysShareFlightsWithOthers(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		f.origin.set("1", "v1")
		atLoad := f.origin.hold("1")
		one := later(p.row, "1")
		many := make(chan []Result[string], 1)
		go func() {
			results, _ := p.row.GetMany(context.Background(), names(3))
			many <- results
		}()
		synctest.Wait()
		atLoad.release()
		if r, err := one(); err != nil || r.Value != "v1" {
			t.Errorf("one: got %q, %v", r.Value, err)
		}
		equal(t, "many", (<-many)[1].Value, "v1")
		equal(t, "loads", f.origin.count(), 3)
	})
}

// Interleaving 1, for the look that many flights take together: the number is from
// before it.
func TestManyCopiesReadBeforeAMoveAreNotKeptInL1AfterIt(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		other, p := f.process(), f.process()
		f.origin.set("1", "old")
		other.row.GetMany(t.Context(), names(3))

		atRead := p.gate.holdAfter("cf:e:{row/1|name=1}")
		read := make(chan string, 1)
		go func() {
			results, _ := p.row.GetMany(context.Background(), names(3))
			read <- results[1].Value
		}()
		synctest.Wait()
		f.write(p, "1", "new", Changed)
		atRead.release()
		equal(t, "the reader in the middle of the move", <-read, "old")
		got, _ := p.read("1")
		equal(t, "the author's read", got, "new")
	})
}

func TestManyReadsLeaveWithTheirCaller(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		atLoad := f.origin.hold("1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, errs := p.row.GetMany(ctx, names(2))
		if errs == nil || errs[0] != nil || !errors.Is(errs[1], context.DeadlineExceeded) {
			t.Errorf("got %v", errs)
		}
		atLoad.release()
	})
}
