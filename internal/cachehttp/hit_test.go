package cachehttp

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/identity"
)

// decoded undoes a content coding.
func decoded(t *testing.T, coding string, body []byte) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(body)
	var err error
	switch coding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "zstd":
		var d *zstd.Decoder
		d, err = zstd.NewReader(r)
		t.Cleanup(d.Close)
		r = d
	}
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// Each variant says what it is, and comes to the same.
func TestVariantsAreTheSameInOtherBytes(t *testing.T) {
	for name, c := range map[string]struct {
		kind   string
		body   []byte
		coded  bool
		reason string
	}{
		"a page":          {"application/json", feedLike(8 << 10), true, ""},
		"a problem":       {"application/problem+json; charset=utf-8", feedLike(8 << 10), true, ""},
		"text":            {"Text/CSV", feedLike(8 << 10), true, ""},
		"just over 1 KiB": {"application/json", feedLike(2000)[:1025], true, ""},
		"1 KiB":           {"application/json", feedLike(2000)[:1024], false, "there is little to win"},
		"bytes":           {"application/octet-stream", feedLike(8 << 10), false, "its type does not say that it is text"},
		"a picture":       {"image/png", feedLike(8 << 10), false, "its type does not say that it is text"},
		"noise":           {"application/json", noise(4 << 10), true, "type and length decide, not what becomes of it"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, things, cache.Options{}, func(ec echo.Context) error { return ec.Blob(http.StatusOK, c.kind, c.body) })
			tags := map[string]bool{}
			for _, coding := range []string{"", "gzip", "zstd"} {
				rec := s.get(http.MethodGet, "/api/things/1", ada, "Accept-Encoding: "+coding)
				got := rec.Header().Get("Content-Encoding")
				if want := c.coded && coding != ""; (got == coding) != (want || coding == "") {
					t.Fatalf("%q is sent as %q (%s)", coding, got, c.reason)
				}
				if !bytes.Equal(decoded(t, got, rec.Body.Bytes()), c.body) {
					t.Errorf("%q decodes to something else", got)
				}
				if got != "" && name != "noise" && rec.Body.Len() >= len(c.body) {
					t.Errorf("%q takes %d bytes instead of %d", got, rec.Body.Len(), len(c.body))
				}
				if tag := rec.Header().Get("Etag"); got != "" && (tags[tag] || !strings.HasSuffix(tag, "-"+got+`"`)) {
					t.Errorf("%q has the tag %s", got, tag)
				} else {
					tags[tag] = true
				}
			}
		})
	}
}

// noise is what no coding makes smaller.
func noise(n int) []byte {
	b := make([]byte, n)
	x := uint64(88172645463325252)
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}

// clients are the Accept-Encoding headers of those who come by often, of one who
// does not, and of one who sends it in two lines.
var clients = [][]string{
	nil, {""}, {"gzip"}, {"gzip, deflate, br"}, {"gzip, deflate, br, zstd"},
	{"identity;q=0.5, *;q=0.1, zstd;q=0.25"}, {"br;q=1.0", "gzip;q=0.8"},
}

// A hit looks nothing up, makes nothing and compresses nothing, whoever asks.
func TestAHitAllocatesAndCompressesNothing(t *testing.T) {
	body := feedLike(8 << 10)
	for name, mount := range map[string]func(*Cached, *echo.Group, *cache.Cache){
		"response": func(m *Cached, g *echo.Group, _ *cache.Cache) {
			m.GET(g, "/things/:id", things, func(c echo.Context) error { return c.JSONBlob(http.StatusOK, body) })
		},
		"page": func(m *Cached, g *echo.Group, c *cache.Cache) {
			thing, _ := newFragments(c)
			p := Page{Name: "things", Version: 1, Body: json.RawMessage{}, Path: things.Path, Query: things.Query, Identity: things.Identity, CacheControl: "private"}
			m.Page(g, "/things/:id", p, func(p *Composing) (any, error) {
				_, err := thing.Want(p.Composition, p.Param("id")).Get()
				return json.RawMessage(body), err
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, cached := bareSite(t, cache.Options{})
			mount(cached, s.echo.Group("/api"), s.cache)
			s.hits(cached)
		})
	}
}

func (s *site) hits(cached *Cached) {
	t, e, compressor := s.t, s.echo, cached.compressor
	w := &discarding{header: http.Header{}}
	for _, accepts := range clients {
		for _, conditional := range []string{"", "*", `"x", W/"y"`} {
			r := httptest.NewRequest(http.MethodGet, "/api/things/12", nil)
			r = r.WithContext(identity.With(r.Context(), ada))
			r.Header["Accept-Encoding"] = accepts
			if conditional != "" {
				r.Header.Set("If-None-Match", conditional)
			}
			ctx := e.NewContext(r, w)
			e.Router().Find(r.Method, r.URL.Path, ctx)
			serve := ctx.Handler()
			hit := func() {
				clear(w.header)
				ctx.Response().Committed = false
				if err := serve(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if conditional == "" {
				cached.compressor = compressor
				hit() // the first of all is a miss, and the first in a coding makes it
			}
			cached.compressor = nil
			if n := testing.AllocsPerRun(100, hit); n >= 1 {
				t.Errorf("Accept-Encoding %q, If-None-Match %q: %v allocations", accepts, conditional, n)
			}
			if got := w.header.Get(HeaderCache); got != "HIT" {
				t.Errorf("%s", got)
			}
		}
	}
}
