package cache

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"example.com/communityfeed/internal/cache/manifest"
)

// declared is what was declared on a cache.
type declared struct {
	mu      sync.Mutex
	sources []*source
	pages   []*page
}

// addSource declares a source. Two keys of one name and version would answer each other's
// reads, so that is refused.
func (d *declared) addSource(s *source) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.refuseTwice(s.spec); err != nil {
		return err
	}
	d.sources = append(d.sources, s)
	return nil
}

// addPage is addSource of a page.
func (d *declared) addPage(p *page) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.refuseTwice(p.spec); err != nil {
		return err
	}
	d.pages = append(d.pages, p)
	return nil
}

func (d *declared) refuseTwice(s *spec) error {
	if slices.ContainsFunc(d.specs(), func(other *spec) bool { return other.head == s.head }) {
		return fmt.Errorf("cache: key %s is declared twice", s.head)
	}
	return nil
}

// specs returns what was declared. Its caller has the mutex.
func (d *declared) specs() (specs []*spec) {
	for _, s := range d.sources {
		specs = append(specs, s.spec)
	}
	for _, p := range d.pages {
		specs = append(specs, p.spec)
	}
	return specs
}

// Specs returns what the sources and pages have declared, by name.
func (d *declared) Specs() []Spec {
	d.mu.Lock()
	defer d.mu.Unlock()
	var specs []Spec
	for _, s := range d.specs() {
		specs = append(specs, s.Spec)
	}
	slices.SortFunc(specs, func(a, b Spec) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return specs
}

// Manifest returns the compositions of the keys that were declared.
func (d *declared) Manifest() manifest.Manifest {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := make(manifest.Manifest)
	for _, s := range d.specs() {
		m[s.head] = s.composition
	}
	return m
}

// ErrUnknownKey is the error of a text that is not a key of any source or page.
var ErrUnknownKey = errors.New("cache: not a key of this program")

// parse finds the source of a rendered key. It is nil if the key is a page's.
func (d *declared) parse(text string) (*source, Key, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	head, _, _ := strings.Cut(text, "|")
	var found *source
	if i := slices.IndexFunc(d.sources, func(s *source) bool { return s.spec.head == head }); i >= 0 {
		found = d.sources[i]
	}
	for _, s := range d.specs() {
		if s.head != head {
			continue
		}
		if k, err := s.parse(text); err == nil {
			return found, k, nil
		}
	}
	return nil, Key{}, fmt.Errorf("%w: %q", ErrUnknownKey, text)
}
