package cachehttp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
)

const (
	rounds  = 34
	callers = 40 // of each round; the even ones ask for one page, each odd one for a page of its own
)

// When a caller leaves: caller i of a round at i/2 modulo 4.
const (
	onTheWay  = iota // while the request is on its way, if it arrives at all
	loading          // while the page is loaded
	released         // while the load ends, before the answer or during it or after it
	answering        // with the answer begun and unread
)

// A round is a number of callers of pages that are loaded when the gate opens.
type round struct {
	gate          chan struct{}
	arrived, left [callers]chan struct{} // closed when a caller's request has reached, and has left, the cached route
	mu            sync.Mutex
	loads         map[string]int
}

func newRound() *round {
	r := &round{gate: make(chan struct{}), loads: map[string]int{}}
	for i := range callers {
		r.arrived[i], r.left[i] = make(chan struct{}), make(chan struct{})
	}
	return r
}

// yard serves the pages of all rounds over real connections.
type yard struct {
	t      *testing.T
	rounds []*round
	url    string
	client *http.Client

	mu   sync.Mutex
	gone int // callers that have left
}

// Pages are numbered by round and caller.
func pageOf(round, caller int) string {
	if caller%2 == 0 {
		caller = 0
	}
	return strconv.Itoa((round+1)*callers + caller)
}

func (y *yard) roundOf(page string) *round {
	n, err := strconv.Atoi(page)
	if err != nil {
		y.t.Error(err)
	}
	return y.rounds[n/callers-1]
}

// bodyOf is more than goes out in one piece.
func bodyOf(page string) []byte { return bytes.Repeat([]byte(page+" "), 64<<10/(len(page)+1)) }

// load is the cached handler.
func (y *yard) load(c echo.Context) error {
	page, ctx := c.Param("id"), c.Request().Context()
	r := y.roundOf(page)
	r.mu.Lock()
	r.loads[page]++
	r.mu.Unlock()
	<-r.gate
	if err := ctx.Err(); err != nil {
		y.t.Errorf("the load of page %s ended with somebody else: %v", page, err)
	}
	return c.Blob(http.StatusOK, "text/plain", bodyOf(page))
}

// watch tells the round when the request of a caller arrives and leaves.
func (y *yard) watch(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if i, err := strconv.Atoi(c.Request().Header.Get("X-Caller")); err == nil {
			r := y.roundOf(c.Param("id"))
			close(r.arrived[i])
			defer close(r.left[i])
		}
		return next(c)
	}
}

// ask asks for a page. caller is "" for one that stays.
func (y *yard) ask(ctx context.Context, page, caller string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, y.url+"/api/things/"+page, nil)
	if err != nil {
		y.t.Fatal(err)
	}
	if caller != "" {
		req.Header.Set("X-Caller", caller)
	}
	return y.client.Do(req)
}

// call is a caller from the request to its leaving.
func (y *yard) call(n, i int) {
	r, page := y.rounds[n], pageOf(n, i)
	ctx, leave := context.WithCancel(y.t.Context())
	defer leave()
	var when sync.WaitGroup
	defer when.Wait()
	when.Go(func() {
		switch i / 2 % 4 {
		case onTheWay:
			leave()
		case loading:
			<-r.arrived[i]
			leave()
		case released:
			<-r.gate
			leave()
		}
	})
	answer, err := y.ask(ctx, page, strconv.Itoa(i))
	if err == nil {
		defer answer.Body.Close()
		var body []byte
		if i/2%4 == answering {
			leave()
			err = ctx.Err()
		} else if body, err = io.ReadAll(answer.Body); err == nil && !bytes.Equal(body, bodyOf(page)) {
			y.t.Errorf("a caller who stayed got %d bytes, not page %s", len(body), page)
		}
	}
	switch {
	case errors.Is(err, context.Canceled):
		y.mu.Lock()
		y.gone++
		y.mu.Unlock()
	case err != nil:
		y.t.Errorf("page %s: %v", page, err)
	}
}

// play has the callers of a round come and go, and then looks at what they have left.
func (y *yard) play(n int) {
	r := y.rounds[n]
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() { y.call(n, i) })
	}
	for i := range callers {
		switch i / 2 % 4 {
		case loading:
			y.await(r.left[i], "a caller who has left is still waiting for the load") // the gate is shut
		case released, answering:
			y.await(r.arrived[i], "a request does not arrive")
		}
	}
	close(r.gate)
	all.Wait()
	for i := range callers {
		page := pageOf(n, i)
		for _, outcome := range []string{"", "HIT"} { // the first may still join the load
			answer, err := y.ask(y.t.Context(), page, "")
			if err != nil {
				y.t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			if err != nil || !bytes.Equal(body, bodyOf(page)) {
				y.t.Fatalf("page %s: %d bytes, %v", page, len(body), err)
			}
			if got := answer.Header.Get(cachehttp.HeaderCache); outcome != "" && got != outcome {
				y.t.Errorf("page %s is a %s, want %s", page, got, outcome)
			}
			if err := answer.Body.Close(); err != nil {
				y.t.Error(err)
			}
			if i%2 == 0 && i > 0 {
				break // the page that many ask for is looked at once
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for page, loads := range r.loads {
		if loads != 1 {
			y.t.Errorf("page %s was loaded %d times", page, loads)
		}
	}
}

// await fails when something does not happen for a long time.
func (y *yard) await(happened <-chan struct{}, otherwise string) {
	y.t.Helper()
	select {
	case <-happened:
	case <-time.After(20 * time.Second):
		y.t.Fatal(otherwise)
	}
}

// A caller who disconnects neither ends the load that others wait for, or that nobody
// waits for any more, nor gets in its way; and leaves nothing behind.
func TestCallersWhoDisconnectLeaveTheLoadAlone(t *testing.T) {
	before := goleak.IgnoreCurrent()
	y := &yard{t: t, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	for range rounds {
		y.rounds = append(y.rounds, newRound())
	}
	e, c := echo.New(), cache.New(nil, cache.Options{LoadTimeout: time.Minute})
	cachehttp.New(e, c).GET(e.Group("/api", y.watch), "/things/:id", peeked, y.load)
	server := httptest.NewServer(e)
	y.url = server.URL
	for n := range rounds {
		y.play(n)
	}
	if y.gone < 1000 {
		t.Errorf("only %d of %d callers have left early", y.gone, rounds*callers)
	}
	stats := c.Stats().Keys[fmt.Sprintf("%s/%d", peeked.Name, peeked.Version)]
	if stats.Loads == 0 || stats.Fenced > 0 {
		t.Errorf("%+v", stats)
	}
	t.Logf("%d callers, %d of them left early; %d loads, %d callers joined one", rounds*callers, y.gone, stats.Loads, stats.Joined)
	server.Close()
	c.Close()
	goleak.VerifyNone(t, before)
}
