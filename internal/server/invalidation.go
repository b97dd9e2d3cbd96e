package server

import (
	"context"
	"fmt"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/events"
)

// CachePurged withdraws everything that is cached: somebody who cannot say what is
// wrong has found that something is. It is an event like any other, so that it is
// repeated until it has reached Redis.
type CachePurged struct{}

// Events are the kinds that belong to no domain.
var Events = events.Kinds{events.KindOf[CachePurged]("server.cache_purged")}

// ownInvalidations is what they invalidate: as revoked, so that what was wrong does not come
// back when a load fails.
var ownInvalidations = cache.Invalidations{
	cache.On(func(CachePurged) cache.Invalidation { return cache.Revoked(cache.Everything) }),
}

// Purge withdraws everything that is cached, in every process.
func Purge(ctx context.Context, outbox *events.Outbox) error {
	return outbox.Write(ctx, func(tx *events.Tx) error {
		tx.Emit(CachePurged{})
		return nil
	})
}

// invalidation is the subscriber between events and the cache: it looks the
// event up in the tables and makes the invalidation that the table says. Since it is
// synchronous, no read in this process returns the older copy once the write has
// been answered.
//
// An event that stands in no table is poison: what it makes wrong is not known, so
// everything is withdrawn for it. What invalidates nothing says so in its table.
//
// former, if it is not nil, adds tags before the invalidation is announced: the browser of the
// writer may have pages of the version before, which are in groups of those names.
func invalidation(invalidate func(context.Context, cache.Invalidation) error, former func([]cache.Tag) []cache.Tag, tables ...cache.Invalidations) func(context.Context, any) error {
	return func(ctx context.Context, event any) error {
		for _, table := range tables {
			if inv, ok := table.Of(event); ok {
				if former != nil {
					inv.Tags = former(inv.Tags)
				}
				note(ctx, inv)
				return invalidate(ctx, inv)
			}
		}
		return fmt.Errorf("%w: no table says what %T invalidates", events.ErrPoison, event)
	}
}
