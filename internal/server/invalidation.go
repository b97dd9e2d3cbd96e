package server

import (
	"context"
	"fmt"

	"example.com/communityfeed/internal/cache"
)

// invalidation is the subscriber between events and the cache: it looks the
// event up in the domains' tables and makes the move that stands there. Since
// it is synchronous, no read in this process returns the older copy once the
// write has been answered.
//
// An event that stands in no table is an error: its pages would be wrong until
// their time is over, and nobody would know. What moves nothing says so in its
// table.
func invalidation(move func(context.Context, cache.Move) error, tables ...cache.Rules) func(context.Context, any) error {
	return func(ctx context.Context, event any) error {
		for _, table := range tables {
			if m, ok := table.Move(event); ok {
				return move(ctx, m)
			}
		}
		return fmt.Errorf("no domain says what %T moves", event)
	}
}
