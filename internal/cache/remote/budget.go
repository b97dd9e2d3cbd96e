package remote

import (
	"context"
	"errors"
	"time"
)

// A Budget is the time that one read may give to L2: one for all of its calls together. If
// each call had its own, a server that answers every call just in time would cost a read
// that misses four of them.
//
// At most half of it is spent queueing for a connection. So a read that runs out of it
// while the server is working has left the server the other half, and may blame it; a
// burst of our own opens no breaker.
//
// It belongs to one read, whose calls follow one another. A nil Budget is that of a single
// call: it queues for as long as its caller does, and has the timeout from then on.
type Budget struct {
	left     time.Duration
	queueing time.Duration // how much of it may still be spent queueing

	unsettled <-chan struct{} // closed at the end of what was not waited for
}

// errSpent is the error of a call that was not made because its read has given L2 all the
// time that it may.
var errSpent = errors.New("cache: Redis was too slow for this read")

// NewBudget returns the time that one read may give to Redis.
func (r *Redis) NewBudget() *Budget { return &Budget{left: r.timeout, queueing: r.timeout / 2} }

// Split returns a budget with what is left of b, for a read that goes on by itself.
func (b *Budget) Split() *Budget {
	if b == nil {
		return nil
	}
	split := *b
	return &split
}

// queue waits for a connection.
func (b *Budget) queue(ctx context.Context, of slots) error {
	if b != nil && b.left <= 0 {
		return errSpent
	}
	select {
	case of <- struct{}{}:
		return nil
	default:
	}
	var over <-chan time.Time
	if b != nil {
		patience := time.NewTimer(min(b.queueing, b.left))
		defer patience.Stop()
		over = patience.C
		began := time.Now()
		defer func() {
			waited := time.Since(began)
			b.left, b.queueing = b.left-waited, b.queueing-waited
		}()
	}
	select {
	case of <- struct{}{}:
		return nil
	case <-over:
		return errSpent
	case <-ctx.Done():
		return context.Canceled // of our own making, whatever ended ctx
	}
}

// spend makes a call within what is left, or within timeout where there is no budget.
func (b *Budget) spend(ctx context.Context, timeout time.Duration, do func(context.Context) error) error {
	if b != nil {
		timeout = b.left
		began := time.Now()
		defer func() { b.left -= time.Since(began) }()
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return do(ctx)
}

// Await waits until done is closed, within what is left, and reports whether it was.
func (b *Budget) Await(done <-chan struct{}) bool {
	if b == nil {
		<-done
		return true
	}
	began := time.Now()
	rest := time.NewTimer(b.left)
	defer rest.Stop()
	defer func() { b.left -= time.Since(began) }()
	select {
	case <-done:
		return true
	case <-rest.C:
		b.unsettled = done
		return false
	}
}

// Unsettled returns what Await has not waited for to the end, or nil.
func (b *Budget) Unsettled() <-chan struct{} {
	if b == nil {
		return nil
	}
	return b.unsettled
}
