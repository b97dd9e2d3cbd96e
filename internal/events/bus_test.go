package events_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/events"
)

type (
	planted   struct{ Tree int }
	harvested struct{ Tree, Apples int }
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// subscriberStats finds one subscriber's counts.
func subscriberStats(t *testing.T, b *events.Bus, name string) events.SubscriberStats {
	t.Helper()
	for _, s := range b.Stats().Subscribers {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no subscriber %s", name)
	return events.SubscriberStats{}
}

func TestSynchronousSubscribersHaveRunWhenPublishReturns(t *testing.T) {
	bus := events.NewBus(discard())
	var heard []any
	for range 2 {
		bus.Subscribe("list", func(_ context.Context, event any) error {
			heard = append(heard, event)
			return nil
		})
	}
	for _, event := range []any{planted{1}, harvested{1, 5}} {
		if err := bus.Publish(t.Context(), event); err != nil {
			t.Fatal(err)
		}
	}
	want := []any{planted{1}, planted{1}, harvested{1, 5}, harvested{1, 5}}
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Error(diff)
	}
}

func TestAFailingSubscriberDoesNotKeepTheOthersFromRunning(t *testing.T) {
	var logged bytes.Buffer
	bus := events.NewBus(slog.New(slog.NewTextHandler(&logged, nil)))
	cause := errors.New("no ladder")
	var ran []string
	bus.Subscribe("first", func(context.Context, any) error { ran = append(ran, "first"); return cause })
	bus.Subscribe("second", func(context.Context, any) error { ran = append(ran, "second"); panic("a wasp") })
	bus.Subscribe("third", func(context.Context, any) error { ran = append(ran, "third"); return nil })

	err := bus.Publish(t.Context(), planted{1})
	if diff := cmp.Diff([]string{"first", "second", "third"}, ran); diff != "" {
		t.Errorf("ran (-want +got):\n%s", diff)
	}
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "a wasp") {
		t.Errorf("the error %q does not tell both failures", err)
	}
	for _, want := range []string{"subscriber=second", "a wasp", "bus_test.go"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("the log of the panic lacks %q", want)
		}
	}
	want := events.BusStats{Published: 1, Failed: 1, Subscribers: []events.SubscriberStats{
		{Name: "first", Failed: 1}, {Name: "second", Failed: 1, Panics: 1}, {Name: "third", Handled: 1},
	}}
	if diff := cmp.Diff(want, bus.Stats()); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

func TestAnAsynchronousSubscriberHearsEventsInOrder(t *testing.T) {
	bus := events.NewBus(discard())
	var heard []any // read after Close, which waits for its writer
	bus.SubscribeAsync("list", 100, func(_ context.Context, event any) error {
		heard = append(heard, event)
		return nil
	})
	var want []any
	for i := range 100 {
		want = append(want, planted{i})
		if err := bus.Publish(t.Context(), planted{i}); err != nil {
			t.Fatal(err)
		}
	}
	if err := bus.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Error(diff)
	}
}

func TestAPublisherNeverWaitsForAnAsynchronousSubscriber(t *testing.T) {
	bus := events.NewBus(discard())
	busy, release := make(chan struct{}), make(chan struct{})
	bus.SubscribeAsync("slow", 2, func(context.Context, any) error {
		busy <- struct{}{}
		<-release
		return nil
	})
	publish := func(n int) {
		for i := range n {
			if err := bus.Publish(t.Context(), planted{i}); err != nil {
				t.Error(err)
			}
		}
	}
	publish(1)
	<-busy // one is being handled, the queue is empty
	publish(5)
	if s := subscriberStats(t, bus, "slow"); s.Queued != 2 || s.Dropped != 3 {
		t.Errorf("queued %d, dropped %d; want 2 and 3", s.Queued, s.Dropped)
	}
	close(release)
	go func() {
		for range busy {
		}
	}()
	if err := bus.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(busy)
	if s := subscriberStats(t, bus, "slow"); s.Handled != 3 || s.Queued != 0 {
		t.Errorf("handled %d, queued %d; want 3 and 0", s.Handled, s.Queued)
	}
}

func TestAnAsynchronousSubscriberLivesOnAfterAPanic(t *testing.T) {
	bus := events.NewBus(discard())
	bus.SubscribeAsync("fragile", 10, func(_ context.Context, event any) error {
		switch event.(planted).Tree {
		case 0:
			panic("a wasp")
		case 1:
			return errors.New("no ladder")
		}
		return nil
	})
	for i := range 3 {
		if err := bus.Publish(t.Context(), planted{i}); err != nil {
			t.Errorf("the publisher was told: %v", err)
		}
	}
	if err := bus.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := events.SubscriberStats{Name: "fragile", Async: true, Handled: 1, Failed: 2, Panics: 1}
	if diff := cmp.Diff(want, subscriberStats(t, bus, "fragile")); diff != "" {
		t.Error(diff)
	}
}

func TestAnAsynchronousSubscriberOutlivesThePublishersRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := events.NewBus(discard())
		bus.SubscribeAsync("late", 1, func(ctx context.Context, _ any) error {
			time.Sleep(time.Second)
			return ctx.Err()
		})
		request, leave := context.WithCancel(t.Context())
		if err := bus.Publish(request, planted{1}); err != nil {
			t.Fatal(err)
		}
		leave()
		if err := bus.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := subscriberStats(t, bus, "late"); s.Handled != 1 {
			t.Errorf("%+v, want it handled", s)
		}
	})
}

func TestCloseGivesUpWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := events.NewBus(discard())
		bus.SubscribeAsync("stuck", 10, func(ctx context.Context, _ any) error {
			<-ctx.Done()
			return ctx.Err()
		})
		for i := range 4 {
			if err := bus.Publish(t.Context(), planted{i}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // the first is being handled
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := bus.Close(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "3 events") {
			t.Errorf("got %v, want a deadline with 3 events left", err)
		}
		synctest.Wait()
		if s := subscriberStats(t, bus, "stuck"); s.Failed != 1 || s.Dropped != 3 {
			t.Errorf("failed %d, dropped %d; want 1 and 3", s.Failed, s.Dropped)
		}
	})
}

func TestAClosedBusIsStillHeardSynchronously(t *testing.T) {
	bus := events.NewBus(discard())
	heard := 0
	bus.Subscribe("invalidation", func(context.Context, any) error { heard++; return nil })
	bus.SubscribeAsync("mail", 10, func(context.Context, any) error { return nil })
	for range 2 { // closing twice is once
		if err := bus.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := bus.Publish(t.Context(), planted{1}); err != nil {
		t.Fatal(err)
	}
	if s := subscriberStats(t, bus, "mail"); heard != 1 || s.Dropped != 1 {
		t.Errorf("heard %d, dropped %d; want 1 and 1", heard, s.Dropped)
	}
}

func TestManyPublishersAndACloseAtOnceLoseNothingUncounted(t *testing.T) {
	bus := events.NewBus(discard())
	bus.SubscribeAsync("list", 16, func(context.Context, any) error { return nil })
	const publishers, each = 8, 200
	var all sync.WaitGroup
	for range publishers {
		all.Go(func() {
			for i := range each {
				if err := bus.Publish(t.Context(), planted{i}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if err := bus.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if s := subscriberStats(t, bus, "list"); s.Handled+s.Dropped != publishers*each {
		t.Errorf("handled %d + dropped %d is not %d", s.Handled, s.Dropped, publishers*each)
	}
}
