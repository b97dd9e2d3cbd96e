package cachetest

import (
	"context"
	"fmt"
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
		v := value{Saw: maps.Clone(saw)}
		s.oracle.produced(key, v, false)
		_ = source.Set(ctx, from, v) // whether it is stored is for the cache to say
	}()
}

// flood makes a process remember tags of others, so that it forgets those of its copies.
// What is asked by a caller who has left does not reach Redis.
//
// Not while the breaker is open: such a call would be its probe.
func (s *sim) flood() {
	p := s.someProcess()
	if !p.serves() || p.cache.Stats().L2.Open {
		return
	}
	n := 1 + s.draw(2*min(s.plan.tags, 12))
	s.trace("%s looks at %d other rows", p, n)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for i := range n {
		p.sources["row"].Get(ctx, fmt.Sprint("other", i))
	}
}

// someDeletion deletes an entry. That makes nothing wrong, and nothing right: it is
// seen in what a fill under way must not store any more.
func (s *sim) someDeletion() {
	p := s.someProcess()
	if !p.serves() {
		return
	}
	shape, values := s.someFragment(pick(s, s.plan.rows))
	key := keyOf(shape, values)
	s.trace("%s deletes %s", p, key)
	go func() { _, _ = p.cache.Delete(context.Background(), key) }()
}
