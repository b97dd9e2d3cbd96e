package server

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/testenv"
)

// Interleaving 12: a purge that is a move and nothing else is lost with the Redis that
// fails it. It is an event, so its row is there to be delivered again.
func TestAPurgeThatRedisRefusesIsRepeatedUntilItLands(t *testing.T) {
	log := testenv.Log(t)
	pool, err := pgxpool.New(t.Context(), testenv.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	var (
		mu      sync.Mutex
		refused = errInside
		moved   []cache.Invalidation
	)
	bus := events.NewBus(log)
	bus.Subscribe("invalidation", invalidation(func(_ context.Context, m cache.Invalidation) error {
		mu.Lock()
		defer mu.Unlock()
		moved = append(moved, m)
		return refused
	}, nil, ownInvalidations))
	outbox := events.NewOutbox(pool, bus, Events, log)
	t.Cleanup(func() { _ = outbox.Close(context.Background()) })
	if err := Purge(t.Context(), outbox); err != nil {
		t.Fatal(err)
	}

	mu.Lock()
	refused = nil
	mu.Unlock()
	drained := make(chan struct{})
	relay := events.NewRelay(outbox, events.RelayOptions{BeginDrain: func() (time.Time, func(), bool) {
		select {
		case <-drained:
			return time.Time{}, func() {}, false
		default:
			return time.Now(), func() { close(drained) }, true
		}
	}})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { relay.Run(ctx) })
	<-drained
	stop()
	running.Wait()

	if len(moved) < 2 {
		t.Errorf("moved %d times; want once in vain, and again", len(moved))
	}
	for _, m := range moved {
		if diff := cmp.Diff(cache.Revoked(cache.Everything), m); diff != "" {
			t.Error(diff)
		}
	}
}
