package server

import (
	"context"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
)

// announce makes a write tell caches on the way which tags it has invalidated, in the header
// of its answer (RFC 9875, 3). Ours knows already. The header is for caches that no
// invalidation reaches, above all the browser's. A write that changed nothing says nothing,
// and one that failed after its commit still says what it has invalidated.
func announce(c echo.Context) {
	var tags invalidated
	r := c.Request()
	c.SetRequest(r.WithContext(context.WithValue(r.Context(), invalidatedKey{}, &tags)))
	c.Response().Before(func() {
		if groups := cachehttp.Groups(tags); groups != "" {
			c.Response().Header().Set(cachehttp.HeaderInvalidation, groups)
		}
	})
}

// invalidated are the tags that one request has invalidated. One goroutine delivers its
// events and writes its answer.
type invalidated []cache.Tag

type invalidatedKey struct{}

// note adds an invalidation to those of the request that caused it, if a request did.
func note(ctx context.Context, inv cache.Invalidation) {
	if tags, ok := ctx.Value(invalidatedKey{}).(*invalidated); ok {
		*tags = append(*tags, inv.Tags...)
	}
}
