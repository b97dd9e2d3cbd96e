package events

import (
	"cmp"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Tx is the transaction of a change. Each of its methods that sends something is one
// round trip: BEGIN travels with the first statement, COMMIT with the rows of the
// events and with what was queued. Ending it is Write's.
type Tx struct {
	conn  *pgxpool.Conn
	kinds registry
	sent  bool      // something was, so the transaction needs its COMMIT
	last  pgx.Batch // goes with COMMIT
	rows  []*row
	err   error // the first event that could not be encoded
}

// open reports whether the server has a transaction for us. It is asked rather than
// remembered: a first statement that could not be prepared has begun none, and what
// follows it must not commit by itself.
func (t *Tx) open() bool { return t.conn.Conn().PgConn().TxStatus() != 'I' }

// SendBatch runs several statements in one round trip. Their results are for the
// functions that were queued with them, or to be read in order.
func (t *Tx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	t.sent = true
	if t.open() {
		return t.conn.SendBatch(ctx, b)
	}
	var all pgx.Batch
	all.Queue(`begin`)
	all.QueuedQueries = append(all.QueuedQueries, b.QueuedQueries...)
	results := t.conn.SendBatch(ctx, &all)
	_, _ = results.Exec() // an error is that of the statements as well
	return results
}

func (t *Tx) first(ctx context.Context, sql string, args []any) pgx.BatchResults {
	var b pgx.Batch
	b.Queue(sql, args...)
	return t.SendBatch(ctx, &b)
}

// Exec runs a statement.
func (t *Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if t.open() {
		return t.conn.Exec(ctx, sql, args...)
	}
	results := t.first(ctx, sql, args)
	tag, err := results.Exec()
	return tag, cmp.Or(err, results.Close())
}

// Query runs a query, whose rows must be closed.
func (t *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if t.open() {
		return t.conn.Query(ctx, sql, args...)
	}
	results := t.first(ctx, sql, args)
	rows, err := results.Query()
	if err != nil {
		_ = results.Close()
	}
	return &firstRows{rows, results}, err
}

// QueryRow runs a query for one row, which must be scanned.
func (t *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if t.open() {
		return t.conn.QueryRow(ctx, sql, args...)
	}
	results := t.first(ctx, sql, args)
	return &firstRow{results.QueryRow(), results}
}

// firstRows end their batch when they are closed.
type firstRows struct {
	pgx.Rows
	batch pgx.BatchResults
}

func (r *firstRows) Close() {
	r.Rows.Close()
	_ = r.batch.Close() // an error of the connection is that of the next statement
}

// firstRow ends its batch when it has been scanned.
type firstRow struct {
	row   pgx.Row
	batch pgx.BatchResults
}

func (r *firstRow) Scan(into ...any) error {
	err := r.row.Scan(into...)
	return cmp.Or(err, r.batch.Close())
}

// Queue notes a statement that runs last, in the round trip of COMMIT. It is for a
// change of which nothing needs to be known but that it worked.
func (t *Tx) Queue(sql string, args ...any) { t.last.Queue(sql, args...) }

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

// commit sends what was queued, the rows in the order of emission, and COMMIT. The
// server skips what follows a statement that fails, so COMMIT runs only if all of
// them have worked; and only the server's word that it has run counts as success.
func (t *Tx) commit(ctx context.Context) error {
	if t.err != nil {
		return fmt.Errorf("writing the outbox: %w", t.err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("not committing: %w", err)
	}
	for _, r := range t.rows {
		t.last.Queue(`INSERT INTO outbox (kind, payload) VALUES ($1, $2) RETURNING id`, r.kind, r.payload).
			QueryRow(func(result pgx.Row) error { return result.Scan(&r.id) })
	}
	if t.last.Len() == 0 && !t.sent {
		return nil // nothing was done
	}
	committed := false
	t.last.Queue(`commit`).Exec(func(tag pgconn.CommandTag) error {
		committed = tag.String() == "COMMIT" // it is ROLLBACK if a statement has failed before
		return nil
	})
	err := end(ctx, func(ctx context.Context) error { return t.SendBatch(ctx, &t.last).Close() })
	if committed {
		return nil // whatever became of the connection after it
	}
	return fmt.Errorf("committing: %w", cmp.Or(err, pgx.ErrTxCommitRollback))
}

// release gives the connection back, without a transaction. What is left in the
// middle of a result is closed by the pool, and then the server rolls back.
func (t *Tx) release(ctx context.Context) {
	conn := t.conn.Conn()
	if t.open() && !conn.IsClosed() && !conn.PgConn().IsBusy() {
		_ = end(ctx, func(ctx context.Context) error {
			_, err := t.conn.Exec(ctx, `rollback`)
			return err
		})
	}
	t.conn.Release()
}
