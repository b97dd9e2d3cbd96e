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
	facts []*fact
	took  time.Duration
	err   error
	died  bool
}

func (w *write) String() string {
	return fmt.Sprintf("write %d of %s in %s", w.id, strings.Join(w.rows, ","), w.p)
}

func (s *sim) write(p *process, revoke, deleted bool, rows ...string) {
	s.ops++
	w := &write{id: s.ops, p: p, rows: rows}
	m := cache.Move{Revoke: revoke}
	for _, r := range rows {
		m.Tags = append(m.Tags, tagOf(r))
	}
	version, e := s.db.commit(rows, deleted, m)
	w.facts = s.oracle.committed(p, rows, version, revoke)
	s.trace("%s commits version %d, revoke=%v deleted=%v", w, version, revoke, deleted)
	p.writing.Add(1)
	ctx, cancel := context.WithCancel(context.Background())
	if s.draw(5) == 0 {
		cancel() // the client is gone; its write is not
	}
	go func() {
		defer cancel()
		defer p.writing.Done()
		defer s.finish(w)
		if s.atWrite(w, moves) != well {
			w.died = true
			return
		}
		began := time.Now()
		w.err = p.cache.Move(ctx, m)
		w.took = time.Since(began)
		if p.dead.Load() {
			w.died = true
			return
		}
		s.finish(moved{w})
		if w.err == nil && s.atWrite(w, delivered) == well {
			s.db.mark(e)
		}
	}()
}

// The steps of a write after its commit, as their gates are called.
const (
	moves     = " moves"
	delivered = " is marked as delivered"
)

// moved says that a write's Move has returned.
type moved struct{ *write }

func (s *sim) atWrite(w *write, what string) verdict {
	ch := make(chan verdict, 1)
	s.put(&gate{what: fmt.Sprintf("%s%s", w, what), p: w.p, kind: writeGate, open: func(v verdict) { ch <- v }})
	return <-ch
}
