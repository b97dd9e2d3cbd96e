package cachetest

import (
	"context"
	"time"
)

// The relay, as the contract has it: every half second it looks for events that
// are undelivered for two seconds, which L2 is distrusted for, and it repeats what
// is undelivered, and after a loss what was delivered shortly before it.
const (
	pollEvery   = 500 * time.Millisecond
	overdue     = 2 * time.Second
	redelivered = 10 * time.Second
)

func (p *process) run() {
	select { // so that no two relays wake up in the same instant
	case <-p.stop:
		return
	case <-time.After(time.Duration(p.id) * 7_000_003):
	}
	again := make(chan struct{}, 1)
	p.relay.Go(func() {
		for {
			select {
			case <-p.stop:
				return
			case <-again:
				p.drain()
			}
		}
	})
	for {
		p.poll()
		select {
		case again <- struct{}{}:
		default:
		}
		select {
		case <-p.stop:
			return
		case <-time.After(pollEvery):
		}
	}
}

// repeated says that a relay has moved what an event changes.
type repeated struct{ *event }

func (p *process) poll() {
	if len(p.s.db.due(overdue, time.Time{})) > 0 {
		p.cache.Distrust()
	}
}

func (p *process) drain() {
	since, end, needed := p.cache.BeginDrain()
	age, from := overdue/2, time.Time{}
	if needed {
		age, from = 0, since.Add(-redelivered)
	}
	complete := true
	for _, e := range p.s.db.due(age, from) {
		select {
		case <-p.stop:
			return
		default:
		}
		if p.cache.Invalidate(context.Background(), e.move) != nil {
			complete = false
			continue
		}
		p.s.db.mark(e)
		p.s.finish(repeated{e})
	}
	if needed && complete {
		end()
	}
}
