package events_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/communityfeed/internal/events"
)

// Interleaving 8: a drain that found nothing before a delivery failed ends the distrust
// that began after it.
func TestADrainThatBeganBeforeTheFailureDoesNotEndTheDistrust(t *testing.T) {
	// A failure is a row whose delivery by its writer has just failed.
	for _, c := range []struct {
		name   string
		during func(fail func()) (began func(), answer func(int) error)
	}{
		{"it fails before anything was read", func(fail func()) (func(), func(int) error) {
			return fail, func(int) error { return nil }
		}},
		{"it fails while rows are delivered", func(fail func()) (func(), func(int) error) {
			return nil, func(int) error { fail(); return nil }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProcess(t)
			var once sync.Once
			p.trust.began, p.answer = c.during(func() {
				once.Do(func() { p.write(t, 2); p.trust.lose() })
			})
			p.write(t, 1)
			p.trust.lose()
			p.poll(t)
			equal(t, "trusted", p.trust.holds(), false)
			p.poll(t) // a drain that begins after it
			equal(t, "trusted after the next drain", p.trust.holds(), true)
			equal(t, "left open", p.open(t), []int{})
		})
	}
}

// Interleaving 9: a drain that was done with reading when a row was committed ends
// although that row is undelivered.
func TestADrainReadsOnlyOnceItHasBegun(t *testing.T) {
	p := newProcess(t)
	p.trust.lose()
	p.trust.began = func() { p.write(t, 1) } // as if committed just before it began
	p.poll(t)
	p.trust.began = nil
	equal(t, "left open", p.open(t), []int{})
	equal(t, "trusted", p.trust.holds(), true)
}

// Interleaving 9: "no row is older than two seconds" is true of the row whose delivery
// has just failed.
func TestADrainDeliversFreshRows(t *testing.T) {
	p := newProcess(t)
	p.trust.lose()
	p.answer = func(int) error { return errAway }
	p.write(t, 1) // its writer's move has failed this moment
	p.poll(t)
	equal(t, "trusted while it is undelivered", p.trust.holds(), false)
	p.answer = func(int) error { return nil }
	p.poll(t)
	equal(t, "left open", p.open(t), []int{})
	equal(t, "trusted", p.trust.holds(), true)
}

// Interleaving 11: a row that is old was delivered late, to a Redis that lost it in a
// failover. It is found by when it was delivered, not by when it was written.
func TestADrainPublishesAgainWhatWasDeliveredShortlyBeforeTheLoss(t *testing.T) {
	p := newProcess(t)
	p.delivered(t, 1, 14*time.Second) // 11 s before the loss
	p.delivered(t, 2, 12*time.Second) // 9 s before it
	p.delivered(t, 3, time.Second)    // after it
	p.exec(t, `UPDATE outbox SET created_at = now() - interval '1 day' WHERE payload = '{"Tree": 2}'`)
	for tree := 100; tree < 400; tree++ { // more than one page
		p.delivered(t, tree, 2*time.Second)
	}
	sum := func() (sum string) {
		if err := p.pool.QueryRow(t.Context(), `SELECT string_agg(delivered_at::text, ' ' ORDER BY id) FROM outbox`).Scan(&sum); err != nil {
			t.Fatal(err)
		}
		return sum
	}
	before := sum()
	p.trust.lose()
	p.clock.turn(3 * time.Second)

	p.answer = func(tree int) error {
		if tree == 3 {
			return errAway
		}
		return nil
	}
	p.poll(t)
	equal(t, "trusted although one was refused", p.trust.holds(), false)
	p.listened()
	p.answer = func(int) error { return nil }
	p.poll(t)
	heard := p.listened()
	slices.Sort(heard)
	want := []int{2, 3}
	for tree := 100; tree < 400; tree++ {
		want = append(want, tree)
	}
	equal(t, "heard", heard, want)
	equal(t, "trusted", p.trust.holds(), true)
	equal(t, "times of delivery", sum(), before)
	equal(t, "redelivered by both", p.relay.Stats().Redelivered, uint64(301+302))
	p.poll(t)
	equal(t, "heard once it is trusted", p.listened(), []int(nil))
}

func TestADrainPublishesAgainWhatOthersMarkMeanwhile(t *testing.T) {
	p := newProcess(t)
	p.trust.lose()
	p.delivered(t, 1, time.Second)
	id := p.write(t, 2)
	// Its writer published it, to a server that is gone now, and marks it while
	// the drain publishes something else. Had that been a look at the rows
	// delivered before, it would have gone by this one.
	p.answer = func(tree int) error {
		if tree == 1 {
			p.exec(t, `UPDATE outbox SET delivered_at = now() - interval '5 seconds' WHERE id = $1`, id)
		}
		return nil
	}
	p.poll(t)
	if n := p.times(2); n == 0 {
		t.Error("it was not published")
	}
	equal(t, "trusted", p.trust.holds(), true)
}

func TestADrainWaitsForARowThatAnotherRelayDelivers(t *testing.T) {
	for name, otherFails := range map[string]bool{"who does": false, "who fails": true} {
		t.Run(name, func(t *testing.T) {
			place := newPlace(t)
			one, other := place.process(t), place.process(t)
			place.write(t, 1)
			other.poll(t)
			other.clock.turn(time.Second)
			holds, release := make(chan struct{}), make(chan struct{})
			other.answer = func(int) error {
				close(holds)
				<-release
				if otherFails {
					return errAway
				}
				return nil
			}
			var done sync.WaitGroup
			done.Go(func() { other.poll(t) })
			<-holds

			one.trust.lose()
			done.Go(func() { one.poll(t) })
			place.awaitLock(t)
			equal(t, "trusted while the other has it", one.trust.holds(), false)
			close(release)
			done.Wait()
			equal(t, "left open", place.open(t), []int{})
			equal(t, "trusted", one.trust.holds(), true)
			if one.times(1) == 0 {
				t.Error("the process that drained never published it")
			}
		})
	}
}

func TestADrainDoesNotWaitForEver(t *testing.T) {
	p := newProcess(t)
	p.write(t, 1)
	tx, err := p.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), `SELECT FROM outbox FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	p.trust.lose()
	p.poll(t)
	equal(t, "trusted while it is locked", p.trust.holds(), false)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.poll(t)
	equal(t, "trusted", p.trust.holds(), true)
}

func TestADrainDoesNotEndWithARedeliveryOfAnUnknownKind(t *testing.T) {
	p := newProcess(t)
	id := p.delivered(t, 1, time.Second)
	p.exec(t, `UPDATE outbox SET kind = 'orchard.grafted' WHERE id = $1`, id)
	p.trust.lose()
	p.poll(t)
	equal(t, "trusted", p.trust.holds(), false)
}

func TestADrainPurgesForWhatItCannotPublishAgain(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(*testing.T, *process)
	}{
		{"it does not decode", func(t *testing.T, p *process) {
			p.exec(t, `UPDATE outbox SET payload = '{"Tree": "an oak"}' WHERE payload = '{"Tree": 1}'`)
		}},
		{"a subscriber says so", func(_ *testing.T, p *process) {
			p.answer = func(int) error { return events.ErrPoison }
		}},
		{"a subscriber panics", func(_ *testing.T, p *process) {
			p.answer = func(int) error { panic("a wasp") }
		}},
		{"it may have been swept", func(_ *testing.T, p *process) { p.clock.turn(time.Hour) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			purge := func() error { return errors.New("not yet") }
			p := newProcess(t, func(o *events.RelayOptions) {
				o.Purge = func(context.Context) error { return purge() }
			})
			p.delivered(t, 1, time.Second)
			p.trust.lose()
			c.prepare(t, p)
			p.poll(t)
			equal(t, "trusted although the purge failed", p.trust.holds(), false)
			purges := 0
			purge = func() error { purges++; return nil }
			p.poll(t)
			equal(t, "trusted", p.trust.holds(), true)
			equal(t, "purges", purges, 1)
			equal(t, "stats", p.relay.Stats(), events.RelayStats{Drained: 1})
			equal(t, "still delivered", p.count(t, `delivered_at IS NOT NULL AND parked_at IS NULL`), 1)
		})
	}
}
