package cache

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"example.com/communityfeed/internal/cache/breaker"
)

// A pageFlight is the one composition of a page that a process has under way and that
// waits for something. Like a fill, it belongs to none of the reads that join it.
type pageFlight struct {
	oldest   atomic.Int64 // when the tags of its oldest fragment were read, on the cache's clock
	lastJoin uint64       // the number when a read last joined it, or began it
	done     chan struct{}
	answer   answer // set before done is closed
}

// pageFlights holds the page flights that may be joined.
type pageFlights struct {
	mu    sync.Mutex
	byKey map[string]*pageFlight
}

// join returns the flight for a read to wait for, and whether it was under way. A flight is
// joined until its last look begins, and not once a fragment of it is five seconds old.
func (p *page) join(k Key) (f *pageFlight, joined bool) {
	c := p.cache
	flights := &c.pageFlights
	flights.mu.Lock()
	defer flights.mu.Unlock()
	if f := flights.byKey[k.text]; f != nil && c.now()-time.Duration(f.oldest.Load()) < maxL1Age {
		f.lastJoin = c.fence.Number()
		return f, true
	}
	f = &pageFlight{lastJoin: c.fence.Number(), done: make(chan struct{})}
	f.oldest.Store(int64(c.now()))
	if !c.spawn(func(root context.Context) { p.fly(root, f, k) }) {
		return nil, false
	}
	if flights.byKey == nil {
		flights.byKey = make(map[string]*pageFlight)
	}
	flights.byKey[k.text] = f
	return f, false
}

// fly runs a page flight to its end.
func (p *page) fly(root context.Context, f *pageFlight, k Key) {
	c := p.cache
	ctx, cancel := context.WithTimeout(root, c.o.fillLife())
	defer cancel()
	f.answer.err = errEnded
	defer func() { // also when the composition ends its goroutine
		c.pageFlights.close(k, f)
		close(f.done)
	}()
	m := &Composition{cache: c, page: p, key: k, ctx: ctx, flight: f, probe: new(breaker.Probe)}
	f.answer = m.composeSoundly()
}
