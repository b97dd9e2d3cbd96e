package cache

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A PageSpec declares the key of a page. It has no policy and no tags: a page is as fresh
// as the fragments that it is composed of, and becomes wrong when one of them does.
type PageSpec struct {
	Name    string   // as of a [Spec]
	Version int      // from 1
	Dims    []string // names of the dimensions, in the order in which they render
}

// A Page is composed of fragments, which are the values of sources, and kept in L1 only,
// for as long as its fragments count and for five seconds at most. It is for what is made
// quickly of values that many pages share: a page that L1 does not have costs a lookup of
// its fragments, and Redis keeps none of the many variants of a page.
type Page[T any] struct {
	cache *Cache
	page  *page
}

// page is a Page without its type parameter.
type page struct {
	spec    *spec
	compose func(*Composition) (any, error)
	size    func(any) int
	stats   keyStats
}

// NewPage declares a page. compose makes it of its key and of fragments, which it names by
// [Source.Want], and reaches the origin in no other way; it must use one at least. It may
// run several times for one read. size is what a value takes in L1, in bytes. NewPage
// panics when the key is malformed or its name and version are taken.
func NewPage[T any](c *Cache, s PageSpec, size func(T) int, compose func(*Composition) (T, error)) *Page[T] {
	compiled, err := compileKey(Spec{Name: s.Name, Version: s.Version, Dims: s.Dims})
	if err != nil {
		panic(err)
	}
	p := &page{
		spec: compiled,
		size: func(v any) int { return size(v.(T)) },
		compose: func(m *Composition) (v any, err error) {
			defer recoverTo(&err)
			return compose(m)
		},
	}
	if err := c.register(compiled, func() { c.pages = append(c.pages, p) }); err != nil {
		panic(err)
	}
	return &Page[T]{cache: c, page: p}
}

// Fetch returns the page under the key with the given values. The value is shared and
// must not be changed. A hit allocates nothing.
//
// The outcome is the worst of the fragments': Composed if the origin was not asked for
// any, Miss if it was, Stale if one of them is stale. A page that has nothing to show by
// stale fragments is ErrUnavailable, since what it needs may be there by now.
func (p *Page[T]) Fetch(ctx context.Context, values ...string) (Result[T], error) {
	c, pg := p.cache, p.page
	if err := alone(ctx, pg.spec); err != nil {
		return Result[T]{}, err
	}
	var scratch [256]byte
	text := pg.spec.render(scratch[:0], values)
	if copied := c.l1.get(text); copied != nil {
		if now := c.now(); c.valid(copied, now) {
			pg.stats.hitL1.Add(1)
			if copied.early(now, c.o.Rand) {
				// Hot pages would else hide their fragments from early refreshes.
				first := copied.parts[0]
				c.refresh(first.origin, first.key, first.tags)
			}
			return result[T](&copied.answer, HitL1, copied.expires-now)
		}
	}
	a := c.fetchPage(ctx, pg, pg.spec.key(string(text), values))
	return result[T](&a, a.outcome, a.expires-c.now())
}

// fetchPage answers a read of a page that L1 does not have: at once, if L1 has all of its
// fragments, else by a flight that others may join.
func (c *Cache) fetchPage(ctx context.Context, p *page, k Key) answer {
	if c.o.Off {
		a := c.bypassPage(ctx, p, k)
		p.stats.count(a, false)
		return a
	}
	if a, ok := c.composeAtOnce(p, k); ok {
		p.stats.count(a, false)
		return a
	}
	f, joined := c.boardPage(p, k)
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

// A pageFlight is the one composition of a page that a process has under way and that
// waits for something. Like a flight, it belongs to nobody.
type pageFlight struct {
	oldest atomic.Int64 // when the tags of its oldest fragment were read, on the cache's clock
	joined uint64       // the number when a read last joined it, or began it
	done   chan struct{}
	answer answer // set before done is closed
}

// pageFlights holds the page flights that may be joined.
type pageFlights struct {
	mu    sync.Mutex
	byKey map[string]*pageFlight
}

// boardPage returns the flight for a read to wait for, and whether it was under way. A
// flight is joined until its composition takes its last look, and not once a fragment of
// it is five seconds old.
func (c *Cache) boardPage(p *page, k Key) (f *pageFlight, joined bool) {
	c.composed.mu.Lock()
	defer c.composed.mu.Unlock()
	if f := c.composed.byKey[k.text]; f != nil && c.now()-time.Duration(f.oldest.Load()) < maxL1Age {
		f.joined = c.heard.number()
		return f, true
	}
	f = &pageFlight{joined: c.heard.number(), done: make(chan struct{})}
	f.oldest.Store(int64(c.now()))
	if !c.spawn(func(root context.Context) { c.flyPage(root, f, p, k) }) {
		return nil, false
	}
	if c.composed.byKey == nil {
		c.composed.byKey = make(map[string]*pageFlight)
	}
	c.composed.byKey[k.text] = f
	return f, false
}

// close lets nobody join the flight any more, and returns the number when a read last did.
func (p *pageFlights) close(k Key, f *pageFlight) (joined uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byKey[k.text] == f { // else a younger one has taken its place
		delete(p.byKey, k.text)
	}
	return f.joined
}

// flyPage runs a page flight to its end.
func (c *Cache) flyPage(root context.Context, f *pageFlight, p *page, k Key) {
	ctx, cancel := context.WithTimeout(root, c.flightLife())
	defer cancel()
	f.answer.err = errEnded
	defer func() { // also when the composition ends its goroutine
		c.composed.close(k, f)
		close(f.done)
	}()
	m := &Composition{cache: c, page: p, key: k, ctx: ctx, flight: f, probe: new(probe)}
	f.answer = m.compose()
}

// composeAtOnce composes a page in its reader's goroutine. It reports false when L1 lacks
// a fragment, or when one has been overtaken meanwhile.
func (c *Cache) composeAtOnce(p *page, k Key) (answer, bool) {
	m := &Composition{cache: c, page: p, key: k}
	v, err := m.call()
	if m.missing {
		return answer{}, false
	}
	n := c.heard.number()
	if !c.fault(err) && m.voidOvertaken() > 0 {
		return answer{}, false
	}
	for _, w := range m.wants {
		if w.known && w.answer.outcome == HitL1 {
			w.origin.stats.hitL1.Add(1)
		}
	}
	if c.fault(err) {
		return answer{err: err}, true
	}
	return m.keep(m.answer(v, err), n), true
}

// bypassPage composes a page for one caller, of loads, and keeps nothing.
func (c *Cache) bypassPage(ctx context.Context, p *page, k Key) answer {
	m := &Composition{cache: c, page: p, key: k, ctx: ctx}
	v, err := m.call()
	return answer{value: v, err: err, outcome: Bypass, expires: c.now()}
}
