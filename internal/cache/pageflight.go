package cache

import (
	"sync"
	"sync/atomic"
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

// close keeps reads from joining the flight, and returns the number when one last did.
func (p *pageFlights) close(k Key, f *pageFlight) (joined uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byKey[k.text] == f { // else a younger one has taken its place
		delete(p.byKey, k.text)
	}
	return f.lastJoin
}
