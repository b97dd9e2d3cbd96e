package events_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/testenv"
)

// clock is a clock that only a test turns.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// trust is what a cache has: distrust ends with a drain that began after it did.
type trust struct {
	clock *clock
	began func() // called when a drain has begun, if set

	mu    sync.Mutex
	lost  int
	since time.Time
}

func (t *trust) lose() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost++
	if t.since.IsZero() {
		t.since = t.clock.Now()
	}
}

func (t *trust) holds() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.since.IsZero()
}

func (t *trust) losses() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost
}

func (t *trust) beginDrain() (time.Time, func(), bool) {
	t.mu.Lock()
	lost, since := t.lost, t.since
	t.mu.Unlock()
	if t.began != nil {
		t.began()
	}
	return since, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.lost == lost {
			t.since = time.Time{}
		}
	}, !since.IsZero()
}

var errAway = errors.New("away")

// process is a relay on an outbox, with a subscriber that notes the trees it
// hears of and answers as the test says.
type process struct {
	place
	relay  *events.Relay
	clock  *clock
	trust  *trust
	answer func(tree int) error // set before polling
	logged bytes.Buffer         // by the relay; read after polling

	mu    sync.Mutex
	heard []int
}

func newProcess(t *testing.T, options ...func(*events.RelayOptions)) *process {
	t.Helper()
	return newPlace(t).process(t, options...)
}

// process is another process on the place's database.
func (p place) process(t *testing.T, options ...func(*events.RelayOptions)) *process {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), p.pool.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	bus := events.NewBus(testenv.Log(t))
	one := &process{
		clock:  &clock{now: time.Now()},
		answer: func(int) error { return nil },
	}
	log := slog.New(slog.NewMultiHandler(testenv.Log(t).Handler(), slog.NewTextHandler(&one.logged, nil)))
	one.place = place{pool, bus, events.NewOutbox(pool, bus, orchard, log)}
	t.Cleanup(func() { closeOutbox(t, one.outbox) })
	one.trust = &trust{clock: one.clock}
	bus.Subscribe("list", func(_ context.Context, event any) error {
		tree := event.(planted).Tree
		one.mu.Lock()
		one.heard = append(one.heard, tree)
		one.mu.Unlock()
		return one.answer(tree)
	})
	o := events.RelayOptions{Doubt: one.trust.lose, BeginDrain: one.trust.beginDrain}
	for _, option := range options {
		option(&o)
	}
	one.relay = events.NewRelay(one.outbox, o)
	one.relay.SetClock(one.clock.Now)
	return one
}

func (p *process) poll(t *testing.T) {
	t.Helper()
	if err := p.relay.Poll(t.Context()); err != nil {
		t.Error(err)
	}
}

// listened returns what was heard since the last call, in order.
func (p *process) listened() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	heard := p.heard
	p.heard = nil
	return heard
}

func (p *process) times(tree int) (n int) {
	for _, h := range p.listened() {
		if h == tree {
			n++
		}
	}
	return n
}

// write commits a row and leaves it undelivered, as a writer does that dies then.
func (p place) write(t *testing.T, tree int) (id int64) {
	t.Helper()
	return p.insert(t, `INSERT INTO outbox (kind, payload) VALUES ('orchard.planted', jsonb_build_object('Tree', $1::int)) RETURNING id`, tree)
}

// writeMany commits rows of trees 1 to n.
func (p place) writeMany(t *testing.T, n int) {
	t.Helper()
	p.insert(t, `
		WITH rows AS (
			INSERT INTO outbox (kind, payload)
			SELECT 'orchard.planted', jsonb_build_object('Tree', i) FROM generate_series(1, $1::int) AS i
			RETURNING id)
		SELECT max(id) FROM rows`, n)
}

// delivered writes a row that was delivered some time ago.
func (p place) delivered(t *testing.T, tree int, ago time.Duration) (id int64) {
	t.Helper()
	return p.insert(t, `
		INSERT INTO outbox (kind, payload, delivered_at)
		VALUES ('orchard.planted', jsonb_build_object('Tree', $1::int), now() - $2::interval) RETURNING id`, tree, ago)
}

func (p place) insert(t *testing.T, sql string, args ...any) (id int64) {
	t.Helper()
	if err := p.pool.QueryRow(t.Context(), sql, args...).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

func (p place) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := p.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// count counts the rows that a condition holds for.
func (p place) count(t *testing.T, where string, args ...any) (n int) {
	t.Helper()
	if err := p.pool.QueryRow(t.Context(), `SELECT count(*) FROM outbox WHERE `+where, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// open are the trees whose rows are neither delivered nor parked.
func (p place) open(t *testing.T) []int {
	t.Helper()
	var trees []int
	if err := p.pool.QueryRow(t.Context(), `
		SELECT coalesce(array_agg((payload->>'Tree')::int), '{}') FROM outbox
		WHERE delivered_at IS NULL AND parked_at IS NULL`).Scan(&trees); err != nil {
		t.Fatal(err)
	}
	slices.Sort(trees)
	return trees
}

// awaitLock returns when a statement of this database waits for a lock.
func (p place) awaitLock(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for waiting := 0; waiting == 0; {
		if err := p.pool.QueryRow(ctx, `
			SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting); err != nil {
			t.Fatalf("nobody waits: %v", err)
		}
	}
}
