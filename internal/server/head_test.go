package server

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// RFC 9110 9.3.2: HEAD is GET without the content. The routes are those that the
// server has mounted, so a new one is tested without being named here; one that
// cannot be asked for with the numbers of this test fails until it can.
func TestHeadIsGetWithoutContentOnEveryRoute(t *testing.T) {
	c := newContract(t)
	c.scene(t) // number 1 of everything
	cached := 0
	for _, route := range c.echo.Routes() {
		if route.Method != http.MethodGet || strings.HasPrefix(route.Path, "/admin/") {
			continue // of the cache's entries there is no HEAD: see the test of the route map
		}
		path := regexp.MustCompile(`:\w+`).ReplaceAllString(route.Path, "1")
		for _, header := range [][]string{
			{"Accept-Encoding: "},
			{"Accept-Encoding: gzip"},
			{"Accept-Encoding: gzip, deflate, br, zstd"},
			{"Accept-Encoding: gzip", "If-None-Match: *"},
			{"Accept-Encoding: gzip", `If-Match: "x"`},
			{"Accept-Encoding: br", "Accept-Language: de", "X-FF-Feed-V2: 1"},
		} {
			t.Run(route.Path+" "+strings.Join(header, ", "), func(t *testing.T) {
				first, content := c.send(t, http.MethodGet, path, "ada", "", header...)
				if first.StatusCode >= 400 && len(header) == 1 {
					t.Fatalf("GET %s: %d %s", path, first.StatusCode, content)
				}
				get, _ := c.send(t, http.MethodGet, path, "ada", "", header...) // from the cache, as HEAD will be
				head, content := c.send(t, http.MethodHead, path, "ada", "", header...)
				if content != "" {
					t.Errorf("HEAD has content: %q", content)
				}
				if get.StatusCode != head.StatusCode {
					t.Errorf("GET is answered %d, HEAD %d", get.StatusCode, head.StatusCode)
				}
				if get.Header.Get("X-Cache") != "" {
					cached++
				}
				if diff := cmp.Diff(lasting(get), lasting(head)); diff != "" {
					t.Errorf("(-GET +HEAD):\n%s", diff)
				}
			})
		}
	}
	if cached < 6*5 {
		t.Errorf("only %d of the answers came through the cache", cached)
	}
}

// lasting is the header of an answer without what no two requests have in common: the
// time, the request's own id, and how many seconds of freshness are left.
func lasting(r *http.Response) http.Header {
	h := r.Header.Clone()
	h.Del("Date")
	h.Del("X-Request-Id")
	if status := h.Get("Cache-Status"); status != "" {
		h.Set("Cache-Status", regexp.MustCompile(`ttl=\d+`).ReplaceAllString(status, "ttl=n"))
	}
	// What is not stored is measured as it is sent, and of HEAD there is nothing to
	// measure (8.6 lets it out).
	if h.Get("X-Cache") == "" {
		h.Del("Content-Length")
	}
	return h
}
