package telemetry

import "example.com/communityfeed/internal/events"

// Events adds the bus with its subscribers, and the outbox.
func (m *Metrics) Events(bus *events.Bus, outbox *events.Outbox) {
	var (
		published = counter("events_published", "Events given to the bus.")
		failed    = counter("events_publish_failures", "Events that a synchronous subscriber did not take.")
		handled   = counter("events_handled", "Events by subscriber and what became of them: ok, failed or dropped.", "subscriber", "outcome")
		panics    = counter("events_subscriber_panics", "Panics of subscribers; each is a failed event, too.", "subscriber")
		queued    = gauge("events_queued", "Events waiting for an asynchronous subscriber.", "subscriber")

		written     = counter("outbox_written", "Event rows committed by this process.")
		delivered   = counter("outbox_delivered", "Of these, delivered right after the commit.")
		undelivered = counter("outbox_left_undelivered", "Of these, left in the table to be delivered later.")
	)
	m.registry.MustRegister(&collector{
		metrics: []metric{published, failed, handled, panics, queued, written, delivered, undelivered},
		read: func(emit emit) {
			b := bus.Stats()
			emit(published, float64(b.Published))
			emit(failed, float64(b.Failed))
			for _, s := range b.Subscribers {
				emit(handled, float64(s.Handled), s.Name, "ok")
				emit(handled, float64(s.Failed), s.Name, "failed")
				emit(panics, float64(s.Panics), s.Name)
				if s.Async {
					emit(handled, float64(s.Dropped), s.Name, "dropped")
					emit(queued, float64(s.Queued), s.Name)
				}
			}
			o := outbox.Stats()
			emit(written, float64(o.Written))
			emit(delivered, float64(o.Delivered))
			emit(undelivered, float64(o.Undelivered))
		},
	})
}
