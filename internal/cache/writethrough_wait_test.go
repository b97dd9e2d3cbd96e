package cache

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// The client may be gone by the end of the write, and Redis may be in no hurry.
func TestWriterWaitsForNoMoreThanTwoBudgets(t *testing.T) {
	const budget = 200 * time.Millisecond
	t.Run("in line", func(t *testing.T) {
		writingThrough(t, func(t *testing.T, f *fleet, _, _ *process) {
			p := f.process() // whose L1 has no copy
			defer p.occupy()()
			began := time.Now()
			if err := f.writeThrough(p, writing{adds: "1", move: Changed}); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > budget {
				t.Errorf("took %v", took)
			}
		})
	})
	t.Run("after the write", func(t *testing.T) {
		writingThrough(t, func(t *testing.T, f *fleet, p, _ *process) {
			began := time.Now()
			if err := f.writeThrough(p, writing{adds: "1", move: Changed, after: func() {
				atLease := p.gate.holdBefore("cf:l:{row/1|name=a}")
				time.AfterFunc(budget-10*time.Millisecond, func() { p.gate.silence(); atLease.release() })
			}}); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > budget {
				t.Errorf("took %v", took)
			}
		})
	})
	t.Run("in line after the write", func(t *testing.T) {
		writingThrough(t, func(t *testing.T, f *fleet, p, _ *process) {
			release := func() {}
			began := time.Now()
			if err := f.writeThrough(p, writing{adds: "1", move: Changed, after: func() { release = p.occupy() }}); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > budget {
				t.Errorf("took %v", took)
			}
			release()
		})
	})
	t.Run("a client who has left", func(t *testing.T) {
		writingThrough(t, func(t *testing.T, f *fleet, p, other *process) {
			for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
				ctx, leave := context.WithTimeout(t.Context(), time.Second)
				if err := p.row.WriteThrough(ctx, func(ctx context.Context) error {
					f.origin.set("a", "w")
					if cause == context.Canceled {
						leave()
					}
					<-ctx.Done()
					return p.Invalidate(ctx, Changed(rowTag("a")))
				}, func(string) string { return "w" }, "a"); err != nil {
					t.Error(err)
				}
				leave()
				synctest.Wait()
				got, how := other.read("a")
				equal(t, "value", got, "w")
				equal(t, "outcome", how, HitL2)
				equal(t, "the breaker is open", p.Stats().L2.Open, false)
			}
		})
	})
}
