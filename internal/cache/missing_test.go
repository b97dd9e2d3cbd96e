package cache

import (
	"errors"
	"fmt"
	"testing"

	"example.com/communityfeed/internal/cache/local"
)

// A flood of requests for what does not exist leaves what does exist in the process: that
// there is nothing is remembered at the cost of pages alone.
func TestAFloodOfWhatIsMissingEvictsNoFragment(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.alone()
		p.l1 = local.New[localCopy](20, 1<<20, 1<<20)
		spec := rowSpec("thing")
		spec.Policy.Negative = maxL1Age
		things := NewSource(p.Cache, spec, JSON[string]{}, f.origin.load)
		for i := range 10 {
			p.read(fmt.Sprint("there", i))
		}
		for i := range 200 {
			name := fmt.Sprint("missing", i)
			f.origin.fail(name, errNothing)
			if _, err := things.GetOrSet(t.Context(), name); !errors.Is(err, errNothing) {
				t.Fatal(err)
			}
		}
		for i := range 10 {
			_, how := p.read(fmt.Sprint("there", i))
			equal(t, "the outcome", how, HitL1)
		}
	})
}
