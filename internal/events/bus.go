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

// Bus hands events to subscribers within the process.
//
// Synchronous subscribers run in the publisher's goroutine, one after the
// other in the order in which they subscribed, before Publish returns; so what
// one writer publishes, they see in that order. Asynchronous subscribers each
// have a queue and a goroutine. Publish never waits for them: what does not
// fit into a full queue is dropped and counted, so they are for work that may
// be lost.
type Bus struct {
	log  *slog.Logger
	root context.Context // of asynchronous subscribers; ends when Close runs out of time
	stop context.CancelFunc

	published atomic.Uint64
	failed    atomic.Uint64

	mu      sync.RWMutex // held for reading while sending to queues, so that none is closed under a sender
	closed  bool
	sync    []*subscriber
	async   []*worker
	workers sync.WaitGroup
}

// NewBus returns a bus without subscribers.
func NewBus(log *slog.Logger) *Bus {
	root, stop := context.WithCancel(context.Background())
	return &Bus{log: log, root: root, stop: stop}
}

// Subscribe calls fn with every event before Publish returns. An error of fn is
// part of Publish's; a panic is recovered and becomes such an error, a
// *PanicError.
func (b *Bus) Subscribe(name string, fn func(ctx context.Context, event any) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sync = append(b.sync, &subscriber{name: name, fn: fn, log: b.log})
}

// SubscribeAsync calls fn with every event that fits into a queue of the given
// length, in the order of publication, on a goroutine of its own. The context
// belongs to the bus, not to the publisher. Errors are logged and counted.
func (b *Bus) SubscribeAsync(name string, queue int, fn func(ctx context.Context, event any) error) {
	w := &worker{
		subscriber: subscriber{name: name, fn: fn, log: b.log},
		queue:      make(chan any, queue),
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		panic("events: subscription " + name + " to a closed bus")
	}
	b.async = append(b.async, w)
	b.workers.Go(func() { w.run(b.root) })
}

// Publish gives the event to every subscriber. The error joins those of the
// synchronous subscribers; one that fails or panics does not keep the others
// from running. A closed bus still runs the synchronous ones, because a write
// that has been committed must be heard.
func (b *Bus) Publish(ctx context.Context, event any) error {
	b.published.Add(1)
	b.mu.RLock()
	subscribers := b.sync
	b.mu.RUnlock()

	var errs []error
	for _, s := range subscribers {
		if err := s.take(ctx, event); err != nil {
			errs = append(errs, fmt.Errorf("subscriber %s: %w", s.name, err))
		}
	}
	b.enqueue(event)
	if len(errs) == 0 {
		return nil
	}
	b.failed.Add(1)
	return fmt.Errorf("publishing %T: %w", event, errors.Join(errs...))
}

func (b *Bus) enqueue(event any) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, w := range b.async {
		if b.closed {
			w.dropped.Add(1)
			continue
		}
		select {
		case w.queue <- event:
		default:
			w.dropped.Add(1)
		}
	}
}

// Close takes no more events for asynchronous subscribers and waits until they
// have worked off their queues. When ctx ends first, their context is ended
// too, what is left in the queues is dropped, and Close returns an error
// without waiting for those that do not heed their context.
func (b *Bus) Close(ctx context.Context) error {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		for _, w := range b.async {
			close(w.queue)
		}
	}
	b.mu.Unlock()
	defer b.stop()

	drained := make(chan struct{})
	go func() {
		b.workers.Wait()
		close(drained)
	}()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		left := 0
		for _, w := range b.async {
			left += len(w.queue)
		}
		return fmt.Errorf("draining the event bus, %d events left in its queues: %w", left, context.Cause(ctx))
	}
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

// worker is a subscriber behind a queue.
type worker struct {
	subscriber
	queue   chan any
	dropped atomic.Uint64
}

func (w *worker) run(ctx context.Context) {
	for event := range w.queue {
		if ctx.Err() != nil {
			w.dropped.Add(1)
			continue
		}
		if err := w.take(ctx, event); err != nil {
			w.log.WarnContext(ctx, "asynchronous event subscriber failed", "subscriber", w.name,
				"event", fmt.Sprintf("%T", event), "error", err)
		}
	}
}
