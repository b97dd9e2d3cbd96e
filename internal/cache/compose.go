package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/communityfeed/internal/cache/breaker"
)

// A Composition composes a page of fragments. It runs the page's function, once or several
// times, in one goroutine, and has the fragments that the function names. lastlook.go says
// when the fragments are judged, and when the function is run again.
type Composition struct {
	cache  *Cache
	page   *page
	key    Key
	ctx    context.Context // bounds every wait; nil when nothing may be waited for
	flight *pageFlight     // nil where there is none
	probe  *breaker.Probe

	wants     []*want
	run       int    // which call of the page's function this is
	onlyFresh bool   // an expired fragment is loaded again at once: it says that there is nothing to show
	above     uint64 // a fragment must have a number above this; see step 5 of the last look
	waited    uint64 // the number at the end of the last wait
	missing   bool   // L1 lacks a fragment, and nothing may be waited for
	loaded    bool   // the origin was asked, perhaps for what was fetched again since
	failed    error  // why a fragment has failed in this run, the first one that has
	culprit   string // its key
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

// A fragment names a copy that a page is composed of.
type fragment struct {
	source *source
	key    Key
	tags   []Tag
}

// want is a Wanted without its type parameter.
type want struct {
	fragment

	named  int   // in which call it was named last
	used   int   // in which call it was used last
	fill   *fill // that will answer; nil: answered, or not looked for yet
	joined bool
	known  bool   // answer is there
	ended  uint64 // the number when it was
	answer answer
}

// Want names a fragment that the page is going to use. Nothing is waited for before the
// first [Wanted.Get]: what was named until then is looked up in one round trip, and loaded
// at the same time.
func (s *Source[T]) Want(m *Composition, values ...string) Wanted[T] {
	var scratch [256]byte
	return Wanted[T]{m, m.want(s.source, s.source.spec.render(scratch[:0], values))}
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

// want returns what was named by a rendered key, once for each.
func (m *Composition) want(s *source, text []byte) *want {
	for _, w := range m.wants {
		if w.key.text == string(text) {
			w.named = m.run
			m.fromL1(w, text)
			return w
		}
	}
	w := &want{fragment: fragment{source: s}, named: m.run}
	m.wants = append(m.wants, w)
	if !m.fromL1(w, text) {
		w.key = s.spec.split(string(text))
		w.tags = s.spec.tags(w.key)
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
	if w.known || w.fill != nil || c.o.Off {
		return w.known
	}
	hit, now := c.hit(text)
	if hit == nil || hit.snapshot.Number <= m.above {
		return false
	}
	if w.key.spec == nil {
		w.key, w.tags = hit.key, hit.snapshot.Tags
	}
	if m.flight != nil { // else its flight would count it again; see composeAtOnce
		w.source.stats.hitL1.Add(1)
	}
	if hit.early(now, c.o.Rand) {
		w.source.refreshBehind(w.key, w.tags)
	}
	w.answer, w.known = hit.answer, true
	w.answer.outcome = HitL1
	m.ages(hit.snapshot.Taken)
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
		w.answer, w.known = w.source.bypass(m.ctx, w.key), true
	case m.ctx == nil:
		m.missing = true
		return answer{err: errMissing}
	default:
		if w.fill == nil {
			m.lookup()
		}
		m.await(w)
	}
	return w.answer
}

// await waits for the fill of a want.
func (m *Composition) await(w *want) {
	if w.known {
		return
	}
	select {
	case <-w.fill.done:
		w.answer, w.ended = w.fill.answer, w.fill.ended
		m.waited = max(m.waited, w.ended)
		m.loaded = m.loaded || w.answer.outcome == Miss
	case <-m.ctx.Done():
		w.answer = answer{err: fmt.Errorf("%w: %s was not there in time", ErrUnavailable, w.key.text)}
	}
	w.source.stats.count(w.answer, w.joined)
	w.known, w.fill = true, nil
}

// lookup begins a fill for each fragment that was named and is not there, or joins the one
// that is under way, and looks all of them up in one round trip.
func (m *Composition) lookup() {
	var begun []*fill
	for _, w := range m.wants {
		if w.known || w.fill != nil || w.named != m.run {
			continue
		}
		f := w.source.newFill(w.key)
		f.probe, f.above, f.onlyFresh = m.probe, m.above, m.onlyFresh
		if w.fill, w.joined = w.source.join(f); !w.joined {
			begun = append(begun, f)
		}
		m.ages(w.fill.snapshot.Load().Taken)
	}
	if len(begun) > 0 {
		m.cache.lookupTogether(m.ctx, begun)
	}
}
