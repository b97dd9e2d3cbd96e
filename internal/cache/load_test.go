package cache

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"
)

// A load that takes ten seconds says so: its error names the key and the limit. One that
// ignores its context is told in the log.
func TestLoadThatTakesTooLongNamesItsKeyAndItsLimit(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.process()
		slow := NewSource(p.Cache, rowSpec("slow"), JSON[string]{}, func(ctx context.Context, _ Key) (string, error) {
			select {
			case <-time.After(10 * time.Second):
				return "v", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		})
		for _, off := range []bool{false, true} {
			p.o.Off = off
			_, err := slow.Fetch(t.Context(), "a")
			named(t, err, "slow/1|name=a", "4s")
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			time.Sleep(failureLife)
		}
		var log bytes.Buffer
		p.o.Log = slog.New(slog.NewTextHandler(&log, nil))
		deaf := NewSource(p.Cache, rowSpec("deaf"), JSON[string]{}, func(context.Context, Key) (string, error) {
			time.Sleep(10 * time.Second)
			return "v", nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if v, err := deaf.GetOrSet(ctx, "a"); v != "v" || err != nil {
			t.Errorf("got %q, %v", v, err)
		}
		named(t, errors.New(log.String()), "deaf/1|name=a", "4s")
	})
}
