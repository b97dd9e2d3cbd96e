package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// lookBack is how long before a loss was noticed it may have happened: a delivery
// of that time may have gone to a server that is gone.
const lookBack = 10 * time.Second

// drain delivers again whatever may be missing where trust was lost, and calls
// end when nothing is. It covers every row that was committed before it began:
//
//  1. The drain has begun; only now are rows read. One that was committed before
//     is visible to every query from here on.
//  2. Those undelivered are delivered, whatever their age: the writer of a fresh
//     row may be the one whose delivery has just failed.
//  3. Those that somebody else has locked are waited for.
//  4. None may be left, for whatever reason: refused, of an unknown kind, locked
//     for too long.
//  5. Those delivered since shortly before the loss are published again. This is
//     last, so that what others marked during steps 1 to 3 is among them: they
//     may have published it before the loss and only marked it now. What step 2
//     delivered is published twice for that, which costs little.
func (r *Relay) drain(ctx context.Context, since time.Time, end func()) error {
	top, at, err := r.begun(ctx)
	if err != nil {
		return err
	}
	// Taken after the database's time, so it errs towards looking back further.
	window := r.now().Sub(since) + lookBack

	for _, how := range [...]locking{skipLocked, waitLocked} {
		if clean, err := r.pass(ctx, top, r.openBatch, how); err != nil || !clean {
			return err
		}
	}
	if left, err := r.open(ctx, 0, top, 1); err != nil || len(left) > 0 {
		return err
	}
	if done, err := r.redeliver(ctx, top, at, window); err != nil || !done {
		return err
	}
	end()
	r.drained.Add(1)
	return nil
}

// begun returns an id that no row committed until now exceeds, and the database's
// time.
func (r *Relay) begun(ctx context.Context) (top int64, at time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err = r.outbox.pool.QueryRow(ctx, `SELECT coalesce(max(id), 0), now() FROM outbox`).Scan(&top, &at)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("beginning a drain: %w", err)
	}
	return top, at, nil
}

func (r *Relay) openBatch(ctx context.Context, after, upTo int64) ([]int64, error) {
	return r.open(ctx, after, upTo, batch)
}

// redeliver publishes again the rows up to top that were delivered in the window
// before at, the database's time. Their delivered_at stays: another process that
// drains counts from it, too. It reports whether all is done; the first event
// that is refused, or of an unknown kind, ends it.
//
// What cannot be published again is purged for instead, once everything else has
// been taken. So is a window in which rows may be swept before they are read.
func (r *Relay) redeliver(ctx context.Context, top int64, at time.Time, window time.Duration) (done bool, err error) {
	if window >= kept/2 {
		return r.purgeInstead(ctx), nil
	}
	purge := false
	for from := (position{at.Add(-window), 0}); ; {
		rows, next, err := r.delivered(ctx, top, from)
		if err != nil {
			return false, err
		}
		if len(rows) == 0 {
			return !purge || r.purgeInstead(ctx), nil
		}
		from = next
		for _, delivered := range rows {
			err := r.publish(ctx, delivered)
			_, panicked := errors.AsType[*PanicError](err)
			switch {
			case err == nil:
				r.redelivered.Add(1)
			case panicked || errors.Is(err, ErrPoison):
				purge = true
			default:
				r.refuse(err)
				return false, nil
			}
		}
	}
}

func (r *Relay) purgeInstead(ctx context.Context) bool {
	err := r.o.Purge(ctx)
	if err != nil {
		r.refuse(fmt.Errorf("purging in place of events to be delivered again: %w", err))
	}
	return err == nil
}

// position is a place in the order of delivery.
type position struct {
	at time.Time
	id int64
}

// delivered returns some rows that were delivered behind a position, in the order
// of delivery, and the position of the last of them.
func (r *Relay) delivered(ctx context.Context, top int64, from position) (rows []*row, next position, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	found, err := r.outbox.pool.Query(ctx, `
		SELECT id, kind, payload, delivered_at FROM outbox
		WHERE (delivered_at, id) > ($1, $2) AND id <= $3
		ORDER BY delivered_at, id LIMIT $4`, from.at, from.id, top, batch)
	if err != nil {
		return nil, from, fmt.Errorf("reading delivered events: %w", err)
	}
	rows, err = pgx.CollectRows(found, func(r pgx.CollectableRow) (*row, error) {
		var d row
		err := r.Scan(&d.id, &d.kind, &d.payload, &next.at)
		next.id = d.id
		return &d, err
	})
	if err != nil {
		return nil, from, fmt.Errorf("reading delivered events: %w", err)
	}
	return rows, next, nil
}
