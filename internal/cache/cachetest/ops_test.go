package cachetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/communityfeed/internal/cache"
)

// A read is one call of a cache by somebody who may leave.
type read struct {
	id       int
	p        *process
	shape    string
	values   []string
	key      string
	step     int
	begun    time.Time
	deadline time.Time
	duties   []duty
	alone    bool // no flight of this key can have been under way

	answer
}

// An answer is what a read got, and when.
type answer struct {
	ended  time.Time
	result cache.Result[page]
	err    error
	ctxErr error // of the caller's own context
}

// answered says that a read has ended.
type answered struct {
	read   *read
	answer answer
}

func (r *read) String() string {
	return fmt.Sprintf("read %d of %s(%s) in %s", r.id, r.shape, strings.Join(r.values, ","), r.p)
}

func (r *read) how() string {
	if r.err != nil {
		return "nothing"
	}
	return r.result.Outcome.String()
}

// patience is how long a caller without a deadline waits at most: what all steps of
// a flight are bounded by together, and what a stale copy's reading adds.
const patience = 16 * time.Second

func (s *sim) read(p *process, shape string, values ...string) *read {
	s.ops++
	r := &read{
		id: s.ops, p: p, shape: shape, values: values, step: s.step, begun: time.Now(),
		key: shape + "/" + strings.Join(values, ","), deadline: time.Now().Add(patience),
	}
	r.duties = s.oracle.ask(p, append(rowsOf(shape, values), purges))
	r.alone = s.aloneIn(p, r.key)
	for _, sh := range shapes {
		if sh.name == shape {
			r.key = shape + "/1"
			for i, d := range sh.dims {
				r.key += "|" + d + "=" + values[i]
			}
		}
	}
	s.reads = append(s.reads, r)

	ctx, cancel := context.WithCancel(context.Background())
	leave := (*gate)(nil)
	switch s.draw(10) {
	case 0:
		leave = s.put(&gate{what: fmt.Sprintf("%s: its caller leaves", r), p: p, kind: cancelGate, open: func(verdict) { cancel() }})
	case 1, 2:
		after := []time.Duration{20 * time.Millisecond, 150 * time.Millisecond, time.Second, 6 * time.Second}[s.draw(4)]
		r.deadline = time.Now().Add(after)
		ctx, cancel = context.WithDeadline(ctx, r.deadline)
	}
	s.trace("%s begins", r)
	go func() {
		var a answer
		a.result, a.err = p.sources[shape].Fetch(ctx, values...)
		a.ended, a.ctxErr = time.Now(), ctx.Err()
		cancel()
		if leave != nil {
			s.take(leave)
		}
		s.finish(answered{r, a})
	}()
	return r
}

// aloneIn reports whether no read of the key in p can have left a flight that is
// still joined.
func (s *sim) aloneIn(p *process, key string) bool {
	for _, r := range s.reads {
		if r.p != p || r.shape+"/"+strings.Join(r.values, ",") != key {
			continue
		}
		if r.ended.IsZero() || r.ctxErr != nil && time.Since(r.begun) < 20*time.Second {
			return false
		}
	}
	return true
}

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
	s.writing++
	ctx, cancel := context.WithCancel(context.Background())
	if s.draw(5) == 0 {
		cancel() // the client is gone; its write is not
	}
	go func() {
		defer cancel()
		defer s.finish(w)
		if s.atWrite(w, "moves") != well {
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
		if w.err == nil && s.atWrite(w, "is marked as delivered") == well {
			s.db.mark(e)
		}
	}()
}

// moved says that a write's Move has returned.
type moved struct{ *write }

func (s *sim) atWrite(w *write, what string) verdict {
	ch := make(chan verdict, 1)
	s.put(&gate{what: fmt.Sprintf("%s %s", w, what), p: w.p, kind: writeGate, open: func(v verdict) { ch <- v }})
	return <-ch
}

// finish hands something that has ended to the scheduler.
func (s *sim) finish(what any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = append(s.finished, what)
	s.stir()
}

// reap judges what has ended since the last step.
func (s *sim) reap() {
	s.mu.Lock()
	ended := s.finished
	s.finished = nil
	s.mu.Unlock()
	order := func(x any) int {
		switch x := x.(type) {
		case answered:
			return 4 * x.read.id
		case moved:
			return 4*x.id + 1
		case *write:
			return 4*x.id + 2
		}
		return 0
	}
	sortBy(ended, order)
	for _, x := range ended {
		switch x := x.(type) {
		case answered:
			r := x.read
			r.answer = x.answer
			if r.p.dead.Load() {
				continue
			}
			s.checked++
			s.trace("%s ends: %s %v %v", r, r.how(), r.result.Value.text(), r.err)
			s.oracle.judge(r)
			if r.err == nil && r.result.Outcome == cache.Miss {
				r.p.lastMiss = time.Now()
			}
			if r.err == nil && s.chance(0.3) {
				s.follow(func() {
					if !r.p.dead.Load() {
						s.read(r.p, r.shape, r.values...)
					}
				})
			}
		case moved:
			for _, f := range x.facts {
				f.returned = s.now()
			}
			s.trace("%s: Move has returned, failed=%v", x.write, x.err != nil)
			if row := x.rows[0]; slices.Contains(s.plan.rows, row) {
				for range 2 { // authors look at what they have written
					s.follow(func() { s.readOf(x.p, row) })
				}
			}
			if x.took > moveMost {
				s.violate("%s: its Move took %v", x.write, x.took)
			}
		case *write:
			s.writing--
			if !x.died {
				s.trace("%s is answered", x)
			}
		}
	}
	if len(s.reads) > 400 {
		kept := s.reads[:0]
		for _, r := range s.reads {
			if r.ended.IsZero() || time.Since(r.begun) < time.Minute {
				kept = append(kept, r)
			}
		}
		s.reads = kept
	}
}
