package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Composition is one attempt to compose a page of fragments. It belongs to the goroutine
// that calls the page's function, and to that call. When its fragments are judged, and by
// what, is in lastlook.go.
type Composition struct {
	cache  *Cache
	page   *page
	key    Key
	ctx    context.Context // bounds every wait; nil when nothing may be waited for
	flight *pageFlight     // nil where there is none
	probe  *probe

	wants   []*want
	run     int    // which call of the page's function this is
	exact   bool   // what is expired is loaded: it says that there is nothing to show
	after   uint64 // a fragment is fetched again if its number is not above this
	waited  uint64 // the number when the last of those that were waited for was there
	missing bool   // L1 lacks a fragment, and nothing may be waited for
	loaded  bool   // the origin was asked, perhaps for what was fetched again since
	failed  error  // why a fragment has failed in this run, the first one that has
	culprit string // its key
}

// Key returns the page's key.
func (m *Composition) Key() Key { return m.key }

// Tags returns the tags of the fragments that were used so far, without [Everything].
func (m *Composition) Tags() []Tag {
	tags := m.tags()
	return slices.DeleteFunc(tags, func(t Tag) bool { return t == Everything })
}

// A Wanted is a fragment that a page has named.
type Wanted[T any] struct {
	composition *Composition
	want        *want
}

// A fragment is a copy that pages may be composed of.
type fragment struct {
	origin *origin
	key    Key
	tags   []Tag
}

// want is a Wanted without its type parameter.
type want struct {
	fragment

	named  int     // in which call it was named last
	used   int     // in which call it was used last
	flight *flight // that will answer; nil: answered, or not looked for yet
	joined bool
	known  bool   // answer is there
	ended  uint64 // the number when it was
	answer answer
}

// Want names a fragment that the page is going to use. Nothing is waited for before the
// first [Wanted.Get]: what was named until then is looked up in one round trip, and loaded
// at the same time.
func (s *Source[T]) Want(m *Composition, values ...string) Wanted[T] {
	return Wanted[T]{m, m.want(s.origin, values)}
}

// Get returns the fragment. If it fails, so does the page, whatever its function returns.
func (w Wanted[T]) Get() (v T, err error) {
	m := w.composition
	a := m.get(w.want)
	if a.err != nil {
		if m.failed == nil {
			m.failed, m.culprit = a.err, w.want.key.text
		}
		return v, a.err
	}
	return a.value.(T), nil
}

var errMissing = errors.New("cache: L1 lacks a fragment")

// want returns what was named by these values, once for each key.
func (m *Composition) want(o *origin, values []string) *want {
	var scratch [256]byte
	text := o.spec.render(scratch[:0], values)
	for _, w := range m.wants {
		if w.key.text == string(text) {
			w.named = m.run
			m.fromL1(w, text)
			return w
		}
	}
	w := &want{fragment: fragment{origin: o}, named: m.run}
	m.wants = append(m.wants, w)
	if !m.fromL1(w, text) {
		w.key = o.spec.key(string(text), values)
		w.tags = o.tags(w.key)
	}
	if err := m.mayShow(w); err != nil {
		w.answer, w.known = answer{err: err}, true
	}
	return w
}

// mayShow returns an error unless the fragment is everybody's, or of the one whose page
// this is.
func (m *Composition) mayShow(w *want) error {
	owner := w.key.spec.Owner
	if owner == "" {
		return nil
	}
	if i := slices.Index(m.page.spec.Dims, owner); i < 0 || m.key.values[i] != w.key.Get(owner) {
		return fmt.Errorf("cache: %s uses %s, whose %s is not its own: it would show one what is another's",
			m.page.spec.head, w.key.spec.head, owner)
	}
	return nil
}

// fromL1 answers a want from L1, if what is there may be used.
func (m *Composition) fromL1(w *want, text []byte) bool {
	c := m.cache
	if w.known || w.flight != nil || c.o.Off {
		return w.known
	}
	copied := c.l1.get(text)
	if copied == nil || copied.snap.n <= m.after {
		return false
	}
	now := c.now()
	if !c.valid(copied, now) {
		return false
	}
	if w.key.spec == nil {
		w.key, w.tags = copied.of, copied.snap.tags
	}
	if m.flight != nil { // else its flight would count it again; see composeAtOnce
		w.origin.stats.hitL1.Add(1)
	}
	if copied.early(now, c.o.Rand) {
		c.refresh(w.origin, w.key, w.tags)
	}
	w.answer, w.known = copied.answer, true
	w.answer.outcome = HitL1
	m.ages(copied.snap.taken)
	return true
}

// ages notes how old a fragment is that the page may be made of.
func (m *Composition) ages(taken time.Duration) {
	if m.flight != nil && int64(taken) < m.flight.oldest.Load() {
		m.flight.oldest.Store(int64(taken))
	}
}

// get answers a want, waiting for it if need be.
func (m *Composition) get(w *want) answer {
	w.used = m.run
	switch {
	case w.known:
	case m.cache.o.Off:
		w.answer, w.known = m.cache.bypass(m.ctx, w.origin, w.key), true
	case m.ctx == nil:
		m.missing = true
		return answer{err: errMissing}
	default:
		if w.flight == nil {
			m.lookup()
		}
		m.await(w)
	}
	return w.answer
}

// await waits for the flight of a want.
func (m *Composition) await(w *want) {
	if w.known {
		return
	}
	select {
	case <-w.flight.done:
		w.answer, w.ended = w.flight.answer, w.flight.ended
		m.waited = max(m.waited, w.ended)
		m.loaded = m.loaded || w.answer.outcome == Miss
	case <-m.ctx.Done():
		w.answer = answer{err: fmt.Errorf("%w: %s was not there in time", ErrUnavailable, w.key.text)}
	}
	w.origin.stats.count(w.answer, w.joined)
	w.known, w.flight = true, nil
}

// lookup begins a flight for each fragment that was named and is not there, or joins the
// one that is under way, and looks all of them up in one round trip. Whatever that does not
// answer goes on by itself.
func (m *Composition) lookup() {
	c := m.cache
	var begun []*want
	c.flights.mu.Lock()
	for _, w := range m.wants {
		if w.known || w.flight != nil || w.named != m.run {
			continue
		}
		if f := c.underWay(w.key, m.after); f != nil {
			w.flight, w.joined = f, true
		} else {
			w.flight, w.joined = c.newFlight(w.tags, nil), false
			w.flight.probe, w.flight.after, w.flight.exact = m.probe, m.after, m.exact
			c.flights.enter(w.key, w.flight)
			begun = append(begun, w)
		}
		m.ages(w.flight.snap.Load().taken)
	}
	c.flights.mu.Unlock()
	if len(begun) == 0 {
		return
	}
	if c.l2 != nil {
		begun = m.lookupIn(begun)
	}
	for _, w := range begun {
		if f := w.flight; !c.spawn(func(root context.Context) { c.fly(root, f, w.origin, w.key) }) {
			m.land(w, answer{err: ErrUnavailable}, c.heard.number())
		}
	}
}

// lookupIn looks fragments up in L2, ends the flights that this answers, and returns the
// others.
func (m *Composition) lookupIn(begun []*want) (others []*want) {
	c, ctx := m.cache, m.cache.l2.allow(m.ctx)
	questions := make([]question, len(begun))
	for i, w := range begun {
		questions[i] = question{w.key.text, w.tags}
	}
	snaps, readings := c.lookMany(ctx, questions, false)
	ended := c.heard.number()
	for i, w := range begun {
		snap, r, left := snaps[i], readings[i], *allowanceOf(ctx)
		w.flight.snap.Store(&snap)
		if r.err == nil {
			if a, ok := c.atOnce(w.flight, w.origin, w.key, snap, r); ok {
				m.land(w, a, ended)
				continue
			}
		}
		w.flight.left = &left
		w.flight.look = func(context.Context) (snapshot, reading, error) { return snap, r, r.err }
		others = append(others, w)
	}
	return others
}

// land ends a flight of the composition's own.
func (m *Composition) land(w *want, a answer, ended uint64) {
	w.flight.answer, w.flight.ended = a, ended
	m.cache.flights.leave(w.key, w.flight)
	close(w.flight.done)
}

// call runs the page's function. Its error is that of the first fragment that has failed.
func (m *Composition) call() (v any, err error) {
	m.run++
	m.failed = nil
	v, err = m.page.compose(m)
	switch {
	case m.missing:
		return nil, errMissing
	case m.failed != nil: // also when the function went on without it
		err = fmt.Errorf("%s: %w", m.culprit, m.failed)
	case err == nil && !slices.ContainsFunc(m.wants, m.uses):
		err = fmt.Errorf("cache: page %s uses no fragment: nothing would say when it is wrong", m.page.spec.head)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", m.key, err) // for the log, where operators find keys
	}
	return v, err
}

// uses reports whether the last run has used a want.
func (m *Composition) uses(w *want) bool { return w.used == m.run }

// tags returns the tags of the fragments that were used, each once.
func (m *Composition) tags() (tags []Tag) {
	for _, w := range m.wants {
		if !m.uses(w) {
			continue
		}
		for _, t := range w.tags {
			if !slices.Contains(tags, t) {
				tags = append(tags, t)
			}
		}
	}
	return tags
}
