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

// A load sends the traffic to processes of one service, which take turns.
type load struct {
	*site
	bases       []string
	conditional bool // clients remember ETags, and ask whether there is anything new

	client http.Client
	next   atomic.Int64 // into requests
	etags  [][]atomic.Pointer[string]
	bytes  atomic.Int64 // that came in, heads included
}

// newLoad makes a load that keeps so many connections to each process when they are idle.
func newLoad(s *site, bases []string, connections int, conditional bool) *load {
	l := &load{site: s, bases: bases, conditional: conditional, etags: make([][]atomic.Pointer[string], len(s.readers))}
	for i, r := range s.readers {
		l.etags[i] = make([]atomic.Pointer[string], len(r.follows))
	}
	l.client.Timeout = 30 * time.Second
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
	reads       []time.Duration // sorted, as are writes
	writes      []time.Duration
	outcomes    map[string]int // of reads, by X-Cache
	notModified int
	failed      map[string]int // by what was answered instead
	took        time.Duration
}

// closed goes on with the sequence for a while, over connections each of which asks
// again as soon as it has been answered.
func (l *load) closed(ctx context.Context, connections int, d time.Duration) answers {
	var (
		all    sync.WaitGroup
		each   = make([]answers, connections)
		began  = time.Now()
		ending = began.Add(d)
	)
	for i := range each {
		all.Go(func() {
			for time.Now().Before(ending) && ctx.Err() == nil {
				l.one(ctx, &each[i], time.Now())
			}
		})
	}
	all.Wait()
	return sum(each, time.Since(began))
}

// open goes on with the sequence for a while, at a rate that does not depend on the
// answers. A request that begins late has waited since it was due.
func (l *load) open(ctx context.Context, rate float64, d time.Duration) answers {
	var (
		all   sync.WaitGroup
		each  = make([]answers, int(rate*d.Seconds()))
		began = time.Now()
		clock = time.NewTimer(0)
	)
	defer clock.Stop()
	for i := range each {
		due := began.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		clock.Reset(time.Until(due))
		select {
		case <-clock.C:
		case <-ctx.Done():
			each[i].fail(ctx.Err().Error())
			continue
		}
		all.Go(func() { l.one(ctx, &each[i], due) })
	}
	all.Wait()
	return sum(each, time.Since(began))
}

func sum(each []answers, took time.Duration) answers {
	all := answers{outcomes: make(map[string]int), failed: make(map[string]int), took: took}
	for _, a := range each {
		all.reads = append(all.reads, a.reads...)
		all.writes = append(all.writes, a.writes...)
		all.notModified += a.notModified
		for what, n := range a.outcomes {
			all.outcomes[what] += n
		}
		for what, n := range a.failed {
			all.failed[what] += n
		}
	}
	slices.Sort(all.reads)
	slices.Sort(all.writes)
	return all
}

// one sends the next request of the sequence, which was due at a time.
func (l *load) one(ctx context.Context, a *answers, due time.Time) {
	n := int(l.next.Add(1) - 1)
	r := l.requests[n%len(l.requests)]
	req, err := l.request(ctx, r, l.bases[n%len(l.bases)])
	if err != nil {
		a.fail(err.Error())
		return
	}
	resp, err := l.client.Do(req)
	if err != nil {
		a.fail(err.Error())
		return
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	took := time.Since(due)
	switch {
	case err != nil:
		a.fail(err.Error())
	case resp.StatusCode >= http.StatusBadRequest:
		a.fail(resp.Status)
	case r.action != read:
		a.writes = append(a.writes, took)
	default:
		a.reads = append(a.reads, took)
		count(&a.outcomes, resp.Header.Get("X-Cache"))
		if resp.StatusCode == http.StatusNotModified {
			a.notModified++
		} else if l.conditional {
			tag := resp.Header.Get("ETag")
			l.etags[r.reader][r.slot].Store(&tag)
		}
	}
}

func (a *answers) fail(what string) { count(&a.failed, what) }

func count(into *map[string]int, what string) {
	if *into == nil {
		*into = make(map[string]int)
	}
	(*into)[what]++
}

// newPost is what everybody posts: about as long as what is there.
const newPost = `{"title":"Did anybody measure this?","body":"It was slow in spring, and somebody said that it is faster now. I have tried it twice on the same machine, and found no difference that I would bet on. What did you find, and how did you look?"}`

// request makes one of the sequence.
func (l *load) request(ctx context.Context, r request, base string) (*http.Request, error) {
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
	req, err := http.NewRequestWithContext(ctx, method, base+path, body)
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
