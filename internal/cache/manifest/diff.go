package manifest

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
)

// A Place is where keys are registered: the [File] in the repository, or the [Registry] in
// Redis. What is registered stays. Only what is new is added.
type Place interface {
	String() string // what messages call the place
	Read(context.Context) (Manifest, error)

	// Refuse returns a [DiffError] if keys may not be registered beside others, else nil.
	// admit admits new keys.
	Refuse(keys, registered Manifest, admit bool) error

	// Register registers keys, all or none of them. The error is a DiffError if they are
	// refused. before is what was registered before.
	Register(ctx context.Context, keys Manifest, admit bool) (before Manifest, err error)
}

// A DiffError is the refusal of keys that are not as registered. Diff has a paragraph for
// each of them: how it differs, and what to do.
type DiffError struct{ Diff string }

func (e *DiffError) Error() string { return "the cache keys are not those registered" }

// A Diff is how a program's keys differ from those that are registered. Each is a list of
// name/versions, in order.
type Diff struct {
	Changed  []string // registered with other dimensions or another shape: this must not be deployed
	New      []string // not registered
	Unshaped []string // registered without a shape, by a program that knew of none
	Gone     []string // registered, and not in the program
}

// Diff compares a program's keys with those that are registered.
func (m Manifest) Diff(registered Manifest) (d Diff) {
	for _, h := range m.heads() {
		switch was, known := registered[h]; {
		case !known:
			d.New = append(d.New, h)
		case was.Dims != m[h].Dims || shapeChanges(was.Shape, m[h].Shape) != nil:
			d.Changed = append(d.Changed, h)
		case was.Shape == "" && m[h].Shape != "":
			d.Unshaped = append(d.Unshaped, h)
		}
	}
	for _, h := range registered.heads() {
		if _, here := m[h]; !here {
			d.Gone = append(d.Gone, h)
		}
	}
	return d
}

// place is what a Place says of itself.
type place struct {
	name    string
	remedy  string // goes on after "then", "if that is meant," or a colon
	lenient bool   // it takes every key while it is empty, and every shape that it lacks
}

func (p place) String() string { return p.name }

// Refuse implements [Place].
func (p place) Refuse(keys, registered Manifest, admit bool) error {
	var text strings.Builder
	d := keys.Diff(registered)
	for _, h := range d.Changed {
		name, _ := split(h)
		next := 1 + max(registered.last(name, math.MaxInt), keys.last(name, math.MaxInt))
		fmt.Fprintf(&text, "%s differs from %s:\n\n%s\n  Give the key version %d where it is declared, then %s\n\n",
			h, p, differences(registered[h], keys[h]), next, p.remedy)
	}
	for _, h := range d.New {
		if admit || p.lenient && len(registered) == 0 {
			continue
		}
		before, beside := keys[h], ""
		name, version := split(h)
		if last := registered.last(name, version); last > 0 {
			other := fmt.Sprintf("%s/%d", name, last)
			before, beside = registered[other], ". Beside "+other
		}
		fmt.Fprintf(&text, "%s is not in %s%s:\n\n%s\n  If that is meant, %s\n\n", h, p, beside, differences(before, keys[h]), p.remedy)
	}
	if len(d.Unshaped) > 0 && !admit && !p.lenient {
		fmt.Fprintf(&text, "%s has no shape yet of %s: %s\n\n", p, strings.Join(d.Unshaped, ", "), p.remedy)
	}
	if text.Len() == 0 {
		return nil
	}
	return &DiffError{text.String()}
}

// differences shows the dimensions in one line, and each change of the shape in one.
func differences(was, is Composition) string {
	dims := cmp.Or(strings.Join(merge(was.names(), is.names()), "  "), "(no dimensions)")
	return "    " + strings.Join(append([]string{dims}, shapeChanges(was.Shape, is.Shape)...), "\n    ") + "\n"
}

// merge shows two lists in one, with a - at what was in the list and a + at what is. A name
// that has moved has both.
func merge(was, is []string) (merged []string) {
	for len(was) > 0 || len(is) > 0 {
		switch {
		case len(was) > 0 && len(is) > 0 && was[0] == is[0]:
			merged, was, is = append(merged, is[0]), was[1:], is[1:]
		case len(is) == 0, len(was) > 0 && distance(was[0], is) >= distance(is[0], was):
			merged, was = append(merged, "-"+was[0]), was[1:]
		default:
			merged, is = append(merged, "+"+is[0]), is[1:]
		}
	}
	return merged
}

// distance is how far a name is down a list.
func distance(name string, list []string) int {
	if i := slices.Index(list, name); i >= 0 {
		return i
	}
	return math.MaxInt
}
