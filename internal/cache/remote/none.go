package remote

import (
	"context"
	"slices"
	"time"

	"example.com/communityfeed/internal/cache/breaker"
	"example.com/communityfeed/internal/cache/fence"
)

// None is an L2 that is not there. Its calls fail with [ErrNone], but for invalidations,
// which have nothing to do.
type None struct{}

var _ Tier = None{}

// OrNone is r, or None if r is nil.
func (r *Redis) OrNone() Tier {
	if r == nil {
		return None{}
	}
	return r
}

func (None) NewBudget() *Budget     { return nil }
func (None) Timeout() time.Duration { return 0 }
func (None) Stats() breaker.Stats   { return breaker.Stats{} }

func (None) Lookup(_ context.Context, _ *Budget, queries []Query, _ bool) []Result {
	return slices.Repeat([]Result{{Err: ErrNone}}, len(queries))
}

func (None) LookupIDs(context.Context, *Budget, []fence.Tag) ([]fence.IDs, error) {
	return nil, ErrNone
}

func (None) Claim(context.Context, *Budget, Claim) (bool, Result, error) {
	return false, Result{}, ErrNone
}

func (None) Lock(context.Context, Lease) (bool, error) { return false, ErrNone }

func (None) Store(context.Context, Lease, *Entry, []fence.Tag, time.Time) (bool, error) {
	return false, ErrNone
}

func (None) Release(context.Context, Lease, FillResult, bool) error { return nil }

func (None) Replace(context.Context, *Budget, Replacement) (bool, error) { return false, ErrNone }

func (None) Invalidate(context.Context, []fence.Tag, bool) ([]Renewed, error) { return nil, nil }

func (None) Listen(context.Context, Listener) {}

func (None) Scan(context.Context, string, func([]string) error) error { return nil }

func (None) Unlink(context.Context, []string) (int, error) { return 0, nil }
