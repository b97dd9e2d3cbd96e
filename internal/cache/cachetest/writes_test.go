package cachetest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"example.com/communityfeed/internal/cache"
)

// A write is a commit with an event, its move, and the mark that it was delivered.
type write struct {
	id    int
	p     *process
	rows  []string
	event *event
	facts []*fact
	took  time.Duration
	err   error
	died  bool
}

func (w *write) String() string {
	return fmt.Sprintf("write %d of %s in %s", w.id, strings.Join(w.rows, ","), w.p)
}

func (s *sim) write(p *process, revoke, deleted bool, rows ...string) {
	w := s.aboutToWrite(p, rows)
	m := s.commit(w, revoke, deleted)
	p.writing.Add(1)
	ctx, cancel := context.WithCancel(context.Background())
	if s.draw(5) == 0 {
		cancel() // the client is gone; its write is not
	}
	go func() {
		defer cancel()
		defer p.writing.Done()
		defer s.finish(w)
		s.deliver(ctx, w, m)
	}()
}

func (s *sim) aboutToWrite(p *process, rows []string) *write {
	s.ops++
	return &write{id: s.ops, p: p, rows: rows}
}

// commit commits a write, in a step of its own.
func (s *sim) commit(w *write, revoke, deleted bool) cache.Invalidation {
	m := cache.Invalidation{Revoke: revoke}
	for _, r := range w.rows {
		m.Tags = append(m.Tags, tagOf(r))
	}
	version, e := s.db.commit(w.rows, deleted, m)
	w.event, w.facts = e, s.oracle.committed(w.p, w.rows, version, e, revoke)
	s.trace("%s commits version %d, revoke=%v deleted=%v", w, version, revoke, deleted)
	return m
}

// deliver moves what a write has changed, and marks its event.
func (s *sim) deliver(ctx context.Context, w *write, m cache.Invalidation) {
	if s.atWrite(w, moves) != well {
		w.died = true
		return
	}
	began := time.Now()
	w.err = w.p.cache.Invalidate(ctx, m)
	w.took = time.Since(began)
	if w.p.dead.Load() {
		w.died = true
		return
	}
	s.finish(moved{w})
	if w.err == nil && s.atWrite(w, delivered) == well {
		s.db.mark(w.event)
	}
}

// The steps of a write, as their gates are called.
const (
	commits   = " commits"
	moves     = " moves"
	delivered = " is marked as delivered"
)

// moved says that a write's Move has returned.
type moved struct{ *write }

func (s *sim) atWrite(w *write, what string) verdict {
	return s.atStep(w, what, func() {})
}

// atStep holds a write before a step, which is the scheduler's to do.
func (s *sim) atStep(w *write, what string, do func()) verdict {
	ch := make(chan verdict, 1)
	s.put(&gate{what: fmt.Sprintf("%s%s", w, what), p: w.p, kind: writeGate, open: func(v verdict) {
		if v == well {
			do()
		}
		ch <- v
	}})
	return <-ch
}
