package server

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/feed"
	"example.com/communityfeed/internal/products"
)

// routes is the map of the service. Every path is mounted here or one step
// below, in the Routes of its domain.
func (s *Server) routes(cached *cachehttp.Cached, f *feed.Handler, p *products.Handler, a *admin, page http.Handler) {
	s.get("/", echo.WrapHandler(page))
	s.get("/livez", s.livez)
	s.get("/readyz", s.readyz)
	s.get("/metrics", echo.WrapHandler(s.metrics.Handler()))

	api := s.echo.Group("/api")
	f.Routes(api, cached) // communities, members, posts, translations, likes, blocks
	p.Routes(api, cached) // products

	a.routes(s.echo.Group("/admin")) // the cache
}

// get mounts a page for GET and HEAD.
func (s *Server) get(path string, h echo.HandlerFunc) {
	s.echo.GET(path, h)
	s.echo.HEAD(path, h)
}
