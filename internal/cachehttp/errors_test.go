package cachehttp_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/identity"
)

func TestAFailedLoadNamesItsKey(t *testing.T) {
	broken := errors.New("broken")
	who := as(identity.NewCaller(42, "", "de", false))
	for _, how := range []*cache.Options{inCache, off} {
		for kind, e := range map[string]*echo.Echo{
			"response": mount(t, how, declared(), who, func(echo.Context) error { return broken }),
			"page":     mountPage(t, how, declared(), who, func(p *cachehttp.Composing) any { return failing{broken} }),
		} {
			var failed error
			e.HTTPErrorHandler = func(err error, c echo.Context) { failed = err; _ = c.NoContent(http.StatusTeapot) }
			e.ServeHTTP(httptest.NewRecorder(), sent(func(r *http.Request) { r.URL.RawQuery = "q=a%26b: c" }))
			const want = "declared/1|id=12|user=42|locale=de|feed_v2=0|limit=20|q=a&b:%20c|page=1|after=: "
			rest := map[string]string{
				"response": "broken",
				"page":     "what the page returns is not JSON: json: error calling MarshalJSON for type cachehttp_test.failing: broken",
			}[kind]
			if !errors.Is(failed, broken) || failed.Error() != want+rest {
				t.Errorf("a %s: got  %v\nwant %s%s", kind, failed, want, rest)
			}
		}
	}
}

// failing is what cannot be made JSON.
type failing struct{ err error }

func (f failing) MarshalJSON() ([]byte, error) { return nil, f.err }
