package cachetest

import (
	"context"

	"example.com/communityfeed/internal/cache"
)

// load is what a process's caches call for a fragment.
func (p *process) load(ctx context.Context, sh shape, k cache.Key) (value, error) {
	p.s.inTurn(p, " begins the load of "+k.String())
	began, fell := p.s.at(), true // also when it panics
	defer func() {
		if fell {
			p.s.oracle.fell(p, k.String(), failure{began, p.s.at()})
		}
	}()
	rows := []string{purges}
	for _, d := range sh.dims {
		rows = append(rows, k.Get(d))
	}
	v := value{Saw: make(map[string]int)}
	there, how, err := p.query(ctx, k.String(), v.Saw, rows...)
	if err = p.s.outcome(ctx, how, err); err != nil {
		return value{}, err
	}
	fell = false
	p.s.oracle.loaded(p, k.String(), v) // also that there is nothing
	if !there {
		return value{}, nothing{v}
	}
	p.s.oracle.produced(k.String(), v, false)
	return v, nil
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
