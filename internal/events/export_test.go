package events

import (
	"context"
	"time"
)

// Poll is what Run does at every tick.
func (r *Relay) Poll(ctx context.Context) error { return r.poll(ctx) }

// SetClock gives a relay that does not run yet another clock.
func (r *Relay) SetClock(now func() time.Time) { r.now = now }
