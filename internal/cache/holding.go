package cache

import "sync"

// holdings are the leases under which this process is loading, by key.
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
// was lost.
type holdings struct {
	mu    sync.Mutex
	byKey map[string]holding
}

type holding struct {
	token string
	snap  snapshot
}

// hold notes that a load begins under a lease and a snapshot.
func (h *holdings) hold(l *lease, snap snapshot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byKey == nil {
		h.byKey = make(map[string]holding)
	}
	h.byKey[l.key] = holding{l.token, snap}
}

// drop notes that the lease has come to its end.
func (h *holdings) drop(l *lease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byKey[l.key].token == l.token { // else another one has taken it
		delete(h.byKey, l.key)
	}
}

// useless returns the token of a lease whose fill does not count any more, or "".
func (h *holdings) useless(key string, heard *heard) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if held, ok := h.byKey[key]; ok && !heard.counts(&held.snap) {
		return held.token
	}
	return ""
}
