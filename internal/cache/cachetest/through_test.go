package cachetest

import (
	"context"
	"errors"
	"maps"

	"example.com/communityfeed/internal/cache"
)

var errDied = errors.New("the process has died")

// someWriteThrough changes a row that a key shows, and writes it through under the key.
//
// A version stands for all that was committed before it. What a copy becomes by a write
// lacks what was committed in between: others' writes, which it must not lack any more
// once their own moves have landed.
func (s *sim) someWriteThrough() {
	p, row := s.someProcess(), pick(s, s.plan.rows)
	if !p.serves() {
		return
	}
	shape, values := s.someKey(row)
	key, w := keyOf(shape, values), s.aboutToWrite(p, []string{row})
	s.trace("%s is about to begin, and to be written through to %s", w, key)
	revoke := s.chance(0.1)
	p.writing.Add(1)
	go func() {
		defer p.writing.Done()
		defer s.finish(w)
		_ = p.sources[shape].WriteThrough(context.Background(), func(ctx context.Context) error {
			var m cache.Move
			if s.atStep(w, commits, func() { m = s.commit(w, revoke, false) }) != well {
				w.died = true
				return errDied
			}
			s.deliver(ctx, w, m)
			return nil
		}, func(old page) page {
			v := page{Saw: maps.Clone(old.Saw)}
			for row, versions := range old.Lacks {
				v.lack(row, versions...)
			}
			for _, f := range w.facts {
				v.lack(f.row, s.db.between(f.row, v.Saw[f.row], f.version)...)
				v.Saw[f.row] = f.version
			}
			s.oracle.produced(key, v)
			return v
		}, values...)
	}()
}
