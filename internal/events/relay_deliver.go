package events

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// batch is how many rows one transaction locks and delivers.
	batch = 100

	// panicsToPark is how often, in as many polls, this process lets one event
	// panic in its subscribers before it takes the event for poison.
	panicsToPark = 3

	everything = math.MaxInt64
)

// locking says what is done about a row that another relay, or its writer, is
// about to mark.
type locking string

const (
	skipLocked locking = "SKIP LOCKED" // leave it to them
	waitLocked locking = ""            // wait for how it ends
)

// list returns some ids from behind after up to upTo, in their order, or none.
type list func(ctx context.Context, after, upTo int64) ([]int64, error)

// among lists ids that are known already.
func among(ids []int64) list {
	return func(_ context.Context, after, upTo int64) ([]int64, error) {
		from, found := slices.BinarySearch(ids, after)
		if found {
			from++
		}
		to := min(from+batch, len(ids))
		for to > from && ids[to-1] > upTo {
			to--
		}
		return ids[from:to], nil
	}
}

// pass tries every row that the list names up to top, once, and reports whether
// no event was refused.
//
// A batch of which nothing could be delivered ends it, since what the others need
// is probably away: a long backlog is not locked and tried in vain twice a second.
// The next pass goes on behind that batch, and round, so that rows which fail
// for reasons of their own do not keep those behind them waiting for ever.
func (r *Relay) pass(ctx context.Context, top int64, next list, how locking) (clean bool, err error) {
	start := min(r.resume, top)
	r.resume, clean = 0, true
	for _, span := range [...]struct{ after, upTo int64 }{{start, top}, {0, start}} {
		for after := span.after; ; {
			ids, err := next(ctx, after, span.upTo)
			if err != nil {
				return false, err
			}
			if len(ids) == 0 {
				break
			}
			after = ids[len(ids)-1]
			o, err := r.deliver(ctx, ids, how)
			if err != nil {
				return false, err
			}
			if o.refused > 0 {
				clean = false
				if len(o.taken) == 0 {
					r.resume = after
					return false, nil
				}
			}
		}
	}
	return clean, nil
}

// outcome is what became of the rows of one batch.
type outcome struct {
	taken    []int64
	refused  int
	poisoned map[int64]error
}

// deliver publishes the events of those rows that are still undelivered, of a
// known kind, and can be locked, and marks what every synchronous subscriber has
// taken. What was refused stays as it is. The error is the database's.
func (r *Relay) deliver(ctx context.Context, ids []int64, how locking) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, deliveryTimeout)
	defer cancel()
	o, err := r.deliverLocked(ctx, ids, how)
	if err != nil {
		return outcome{}, fmt.Errorf("delivering events late: %w", err)
	}
	r.relayed.Add(uint64(len(o.taken)))
	if len(o.poisoned) == 0 {
		return o, nil
	}
	// No row is locked any more: purging takes a connection of its own.
	if err := r.o.Purge(ctx); err != nil {
		r.refuse(fmt.Errorf("purging in place of events that cannot be delivered: %w", err))
		o.refused += len(o.poisoned)
		return o, nil
	}
	return o, r.park(ctx, o.poisoned)
}

// deliverLocked is the transaction of deliver.
func (r *Relay) deliverLocked(ctx context.Context, ids []int64, how locking) (outcome, error) {
	tx, err := r.outbox.pool.Begin(ctx)
	if err != nil {
		return outcome{}, err
	}
	defer end(ctx, tx.Rollback) // after a commit it does nothing
	rows, err := r.claim(ctx, tx, ids, how)
	if err != nil {
		return outcome{}, err
	}

	o := outcome{poisoned: make(map[int64]error)}
	for _, claimed := range rows {
		if ctx.Err() != nil {
			break // with what has been published marked
		}
		err := r.publish(ctx, claimed)
		switch {
		case err == nil:
			o.taken = append(o.taken, claimed.id)
		case r.poison(claimed.id, err):
			o.poisoned[claimed.id] = err
		default:
			o.refused++
			r.refuse(err)
		}
	}
	if len(o.taken) == 0 {
		return o, nil
	}
	return o, end(ctx, func(ctx context.Context) error {
		// Not now(), when the transaction began: redelivery counts from when the
		// event was delivered.
		_, err := tx.Exec(ctx, `UPDATE outbox SET delivered_at = clock_timestamp() WHERE id = ANY($1)`, o.taken)
		if err != nil {
			return err
		}
		return tx.Commit(ctx)
	})
}

// claim locks rows for delivery. They are locked in the order of their ids, so
// relays that wait for each other's rows do so in one direction. A wait ends
// after two seconds, with nothing claimed.
func (r *Relay) claim(ctx context.Context, tx pgx.Tx, ids []int64, how locking) ([]*row, error) {
	if how == waitLocked {
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = '2s'`); err != nil {
			return nil, err
		}
	}
	found, err := tx.Query(ctx, `
		SELECT id, kind, payload FROM outbox
		WHERE id = ANY($1) AND kind = ANY($2) AND delivered_at IS NULL AND parked_at IS NULL
		ORDER BY id FOR UPDATE `+string(how), ids, r.kinds)
	if err != nil {
		return nil, err
	}
	rows, err := pgx.CollectRows(found, scanRow)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "57014" && how == waitLocked {
		return nil, nil // query_canceled: somebody still has one of them
	}
	return rows, err
}

func scanRow(from pgx.CollectableRow) (*row, error) {
	var r row
	return &r, from.Scan(&r.id, &r.kind, &r.payload)
}

// publish gives a row's event to the subscribers.
func (r *Relay) publish(ctx context.Context, of *row) error {
	event, err := r.outbox.kinds.decode(of.kind, of.payload)
	if err != nil {
		return err
	}
	return r.outbox.bus.Publish(ctx, event)
}

// poison tells an event that cannot be delivered from one that could not be this
// time. A panic is about the event rather than about the moment, but a subscriber
// that was not ready yet may panic, too; so it takes several.
func (r *Relay) poison(id int64, err error) bool {
	if errors.Is(err, ErrPoison) {
		return true
	}
	if _, panicked := errors.AsType[*PanicError](err); !panicked {
		return false
	}
	s, timed := r.seen[id]
	if !timed {
		return false // its time comes
	}
	s.panics++
	return s.panics >= panicsToPark
}

// refuse keeps the first reason of a poll for the log.
func (r *Relay) refuse(err error) {
	if r.refusal == nil {
		r.refusal = err
	}
}

// park takes rows out of delivery for good. They stay in the table for somebody
// to look at. The log calls for that person. A row that somebody has locked just
// now is left until they have found out the same.
func (r *Relay) park(ctx context.Context, poisoned map[int64]error) error {
	found, err := r.outbox.pool.Query(ctx, `
		UPDATE outbox SET parked_at = now() WHERE id = ANY(ARRAY(
			SELECT id FROM outbox WHERE id = ANY($1) AND delivered_at IS NULL AND parked_at IS NULL
			FOR UPDATE SKIP LOCKED)) RETURNING id, kind`,
		slices.Collect(maps.Keys(poisoned)))
	if err != nil {
		return fmt.Errorf("parking events: %w", err)
	}
	var id int64
	var kind string
	_, err = pgx.ForEachRow(found, []any{&id, &kind}, func() error {
		r.parked.Add(1)
		r.log.ErrorContext(ctx, "event parked: it can never be delivered, and was purged for",
			"row", id, "kind", kind, "error", poisoned[id])
		return nil
	})
	if err != nil {
		return fmt.Errorf("parking events: %w", err)
	}
	return nil
}
