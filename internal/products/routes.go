package products

import (
	"time"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
)

// Routes mounts the domain. What a page may depend on and how long it is kept
// stands with its route, below; what makes it wrong stands in Invalidations. What is not
// GET passes the cache by.
func (h *Handler) Routes(g *echo.Group, cached *cachehttp.Cached) {
	cached.GET(g, "/products", productList, h.list)
	cached.GET(g, "/products/:id", productPage, h.product)

	g.POST("/products", cached.Created(h.create))
	g.PUT("/products/:id", cached.Written(h.update))
	g.DELETE("/products/:id", h.delete)
}

// Invalidations is all that the cache needs to know about this domain's writes.
//
// What is new invalidates its own tag as well: it may be remembered as not found.
var Invalidations = cache.Invalidations{
	cache.On(func(e ProductCreated) cache.Invalidation {
		return cache.Changed(catalogue, e.Product.Category.Tag(), e.Product.ID.Tag())
	}),
	cache.On(func(e ProductUpdated) cache.Invalidation {
		return cache.Changed(catalogue, e.Before.Category.Tag(), e.After.Category.Tag(), e.After.ID.Tag())
	}),
	cache.On(func(e ProductDeleted) cache.Invalidation {
		return cache.Revoked(catalogue, e.Product.Category.Tag(), e.Product.ID.Tag())
	}),
}

// Neither route declares an identity: their pages are the same for everybody, and
// a handler that asked who is reading would fail.

var productList = cachehttp.Route{
	Name: "products.list", Version: 1, Body: listBody{},
	Query: []cachehttp.Param{
		cachehttp.OneOf("category", "", categories[:]...),
		cachehttp.PageNumber("page"),
		cachehttp.OneOf("perPage", "20", "10", "20", "50", "100"),
	},
	Policy: cache.Policy{TTL: cache.Medium, StaleWhileRevalidate: time.Minute, StaleIfError: cache.Day},
	Tags:   func(k cache.Key) []cache.Tag { return []cache.Tag{listTag(k.Get("category"))} },
}

var productPage = cachehttp.Route{
	Name: "products.one", Version: 1, Body: Product{},
	Path: []cachehttp.Param{cachehttp.ID("id")},
	// That there is no such product is remembered for five seconds, so that asking for it
	// again and again does not reach Postgres.
	Policy: cache.Policy{TTL: cache.Medium, StaleWhileRevalidate: time.Minute, StaleIfError: cache.Day, Negative: 5 * time.Second},
	Tags:   func(k cache.Key) []cache.Tag { return []cache.Tag{productTag(k.Get("id"))} },
}
