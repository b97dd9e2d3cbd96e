package events

import (
	"context"
	"time"
)

// Poll is what Run does at every tick.
func (r *Relay) Poll(ctx context.Context) error { return r.poll(ctx) }

// SetClock gives a relay that does not run yet another clock.
func (r *Relay) SetClock(now func() time.Time) { r.now = now }

// NewMarks are marks that have rows marked by a function.
var NewMarks = newMarks

// Add has rows marked.
func (m *marks) Add(ids ...int64) { m.add(ids) }

// Close has all that wait marked.
func (m *marks) Close(ctx context.Context) error { return m.close(ctx) }
