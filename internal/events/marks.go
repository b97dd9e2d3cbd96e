package events

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// markAfter is how long a delivered row waits for others to be marked with. It is
	// short beside relayAfter: by then no relay has begun to deliver the row again.
	markAfter = 50 * time.Millisecond

	// markMost is how many rows do not wait.
	markMost = 100

	// markTimeout bounds one UPDATE that marks.
	markTimeout = 5 * time.Second
)

// marks are the delivered rows that are not marked yet. Marking costs an fsync that no
// writer need wait for, and one does for many rows.
//
// A mark says that a row need not be delivered again, and nothing else. So one that is
// late costs nothing, and one that is lost, because the process died or the database was
// away, costs one more delivery by a relay, a second after that saw the row. Neither
// puts the row in doubt: see Relay.look.
//
// A goroutine runs while there are any, and ends by itself.
type marks struct {
	mark func(ids []int64)
	full chan struct{} // there are markMost
	shut chan struct{} // closed by close

	mu      sync.Mutex
	waiting []int64
	running bool
	closed  bool
	runs    sync.WaitGroup
}

func newMarks(mark func(ids []int64)) *marks {
	return &marks{mark: mark, full: make(chan struct{}, 1), shut: make(chan struct{})}
}

// add has rows marked soon, or at once when nobody will do it later.
func (m *marks) add(ids []int64) {
	if len(ids) > 0 && !m.enqueue(ids) {
		m.mark(ids)
	}
}

func (m *marks) enqueue(ids []int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.waiting = append(m.waiting, ids...)
	if !m.running {
		m.running = true
		m.runs.Go(m.run)
	}
	if len(m.waiting) >= markMost {
		select {
		case m.full <- struct{}{}:
		default:
		}
	}
	return true
}

func (m *marks) run() {
	for {
		m.wait()
		ids := m.take()
		if len(ids) == 0 {
			return
		}
		m.mark(ids)
	}
}

// wait returns when it is time to mark.
func (m *marks) wait() {
	timer := time.NewTimer(markAfter)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.full:
	case <-m.shut:
	}
}

// take returns the rows that wait. If there are none, the goroutine has ended.
func (m *marks) take() []int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := m.waiting
	m.waiting, m.running = nil, len(ids) > 0
	return ids
}

// close has all that wait marked, and waits for it until ctx ends.
func (m *marks) close(ctx context.Context) error {
	m.mu.Lock()
	if !m.closed {
		m.closed = true
		close(m.shut)
	}
	m.mu.Unlock()
	done := make(chan struct{})
	go func() {
		m.runs.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		m.mu.Lock()
		defer m.mu.Unlock()
		return fmt.Errorf("%d still waiting: %w", len(m.waiting), context.Cause(ctx))
	}
}
