package server

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/identity"
)

func TestAPassageTellsTheCallerEitherWay(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/api/posts/1", nil)
	p := &passage{Context: echo.New().NewContext(r, httptest.NewRecorder()), caller: identity.NewCaller(42, "", "de", true)}
	if asked, who := p.Asked(); asked != r || who.User() != 42 {
		t.Errorf("asked: %p by user %s, want %p by 42", asked, who.User(), r)
	}
	first := p.Request()
	if who := identity.From(first.Context()); who.User() != 42 || who.Locale() != "de" {
		t.Errorf("on the context: user %s", who.User())
	}
	if again := p.Request(); again != first {
		t.Error("the request is copied each time that it is asked for")
	}
	if asked, who := p.Asked(); asked != first || who.User() != 42 {
		t.Errorf("asked after that: %p by user %s, want %p by 42", asked, who.User(), first)
	}
}
