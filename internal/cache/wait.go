package cache

import (
	"context"
	"sync"
	"time"

	"example.com/communityfeed/internal/cache/remote"
)

// pollLease is how long a fill goes without being told before it looks for itself:
// messages can be lost, and the process that has the lease can die.
const pollLease = 250 * time.Millisecond

// waitFor waits to be told how the fill that holds the lease ended. It reports false when patience
// or ctx ended first.
func waitFor(ctx context.Context, told <-chan remote.FillResult, patience <-chan time.Time) (how remote.FillResult, patient bool) {
	poll := time.NewTimer(pollLease)
	defer poll.Stop()
	select {
	case how := <-told:
		return how, true
	case <-poll.C:
		return remote.Unknown, true
	case <-patience:
		return remote.Unknown, false
	case <-ctx.Done():
		return remote.Unknown, false
	}
}

// waiters are the fills of this process that wait for the one that holds the lease of their
// key, of another process or of this one. The listener in invalidate.go tells them.
type waiters struct {
	mu    sync.Mutex
	byKey map[string]map[chan remote.FillResult]struct{}
}

// register registers for the end of the next fill of key. Register before asking for the lease,
// or the end may fall between the two. The channel gets one value.
func (w *waiters) register(key string) (told <-chan remote.FillResult, leave func()) {
	ch := make(chan remote.FillResult, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byKey == nil {
		w.byKey = make(map[string]map[chan remote.FillResult]struct{})
	}
	if w.byKey[key] == nil {
		w.byKey[key] = make(map[chan remote.FillResult]struct{})
	}
	w.byKey[key][ch] = struct{}{}
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.byKey[key], ch); len(w.byKey[key]) == 0 {
			delete(w.byKey, key)
		}
	}
}

// tell passes on how a fill of key ended.
func (w *waiters) tell(key string, how remote.FillResult) {
	w.mu.Lock()
	defer w.mu.Unlock()
	tell(w.byKey[key], how)
}

// tellAll wakes all of them.
func (w *waiters) tellAll(how remote.FillResult) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, of := range w.byKey {
		tell(of, how)
	}
}

func tell(all map[chan remote.FillResult]struct{}, how remote.FillResult) {
	for ch := range all {
		select {
		case ch <- how:
		default: // told already
		}
	}
}
