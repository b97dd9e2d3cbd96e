package server

import (
	"bytes"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/telemetry"
)

// BenchmarkMiddleware compares a bare Echo with ours in front of the same
// handler: the difference is what the middleware costs each request.
func BenchmarkMiddleware(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 8<<10)
	handler := func(c echo.Context) error {
		c.Response().Header()["X-Cache"] = []string{"HIT"}
		return c.Blob(http.StatusOK, "application/json", body)
	}
	verifier, err := identity.NewVerifier(secret, identity.VerifierOptions{})
	if err != nil {
		b.Fatal(err)
	}
	token, err := identity.Sign(secret, 42, "", time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	ours := newServer(log, verifier, events.NewBus(log), telemetry.NewMetrics(), Options{}).echo
	for name, e := range map[string]*echo.Echo{"bare": echo.New(), "ours": ours} {
		e.GET("/api/communities/:id/posts", handler)
		b.Run(name, func(b *testing.B) {
			r, err := http.NewRequest("GET", "/api/communities/12/posts", http.NoBody)
			if err != nil {
				b.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Accept-Language", "de-AT, de;q=0.9, en;q=0.5")
			w := &discarding{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				e.ServeHTTP(w, r)
			}
		})
	}
}

// discarding is a ResponseWriter that costs nothing.
type discarding struct{ header http.Header }

func (d *discarding) Header() http.Header         { return d.header }
func (d *discarding) Write(p []byte) (int, error) { return len(p), nil }
func (d *discarding) WriteHeader(int)             {}
