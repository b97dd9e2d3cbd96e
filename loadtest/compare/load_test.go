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
	l := newLoad(s, []string{service.URL}, 1, true)
	defer l.client.CloseIdleConnections()
	var a answers
	for range s.requests {
		l.one(t.Context(), &a, time.Now())
	}
	if err := failures(a.failed); err != nil {
		t.Error(err)
	}
	if len(a.reads) != 2 || len(a.writes) != 3 || a.notModified != 1 {
		t.Errorf("%d reads, %d of them not modified, %d writes", len(a.reads), a.notModified, len(a.writes))
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
	l := newLoad(s, []string{service.URL}, 4, false)
	defer l.client.CloseIdleConnections()
	a := l.closed(t.Context(), 4, 50*time.Millisecond)
	if refused := a.failed["503 Service Unavailable"]; n < 3 || refused != n/3 || len(a.reads) != n-n/3 {
		t.Errorf("of %d answers, %d are counted as read and %d as refused", n, len(a.reads), refused)
	}
}

// At a rate, the requests of a while are as many as they are to be, also if answers are
// slow, and every second one is for the second process.
func TestAnOpenLoadSendsAtItsRateToAllProcessesInTurn(t *testing.T) {
	const rate, while = 200, 250 * time.Millisecond
	var mu sync.Mutex
	var under sync.WaitGroup // all requests are there before any is answered
	under.Add(rate / 4)
	asked := make(map[string][]time.Time)
	service := func(how string) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			asked[how] = append(asked[how], time.Now())
			mu.Unlock()
			under.Done()
			under.Wait()
			w.Header().Set("X-Cache", how)
		}))
	}
	one, two := service("HIT"), service("MISS")
	defer one.Close()
	defer two.Close()
	s := &site{
		traffic:     traffic{readers: []reader{{user: 1, follows: []int{0}}}, requests: []request{{action: read}}},
		communities: []int64{12}, posts: [][]int64{{70}}, headers: []http.Header{{}},
	}
	l := newLoad(s, []string{one.URL, two.URL}, rate, false)
	defer l.client.CloseIdleConnections()
	began := time.Now()
	a := l.open(t.Context(), rate, while)
	if err := failures(a.failed); err != nil {
		t.Fatal(err)
	}
	if len(a.reads) != 50 || a.outcomes["HIT"] != 25 || a.outcomes["MISS"] != 25 {
		t.Errorf("%d answers, of which %v", len(a.reads), a.outcomes)
	}
	for how, times := range asked {
		// The nth request of a process is not sent before its time.
		if last := times[len(times)-1].Sub(began); last < while-2*time.Second/rate {
			t.Errorf("the last request to %s is sent after %v", how, last)
		}
	}
	// The first waited for the last, and the last for nothing.
	if longest := a.reads[len(a.reads)-1]; longest < while-2*time.Second/rate {
		t.Errorf("the longest answer took %v", longest)
	}
}

// What could not begin in time has waited since it was due.
func TestARequestIsAsOldAsItsTurn(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer service.Close()
	s := &site{
		traffic:     traffic{readers: []reader{{user: 1, follows: []int{0}}}, requests: []request{{action: post}}},
		communities: []int64{12}, posts: [][]int64{{70}}, headers: []http.Header{{}},
	}
	l := newLoad(s, []string{service.URL}, 1, false)
	defer l.client.CloseIdleConnections()
	var a answers
	l.one(t.Context(), &a, time.Now().Add(-time.Second))
	if len(a.writes) != 1 || a.writes[0] < time.Second {
		t.Errorf("the write took %v (%v)", a.writes, a.failed)
	}
}
