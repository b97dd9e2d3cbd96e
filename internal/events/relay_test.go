package events_test

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/events"
)

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestARowWhoseWriterDiedIsDeliveredOnceItWasSeenForASecond(t *testing.T) {
	p := newProcess(t)
	id := p.write(t, 7)
	p.exec(t, `UPDATE outbox SET created_at = now() - interval '1 day'`) // the database's clock says nothing
	var published time.Time
	p.answer = func(int) error {
		return p.pool.QueryRow(t.Context(), `SELECT clock_timestamp()`).Scan(&published)
	}

	p.poll(t) // sees it
	p.clock.turn(time.Second - time.Nanosecond)
	p.poll(t)
	equal(t, "heard before its second is over", p.listened(), []int(nil))
	equal(t, "stats before", p.relay.Stats(), events.RelayStats{Undelivered: 1, Oldest: time.Second - time.Nanosecond})
	p.clock.turn(time.Nanosecond)
	p.poll(t)
	equal(t, "heard", p.listened(), []int{7})
	equal(t, "marked after it was published", p.count(t, `id = $1 AND delivered_at >= $2`, id, published), 1)

	p.clock.turn(time.Minute)
	p.poll(t)
	equal(t, "heard later", p.listened(), []int(nil))
	equal(t, "stats", p.relay.Stats(), events.RelayStats{Relayed: 1})
	equal(t, "losses of trust", p.trust.losses(), 0)
}

func TestARowThatItsWriterDeliversIsLeftToIt(t *testing.T) {
	p := newProcess(t)
	id := p.write(t, 7)
	p.poll(t)
	p.exec(t, `UPDATE outbox SET delivered_at = now() WHERE id = $1`, id)
	p.clock.turn(time.Second)
	p.poll(t)
	equal(t, "heard", p.listened(), []int(nil))
	equal(t, "stats", p.relay.Stats(), events.RelayStats{})
}

func TestRelaysShareTheRowsAndNoneIsDeliveredTwice(t *testing.T) {
	place := newPlace(t)
	one, other := place.process(t), place.process(t)
	const rows = 350
	place.writeMany(t, rows)
	for _, p := range []*process{one, other} {
		p.poll(t)
		p.clock.turn(time.Second)
	}
	holds, release := make(chan struct{}), make(chan struct{})
	var first sync.Once
	one.answer = func(int) error {
		first.Do(func() { close(holds); <-release })
		return nil
	}
	var done sync.WaitGroup
	done.Go(func() { one.poll(t) })
	<-holds
	other.poll(t) // ends although one has rows of its own under way
	close(release)
	done.Wait()

	byOne, byOther := one.listened(), other.listened()
	if len(byOne) == 0 || len(byOther) == 0 {
		t.Errorf("one delivered %d rows and the other %d", len(byOne), len(byOther))
	}
	times := make(map[int]int)
	for _, tree := range slices.Concat(byOne, byOther) {
		times[tree]++
	}
	for tree := range rows {
		if n := times[tree+1]; n != 1 {
			t.Errorf("tree %d was delivered %d times", tree+1, n)
		}
	}
	equal(t, "left open", place.open(t), []int{})
}

func TestARowSeenUndeliveredForTwoSecondsIsInDoubt(t *testing.T) {
	p := newProcess(t)
	p.answer = func(int) error { return errAway }
	p.write(t, 7)
	p.poll(t)
	p.clock.turn(2*time.Second - time.Nanosecond)
	p.poll(t)
	equal(t, "trusted before", p.trust.holds(), true)
	p.clock.turn(time.Nanosecond)
	p.poll(t)
	equal(t, "trusted", p.trust.holds(), false)
}

// The database was away between two polls, and a row that was seen before has become
// older than two seconds without a chance to be delivered here. Its writer may have
// delivered it and just not marked it.
func TestARowIsTriedBeforeItIsInDoubt(t *testing.T) {
	for name, away := range map[string]bool{"and delivered": false, "in vain": true} {
		t.Run(name, func(t *testing.T) {
			p := newProcess(t)
			if away {
				p.answer = func(int) error { return errAway }
			}
			p.write(t, 7)
			p.poll(t)
			p.clock.turn(time.Minute)
			p.poll(t)
			equal(t, "heard", p.listened(), []int{7})
			equal(t, "trusted", p.trust.holds(), true)
			p.poll(t)
			equal(t, "trusted at the next poll", p.trust.holds(), !away)
		})
	}
}

func TestOldDeliveredRowsAreSweptInBatches(t *testing.T) {
	p := newProcess(t)
	p.exec(t, `
		INSERT INTO outbox (kind, payload, created_at, delivered_at)
		SELECT 'orchard.planted', '{"Tree": 1}', now() - interval '2 hours', now() - interval '61 minutes'
		FROM generate_series(1, 2500)`)
	p.delivered(t, 2, 59*time.Minute)
	p.exec(t, `INSERT INTO outbox (kind, payload, created_at, parked_at)
		VALUES ('orchard.planted', '{"Tree": 3}', now() - interval '1 day', now() - interval '1 day')`)
	p.write(t, 4)
	p.exec(t, `UPDATE outbox SET created_at = now() - interval '1 day' WHERE payload = '{"Tree": 4}'`)

	for _, left := range []int{1503, 503, 3, 3} {
		p.poll(t)
		equal(t, "rows left", p.count(t, `true`), left)
	}
	equal(t, "old ones left", p.count(t, `payload = '{"Tree": 1}'`), 0)
	equal(t, "swept", p.relay.Stats().Swept, uint64(2500))

	p.exec(t, `UPDATE outbox SET delivered_at = now() - interval '61 minutes' WHERE payload = '{"Tree": 2}'`)
	p.clock.turn(time.Minute - time.Nanosecond)
	p.poll(t)
	equal(t, "swept within a minute", p.relay.Stats().Swept, uint64(2500))
	p.clock.turn(time.Nanosecond)
	p.poll(t)
	equal(t, "swept after it", p.relay.Stats().Swept, uint64(2501))
}

func TestSweepsOfTwoProcessesDoNotWaitForEachOther(t *testing.T) {
	p := newProcess(t)
	p.delivered(t, 1, 2*time.Hour)
	p.delivered(t, 2, 2*time.Hour)
	tx, err := p.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), `SELECT FROM outbox ORDER BY id LIMIT 1 FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	p.poll(t)
	equal(t, "swept", p.relay.Stats().Swept, uint64(1))
}

func TestRelaySweepsOnlyWhenNoOtherProcessDoes(t *testing.T) {
	alone := false
	p := newProcess(t, func(o *events.RelayOptions) {
		o.Alone = func(ctx context.Context, do func(context.Context) error) error {
			if !alone {
				return nil
			}
			return do(ctx)
		}
	})
	p.delivered(t, 1, 2*time.Hour)
	p.poll(t)
	equal(t, "swept while another one sweeps", p.relay.Stats().Swept, uint64(0))
	alone = true
	p.poll(t)
	equal(t, "swept before the next minute", p.relay.Stats().Swept, uint64(0))
	p.clock.turn(time.Minute)
	p.poll(t)
	equal(t, "swept after it", p.relay.Stats().Swept, uint64(1))
}

// logSignal tells of every line that contains a text.
type logSignal struct {
	text string
	seen chan struct{}

	mu    sync.Mutex
	lines []string
}

func (l *logSignal) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(line))
	if l.seen != nil && strings.Contains(string(line), l.text) {
		close(l.seen)
		l.seen = nil
	}
	return len(line), nil
}

func (l *logSignal) await(text string) (seen chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text, l.seen = text, make(chan struct{})
	return l.seen
}

func TestRunLivesThroughAFailingDatabaseAndLogsItOnce(t *testing.T) {
	p := newPlace(t)
	var log logSignal
	fails := log.await("relaying events fails")
	outbox := events.NewOutbox(p.pool, p.bus, orchard, slog.New(slog.NewTextHandler(&log, nil)))
	heard := make(chan any, 1)
	p.bus.Subscribe("list", func(_ context.Context, event any) error { heard <- event; return nil })
	relay := events.NewRelay(outbox, events.RelayOptions{Every: time.Millisecond})
	turning := clock{now: time.Now()}
	relay.SetClock(func() time.Time { turning.turn(time.Second); return turning.Now() })

	p.exec(t, `ALTER TABLE outbox RENAME TO elsewhere`)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { relay.Run(ctx) })
	<-fails
	for polls := p.pool.Stat().AcquireCount() + 5; p.pool.Stat().AcquireCount() < polls; {
		runtime.Gosched()
	}
	works := log.await("relaying events works again")
	p.exec(t, `ALTER TABLE elsewhere RENAME TO outbox`)
	<-works
	p.write(t, 7)
	equal(t, "heard", <-heard, any(planted{7}))
	stop()
	running.Wait()
	equal(t, "lines in the log", len(log.lines), 2)
	equal(t, "left open", p.open(t), []int{}) // what was published is marked, though Run was stopped
}

func TestRunReturnsWhileTheDatabaseHangs(t *testing.T) {
	p := newPlace(t)
	tx, err := p.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), `LOCK TABLE outbox`); err != nil {
		t.Fatal(err)
	}
	one := p.process(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { one.relay.Run(ctx) })
	p.awaitLock(t)
	stop()
	running.Wait()
}
