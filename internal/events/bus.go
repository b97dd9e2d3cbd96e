package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Bus hands events to subscribers within the process. They run in the publisher's goroutine,
// one after the other in the order in which they subscribed, before Publish returns. So they
// see what one writer publishes in that order.
type Bus struct {
	log *slog.Logger

	published atomic.Uint64
	failed    atomic.Uint64

	mu          sync.RWMutex
	subscribers []*subscriber
}

// NewBus returns a bus without subscribers.
func NewBus(log *slog.Logger) *Bus { return &Bus{log: log} }

// Subscribe calls fn with every event before Publish returns. An error of fn is
// part of Publish's; a panic is recovered and becomes such an error, a
// *PanicError.
func (b *Bus) Subscribe(name string, fn func(ctx context.Context, event any) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subscribers = append(b.subscribers, &subscriber{name: name, fn: fn, log: b.log})
}

// Publish gives the event to every subscriber. Its error joins theirs: one that fails or
// panics does not keep the others from running.
func (b *Bus) Publish(ctx context.Context, event any) error {
	b.published.Add(1)
	b.mu.RLock()
	subscribers := b.subscribers
	b.mu.RUnlock()

	var errs []error
	for _, s := range subscribers {
		if err := s.take(ctx, event); err != nil {
			errs = append(errs, fmt.Errorf("subscriber %s: %w", s.name, err))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	b.failed.Add(1)
	return fmt.Errorf("publishing %T: %w", event, errors.Join(errs...))
}

// PanicError is a subscriber's panic as part of Publish's error: unlike a
// failure, it says more about the event than about the moment.
type PanicError struct{ Value any }

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// subscriber is one named function with what became of its calls.
type subscriber struct {
	name string
	fn   func(ctx context.Context, event any) error
	log  *slog.Logger

	handled, failed, panicked atomic.Uint64
}

// take calls the subscriber. A panic is logged here, where the stack is, and
// becomes an error.
func (s *subscriber) take(ctx context.Context, event any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.panicked.Add(1)
			s.log.ErrorContext(ctx, "event subscriber panicked", "subscriber", s.name,
				"event", fmt.Sprintf("%T", event), "panic", p, "stack", string(debug.Stack()))
			err = &PanicError{Value: p}
		}
		if err != nil {
			s.failed.Add(1)
			return
		}
		s.handled.Add(1)
	}()
	return s.fn(ctx, event)
}
