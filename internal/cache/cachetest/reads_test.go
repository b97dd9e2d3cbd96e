package cachetest

import (
	"context"
	"errors"
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
	parts    []string // keys of the fragments that it may be made of
	step     int
	begun    time.Time
	deadline time.Time
	duties   []duty
	alone    bool // no flight of this key, or of a part, can have been under way
	many     bool // with others: it ends with the last of them
	usable   standby
	unease   unease

	answer
}

// An answer is what a read got, and when.
type answer struct {
	ended  time.Time
	result cache.Result[value]
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
	switch {
	case r.err == nil:
		return r.result.Outcome.String()
	case errors.As(r.err, new(nothing)):
		return "nothing"
	case r.ctxErr != nil:
		return "left"
	}
	return "failed"
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
		a.result, a.err = p.fetch[shape](ctx, values...)
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
		key: keyOf(shape, values), parts: fragments(shape, values), unease: p.unease(), deadline: time.Now().Add(patience),
	}
	r.duties = s.oracle.ask(p, append(rowsOf(shape, values), purges))
	r.alone = s.aloneIn(r)
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
		r.many = true
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

// aloneIn reports whether no other read of its process can have left a flight that is
// still joined: one that is under way, or has answered and not yet stored.
func (s *sim) aloneIn(r *read) bool {
	for _, other := range s.reads {
		if other.p != r.p || !slices.ContainsFunc(other.parts, func(key string) bool { return slices.Contains(r.parts, key) }) {
			continue
		}
		left := storeMost
		if other.isPage() && other.err != nil {
			left = pageLife + time.Second // of fragments that it has not waited for
		}
		if other.ended.IsZero() || time.Since(other.ended) < left || other.ctxErr != nil && time.Since(other.begun) < 2*pageLife+6*time.Second {
			return false
		}
	}
	return true
}

func (r *read) isPage() bool { return shapeOf(r.shape).page != nil }

// written are the rows that a read shows and that are written with an event.
func (r *read) written() []string {
	return slices.DeleteFunc(slices.Clone(r.values), func(row string) bool { return row == quiet })
}
