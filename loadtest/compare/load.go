package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A load sends the traffic over a fixed number of connections, each of which asks
// again as soon as it has been answered.
type load struct {
	*site
	base        string
	conditional bool // clients remember ETags, and ask whether there is anything new

	client http.Client
	next   atomic.Int64 // into requests
	etags  [][]atomic.Pointer[string]
	bytes  atomic.Int64 // that came in, heads included
}

func newLoad(s *site, base string, connections int, conditional bool) *load {
	l := &load{site: s, base: base, conditional: conditional, etags: make([][]atomic.Pointer[string], len(s.readers))}
	for i, r := range s.readers {
		l.etags[i] = make([]atomic.Pointer[string], len(r.follows))
	}
	l.client.Transport = &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			return &countedConn{c, &l.bytes}, err
		},
		MaxIdleConnsPerHost: connections,
		DisableCompression:  true, // what the service compresses is not the question here
	}
	return l
}

// A countedConn adds up what is read.
type countedConn struct {
	net.Conn
	n *atomic.Int64
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// answers is what came of a while of load.
type answers struct {
	reads       []time.Duration // sorted
	writes      int
	notModified int
	failed      map[string]int // by what was answered instead
	took        time.Duration
}

// run goes on with the sequence for a while.
func (l *load) run(ctx context.Context, connections int, d time.Duration) answers {
	var (
		all    sync.WaitGroup
		each   = make([]answers, connections)
		began  = time.Now()
		ending = began.Add(d)
	)
	for i := range each {
		all.Go(func() {
			for time.Now().Before(ending) && ctx.Err() == nil {
				l.one(ctx, &each[i])
			}
		})
	}
	all.Wait()
	sum := answers{failed: make(map[string]int), took: time.Since(began)}
	for _, a := range each {
		sum.reads = append(sum.reads, a.reads...)
		sum.writes += a.writes
		sum.notModified += a.notModified
		for what, n := range a.failed {
			sum.failed[what] += n
		}
	}
	slices.Sort(sum.reads)
	return sum
}

// one sends the next request of the sequence.
func (l *load) one(ctx context.Context, a *answers) {
	r := l.requests[int(l.next.Add(1)-1)%len(l.requests)]
	req, err := l.request(ctx, r)
	if err != nil {
		a.fail(err.Error())
		return
	}
	began := time.Now()
	resp, err := l.client.Do(req)
	if err != nil {
		a.fail(err.Error())
		return
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	took := time.Since(began)
	switch {
	case err != nil:
		a.fail(err.Error())
	case resp.StatusCode >= http.StatusBadRequest:
		a.fail(resp.Status)
	case r.action != read:
		a.writes++
	default:
		a.reads = append(a.reads, took)
		if resp.StatusCode == http.StatusNotModified {
			a.notModified++
		} else if l.conditional {
			tag := resp.Header.Get("ETag")
			l.etags[r.reader][r.slot].Store(&tag)
		}
	}
}

func (a *answers) fail(what string) {
	if a.failed == nil {
		a.failed = make(map[string]int)
	}
	a.failed[what]++
}

// newPost is what everybody posts: about as long as what is there.
const newPost = `{"title":"Did anybody measure this?","body":"It was slow in spring, and somebody said that it is faster now. I have tried it twice on the same machine, and found no difference that I would bet on. What did you find, and how did you look?"}`

// request makes one of the sequence.
func (l *load) request(ctx context.Context, r request) (*http.Request, error) {
	method, path, body := http.MethodGet, fmt.Sprintf("/api/communities/%d/posts", l.communities[r.community]), io.Reader(nil)
	switch r.action {
	case post:
		method, body = http.MethodPost, strings.NewReader(newPost)
	case like, unlike:
		method, path = http.MethodPut, fmt.Sprintf("/api/posts/%d/like", l.posts[r.community][r.item])
		if r.action == unlike {
			method = http.MethodDelete
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, l.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header = l.headers[r.reader]
	switch etag := l.etags[r.reader][r.slot].Load(); {
	case r.action == post:
		req.Header = req.Header.Clone()
		req.Header.Set("Content-Type", "application/json")
	case r.action == read && l.conditional && etag != nil:
		req.Header = req.Header.Clone()
		req.Header.Set("If-None-Match", *etag)
	}
	return req, nil
}
