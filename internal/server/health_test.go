package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// readiness asks /readyz and leaves the latencies out.
func readiness(t *testing.T, b bare) (status int, h health) {
	t.Helper()
	r := b.ask("GET", "/readyz", "")
	if r.Header.Get("Cache-Control") != "no-store" {
		t.Error("the answer may be stored")
	}
	if err := json.Unmarshal([]byte(readAll(t, r)), &h); err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, h
}

var (
	up   = func(context.Context) error { return nil }
	down = func(context.Context) error { return errInside }
	hung = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
)

func TestReadinessNamesEachDependency(t *testing.T) {
	for _, tc := range []struct {
		name            string
		postgres, redis func(context.Context) error
		status          int
		want            health
	}{
		{"all there", up, up, 200, health{"ok", map[string]dependency{"postgres": {Status: "ok"}, "redis": {Status: "ok"}}}},
		{"no Redis", up, down, 200, health{"degraded", map[string]dependency{"postgres": {Status: "ok"}, "redis": {Status: "degraded"}}}},
		{"no Postgres", down, up, 503, health{"down", map[string]dependency{"postgres": {Status: "down"}, "redis": {Status: "ok"}}}},
		{"neither", down, down, 503, health{"down", map[string]dependency{"postgres": {Status: "down"}, "redis": {Status: "degraded"}}}},
		{"Postgres does not answer", hung, up, 503, health{"down", map[string]dependency{"postgres": {Status: "down"}, "redis": {Status: "ok"}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBare(t, Options{Checks: []Check{{"redis", false, tc.redis}, {"postgres", true, tc.postgres}}})
				b.get("/readyz", b.readyz)
				status, got := readiness(t, b)
				if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(dependency{}, "LatencyMS")); diff != "" || status != tc.status {
					t.Errorf("status %d, want %d; (-want +got):\n%s", status, tc.status, diff)
				}
			})
		})
	}
}

func TestReadinessTellsHowLongADependencyTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, Options{Checks: []Check{{"postgres", true, hung}}})
		b.get("/readyz", b.readyz)
		if _, got := readiness(t, b); got.Checks["postgres"].LatencyMS != 800 {
			t.Errorf("got %+v, want 800 ms", got)
		}
	})
}

func TestADrainingServerIsAliveAndNotReady(t *testing.T) {
	b := newBare(t, Options{Checks: []Check{{"postgres", true, up}}})
	b.get("/livez", b.livez)
	b.get("/readyz", b.readyz)
	b.draining.Store(true)
	if status, h := readiness(t, b); status != 503 || h.Status != "stopping" {
		t.Errorf("got %d %+v", status, h)
	}
	if got := b.ask("GET", "/livez", "").StatusCode; got != http.StatusOK {
		t.Errorf("/livez answers %d", got)
	}
}

func TestProbesTakeHEADAndTellNothingOfErrors(t *testing.T) {
	b := newBare(t, Options{Checks: []Check{{"postgres", true, func(context.Context) error { return errors.New("10.0.0.7") }}}})
	b.get("/readyz", b.readyz)
	if got := b.ask("HEAD", "/readyz", "").StatusCode; got != 503 {
		t.Errorf("HEAD answers %d", got)
	}
	if body := readAll(t, b.ask("GET", "/readyz", "")); body == "" || strings.Contains(body, "10.0.0.7") {
		t.Errorf("got %s", body)
	}
}
