package telemetry

import "example.com/communityfeed/internal/events"

// Events adds the bus with its subscribers, the outbox and its relay.
func (m *Metrics) Events(bus *events.Bus, outbox *events.Outbox, relay *events.Relay) {
	var (
		published = counter("events_published", "Events given to the bus.")
		failed    = counter("events_publish_failures", "Events that a subscriber did not take.")
		handled   = counter("events_handled", "Events by subscriber and what became of them: ok or failed.", "subscriber", "outcome")
		panics    = counter("events_subscriber_panics", "Panics of subscribers; each is a failed event, too.", "subscriber")

		written     = counter("outbox_written", "Event rows committed by this process.")
		delivered   = counter("outbox_delivered", "Of these, delivered right after the commit.")
		undelivered = counter("outbox_left_undelivered", "Of these, left in the table to be delivered later.")

		relayed     = counter("outbox_relayed", "Event rows that this process delivered later, its own or others'.")
		redelivered = counter("outbox_redelivered", "Delivered rows that it published again, since Redis may have lost them.")
		parked      = counter("outbox_parked", "Rows that can never be delivered. Each was purged for, and wants to be looked at.")
		swept       = counter("outbox_swept", "Old delivered rows that it deleted.")
		drained     = counter("outbox_drained", "Times that it delivered everything, and won trust in Redis back.")
		waiting     = gauge("outbox_undelivered", "Rows that it sees undelivered now.")
		oldest      = gauge("outbox_oldest_seconds", "For how long it has seen the oldest of them.")
	)
	m.registry.MustRegister(&collector{
		metrics: []metric{published, failed, handled, panics, written, delivered, undelivered, relayed, redelivered, parked, swept, drained, waiting, oldest},
		read: func(emit emit) {
			b := bus.Stats()
			emit(published, float64(b.Published))
			emit(failed, float64(b.Failed))
			for _, s := range b.Subscribers {
				emit(handled, float64(s.Handled), s.Name, "ok")
				emit(handled, float64(s.Failed), s.Name, "failed")
				emit(panics, float64(s.Panics), s.Name)
			}
			o := outbox.Stats()
			emit(written, float64(o.Written))
			emit(delivered, float64(o.Delivered))
			emit(undelivered, float64(o.Undelivered))
			r := relay.Stats()
			emit(relayed, float64(r.Relayed))
			emit(redelivered, float64(r.Redelivered))
			emit(parked, float64(r.Parked))
			emit(swept, float64(r.Swept))
			emit(drained, float64(r.Drained))
			emit(waiting, float64(r.Undelivered))
			emit(oldest, r.Oldest.Seconds())
		},
	})
}
