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
	var moved []cache.Invalidation
	subscriber := invalidation(
		func(_ context.Context, m cache.Invalidation) error { moved = append(moved, m); return nil }, nil,
		cache.Invalidations{cache.On(func(e planted) cache.Invalidation { return cache.Changed(cache.Tag(e.Tree)) })},
		cache.Invalidations{cache.On(func(e felled) cache.Invalidation { return cache.Revoked(cache.Tag(e.Tree), "forest") })},
	)
	for _, event := range []any{planted{"oak"}, felled{"elm"}} {
		if err := subscriber(t.Context(), event); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]cache.Invalidation{cache.Changed("oak"), cache.Revoked("elm", "forest")}, moved); diff != "" {
		t.Error(diff)
	}
}

func TestAnEventThatNoTableKnowsIsAnError(t *testing.T) {
	subscriber := invalidation(func(context.Context, cache.Invalidation) error { return nil }, nil, cache.Invalidations{})
	if err := subscriber(t.Context(), watered{}); err == nil || !strings.Contains(err.Error(), "server.watered") {
		t.Errorf("got %v, want an error that names the event", err)
	}
}

func TestAMoveThatFailsLeavesTheEventUndelivered(t *testing.T) {
	subscriber := invalidation(
		func(context.Context, cache.Invalidation) error { return errInside }, nil,
		cache.Invalidations{cache.On(func(planted) cache.Invalidation { return cache.Changed("x") })},
	)
	if err := subscriber(t.Context(), planted{}); !errors.Is(err, errInside) {
		t.Errorf("got %v", err)
	}
}
