package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/report"
)

const secret = "a secret that is used in this test and nowhere else"

// A crowd before a service that shows everybody their own page, once there is a post.
func TestEveryoneInACrowdReadsTheirOwnPageOnce(t *testing.T) {
	verifier, err := identity.NewVerifier(secret, identity.VerifierOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var reads atomic.Int64
	var posted atomic.Value
	posted.Store("")
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _, err := verifier.Verify(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), time.Now())
		switch {
		case err != nil:
			w.WriteHeader(http.StatusUnauthorized)
		case r.Method == http.MethodPost:
			posted.Store("Something new")
			w.WriteHeader(http.StatusCreated)
		default:
			reads.Add(1)
			fmt.Fprintf(w, `{"viewer":%s,"title":%q}`, who, posted.Load())
		}
	}))
	defer service.Close()

	c, err := newCrowd(service.URL, secret, 12, 50, 8)
	if err != nil {
		t.Fatal(err)
	}
	defer c.client.CloseIdleConnections()
	r, err := c.read(t.Context(), 10*time.Millisecond, "")
	if err != nil || len(r.times) != 50 || reads.Load() != 50 {
		t.Fatalf("%d times, %d reads, error %v", len(r.times), reads.Load(), err)
	}
	if _, err := c.read(t.Context(), 0, "Something new"); err == nil {
		t.Error("nobody notices that the post is not there")
	}
	if err := c.post(t.Context(), "Something new"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.read(t.Context(), 0, "Something new"); err != nil {
		t.Error(err)
	}
}

func TestAnotherUsersPageIsNoticed(t *testing.T) {
	if err := check(`{"viewer":42,"items":[{"title":"New"}]}`, 42, "New"); err != nil {
		t.Error(err)
	}
	for _, body := range []string{`{"viewer":43,"items":[{"title":"New"}]}`, `{"viewer":42,"items":[]}`, ``} {
		if check(body, 42, "New") == nil {
			t.Errorf("%q passes", body)
		}
	}
}

func TestTheTableHasAColumnForEveryKeyThatWasLoaded(t *testing.T) {
	times := []time.Duration{time.Millisecond, 2 * time.Millisecond}
	all := storms{
		{what: "the first read", reading: reading{times, time.Second}, queries: 3, loads: map[string]float64{"feed.reader/2": 2, "feed.shared/4": 1}},
		{what: "after post 1", reading: reading{times, time.Second}, queries: 1, slow: 4, loads: map[string]float64{"feed.shared/4": 1}},
	}
	want := report.Table{
		{"", "queries", "for each user", "loads of feed.reader/2", "loads of feed.shared/4", "Redis given up", "p50", "p99", "all have it after"},
		{"the first read", "3", "1.50", "2", "1", "0", "2 ms", "2 ms", "1,000 ms"},
		{"after post 1", "1", "0.500", "0", "1", "4", "2 ms", "2 ms", "1,000 ms"},
	}
	if diff := cmp.Diff(want, all.table()); diff != "" {
		t.Error(diff)
	}
}
