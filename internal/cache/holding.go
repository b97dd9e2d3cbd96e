package cache

import (
	"sync"
	"time"
)

// holdings are the leases that this process has, by key.
//
// A write makes the fill under way useless: what it has read is from before, and is
// stored under ids that have gone. Whoever reads after the write does not join its
// flight, but without its lease would have to wait for it all the same:
//
//  1. A flight has the lease of a key, and loads.
//  2. A write moves its tag and is answered.
//  3. Its author reads, begins a flight of their own, and is refused the lease.
//  4. The first flight's load ends, and its store.
//  5. The author finds a changed entry, gets the lease, and loads.
//
// So a lease is taken from a fill of this process that does not count any more: the
// author loads at step 3. The first fill then stores nothing, as with any lease that
// was lost. It is also taken from nobody: a lease that was given after its caller had
// stopped listening, or could not be given back, would keep the key locked for the rest
// of its life.
type holdings struct {
	mu    sync.Mutex
	byKey map[string]holding
}

type holding struct {
	token     string
	snap      snapshot
	abandoned bool
}

// hold notes under which snapshot a lease is used, or is going to be.
func (h *holdings) hold(l *lease, snap snapshot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.put(l.key, holding{token: l.token, snap: snap})
}

// abandon notes that a lease may be left although nobody needs it.
func (h *holdings) abandon(l *lease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if held, ok := h.byKey[l.key]; !ok || held.token == l.token {
		h.put(l.key, holding{token: l.token, abandoned: true})
		time.AfterFunc(leaseLife, func() { h.drop(l) })
	}
}

func (h *holdings) put(key string, held holding) {
	if h.byKey == nil {
		h.byKey = make(map[string]holding)
	}
	h.byKey[key] = held
}

// drop notes that the lease has come to its end.
func (h *holdings) drop(l *lease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byKey[l.key].token == l.token { // else another one has taken it
		delete(h.byKey, l.key)
	}
}

// useless returns the token of a lease that is of no use to who has it, or "".
func (h *holdings) useless(key string, heard *heard) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if held, ok := h.byKey[key]; ok && (held.abandoned || !heard.counts(&held.snap)) {
		return held.token
	}
	return ""
}
