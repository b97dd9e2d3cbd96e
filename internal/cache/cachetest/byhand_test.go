package cachetest

import (
	"context"
	"maps"
)

// someSet reads a row past the cache and sets it, as its load would.
func (s *sim) someSet() {
	p, row := s.someProcess(), pick(s, s.plan.rows)
	if !p.serves() {
		return
	}
	key := keyOf("row", []string{row})
	s.trace("%s is about to set %s", p, key)
	go func() {
		ctx, source, saw := context.Background(), p.sources["row"], make(map[string]int)
		from := source.Snapshot(ctx, row)
		if there, how, err := p.query(ctx, key, saw, row, purges); !there || how != well || err != nil {
			return
		}
		v := page{Saw: maps.Clone(saw)}
		s.oracle.produced(key, v, false)
		_ = source.Set(ctx, from, v) // whether it is stored is for the cache to say
	}()
}

// someDeletion deletes an entry. That makes nothing wrong, and nothing right: it is
// seen in what a fill under way must not store any more.
func (s *sim) someDeletion() {
	p := s.someProcess()
	if !p.serves() {
		return
	}
	shape, values := s.someKey(pick(s, s.plan.rows))
	key := keyOf(shape, values)
	s.trace("%s deletes %s", p, key)
	go func() { _, _ = p.cache.Delete(context.Background(), key) }()
}
