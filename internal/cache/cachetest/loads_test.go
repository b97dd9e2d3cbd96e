package cachetest

import (
	"context"
	"errors"
	"fmt"

	"example.com/communityfeed/internal/cache"
)

// load is what a process's caches call.
func (p *process) load(ctx context.Context, sh shape, k cache.Key) (page, error) {
	p.s.inTurn(p, " begins the load of "+k.String())
	began, fell := p.s.at(), true // also when it panics
	defer func() {
		if fell {
			p.s.oracle.fell(p, k.String(), failure{began, p.s.at()})
		}
	}()
	v, err := p.compose(ctx, sh, k)
	fell = err != nil && !errors.As(err, new(nothing))
	return v, err
}

// compose reads the parts and rows of a key.
func (p *process) compose(ctx context.Context, sh shape, k cache.Key) (page, error) {
	saw, there := make(map[string]int), true
	own := func() error {
		found, how, err := p.query(ctx, k.String(), saw, append(sh.own(k), purges)...)
		there = there && found
		return p.s.outcome(ctx, how, err)
	}
	if sh.first {
		if err := own(); err != nil {
			return page{}, err
		}
	}
	parts, err := p.partsOf(ctx, sh, k)
	if err != nil {
		if ctx.Err() != nil {
			p.s.loadFault() // they were too slow
		}
		return page{}, err
	}
	composed := page{Saw: saw}
	for _, v := range parts {
		for row, version := range v.Saw {
			see(saw, row, version)
		}
		for row, versions := range v.Lacks {
			composed.lack(row, versions...)
		}
	}
	last := own
	if sh.first {
		last = func() error {
			how := p.s.atLoad(ctx, &gate{what: fmt.Sprintf("%s load of %s ends", p, k), p: p, kind: loadGate})
			return p.s.outcome(ctx, how, nil)
		}
	}
	switch err := last(); {
	case err != nil:
		return page{}, err
	case !there:
		return page{}, nothing{composed}
	}
	p.s.oracle.produced(k.String(), composed, false)
	return composed, nil
}

// partsOf asks for the parts of a key, all at a time or one after the other.
func (p *process) partsOf(ctx context.Context, sh shape, k cache.Key) (pages []page, err error) {
	parts := sh.partsOf(k)
	if sh.many {
		var values [][]string
		for _, part := range parts {
			values = append(values, part[1:])
		}
		results, errs := p.sources["row"].GetMany(ctx, values)
		p.s.inTurn(p, " goes on with "+k.String())
		for _, r := range results {
			pages = append(pages, r.Value)
		}
		return pages, errors.Join(errs...)
	}
	for _, part := range parts {
		v, err := p.sources[part[0]].GetOrSet(ctx, part[1:]...)
		p.s.inTurn(p, " goes on with "+k.String())
		if err != nil {
			return nil, err
		}
		pages = append(pages, v)
	}
	return pages, nil
}

// outcome is how a step of a load ended.
func (s *sim) outcome(ctx context.Context, how verdict, err error) error {
	switch {
	case how == failing:
		err = errBroken
	case err == nil:
		err = ctx.Err()
	}
	if err != nil || how == panicking {
		s.loadFault()
	}
	if how == panicking {
		panic("the load panics")
	}
	return err
}

// atLoad holds a load until its gate opens or its context ends.
func (s *sim) atLoad(ctx context.Context, g *gate) verdict {
	ch := make(chan verdict, 1)
	g.open = func(v verdict) { ch <- v }
	s.put(g)
	select {
	case v := <-ch:
		return v
	case <-ctx.Done():
		s.take(g)
		return well
	}
}
