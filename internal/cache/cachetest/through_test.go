package cachetest

import (
	"context"
	"errors"
	"maps"
	"time"

	"example.com/communityfeed/internal/cache"
)

var errDied = errors.New("the process has died")

// someWriteThrough changes a row that a fragment shows, and writes it through under its key.
//
// A version stands for all that was committed before it. What a copy becomes by a write
// lacks what else was committed since the copy was read: others' writes, which it must not
// lack any more once their own moves have landed.
func (s *sim) someWriteThrough() {
	p, row := s.someProcess(), pick(s, s.plan.rows)
	if p.serves() {
		shape, values := s.someFragment(row)
		s.writeThrough(p, shape, values, row)
	}
}

// writeThroughTo is a write of somebody who has read a key just now: there is a copy, of a
// fragment of it, too.
func (s *sim) writeThroughTo(r *read) {
	if !r.p.serves() {
		return
	}
	shape, values := r.shape, r.values
	if r.isPage() {
		part := pick(s, shapeOf(shape).parts(values))
		shape, values = part[0], part[1:]
	}
	if row := pick(s, values); row != quiet {
		s.writeThrough(r.p, shape, values, row)
	}
}

func (s *sim) writeThrough(p *process, shape string, values []string, row string) {
	key, w := keyOf(shape, values), s.aboutToWrite(p, []string{row})
	s.trace("%s is about to begin, and to be written through to %s", w, key)
	revoke := s.chance(0.1)
	ctx, cancel := context.WithCancel(context.Background())
	switch s.draw(10) {
	case 0:
		cancel() // the client is gone
	case 1:
		ctx, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
	}
	p.writing.Add(1)
	go func() {
		defer cancel()
		defer p.writing.Done()
		defer s.finish(w)
		_ = p.sources[shape].WriteThrough(ctx, func(ctx context.Context) error {
			var m cache.Invalidation
			if s.atStep(w, commits, func() { m = s.commit(w, revoke, false) }) != well {
				w.died = true
				return errDied
			}
			s.deliver(ctx, w, m)
			return nil
		}, func(old value) value {
			v := value{Saw: maps.Clone(old.Saw)}
			for row, versions := range old.Lacks {
				v.lack(row, versions...)
			}
			for _, f := range w.facts {
				v.lack(f.row, s.db.others(f.row, v.Saw[f.row], f.version)...)
				v.Saw[f.row] = f.version
			}
			s.oracle.produced(key, v, true)
			return v
		}, values...)
	}()
}
