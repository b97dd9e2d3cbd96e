package cachehttp_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/identity"
)

func TestAFailedLoadNamesItsKey(t *testing.T) {
	broken := errors.New("broken")
	for _, how := range []*cache.Options{inCache, off} {
		e := mount(t, how, declared(), as(identity.NewCaller(42, "", "de", false)), func(echo.Context) error { return broken })
		var failed error
		e.HTTPErrorHandler = func(err error, c echo.Context) { failed = err; _ = c.NoContent(http.StatusTeapot) }
		e.ServeHTTP(httptest.NewRecorder(), sent(func(r *http.Request) { r.URL.RawQuery = "q=a%26b: c" }))
		const want = "declared/1|id=12|user=42|locale=de|feed_v2=0|limit=20|q=a&b:%20c|page=1|after=: broken"
		if !errors.Is(failed, broken) || failed.Error() != want {
			t.Errorf("got  %v\nwant %s", failed, want)
		}
	}
}
