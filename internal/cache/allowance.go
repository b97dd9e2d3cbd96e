package cache

import (
	"context"
	"errors"
	"time"
)

// An allowance is the time that one read may give to L2: one budget for all of its
// calls together. Were it one for each, a server that answers every call just in
// time would cost a read that misses four of them.
//
// At most half of it is spent in line for a turn. So who runs out of it while the
// server is working has left the server the other half, and may blame it; a burst
// of our own opens no breaker.
//
// It belongs to one flight, whose calls follow one another. A nil allowance is that
// of a single call: it waits its turn for as long as its caller does, and has a
// budget from then on.
type allowance struct {
	left time.Duration
	line time.Duration // how much of it may still be spent in line

	unsettled <-chan struct{} // closed at the end of what was not waited for
}

// errSpent is the error of a call that was not made, because its read has given L2
// all the time that it may.
var errSpent = errors.New("cache: Redis was too slow for this read")

type allowanceKey struct{}

func withAllowance(ctx context.Context, a *allowance) context.Context {
	return context.WithValue(ctx, allowanceKey{}, a)
}

func allowanceOf(ctx context.Context) *allowance {
	a, _ := ctx.Value(allowanceKey{}).(*allowance)
	return a
}

// queue waits for a turn.
func (a *allowance) queue(ctx context.Context, turns chan<- struct{}) error {
	if a != nil && a.left <= 0 {
		return errSpent
	}
	select {
	case turns <- struct{}{}:
		return nil
	default:
	}
	var over <-chan time.Time
	if a != nil {
		patience := time.NewTimer(min(a.line, a.left))
		defer patience.Stop()
		over = patience.C
		began := time.Now()
		defer func() {
			waited := time.Since(began)
			a.left, a.line = a.left-waited, a.line-waited
		}()
	}
	select {
	case turns <- struct{}{}:
		return nil
	case <-over:
		return errSpent
	case <-ctx.Done():
		return context.Canceled // of our own making, whatever ended ctx
	}
}

// spend makes a call within what is left, or within budget where there is no
// allowance.
func (a *allowance) spend(ctx context.Context, budget time.Duration, do func(context.Context) error) error {
	if a != nil {
		budget = a.left
		began := time.Now()
		defer func() { a.left -= time.Since(began) }()
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	return do(ctx)
}

// await waits until done is closed, within what is left, and reports whether it was.
func (a *allowance) await(done <-chan struct{}) bool {
	if a == nil {
		<-done
		return true
	}
	began := time.Now()
	rest := time.NewTimer(a.left)
	defer rest.Stop()
	defer func() { a.left -= time.Since(began) }()
	select {
	case <-done:
		return true
	case <-rest.C:
		a.unsettled = done
		return false
	}
}

// outstanding returns what await has left alone, or nil.
func (a *allowance) outstanding() <-chan struct{} {
	if a == nil {
		return nil
	}
	return a.unsettled
}
