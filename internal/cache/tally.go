package cache

import "sync"

// A tally counts what happens, by why.
type tally struct {
	mu sync.Mutex
	n  map[string]uint64
}

func (t *tally) add(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = make(map[string]uint64)
	}
	t.n[why]++
}

// by returns the counts, of these reasons also when they are zero.
func (t *tally) by(reasons ...string) map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := make(map[string]uint64, len(reasons))
	for _, why := range reasons {
		counts[why] = t.n[why]
	}
	return counts
}
