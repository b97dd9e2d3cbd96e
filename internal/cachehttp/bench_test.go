package cachehttp

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/identity"
)

// BenchmarkHit is what the package and Echo cost a request that L1 answers, without
// a network: a page of 8 KB, whole and as a 304, to the clients that there are.
func BenchmarkHit(b *testing.B) {
	body := feedLike(8 << 10)
	e := echo.New()
	c := cache.New(nil, cache.Options{})
	defer c.Close()
	New(e, c).GET(e.Group("/api"), "/things/:id", things, func(c echo.Context) error {
		return c.JSONBlob(http.StatusOK, body)
	})
	for _, client := range []struct{ name, accepts string }{
		{"plain", ""}, {"go", "gzip"}, {"chrome", "gzip, deflate, br, zstd"}, {"weighted", "zstd;q=0.5, gzip;q=0.8, *;q=0.1"},
	} {
		for _, conditional := range []bool{false, true} {
			r := httptest.NewRequest(http.MethodGet, "/api/things/12", nil)
			r = r.WithContext(identity.With(r.Context(), ada))
			if client.accepts != "" {
				r.Header.Set("Accept-Encoding", client.accepts)
			}
			rec := httptest.NewRecorder()
			e.ServeHTTP(rec, r)
			want := http.StatusOK
			if conditional {
				r.Header.Set("If-None-Match", rec.Header().Get("Etag"))
				want = http.StatusNotModified
			}
			b.Run(fmt.Sprintf("%s/%d", client.name, want), func(b *testing.B) {
				w := &discarding{header: http.Header{}}
				b.ReportAllocs()
				for b.Loop() {
					clear(w.header)
					if e.ServeHTTP(w, r); w.status != want {
						b.Fatal(w.status)
					}
				}
			})
		}
	}
}

// feedLike is JSON as a feed page has it, of about so many bytes.
func feedLike(size int) []byte {
	b := []byte(`{"viewer":42,"community":12,"locale":"de","order":"ranked","items":[`)
	words := []string{"harbour", "bread", "morning", "garden", "the", "of", "and", "recipe", "question", "about", "who", "rain", "market", "old", "some"}
	for i := uint32(1); len(b) < size-100; i++ {
		b = fmt.Appendf(b, `{"id":%d,"title":"`, 9000+i)
		for n := i * 2654435761; n > 7; n /= 7 {
			b = append(append(b, words[n%uint32(len(words))]...), ' ')
		}
		b = fmt.Appendf(b, `","body":"`)
		for n := i * 40503 * 65537; n > 2; n /= 2 {
			b = append(append(b, words[n%uint32(len(words))]...), ' ')
		}
		b = fmt.Appendf(b, `","locale":"de","author":{"id":%d,"name":"Ada"},"likes":%d,"likedByMe":false,"createdAt":"2026-11-21T10:%02d:%02dZ","version":3},`, i*7919%500, i*31%97, i%60, i*17%60)
	}
	return append(b[:len(b)-1], `],"next":null}`...)
}

// discarding is a ResponseWriter that costs nothing.
type discarding struct {
	header http.Header
	status int
}

func (d *discarding) Header() http.Header         { return d.header }
func (d *discarding) Write(p []byte) (int, error) { return len(p), nil }
func (d *discarding) WriteHeader(status int)      { d.status = status }
