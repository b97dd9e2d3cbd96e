package events_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/events"
)

type (
	planted   struct{ Tree int }
	harvested struct{ Tree, Apples int }
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestSubscribersHaveRunWhenPublishReturns(t *testing.T) {
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
