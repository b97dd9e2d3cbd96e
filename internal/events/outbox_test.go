package events_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var orchard = events.Kinds{
	events.KindOf[planted]("orchard.planted"),
	events.KindOf[harvested]("orchard.harvested"),
}

// place is an outbox on a database of its own, with a table to change.
type place struct {
	pool   *pgxpool.Pool
	bus    *events.Bus
	outbox *events.Outbox
}

func newPlace(t *testing.T) place {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), testenv.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if _, err := pool.Exec(t.Context(), `CREATE TABLE trees (id int PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	bus := events.NewBus(testenv.Log(t))
	return place{pool, bus, newOutbox(t, pool, bus, orchard)}
}

// newOutbox returns an outbox that is closed before its pool.
func newOutbox(t *testing.T, pool *pgxpool.Pool, bus *events.Bus, kinds events.Kinds) *events.Outbox {
	t.Helper()
	outbox := events.NewOutbox(pool, bus, kinds, testenv.Log(t))
	t.Cleanup(func() { closeOutbox(t, outbox) })
	return outbox
}

// closeOutbox returns when what was delivered is marked.
func closeOutbox(t *testing.T, outbox *events.Outbox) {
	t.Helper()
	if err := outbox.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// row is what a test looks at of an outbox row.
type row struct {
	Kind, Payload string
	Delivered     bool
}

func (p place) rows(t *testing.T) []row {
	t.Helper()
	found, err := p.pool.Query(t.Context(), `SELECT kind, payload::text, delivered_at IS NOT NULL FROM outbox ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := pgx.CollectRows(found, pgx.RowToStructByPos[row])
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func (p place) trees(t *testing.T) (n int) {
	t.Helper()
	if err := p.pool.QueryRow(t.Context(), `SELECT count(*) FROM trees`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// plant is a change with its event.
func plant(ctx context.Context, tree int) func(*events.Tx) error {
	return func(tx *events.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO trees VALUES ($1)`, tree); err != nil {
			return err
		}
		tx.Emit(planted{tree})
		return nil
	}
}

func TestAnEventIsPublishedOnceItsChangeIsCommitted(t *testing.T) {
	p := newPlace(t)
	var heard []any
	p.bus.Subscribe("look", func(ctx context.Context, event any) error {
		heard = append(heard, event)
		if n := p.trees(t); n != 1 { // on another connection
			t.Errorf("the subscriber sees %d trees, want 1", n)
		}
		if diff := cmp.Diff([]row{{"orchard.planted", `{"Tree": 7}`, false}}, p.rows(t)); diff != "" {
			t.Errorf("while it is published (-want +got):\n%s", diff)
		}
		return nil
	})
	if err := p.outbox.Write(t.Context(), plant(t.Context(), 7)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{planted{7}}, heard); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
	closeOutbox(t, p.outbox)
	if diff := cmp.Diff([]row{{"orchard.planted", `{"Tree": 7}`, true}}, p.rows(t)); diff != "" {
		t.Errorf("afterwards (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(events.OutboxStats{Written: 1, Delivered: 1}, p.outbox.Stats()); diff != "" {
		t.Error(diff)
	}
}

func TestEventsOfOneWriterKeepTheirOrder(t *testing.T) {
	p := newPlace(t)
	var heard []any
	p.bus.Subscribe("list", func(_ context.Context, event any) error { heard = append(heard, event); return nil })
	var want []any
	err := p.outbox.Write(t.Context(), func(tx *events.Tx) error {
		for i := range 20 {
			tx.Emit(planted{i})
			tx.Emit(harvested{i, 2 * i})
			want = append(want, planted{i}, harvested{i, 2 * i})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
	var stored []any
	for _, r := range p.rows(t) {
		var tree, apples int
		if n, _ := fmt.Sscanf(r.Payload, `{"Tree": %d, "Apples": %d}`, &tree, &apples); n == 2 {
			stored = append(stored, harvested{tree, apples})
		} else {
			stored = append(stored, planted{tree})
		}
	}
	if diff := cmp.Diff(want, stored); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

func TestAChangeThatFailsLeavesNoEvent(t *testing.T) {
	cause := errors.New("too dry")
	for name, fail := range map[string]func(*events.Tx) error{
		"the function fails":       func(*events.Tx) error { return cause },
		"the function panics":      func(*events.Tx) error { panic(cause) },
		"the statement fails":      func(tx *events.Tx) error { _, err := tx.Exec(context.Background(), `SELECT 1/0`); return err },
		"an event nobody declared": func(tx *events.Tx) error { tx.Emit(struct{}{}); return nil },
		"an event by its pointer":  func(tx *events.Tx) error { tx.Emit(&planted{1}); return nil },
		"a queued one fails":       func(tx *events.Tx) error { tx.Queue(`SELECT 1/0`); return nil },
		"it swallows a failure":    func(tx *events.Tx) error { _, _ = tx.Exec(context.Background(), `SELECT 1/0`); return nil },
		"the outbox is gone":       func(tx *events.Tx) error { tx.Queue(`SET LOCAL search_path = pg_catalog`); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.bus.Subscribe("none", func(_ context.Context, event any) error { t.Errorf("heard %v", event); return nil })
			err := func() (err error) {
				defer func() {
					if r := recover(); r != nil {
						err = r.(error)
					}
				}()
				return p.outbox.Write(t.Context(), func(tx *events.Tx) error {
					if err := plant(t.Context(), 1)(tx); err != nil {
						return err
					}
					return fail(tx)
				})
			}()
			if err == nil {
				t.Error("no error")
			}
			if rows, trees := p.rows(t), p.trees(t); len(rows) != 0 || trees != 0 {
				t.Errorf("it left %d trees and %v", trees, rows)
			}
			if busy := p.pool.Stat().AcquiredConns(); busy != 0 {
				t.Errorf("%d connections were not given back", busy)
			}
			if diff := cmp.Diff(events.OutboxStats{}, p.outbox.Stats()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestADeliveryThatFailsIsNotTheWritersErrorAndLeavesItsRow(t *testing.T) {
	p := newPlace(t)
	p.bus.Subscribe("picky", func(_ context.Context, event any) error {
		switch event {
		case planted{2}:
			return errors.New("not this one")
		case planted{3}:
			panic("nor this")
		}
		return nil
	})
	err := p.outbox.Write(t.Context(), func(tx *events.Tx) error {
		for tree := range 5 {
			tx.Emit(planted{tree})
		}
		return nil
	})
	if err != nil {
		t.Errorf("the writer got %v", err)
	}
	closeOutbox(t, p.outbox)
	var delivered []bool
	for _, r := range p.rows(t) {
		delivered = append(delivered, r.Delivered)
	}
	if diff := cmp.Diff([]bool{true, true, false, false, true}, delivered); diff != "" {
		t.Errorf("delivered (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(events.OutboxStats{Written: 5, Delivered: 3, Undelivered: 2}, p.outbox.Stats()); diff != "" {
		t.Error(diff)
	}
}

func TestAClientThatLeavesAfterItsChangeDoesNotStopTheDelivery(t *testing.T) {
	p := newPlace(t)
	ctx, leave := context.WithCancel(t.Context())
	p.bus.Subscribe("first", func(ctx context.Context, _ any) error {
		leave()
		return ctx.Err()
	})
	p.bus.Subscribe("second", func(ctx context.Context, _ any) error { return ctx.Err() })
	if err := p.outbox.Write(ctx, plant(ctx, 1)); err != nil {
		t.Fatal(err)
	}
	closeOutbox(t, p.outbox)
	if diff := cmp.Diff([]row{{"orchard.planted", `{"Tree": 1}`, true}}, p.rows(t)); diff != "" {
		t.Error(diff)
	}
}

func TestAClientThatLeavesBeforeTheCommitChangesNothingAndCostsNoConnection(t *testing.T) {
	p := newPlace(t)
	ctx, leave := context.WithCancel(t.Context())
	opened := p.pool.Stat().NewConnsCount()
	err := p.outbox.Write(ctx, func(tx *events.Tx) error {
		if err := plant(ctx, 1)(tx); err != nil {
			return err
		}
		leave()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if rows, trees := p.rows(t), p.trees(t); len(rows) != 0 || trees != 0 {
		t.Errorf("it left %d trees and %v", trees, rows)
	}
	if n := p.pool.Stat().NewConnsCount() - opened; n != 0 {
		t.Errorf("%d connections had to be opened", n)
	}
}

func TestAnEventIsStoredAsItWasWhenItWasEmitted(t *testing.T) {
	p := newPlace(t)
	type basket struct{ Fruit []string }
	outbox := newOutbox(t, p.pool, p.bus, events.Kinds{events.KindOf[basket]("orchard.basket")})
	err := outbox.Write(t.Context(), func(tx *events.Tx) error {
		b := basket{[]string{"apple"}}
		tx.Emit(b)
		b.Fruit[0] = "stone"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if rows := p.rows(t); len(rows) != 1 || !strings.Contains(rows[0].Payload, "apple") {
		t.Errorf("got %v", rows)
	}
}

func TestAWriteWithoutEventsIsAnOrdinaryTransaction(t *testing.T) {
	p := newPlace(t)
	err := p.outbox.Write(t.Context(), func(tx *events.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO trees VALUES (1)`)
		return err
	})
	if rows, trees := p.rows(t), p.trees(t); err != nil || len(rows) != 0 || trees != 1 {
		t.Errorf("error %v, %d trees, %v", err, trees, rows)
	}
}

func TestManyWritersAtOnceEachHaveTheirEventDelivered(t *testing.T) {
	p := newPlace(t)
	var heard sync.Map
	p.bus.Subscribe("list", func(_ context.Context, event any) error { heard.Store(event, true); return nil })
	const writers, each = 8, 10
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				if err := p.outbox.Write(t.Context(), plant(t.Context(), w*each+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	closeOutbox(t, p.outbox)
	rows := p.rows(t)
	for _, r := range rows {
		if !r.Delivered {
			t.Errorf("left undelivered: %v", r)
		}
	}
	for tree := range writers * each {
		if _, ok := heard.Load(planted{tree}); !ok {
			t.Errorf("nobody heard of tree %d", tree)
		}
	}
	if len(rows) != writers*each {
		t.Errorf("%d rows, want %d", len(rows), writers*each)
	}
}
