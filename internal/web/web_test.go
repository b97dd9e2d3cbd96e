package web_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"example.com/communityfeed/internal/web"
)

func get(t *testing.T, header, value string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if header != "" {
		r.Header.Set(header, value)
	}
	w := httptest.NewRecorder()
	web.Handler().ServeHTTP(w, r)
	return w
}

func TestThePageIsWholeAndFetchesNothing(t *testing.T) {
	w := get(t, "", "")
	page := w.Body.String()
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Errorf("status %d, Content-Type %q", w.Code, w.Header().Get("Content-Type"))
	}
	if !strings.Contains(page, ":root {") || strings.Contains(page, "style.css") {
		t.Error("the style is not in the page")
	}
	if found := regexp.MustCompile(`<(link|script|img|iframe)\b|@import|url\(`).FindAllString(page, -1); found != nil {
		t.Errorf("the page fetches something: %q", found)
	}
}

func TestThePageIsNotSentAgain(t *testing.T) {
	etag := get(t, "", "").Header().Get("ETag")
	if w := get(t, "If-None-Match", etag); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("with If-None-Match %s: status %d, %d bytes", etag, w.Code, w.Body.Len())
	}
}
