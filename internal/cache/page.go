package cache

import (
	"context"
	"reflect"
)

// A PageSpec declares the key of a page. It has no policy and no tags: a page is as fresh
// as the fragments that it is composed of, and becomes wrong when one of them does.
type PageSpec struct {
	Name    string       // as of a [Spec]
	Version int          // from 1
	Dims    []string     // names of the dimensions, in the order in which they render
	Value   reflect.Type // as of a [Spec]
}

// A Page is composed of fragments, which are the values of sources, and kept in L1 only,
// for as long as its fragments count and for five seconds at most. It is for what is made
// quickly of values that many pages share: a page that L1 does not have costs a lookup of
// its fragments, and Redis keeps none of the many variants of a page.
type Page[T any] struct{ page *page }

// page is a Page without its type parameter.
type page struct {
	cache    *Cache
	spec     *spec
	function func(*Composition) (any, error)
	size     func(any) int
	stats    keyStats
}

// NewPage declares a page. compose makes it of its key and of fragments, which it names by
// [Fragments.Want], and reaches the origin in no other way; it must use one at least. It may
// run several times for one read. size is what a value takes in L1, in bytes. NewPage
// panics when the key is malformed or its name and version are taken.
func NewPage[T any](c *Cache, s PageSpec, size func(T) int, compose func(*Composition) (T, error)) *Page[T] {
	compiled, err := compileKey(Spec{Name: s.Name, Version: s.Version, Dims: s.Dims, Value: s.Value})
	if err != nil {
		panic(err)
	}
	p := &page{
		cache: c,
		spec:  compiled,
		size:  func(v any) int { return size(v.(T)) },
		function: func(m *Composition) (v any, err error) {
			defer recoverTo(&err)
			return compose(m)
		},
	}
	if err := c.addPage(p); err != nil {
		panic(err)
	}
	return &Page[T]{p}
}

// Fetch returns the page under the key with the given values. The value is shared and
// must not be changed. A hit allocates nothing.
//
// The outcome is the worst of the fragments': Composed if the origin was not asked for
// any, Miss if it was, Stale if one of them is stale. A page that has nothing to show by
// stale fragments is ErrUnavailable, since what it needs may be there by now.
func (p *Page[T]) Fetch(ctx context.Context, values ...string) (Result[T], error) {
	pg := p.page
	c := pg.cache
	if err := alone(ctx, pg.spec); err != nil {
		return Result[T]{}, err
	}
	var scratch [256]byte
	text := pg.spec.render(scratch[:0], values)
	if hit, now := c.hit(text); hit != nil {
		pg.stats.hitL1.Add(1)
		if hit.early(now, c.o.Rand) {
			// Hot pages would otherwise hide their fragments from early refreshes.
			first := hit.fragments[0]
			first.source.refreshBehind(first.key, first.tags)
		}
		return result[T](&hit.answer, HitL1, hit.expires-now)
	}
	a := pg.read(ctx, pg.spec.split(string(text)))
	return result[T](&a, a.outcome, a.expires-c.now())
}

// read answers a read of a page that L1 does not have: at once, if L1 has all of its
// fragments, else by a flight that others may join.
func (p *page) read(ctx context.Context, k Key) answer {
	if p.cache.o.Off {
		a := p.bypass(ctx, k)
		p.stats.count(a, false)
		return a
	}
	if a, ok := p.composeAtOnce(k); ok {
		p.stats.count(a, false)
		return a
	}
	f, joined := p.join(k)
	if f == nil {
		return answer{err: ErrUnavailable}
	}
	select {
	case <-f.done:
		p.stats.count(f.answer, joined)
		return f.answer
	case <-ctx.Done():
		a := answer{err: ctx.Err()}
		p.stats.count(a, joined)
		return a
	}
}

// composeAtOnce composes a page in its reader's goroutine. It reports false when L1 lacks
// a fragment, or when one has been overtaken meanwhile.
func (p *page) composeAtOnce(k Key) (answer, bool) {
	c := p.cache
	m := &Composition{cache: c, page: p, key: k}
	v, err := m.call()
	if m.missing {
		return answer{}, false
	}
	n := c.fence.Number()
	if !c.o.fault(err) && m.forgetOvertaken() > 0 {
		return answer{}, false
	}
	for _, w := range m.wants {
		if w.known && w.answer.outcome == HitL1 {
			w.source.stats.hitL1.Add(1)
		}
	}
	if c.o.fault(err) {
		return answer{err: err}, true
	}
	return m.keep(m.answer(v, err), n), true
}

// bypass composes a page for one caller, of loads, and keeps nothing.
func (p *page) bypass(ctx context.Context, k Key) answer {
	m := &Composition{cache: p.cache, page: p, key: k, ctx: ctx}
	v, err := m.call()
	return answer{value: v, err: err, outcome: Bypass, expires: p.cache.now()}
}
