package cache

import (
	"context"
	"slices"
	"time"
)

// GetMany is Fetch for many keys at a time, each given by its values. What L1 does
// not have is looked for in L2 in one round trip for all; what is not there either
// is loaded, each key by a flight of its own, which others may join and which needs
// the lease like any other.
//
// Result i answers keys[i]. errs is nil when every read succeeded; else errs[i] is
// the error of keys[i], whose result is then zero.
func (s *Source[T]) GetMany(ctx context.Context, keys [][]string) (results []Result[T], errs []error) {
	results = make([]Result[T], len(keys))
	if err := alone(ctx, s.origin.spec); err != nil {
		return results, slices.Repeat([]error{err}, len(keys))
	}
	for i, a := range s.cache.fetchMany(ctx, s.origin, keys) {
		var err error
		if results[i], err = result[T](&a, a.outcome, a.expires-s.cache.now()); err != nil {
			if errs == nil {
				errs = make([]error, len(keys))
			}
			errs[i] = err
		}
	}
	return results, errs
}

// fetchMany begins a read for each key and then waits for all of them.
func (c *Cache) fetchMany(ctx context.Context, o *origin, keys [][]string) []answer {
	answers, reads := make([]answer, len(keys)), make([]*read, len(keys))
	g := &glance{taken: make(chan struct{})}
	var scratch [256]byte
	for i, values := range keys {
		text := o.spec.render(scratch[:0], values)
		if copied, _, hit := c.hit(o, text, values); hit {
			answers[i] = copied.answer
			answers[i].outcome = HitL1
			continue
		}
		k := o.spec.key(string(text), values)
		tags := o.tags(k)
		reads[i] = c.begin(o, k, tags, g.next(c, tags))
		if r := reads[i]; r.flight != nil && !r.joined {
			g.questions = append(g.questions, question{k.text, tags})
		}
	}
	if c.l2 != nil && len(g.questions) > 0 {
		c.spawn(func(root context.Context) { c.take(root, g) }) // when closed, so are the flights
	}
	for i, r := range reads {
		if r != nil {
			answers[i] = r.end(ctx)
		}
	}
	return answers
}

// A glance is the first look at L2 of many flights, in one round trip.
type glance struct {
	questions []question
	taken     chan struct{} // closed when the rest is set
	snaps     []snapshot
	readings  []reading
}

// next returns the first look of the flight whose question is asked next.
func (g *glance) next(c *Cache, tags []Tag) look {
	i := len(g.questions)
	return func(ctx context.Context) (snapshot, reading, error) {
		if !allowanceOf(ctx).await(g.taken) {
			return c.watch(tags), reading{}, errSpent
		}
		return g.snaps[i], g.readings[i], g.readings[i].err
	}
}

// take asks.
func (c *Cache) take(root context.Context, g *glance) {
	ctx, cancel := context.WithTimeout(root, c.flightLife())
	defer cancel()
	g.snaps, g.readings = c.lookMany(ctx, g.questions, false)
	close(g.taken)
}

// flightLife bounds a flight. Every step of it has a bound of its own; this one is
// for all of them together.
func (c *Cache) flightLife() time.Duration { return 2*leaseLife + c.o.LoadTimeout }
