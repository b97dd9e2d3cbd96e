package main

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// A load against a service that knows one page: it fails on anything else.
func TestALoadSendsTheSequenceAndRemembersWhatItGot(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+r.URL.Path+" "+r.Header.Get("If-None-Match"))
		switch {
		case r.Method == http.MethodPost && r.Header.Get("Content-Type") != "application/json":
			w.WriteHeader(http.StatusUnsupportedMediaType)
		case r.Header.Get("If-None-Match") == `"1"`:
			w.WriteHeader(http.StatusNotModified)
		default:
			w.Header().Set("ETag", `"1"`)
		}
	}))
	defer service.Close()

	s := &site{
		traffic: traffic{
			readers:  []reader{{user: 1, follows: []int{0}}},
			requests: []request{{action: read}, {action: post}, {action: read}, {action: like, item: 1}, {action: unlike, item: 1}},
		},
		communities: []int64{12},
		posts:       [][]int64{{70, 71}},
		headers:     []http.Header{{}},
	}
	l := newLoad(s, service.URL, 1, true)
	defer l.client.CloseIdleConnections()
	var a answers
	for range s.requests {
		l.one(t.Context(), &a)
	}
	if err := failures(a.failed); err != nil {
		t.Error(err)
	}
	if len(a.reads) != 2 || a.writes != 3 || a.notModified != 1 {
		t.Errorf("%d reads, %d of them not modified, %d writes", len(a.reads), a.notModified, a.writes)
	}
	page := "/api/communities/12/posts "
	want := []string{"GET " + page, "POST " + page, "GET " + page + `"1"`, "PUT /api/posts/71/like ", "DELETE /api/posts/71/like "}
	for i := range want {
		if asked[i] != want[i] {
			t.Errorf("request %d is %q, want %q", i, asked[i], want[i])
		}
	}
	if l.bytes.Load() == 0 {
		t.Error("no bytes came in")
	}
}

// Whatever is refused is counted, and no answer is counted twice.
func TestARunCountsEveryAnswer(t *testing.T) {
	var mu sync.Mutex
	n := 0
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if n++; n%3 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer service.Close()
	s := &site{
		traffic:     traffic{readers: []reader{{user: 1, follows: []int{0}}}, requests: []request{{action: read}}},
		communities: []int64{12}, posts: [][]int64{{70}}, headers: []http.Header{{}},
	}
	l := newLoad(s, service.URL, 4, false)
	defer l.client.CloseIdleConnections()
	a := l.run(t.Context(), 4, 50*time.Millisecond)
	if refused := a.failed["503 Service Unavailable"]; n < 3 || refused != n/3 || len(a.reads) != n-n/3 {
		t.Errorf("of %d answers, %d are counted as read and %d as refused", n, len(a.reads), refused)
	}
}
