package cache

import (
	"context"
	"sync"
)

// A lifecycle owns the goroutines of a cache.
type lifecycle struct {
	mu      sync.Mutex
	closed  bool
	root    context.Context // of every fill: no caller's context reaches a load
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// spawn runs do in a goroutine that end waits for. It reports false after the end.
func (l *lifecycle) spawn(do func(context.Context)) bool {
	leave, ok := l.enter()
	if ok {
		go func() {
			defer leave()
			do(l.root)
		}()
	}
	return ok
}

// enter makes end wait for the caller's own goroutine until it calls leave. It reports
// false after the end.
func (l *lifecycle) enter() (leave func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, false
	}
	l.running.Add(1)
	return l.running.Done, true
}

// end cancels what runs and waits for it.
func (l *lifecycle) end() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.running.Wait()
}
