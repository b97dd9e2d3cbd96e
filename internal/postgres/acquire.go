package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A BusyError is the error of a query that got no connection of its pool within
// Options.AcquireTimeout. Where all are in use, it says nothing against the database:
// this query was one too many. Where most are still being opened, the database is slow
// to answer.
type BusyError struct {
	Waited  time.Duration
	Most    int32 // the pool's size
	InUse   int32
	Opening int32
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("postgres: no connection was free for %v: of %d at most, %d are in use and %d are being opened",
		e.Waited, e.Most, e.InUse, e.Opening)
}

// Unwrap is what package context promises of the error of a deadline.
func (e *BusyError) Unwrap() error { return context.DeadlineExceeded }

// acquireTimeout bounds how long the queries of one pool wait for a connection, and
// counts those that got none. pgxpool has no setting for it, but runs Acquire, and
// nothing after it, under the context that its tracer returns. So this is a tracer,
// and whoever holds the pool need not know of the bound.
type acquireTimeout struct {
	most    time.Duration
	refused atomic.Uint64
}

// Refused is how many queries got no connection of the pool within its
// AcquireTimeout.
func Refused(pool *pgxpool.Pool) uint64 {
	if t, ok := pool.Config().ConnConfig.Tracer.(*acquireTimeout); ok {
		return t.refused.Load()
	}
	return 0
}

// acquiring is the context of one wait. pgxpool returns its Err to the caller, so what
// has happened is said there.
type acquiring struct {
	context.Context
	cancel context.CancelFunc
	busy   *BusyError
}

func (a *acquiring) Err() error {
	if context.Cause(a.Context) == a.busy {
		return a.busy
	}
	return a.Context.Err()
}

// TraceAcquireStart implements [pgxpool.AcquireTracer].
func (t *acquireTimeout) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	busy := &BusyError{Waited: t.most}
	ctx, cancel := context.WithTimeoutCause(ctx, t.most, busy)
	return &acquiring{ctx, cancel, busy}
}

// TraceAcquireEnd implements [pgxpool.AcquireTracer]. The caller sees the error after
// it.
func (t *acquireTimeout) TraceAcquireEnd(ctx context.Context, pool *pgxpool.Pool, end pgxpool.TraceAcquireEndData) {
	a := ctx.(*acquiring)
	a.cancel()
	if end.Err == a.busy {
		t.refused.Add(1)
		s := pool.Stat()
		a.busy.Most, a.busy.InUse, a.busy.Opening = s.MaxConns(), s.AcquiredConns(), s.ConstructingConns()
	}
}

// TraceQueryStart implements [pgx.QueryTracer], which every tracer must.
func (*acquireTimeout) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd implements [pgx.QueryTracer].
func (*acquireTimeout) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
