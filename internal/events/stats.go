package events

import "time"

// BusStats are counts since the start of the process.
type BusStats struct {
	Published   uint64 // calls of Publish
	Failed      uint64 // those that returned an error
	Subscribers []SubscriberStats
}

// SubscriberStats say what became of one subscriber's events.
type SubscriberStats struct {
	Name    string
	Handled uint64 // taken without an error
	Failed  uint64 // answered with an error or a panic
	Panics  uint64 // those of Failed that were panics
}

// Stats reads the counts; each is exact, all of them together are no snapshot.
func (b *Bus) Stats() BusStats {
	b.mu.RLock()
	defer b.mu.RUnlock()
	stats := BusStats{Published: b.published.Load(), Failed: b.failed.Load()}
	for _, s := range b.subscribers {
		stats.Subscribers = append(stats.Subscribers, s.stats())
	}
	return stats
}

func (s *subscriber) stats() SubscriberStats {
	return SubscriberStats{
		Name:    s.name,
		Handled: s.handled.Load(),
		Failed:  s.failed.Load(),
		Panics:  s.panicked.Load(),
	}
}

// OutboxStats are counts since the start of the process.
type OutboxStats struct {
	Written     uint64 // rows committed
	Delivered   uint64 // of these, published and marked; some of the last moment are not yet
	Undelivered uint64 // of these, left to be delivered later
}

// Stats reads the counts; each is exact, all of them together are no snapshot.
func (o *Outbox) Stats() OutboxStats {
	return OutboxStats{
		Written:     o.written.Load(),
		Delivered:   o.delivered.Load(),
		Undelivered: o.undelivered.Load(),
	}
}

// RelayStats are counts since the start of the process, and what the last poll
// has seen.
type RelayStats struct {
	Relayed     uint64 // rows that this relay has delivered and marked
	Redelivered uint64 // delivered rows that it published again in drains
	Parked      uint64 // rows that it has given up; each is an alarm
	Swept       uint64 // old delivered rows that it has deleted
	Drained     uint64 // drains that reached their end

	Undelivered int           // rows seen undelivered now; 10,000 stands for any number from there on
	Oldest      time.Duration // how long this process has seen the oldest of them
}

// Stats reads the counts; each is exact, all of them together are no snapshot.
func (r *Relay) Stats() RelayStats {
	return RelayStats{
		Relayed:     r.relayed.Load(),
		Redelivered: r.redelivered.Load(),
		Parked:      r.parked.Load(),
		Swept:       r.swept.Load(),
		Drained:     r.drained.Load(),
		Undelivered: int(r.undelivered.Load()),
		Oldest:      time.Duration(r.oldest.Load()),
	}
}
