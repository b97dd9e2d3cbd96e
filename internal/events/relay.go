package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	relayEvery = 500 * time.Millisecond

	// relayAfter is how long a writer, who normally needs milliseconds, is left
	// alone with its row.
	relayAfter = time.Second

	// doubtAfter is when a row that could have been delivered here is late enough to
	// distrust what depends on it.
	doubtAfter = 2 * time.Second

	// watched bounds how many rows are timed, the oldest ones. Where there are
	// more, the oldest are in doubt soon, and a drain does not wait for times.
	watched = 10_000

	// readTimeout bounds one query of the relay outside of a delivery.
	readTimeout = 5 * time.Second

	// kept is how long delivered rows stay, for redelivery and for people.
	kept = time.Hour

	// sweepEvery is the time between two looks for rows to sweep, and sweepBatch
	// how many go at one poll; while there are more, every poll sweeps.
	sweepEvery = time.Minute
	sweepBatch = 1000
)

// RelayOptions tie a relay to what depends on delivery: the cache's trust in
// its second tier. Each may be left out.
type RelayOptions struct {
	// Every is the time between two polls; 0 is half a second.
	Every time.Duration

	// Doubt is called at every poll that finds a row which this process has seen
	// undelivered for two seconds, and has tried to deliver at an earlier poll.
	Doubt func()

	// BeginDrain is called at every poll, after Doubt. When it says that a drain
	// is needed, the relay delivers every row committed before this call, and
	// publishes again what was delivered from ten seconds before since; when all
	// of that has been done it calls end, otherwise never.
	BeginDrain func() (since time.Time, end func(), needed bool)

	// Purge does, at once, what any event could do to its subscribers. It stands
	// in for events that cannot be delivered, and is called outside of the
	// relay's transactions, so it may write to the outbox itself.
	Purge func(ctx context.Context) error

	// Alone runs do unless another process is running one, to spare the fleet the
	// same work. Nothing depends on it. Default: run it.
	Alone func(ctx context.Context, do func(context.Context) error) error
}

// Relay delivers the rows that their writers did not: the writer died after its
// commit, or a subscriber failed. Each process runs one, and they share the
// work by row locks. Rows are delivered at least once and in no order.
//
// How old a row is, is what this process has seen: it counts from the first poll
// that found the row. Nobody's clock is compared with another's.
//
// A row of a kind that this process does not know is left to a process that
// does. Until that has delivered it, the row counts as undelivered here like any
// other: it is in doubt, and no drain ends.
type Relay struct {
	outbox *Outbox
	o      RelayOptions
	kinds  []string
	log    *slog.Logger
	now    func() time.Time

	// Run's own:
	seen      map[int64]*sighting // by id; rows undelivered at the last poll
	resume    int64               // where the next pass starts; see pass
	refusal   error               // why an event could not be delivered in this poll
	nextSweep time.Time
	database  health
	delivery  health

	relayed, redelivered, parked, swept, drained atomic.Uint64
	undelivered, oldest                          atomic.Int64
}

// sighting is what this process knows of a row that it sees undelivered.
type sighting struct {
	since  time.Time
	due    bool // at an earlier poll, which has not delivered it
	panics int
}

// NewRelay returns a relay of the outbox's rows, on its pool and its bus. It does
// nothing until Run.
func NewRelay(outbox *Outbox, o RelayOptions) *Relay {
	if o.Every == 0 {
		o.Every = relayEvery
	}
	if o.Doubt == nil {
		o.Doubt = func() {}
	}
	if o.BeginDrain == nil {
		o.BeginDrain = func() (time.Time, func(), bool) { return time.Time{}, func() {}, false }
	}
	if o.Purge == nil {
		o.Purge = func(context.Context) error { return nil }
	}
	if o.Alone == nil {
		o.Alone = func(ctx context.Context, do func(context.Context) error) error { return do(ctx) }
	}
	return &Relay{outbox: outbox, o: o, kinds: outbox.kinds.names(), log: outbox.log, now: time.Now}
}

// Run polls until ctx ends. It returns when what it had begun to deliver has been
// marked; no failure ends it before.
func (r *Relay) Run(ctx context.Context) {
	tick := time.NewTicker(r.o.Every)
	defer tick.Stop()
	for ctx.Err() == nil {
		r.refusal = nil
		err := r.poll(ctx)
		if ctx.Err() != nil {
			return // whatever failed may have failed for that
		}
		r.database.note(r.log, "relaying events", err)
		r.delivery.note(r.log, "delivering events late", r.refusal)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// poll does what there is to do now. The error is the database's.
func (r *Relay) poll(ctx context.Context) error {
	due, doubt, err := r.look(ctx)
	if err != nil {
		return err
	}
	if doubt {
		r.o.Doubt()
	}
	// Doubt came first: it voids drains that have begun.
	if since, end, needed := r.o.BeginDrain(); needed {
		err = r.drain(ctx, since, end)
	} else if len(due) > 0 {
		_, err = r.pass(ctx, due[len(due)-1], among(due), skipLocked)
	}
	return errors.Join(err, r.sweep(ctx))
}

// look notes which rows are undelivered now, and returns those, by id, that have
// been for long enough to be delivered from here; and whether one is in doubt.
//
// A row becomes due before it is in doubt, so in doubt is what could not be delivered.
// That needs saying where two polls are far apart, because the database was away in
// between. A row that was delivered just before, and that nobody could mark any more,
// has then been seen for long; it is delivered once more, and Redis is not distrusted
// for it. If it does lack in Redis, this delivery mends that, and one that fails is
// distrusted for by whoever has failed.
func (r *Relay) look(ctx context.Context) (due []int64, doubt bool, err error) {
	ids, err := r.open(ctx, 0, everything, watched)
	if err != nil {
		return nil, false, err
	}
	now, seen, oldest := r.now(), make(map[int64]*sighting, len(ids)), time.Duration(0)
	for _, id := range ids {
		s, known := r.seen[id]
		if !known {
			s = &sighting{since: now}
		}
		seen[id] = s
		age := now.Sub(s.since)
		oldest = max(oldest, age)
		doubt = doubt || s.due && age >= doubtAfter
		if age >= relayAfter {
			s.due = true
			due = append(due, id)
		}
	}
	r.seen = seen
	r.undelivered.Store(int64(len(ids)))
	r.oldest.Store(int64(oldest))
	return due, doubt, nil
}

// open returns the ids of rows neither delivered nor parked, from behind after up
// to upTo, in their order, at most limit.
func (r *Relay) open(ctx context.Context, after, upTo int64, limit int) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	found, err := r.outbox.pool.Query(ctx, `
		SELECT id FROM outbox WHERE delivered_at IS NULL AND parked_at IS NULL AND id > $1 AND id <= $2
		ORDER BY id LIMIT $3`, after, upTo, limit)
	if err != nil {
		return nil, fmt.Errorf("looking for undelivered events: %w", err)
	}
	ids, err := pgx.CollectRows(found, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("looking for undelivered events: %w", err)
	}
	return ids, nil
}

// sweep deletes rows that were delivered long ago, in one process at a time. Where
// several do it all the same, they take different rows, and none waits for another.
// Parked rows stay.
func (r *Relay) sweep(ctx context.Context) error {
	if now := r.now(); !now.Before(r.nextSweep) {
		r.nextSweep = now.Add(sweepEvery)
		return r.o.Alone(ctx, r.sweepSome)
	}
	return nil
}

func (r *Relay) sweepSome(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	deleted, err := r.outbox.pool.Exec(ctx, `
		DELETE FROM outbox WHERE id = ANY(ARRAY(
			SELECT id FROM outbox WHERE delivered_at < now() - $1::interval
			ORDER BY delivered_at LIMIT $2 FOR UPDATE SKIP LOCKED))`, kept, sweepBatch)
	if err != nil {
		return fmt.Errorf("sweeping delivered events: %w", err)
	}
	r.swept.Add(uint64(deleted.RowsAffected()))
	if deleted.RowsAffected() >= sweepBatch {
		r.nextSweep = time.Time{} // there are more
	}
	return nil
}

// health logs changes between working and failing, not every failure in between.
type health struct{ failing bool }

func (h *health) note(log *slog.Logger, what string, err error) {
	switch {
	case err != nil && !h.failing:
		log.Warn(what+" fails, and is tried again until it does not", "error", err)
	case err == nil && h.failing:
		log.Info(what + " works again")
	}
	h.failing = err != nil
}
