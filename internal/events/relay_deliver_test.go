package events_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/communityfeed/internal/events"
)

func TestAMarkDoesNotWaitForARelayThatHasItsRow(t *testing.T) {
	p := newPlace(t)
	p.bus.Subscribe("relay", func(ctx context.Context, _ any) error {
		tx, err := p.pool.Begin(ctx)
		if err != nil {
			return err
		}
		t.Cleanup(func() { tx.Rollback(context.Background()) })
		_, err = tx.Exec(ctx, `SELECT FROM outbox FOR UPDATE`)
		return err
	})
	if err := p.outbox.Write(t.Context(), plant(t.Context(), 1)); err != nil {
		t.Fatal(err)
	}
	closeOutbox(t, p.outbox)
	equal(t, "stats", p.outbox.Stats(), events.OutboxStats{Written: 1, Delivered: 1})
	equal(t, "rows left to the relay", p.count(t, `delivered_at IS NULL`), 1)
}

func TestARefusedRowIsTriedForEverAndThenDelivered(t *testing.T) {
	purges := 0
	p := newProcess(t, func(o *events.RelayOptions) {
		o.Purge = func(context.Context) error { purges++; return nil }
	})
	p.answer = func(int) error { return errAway }
	p.write(t, 7)
	p.poll(t)
	for range 50 {
		p.clock.turn(time.Second)
		p.poll(t)
	}
	equal(t, "tries", p.times(7), 50)
	equal(t, "left open", p.open(t), []int{7})
	equal(t, "trusted", p.trust.holds(), false)

	p.answer = func(int) error { return nil }
	p.poll(t)
	equal(t, "left open", p.open(t), []int{})
	equal(t, "trusted after it was delivered", p.trust.holds(), true)
	equal(t, "purges", purges, 0)
}

func TestABacklogThatCannotBeDeliveredIsNotTriedInFullEveryTime(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		t.Run(fmt.Sprintf("trusted %v", trusted), func(t *testing.T) {
			// A backlog that is doubted would be drained.
			p := newProcess(t, func(o *events.RelayOptions) { o.Doubt = nil })
			if !trusted {
				p.trust.lose()
			}
			p.writeMany(t, 1000)
			p.answer = func(int) error { return errAway }
			p.poll(t)
			p.listened()
			p.clock.turn(time.Second)
			p.poll(t)
			if n := len(p.listened()); n == 0 || n > 100 {
				t.Errorf("%d tries at one poll", n)
			}
			p.answer = func(int) error { return nil }
			p.poll(t) // from where it gave up, and round
			equal(t, "left open", len(p.open(t)), 0)
			equal(t, "trusted", p.trust.holds(), true)
		})
	}
}

func TestRowsThatFailForReasonsOfTheirOwnDoNotHoldUpThoseBehindThem(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		t.Run(fmt.Sprintf("trusted %v", trusted), func(t *testing.T) {
			p := newProcess(t, func(o *events.RelayOptions) { o.Doubt = nil })
			if !trusted {
				p.trust.lose()
			}
			p.writeMany(t, 250)
			p.answer = func(tree int) error {
				if tree <= 220 {
					return errAway
				}
				return nil
			}
			p.poll(t)
			p.clock.turn(time.Second)
			for range 3 {
				p.poll(t)
			}
			equal(t, "left open", len(p.open(t)), 220)
			equal(t, "trusted", p.trust.holds(), trusted)
		})
	}
}

func TestARowOfAnUnknownKindIsLeftToAProcessThatKnowsIt(t *testing.T) {
	p := newProcess(t)
	p.writeMany(t, 200)
	p.exec(t, `UPDATE outbox SET kind = 'orchard.grafted'`)
	p.write(t, 777)
	p.poll(t)
	p.clock.turn(time.Second)
	p.poll(t)
	equal(t, "heard", p.listened(), []int{777}) // not held up by so many others
	for range 8 {
		p.clock.turn(time.Second)
		p.poll(t)
	}
	equal(t, "trusted meanwhile", p.trust.holds(), false)
	equal(t, "stats", p.relay.Stats(), events.RelayStats{
		Relayed: 1, Undelivered: 200, Oldest: 9 * time.Second,
	})

	p.exec(t, `UPDATE outbox SET delivered_at = now() - interval '1 minute'`) // long before the loss
	p.poll(t)
	equal(t, "trusted when it was delivered", p.trust.holds(), true)
}

func TestARowThatCanNeverBeDeliveredIsPurgedForAndParked(t *testing.T) {
	undecodable := func(t *testing.T, p *process) {
		p.exec(t, `UPDATE outbox SET payload = '{"Tree": "an oak"}' WHERE payload = '{"Tree": 7}'`)
	}
	answers := func(how func() error) func(*testing.T, *process) {
		return func(_ *testing.T, p *process) {
			p.answer = func(tree int) error {
				if tree == 7 {
					return how()
				}
				return nil
			}
		}
	}
	for _, c := range []struct {
		name    string
		prepare func(*testing.T, *process)
		tries   int
	}{
		{"it does not decode", undecodable, 0},
		{"a subscriber says so", answers(func() error { return fmt.Errorf("no: %w", events.ErrPoison) }), 1},
		{"a subscriber panics on it", answers(func() error { panic("a wasp") }), 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			purges, parkedBefore := 0, -1
			var p *process
			p = newProcess(t, func(o *events.RelayOptions) {
				o.Purge = func(context.Context) error {
					purges++
					parkedBefore = p.count(t, `parked_at IS NOT NULL`)
					if purges == 1 {
						return errAway
					}
					return nil
				}
			})
			p.write(t, 7)
			p.write(t, 8)
			c.prepare(t, p)

			p.poll(t)
			p.clock.turn(time.Second)
			for range max(c.tries, 1) {
				equal(t, "purges before", purges, 0)
				p.poll(t)
			}
			equal(t, "purges", purges, 1)
			equal(t, "parked although the purge failed", p.count(t, `parked_at IS NOT NULL`), 0)
			p.trust.lose()
			p.poll(t)
			equal(t, "purges", purges, 2)
			equal(t, "parked before the purge", parkedBefore, 0)
			equal(t, "parked", p.count(t, `parked_at IS NOT NULL AND delivered_at IS NULL`), 1)
			equal(t, "left open", p.open(t), []int{})
			equal(t, "trusted", p.trust.holds(), true)
			if n := strings.Count(p.logged.String(), "level=ERROR msg=\"event parked"); n != 1 {
				t.Errorf("%d alarms in %s", n, &p.logged)
			}

			p.listened()
			p.clock.turn(time.Minute)
			p.poll(t)
			equal(t, "tries after that", p.listened(), []int(nil))
			equal(t, "trusted later", p.trust.holds(), true)
			s := p.relay.Stats()
			equal(t, "stats", []uint64{s.Relayed, s.Parked, uint64(s.Undelivered)}, []uint64{1, 1, 0})
		})
	}
}

func TestAFreshRowThatPanicsInADrainIsNotParkedAtOnce(t *testing.T) {
	p := newProcess(t)
	p.trust.began = func() {
		p.trust.began = nil
		p.write(t, 7)
	}
	p.answer = func(int) error { panic("a wasp") }
	p.trust.lose()
	p.poll(t)
	equal(t, "tries", p.times(7), 1)
	equal(t, "left open", p.open(t), []int{7})
}

func TestAPanicIsAnErrorOfItsOwn(t *testing.T) {
	bus := events.NewBus(discard())
	bus.Subscribe("away", func(context.Context, any) error { return errAway })
	bus.Subscribe("fragile", func(context.Context, any) error { panic("a wasp") })
	err := bus.Publish(t.Context(), planted{1})
	panicked, ok := errors.AsType[*events.PanicError](err)
	if !ok || panicked.Value != "a wasp" || !errors.Is(err, errAway) {
		t.Errorf("got %v", err)
	}
}
