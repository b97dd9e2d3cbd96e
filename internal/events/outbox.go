package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// deliveryTimeout bounds what a writer waits, after its commit, for the
	// synchronous subscribers of all its events and for marking their rows.
	deliveryTimeout = 5 * time.Second

	// endTimeout bounds COMMIT and ROLLBACK.
	endTimeout = 5 * time.Second
)

// Outbox runs transactions that emit events. An event's row is committed with
// the change or not at all, and its delivery begins when the commit has been
// answered.
type Outbox struct {
	pool  *pgxpool.Pool
	bus   *Bus
	kinds registry
	log   *slog.Logger

	written, delivered, undelivered atomic.Uint64
}

// NewOutbox returns an outbox on the pool of the primary. Every event that is
// emitted must be of one of the kinds; one that is declared twice panics.
func NewOutbox(write *pgxpool.Pool, bus *Bus, kinds Kinds, log *slog.Logger) *Outbox {
	return &Outbox{pool: write, bus: bus, kinds: newRegistry(kinds), log: log}
}

// row is an event on its way: emitted, and from the insert on with its id.
type row struct {
	id      int64
	kind    string
	payload []byte
	event   any
}

// Write runs fn in one transaction together with the rows of the events that it
// emits, commits, and then publishes the events in the order in which they were
// emitted. An error means that the change was not committed, or that the
// connection was lost while committing and nobody can tell.
//
// Delivery is detached from ctx: a client that goes away does not undo what it
// has changed. A delivery that fails is logged and counted, and is not the
// writer's error: its row stays undelivered, and the Relay is the retry.
func (o *Outbox) Write(ctx context.Context, fn func(tx *Tx) error) error {
	rows, err := o.commit(ctx, fn)
	if err != nil {
		return err
	}
	if len(rows) > 0 {
		o.written.Add(uint64(len(rows)))
		o.deliver(ctx, rows)
	}
	return nil
}

func (o *Outbox) commit(ctx context.Context, fn func(tx *Tx) error) ([]*row, error) {
	inner, err := o.pool.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("beginning a transaction: %w", err)
	}
	defer end(ctx, inner.Rollback) // after a commit it does nothing

	tx := &Tx{Tx: inner, kinds: o.kinds}
	if err := fn(tx); err != nil {
		return nil, err
	}
	if err := tx.insert(ctx); err != nil {
		return nil, fmt.Errorf("writing the outbox: %w", err)
	}
	if err := end(ctx, inner.Commit); err != nil {
		return nil, fmt.Errorf("committing: %w", err)
	}
	return tx.rows, nil
}

// end runs a COMMIT or ROLLBACK that does not end with ctx: a client that
// leaves in the middle of a COMMIT would make its outcome unknown, and one that
// leaves before would cost the connection.
func end(ctx context.Context, how func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	return how(ctx)
}

// markOwn leaves out what a relay has locked: it is delivering that row, too,
// and the writer shall not wait until it has.
const markOwn = `
	UPDATE outbox SET delivered_at = now() WHERE id = ANY(ARRAY(
		SELECT id FROM outbox WHERE id = ANY($1) AND delivered_at IS NULL FOR UPDATE SKIP LOCKED))`

// deliver publishes the events and marks the rows of those that every
// synchronous subscriber has taken.
func (o *Outbox) deliver(ctx context.Context, rows []*row) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliveryTimeout)
	defer cancel()

	var taken []int64
	for _, r := range rows {
		if err := o.bus.Publish(ctx, r.event); err != nil {
			o.undelivered.Add(1)
			o.log.WarnContext(ctx, "event left undelivered", "row", r.id, "kind", r.kind, "error", err)
			continue
		}
		taken = append(taken, r.id)
	}
	if len(taken) == 0 {
		return
	}
	if _, err := o.pool.Exec(ctx, markOwn, taken); err != nil {
		o.undelivered.Add(uint64(len(taken)))
		o.log.WarnContext(ctx, "delivered events could not be marked", "rows", taken, "error", err)
		return
	}
	o.delivered.Add(uint64(len(taken)))
}

// Tx is the transaction of a change. Queries go through the embedded pgx.Tx;
// ending it is Write's.
type Tx struct {
	pgx.Tx
	kinds registry
	rows  []*row
	err   error // the first event that could not be encoded
}

// Emit notes an event, a value of a declared kind, to be written with the
// change and delivered after the commit. The row holds the event as it is now.
// An event of an undeclared type fails the transaction.
func (t *Tx) Emit(event any) {
	kind, payload, err := t.kinds.encode(event)
	if err != nil {
		if t.err == nil {
			t.err = err
		}
		return
	}
	t.rows = append(t.rows, &row{kind: kind, payload: payload, event: event})
}

// insert writes the rows, in the order of emission, in one round trip.
func (t *Tx) insert(ctx context.Context) error {
	if t.err != nil {
		return t.err
	}
	if len(t.rows) == 0 {
		return nil
	}
	var batch pgx.Batch
	for _, r := range t.rows {
		batch.Queue(`INSERT INTO outbox (kind, payload) VALUES ($1, $2) RETURNING id`, r.kind, r.payload).
			QueryRow(func(result pgx.Row) error { return result.Scan(&r.id) })
	}
	return t.SendBatch(ctx, &batch).Close()
}

var errEnd = errors.New("a transaction of the outbox is ended by Write, not by its function")

// Commit fails: Write commits when its function returns nil.
func (t *Tx) Commit(context.Context) error { return errEnd }

// Rollback fails: Write rolls back when its function returns an error.
func (t *Tx) Rollback(context.Context) error { return errEnd }
