package cache

import (
	"slices"
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
//
// A lease counts as held from before it is asked for: the write of step 2 may come
// while the answer is on its way.
type holdings struct {
	mu    sync.Mutex
	byKey map[string][]holding
}

type holding struct {
	token     string
	snap      snapshot
	abandoned bool
	copied    *l1Copy // what its fill has loaded and not yet stored
}

// hold notes under which snapshot a lease is asked for, or used.
func (h *holdings) hold(l *lease, snap snapshot) {
	h.put(l.key, holding{token: l.token, snap: snap})
}

// abandon notes that a lease may be left although nobody needs it.
func (h *holdings) abandon(l *lease) {
	h.put(l.key, holding{token: l.token, abandoned: true})
	time.AfterFunc(leaseLife, func() { h.drop(l) })
}

// loaded notes what the fill under a lease has loaded, if it counts.
func (h *holdings) loaded(l *lease, copied *l1Copy) {
	if copied != nil {
		h.put(l.key, holding{token: l.token, snap: copied.snap, copied: copied})
	}
}

// copyOf returns what was loaded under a lease of this process and is being stored, or
// nil.
func (h *holdings) copyOf(key string) *l1Copy {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, held := range slices.Backward(h.byKey[key]) {
		if held.copied != nil {
			return held.copied
		}
	}
	return nil
}

// drop notes that the lease has come to its end, or was not given.
func (h *holdings) drop(l *lease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.set(l.key, h.without(l.key, l.token))
}

func (h *holdings) put(key string, held holding) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.set(key, append(h.without(key, held.token), held))
}

// without returns the holdings of a key but for one.
func (h *holdings) without(key, token string) []holding {
	return slices.DeleteFunc(h.byKey[key], func(held holding) bool { return held.token == token })
}

func (h *holdings) set(key string, all []holding) {
	if len(all) == 0 {
		delete(h.byKey, key)
		return
	}
	if h.byKey == nil {
		h.byKey = make(map[string][]holding)
	}
	h.byKey[key] = all
}

// useless returns the tokens of leases that are of no use to who has them.
func (h *holdings) useless(key string, heard *heard) (tokens []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, held := range h.byKey[key] {
		if held.abandoned || !heard.counts(&held.snap) {
			tokens = append(tokens, held.token)
		}
	}
	return tokens
}
