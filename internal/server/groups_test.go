package server

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/feed"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/products"
)

// RFC 9875 2.2: a cache need not know more than 32 groups of an answer, nor more
// than 32 characters of each.
func TestGroupsStayWithinWhatEveryCacheKnows(t *testing.T) {
	const most = 32
	for _, kind := range slices.Concat(feed.Events, products.Events) {
		for _, table := range []cache.Invalidations{feed.Invalidations, products.Invalidations} {
			if m, _ := table.Of(kind.Zero()); len(m.Tags) > most {
				t.Errorf("%s moves %d tags", kind.Name(), len(m.Tags))
			}
		}
	}
	for _, longest := range []cache.Tag{
		feed.CommunityID(math.MaxInt64).Tag(), feed.PostID(math.MaxInt64).Tag(), products.ID(math.MaxInt64).Tag(),
		products.Category("kitchen").Tag(), cachehttp.UserTag(identity.UserID(math.MaxInt64)),
	} {
		if len(longest) > most {
			t.Errorf("%q has %d characters", longest, len(longest))
		}
	}
}

// What a write has moved is announced also when it has failed after that; what
// nobody's request has moved, as the relay does, is announced to nobody.
func TestMovesAreAnnouncedByTheRequestThatMadeThem(t *testing.T) {
	b := newBare(t, Options{})
	b.bus.Subscribe("invalidation", invalidation(
		func(context.Context, cache.Invalidation) error { return errors.New("Redis is away") }, nil,
		cache.Invalidations{cache.On(func(e felled) cache.Invalidation { return cache.Revoked("forest", cache.Tag("tree:"+e.Tree)) })},
	))
	fell := func(answer error) echo.HandlerFunc {
		return func(c echo.Context) error {
			for range 2 {
				_ = b.bus.Publish(c.Request().Context(), felled{"elm"}) // its failure is not the writer's
			}
			return answer
		}
	}
	b.echo.DELETE("/done", func(c echo.Context) error { _ = fell(nil)(c); return c.NoContent(http.StatusNoContent) })
	b.echo.DELETE("/failed", fell(errInside))
	b.echo.DELETE("/nothing", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
	b.echo.GET("/read", func(c echo.Context) error { _ = fell(nil)(c); return c.NoContent(http.StatusNoContent) })
	for _, c := range []struct{ method, path, want string }{
		{"DELETE", "/done", `"forest", "tree:elm"`},
		{"DELETE", "/failed", `"forest", "tree:elm"`},
		{"DELETE", "/nothing", ""},
		{"GET", "/read", ""}, // RFC 9875 3: to be ignored there
	} {
		if got := b.ask(c.method, c.path, "").Header.Get(cachehttp.HeaderInvalidation); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.method, c.path, got, c.want)
		}
	}
	if err := b.bus.Publish(t.Context(), felled{"oak"}); err == nil {
		t.Error("the move has not failed")
	}
}

// The browser of the writer may have pages of the version before, which are in the groups
// that its tags name. Where there are none to add, the answer names what the table says.
func TestWhatTheVersionBeforeKnowsAMoveByIsMovedAndAnnounced(t *testing.T) {
	former := func(tags []cache.Tag) []cache.Tag { return append(slices.Clone(tags), "grove") }
	for _, test := range []struct {
		name   string
		former func([]cache.Tag) []cache.Tag
		moved  []cache.Tag
		header string
	}{
		{"none", nil, []cache.Tag{"forest", "tree:elm"}, `"forest", "tree:elm"`},
		{"one", former, []cache.Tag{"forest", "tree:elm", "grove"}, `"forest", "tree:elm", "grove"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, moved := newBare(t, Options{}), cache.Invalidation{}
			b.bus.Subscribe("invalidation", invalidation(
				func(_ context.Context, m cache.Invalidation) error { moved = m; return nil }, test.former,
				cache.Invalidations{cache.On(func(e felled) cache.Invalidation { return cache.Revoked("forest", cache.Tag("tree:"+e.Tree)) })},
			))
			b.echo.DELETE("/", func(c echo.Context) error {
				return errors.Join(b.bus.Publish(c.Request().Context(), felled{"elm"}), c.NoContent(http.StatusNoContent))
			})
			header := b.ask("DELETE", "/", "").Header.Get(cachehttp.HeaderInvalidation)
			if diff := cmp.Diff(cache.Revoked(test.moved...), moved); diff != "" || header != test.header {
				t.Errorf("the answer names %s, want %s; the move (-want +got):\n%s", header, test.header, diff)
			}
		})
	}
}
