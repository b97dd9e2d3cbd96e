package events

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// deliveryTimeout bounds what a writer waits, after its commit, for the
	// synchronous subscribers of all its events.
	deliveryTimeout = 5 * time.Second

	// endTimeout bounds COMMIT, with what is sent with it, and ROLLBACK.
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
	marks *marks

	written, delivered, undelivered atomic.Uint64
}

// NewOutbox returns an outbox on the pool of the primary. Every event that is
// emitted must be of one of the kinds; one that is declared twice panics. Close it
// before the pool.
func NewOutbox(write *pgxpool.Pool, bus *Bus, kinds Kinds, log *slog.Logger) *Outbox {
	o := &Outbox{pool: write, bus: bus, kinds: newRegistry(kinds), log: log}
	o.marks = newMarks(o.mark)
	return o
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
// writer's error: its row stays undelivered, and the Relay is the retry. The rows
// of what was delivered are marked soon after Write has returned.
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
	conn, err := o.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("beginning a transaction: %w", err)
	}
	tx := &Tx{conn: conn, kinds: o.kinds}
	defer tx.release(ctx)
	if err := fn(tx); err != nil {
		return nil, err
	}
	if err := tx.commit(ctx); err != nil {
		return nil, err
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

// deliver publishes the events, and leaves the rows of those that every synchronous
// subscriber has taken to be marked.
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
	o.marks.add(taken)
}

// markOwn leaves out what a relay has locked: it is delivering that row, too,
// and marks it itself.
const markOwn = `
	UPDATE outbox SET delivered_at = now() WHERE id = ANY(ARRAY(
		SELECT id FROM outbox WHERE id = ANY($1) AND delivered_at IS NULL FOR UPDATE SKIP LOCKED))`

// mark notes in the database that events were delivered. It is not tried again: a
// row that stays unmarked is delivered once more, by a relay.
func (o *Outbox) mark(ids []int64) {
	ctx, cancel := context.WithTimeout(context.Background(), markTimeout)
	defer cancel()
	if _, err := o.pool.Exec(ctx, markOwn, ids); err != nil {
		o.undelivered.Add(uint64(len(ids)))
		o.log.WarnContext(ctx, "delivered events could not be marked", "rows", ids, "error", err)
		return
	}
	o.delivered.Add(uint64(len(ids)))
}

// Close marks what was delivered and waits for it, until ctx ends. What a straggler
// writes after it is marked before its Write returns.
func (o *Outbox) Close(ctx context.Context) error {
	if err := o.marks.close(ctx); err != nil {
		return fmt.Errorf("marking delivered events: %w", err)
	}
	return nil
}
