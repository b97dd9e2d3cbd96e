package events_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/testenv"
)

// through is the place by way of connections that the test has in hand.
func (p place) through(t *testing.T, over func(net.Conn) net.Conn) place {
	t.Helper()
	config := p.pool.Config()
	var dialer net.Dialer
	config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return over(conn), nil
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return place{pool, p.bus, newOutbox(t, pool, p.bus, orchard)}
}

func TestBeginningAndEndingATransactionTakeNoRoundTripsOfTheirOwn(t *testing.T) {
	var trips testenv.RoundTrips
	p := newPlace(t).through(t, trips.Over)
	closeOutbox(t, p.outbox) // a mark is one round trip from now on
	ctx := t.Context()
	const tree = `INSERT INTO trees VALUES ((SELECT count(*) FROM trees)) RETURNING id`
	scan := func(row pgx.Row) error { var id int; return row.Scan(&id) }
	list := func(rows pgx.Rows, err error) error {
		if err == nil {
			_, err = pgx.CollectRows(rows, pgx.RowTo[int])
		}
		return err
	}
	failing := errors.New("no")

	for name, c := range map[string]struct {
		do   func(*events.Tx) error
		want int64
	}{
		"nothing":           {func(*events.Tx) error { return nil }, 0},
		"an event alone":    {func(tx *events.Tx) error { tx.Emit(planted{1}); return nil }, 1 + 1},
		"a statement":       {func(tx *events.Tx) error { _, err := tx.Exec(ctx, tree); return err }, 2},
		"a query":           {func(tx *events.Tx) error { return list(tx.Query(ctx, tree)) }, 2},
		"a query for a row": {func(tx *events.Tx) error { return scan(tx.QueryRow(ctx, tree)) }, 2},
		"a statement and events": {func(tx *events.Tx) error {
			tx.Emit(planted{1})
			tx.Emit(planted{2})
			return scan(tx.QueryRow(ctx, tree))
		}, 2 + 1},
		"a queued one": {func(tx *events.Tx) error { tx.Queue(tree); tx.Emit(planted{1}); return nil }, 1 + 1},
		"three": {func(tx *events.Tx) error {
			_, err := tx.Exec(ctx, tree)
			return errors.Join(err, list(tx.Query(ctx, tree)), scan(tx.QueryRow(ctx, tree)))
		}, 4},
		"a batch": {func(tx *events.Tx) error {
			var b pgx.Batch
			b.Queue(tree)
			b.Queue(tree).QueryRow(scan)
			return tx.SendBatch(ctx, &b).Close()
		}, 2},
		"a batch that is read in order": {func(tx *events.Tx) error {
			var b pgx.Batch
			b.Queue(tree)
			b.Queue(tree)
			results := tx.SendBatch(ctx, &b)
			return errors.Join(scan(results.QueryRow()), scan(results.QueryRow()), results.Close())
		}, 2},
		"a failure": {func(tx *events.Tx) error { return errors.Join(scan(tx.QueryRow(ctx, tree)), failing) }, 2},
	} {
		for _, prepared := range []bool{false, true} {
			before := trips.Count()
			if err := p.outbox.Write(ctx, c.do); err != nil && !errors.Is(err, failing) {
				t.Errorf("%s: %v", name, err)
			}
			if got := trips.Count() - before; prepared && got != c.want {
				t.Errorf("%s takes %d round trips, want %d", name, got, c.want)
			}
		}
	}
	equal(t, "connections", p.pool.Stat().NewConnsCount(), int64(1))
}

// A statement that cannot be prepared has not begun the transaction, so that whoever goes
// on after it would otherwise commit statement by statement.
func TestWhatFollowsAFailedFirstStatementIsInATransaction(t *testing.T) {
	cause := errors.New("too dry")
	for name, first := range map[string]string{"that cannot be prepared": `SELECT nonsense`, "that fails": `SELECT 1/0`} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			err := p.outbox.Write(t.Context(), func(tx *events.Tx) error {
				if _, err := tx.Exec(t.Context(), first); err == nil {
					t.Error("it has worked")
				}
				_ = plant(t.Context(), 1)(tx)
				return cause
			})
			if !errors.Is(err, cause) || p.trees(t) != 0 || len(p.rows(t)) != 0 {
				t.Errorf("error %v, %d trees, %v", err, p.trees(t), p.rows(t))
			}
		})
	}
}

// The server answers COMMIT with ROLLBACK, which is no error to it.
func TestACommitThatRollsBackIsAnError(t *testing.T) {
	p := newPlace(t)
	err := p.outbox.Write(t.Context(), func(tx *events.Tx) error {
		_, _ = tx.Exec(t.Context(), `INSERT INTO trees VALUES (1)`)
		_, _ = tx.Exec(t.Context(), `SELECT 1/0`)
		return nil
	})
	if !errors.Is(err, pgx.ErrTxCommitRollback) || p.trees(t) != 0 {
		t.Errorf("error %v, %d trees", err, p.trees(t))
	}
}

// deafConn loses what the server answers, once it was told to.
type deafConn struct {
	net.Conn
	deaf *atomic.Bool
}

func (c *deafConn) Read(b []byte) (int, error) {
	if n, err := c.Conn.Read(b); !c.deaf.Load() {
		return n, err
	}
	c.Conn.Close()
	return 0, io.ErrUnexpectedEOF
}

func TestAWriteWhoseCommitIsNotAnsweredIsNoSuccess(t *testing.T) {
	var deaf atomic.Bool
	direct := newPlace(t)
	p := direct.through(t, func(conn net.Conn) net.Conn { return &deafConn{conn, &deaf} })
	p.bus.Subscribe("none", func(_ context.Context, event any) error { t.Errorf("heard %v", event); return nil })
	err := p.outbox.Write(t.Context(), func(tx *events.Tx) error {
		err := plant(t.Context(), 1)(tx)
		deaf.Store(true)
		return err
	})
	if err == nil {
		t.Error("no error")
	}
	equal(t, "stats", p.outbox.Stats(), events.OutboxStats{})
	if rows, trees := direct.rows(t), direct.trees(t); len(rows) != trees {
		t.Errorf("%d rows for %d trees", len(rows), trees)
	}
}
