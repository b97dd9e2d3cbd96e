package cachetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// slots are a process's connections to the database, the bulkhead: one is held for
// a query, and by nobody who waits for anything else.
type slots struct {
	mu      sync.Mutex
	free    int
	waiting []chan struct{} // who was handed a slot finds its channel closed
}

// slotWait is how long a query waits for a slot.
const slotWait = 300 * time.Millisecond

var errNoSlot = errors.New("no slot in the database in time")

func (l *slots) take(ctx context.Context, most time.Duration) error {
	l.mu.Lock()
	if l.free > 0 {
		l.free--
		l.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	l.waiting = append(l.waiting, turn)
	l.mu.Unlock()

	patience := time.NewTimer(most)
	defer patience.Stop()
	err := errNoSlot
	select {
	case <-turn:
		return nil
	case <-patience.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.waiting, turn); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
		return err
	}
	return nil // handed over in the same instant
}

func (l *slots) give() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		l.free++
		return
	}
	close(l.waiting[0])
	l.waiting = l.waiting[1:]
}

// query reads rows for the load of a key. It holds a slot meanwhile and stands at a
// gate, so that what it returns may be old by then.
func (p *process) query(ctx context.Context, key string, saw map[string]int, rows ...string) (there bool, v verdict, err error) {
	s := p.s
	s.inTurn(p, " wants a slot for "+key)
	if err := p.slots.take(ctx, slotWait-time.Duration(s.rank())); err != nil {
		if errors.Is(err, errNoSlot) {
			s.finish(turnedAway{p, key, s.rank(), len(s.queries(p))})
		}
		return false, well, err
	}
	defer p.slots.give()
	there = s.db.read(saw, rows...)
	return there, s.atLoad(ctx, &gate{what: fmt.Sprintf("%s query for %s ends", p, key), p: p, kind: loadGate, query: true}), nil
}

// queries returns the queries under way in a process.
func (s *sim) queries(p *process) (under []*gate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.gates {
		if g.p == p && g.query {
			under = append(under, g)
		}
	}
	return under
}

// turnedAway says that a query found no slot while so many were under way.
type turnedAway struct {
	*process
	key   string
	query int // the rank of who asked
	under int
}
