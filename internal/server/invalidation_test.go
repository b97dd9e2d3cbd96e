package server

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/cache"
)

type (
	planted struct{ Tree string }
	felled  struct{ Tree string }
	watered struct{}
)

func TestAnEventMovesWhatItsDomainsTableSays(t *testing.T) {
	var moved []cache.Move
	subscriber := invalidation(
		func(_ context.Context, m cache.Move) error { moved = append(moved, m); return nil }, nil,
		cache.Rules{cache.On(func(e planted) cache.Move { return cache.Changed(cache.Tag(e.Tree)) })},
		cache.Rules{cache.On(func(e felled) cache.Move { return cache.Revoked(cache.Tag(e.Tree), "forest") })},
	)
	for _, event := range []any{planted{"oak"}, felled{"elm"}} {
		if err := subscriber(t.Context(), event); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]cache.Move{cache.Changed("oak"), cache.Revoked("elm", "forest")}, moved); diff != "" {
		t.Error(diff)
	}
}

func TestAnEventThatNoTableKnowsIsAnError(t *testing.T) {
	subscriber := invalidation(func(context.Context, cache.Move) error { return nil }, nil, cache.Rules{})
	if err := subscriber(t.Context(), watered{}); err == nil || !strings.Contains(err.Error(), "server.watered") {
		t.Errorf("got %v, want an error that names the event", err)
	}
}

func TestAMoveThatFailsLeavesTheEventUndelivered(t *testing.T) {
	subscriber := invalidation(
		func(context.Context, cache.Move) error { return errInside }, nil,
		cache.Rules{cache.On(func(planted) cache.Move { return cache.Changed("x") })},
	)
	if err := subscriber(t.Context(), planted{}); !errors.Is(err, errInside) {
		t.Errorf("got %v", err)
	}
}
