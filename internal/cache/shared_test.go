package cache

import (
	"context"
	"testing"
)

// Rule 15: a copy is never copied. Whoever loads, joins or hits gets the same value, so
// none of them may change it.
func TestReadersOfACopyShareIt(t *testing.T) {
	for _, tiers := range []string{"memory", "both"} {
		t.Run(tiers, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p := f.alone()
				if tiers == "both" {
					p = f.process()
				}
				type page struct{ Text string }
				pages := NewSource(p.Cache, rowSpec("shared"), JSON[*page]{}, func(ctx context.Context, k Key) (*page, error) {
					text, err := f.origin.load(ctx, k)
					return &page{text}, err
				})
				f.origin.set("a", "v")
				atLoad := f.origin.hold("a")
				first, second := later(pages, "a"), later(pages, "a")
				atLoad.release()
				loaded, err := first()
				if err != nil {
					t.Fatal(err)
				}
				joined, err := second()
				if err != nil {
					t.Fatal(err)
				}
				hit, err := pages.Fetch(t.Context(), "a")
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "the outcome of the last read", hit.Outcome, HitL1)
				equal(t, "who joined has what was loaded", joined.Value, loaded.Value)
				equal(t, "who hits has what was loaded", hit.Value, loaded.Value)
			})
		})
	}
}
