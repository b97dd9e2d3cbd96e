package server

import (
	"context"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
)

// announce has a write tell caches on the way which tags it has moved, in the header
// of its answer: RFC 9875, 3. Ours has moved them already; this is for those that no
// move reaches, above all the browser's. A write that changed nothing says nothing,
// and one that failed after its commit still says what it has moved.
func announce(c echo.Context) {
	var tags moved
	r := c.Request()
	c.SetRequest(r.WithContext(context.WithValue(r.Context(), movedKey{}, &tags)))
	c.Response().Before(func() {
		if groups := cachehttp.Groups(tags); groups != "" {
			c.Response().Header().Set(cachehttp.HeaderInvalidation, groups)
		}
	})
}

// moved are the tags that one request has moved. Its events are delivered, and its
// answer written, by one goroutine.
type moved []cache.Tag

type movedKey struct{}

// note adds a move to those of the request that caused it, if a request did.
func note(ctx context.Context, m cache.Move) {
	if tags, ok := ctx.Value(movedKey{}).(*moved); ok {
		*tags = append(*tags, m.Tags...)
	}
}
