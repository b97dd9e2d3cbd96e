package cachetest

import (
	"context"
	"fmt"
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
	usable   standby

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
	r := s.ask(p, shape, values)
	ctx, cancel := context.WithCancel(context.Background())
	leave := (*gate)(nil)
	switch s.draw(10) {
	case 0:
		leave = s.put(&gate{what: fmt.Sprintf("%s: its caller leaves", r), p: p, kind: cancelGate, open: func(verdict) {
			s.count(leaving)
			cancel()
		}})
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

// ask notes a read that begins now.
func (s *sim) ask(p *process, shape string, values []string) *read {
	s.ops++
	r := &read{
		id: s.ops, p: p, shape: shape, values: values, step: s.step, begun: time.Now(),
		key: keyOf(shape, values), deadline: time.Now().Add(patience),
	}
	r.duties = s.oracle.ask(p, append(rowsOf(shape, values), purges))
	r.alone = s.aloneIn(p, shape, values)
	r.usable = s.standby(r)
	s.reads = append(s.reads, r)
	return r
}

// readMany reads several rows at a time. Each is judged like a read of its own.
func (s *sim) readMany(p *process, rows ...string) {
	var reads []*read
	var keys [][]string
	for _, row := range rows {
		r := s.ask(p, "row", []string{row})
		s.trace("%s begins, with others", r)
		reads, keys = append(reads, r), append(keys, r.values)
	}
	go func() {
		results, errs := p.sources["row"].GetMany(context.Background(), keys)
		for i, r := range reads {
			a := answer{ended: time.Now(), result: results[i]}
			if errs != nil {
				a.err = errs[i]
			}
			s.finish(answered{r, a})
		}
	}()
}

// again reads the same once more, if there is anybody to ask.
func (s *sim) again(r *read) {
	if r.p.serves() {
		s.read(r.p, r.shape, r.values...)
	}
}

// aloneIn reports whether no read of the key in p can have left a flight that is
// still joined: one that is under way, or has answered and not yet stored.
func (s *sim) aloneIn(p *process, shape string, values []string) bool {
	key := keyOf(shape, values)
	for _, r := range s.reads {
		if r.p != p || r.key != key {
			continue
		}
		if r.ended.IsZero() || time.Since(r.ended) < storeMost || r.ctxErr != nil && time.Since(r.begun) < 20*time.Second {
			return false
		}
	}
	return true
}
