package server

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/identity"
)

// A passage is a request on its way through the server: Echo's context, since when, and
// who asks.
//
// The caller belongs on the request's context, where everything below finds them. But
// to put something there is to copy the request, and a hit looks at neither: it costs 3 %
// more with the copy. So the copy is made for the first handler that asks for the
// request, and cachehttp, which answers hits, takes both from Asked.
type passage struct {
	echo.Context
	began  time.Time
	caller identity.Caller
	opened bool      // the caller is on the request's context
	id     [1]string // the request's, as net/http keeps header values
}

// Else each hit would copy its request, and no test would fail.
var _ cachehttp.Asked = (*passage)(nil)

// Request returns the request, with the caller on its context.
func (p *passage) Request() *http.Request {
	r := p.Context.Request()
	if !p.opened {
		p.opened = true
		r = r.WithContext(identity.With(r.Context(), p.caller))
		p.SetRequest(r)
	}
	return r
}

// Asked returns the request as it came, and who asks: see cachehttp.Asked.
func (p *passage) Asked() (*http.Request, identity.Caller) { return p.Context.Request(), p.caller }
