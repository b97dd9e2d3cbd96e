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

// moves is what they move. Revoked, so that what was wrong does not come back when
// a load fails.
var moves = cache.Rules{
	cache.On(func(CachePurged) cache.Move { return cache.Revoked(cache.Everything) }),
}

// Purge withdraws everything that is cached, in every process.
func Purge(ctx context.Context, outbox *events.Outbox) error {
	return outbox.Write(ctx, func(tx *events.Tx) error {
		tx.Emit(CachePurged{})
		return nil
	})
}

// invalidation is the subscriber between events and the cache: it looks the
// event up in the tables and makes the move that stands there. Since it is
// synchronous, no read in this process returns the older copy once the write has
// been answered.
//
// An event that stands in no table is poison: what it makes wrong is not known, so
// everything is withdrawn for it. What moves nothing says so in its table.
//
// former, if it is not nil, adds tags before the move is announced: the browser of the
// writer may have pages of the version before, which are in groups of those names.
func invalidation(move func(context.Context, cache.Move) error, former func([]cache.Tag) []cache.Tag, tables ...cache.Rules) func(context.Context, any) error {
	return func(ctx context.Context, event any) error {
		for _, table := range tables {
			if m, ok := table.Move(event); ok {
				if former != nil {
					m.Tags = former(m.Tags)
				}
				note(ctx, m)
				return move(ctx, m)
			}
		}
		return fmt.Errorf("%w: no table says what %T moves", events.ErrPoison, event)
	}
}
