package cachetest

import (
	"errors"
	"slices"

	"example.com/communityfeed/internal/cache"
)

// A value is what a load returns: the version of every row that it shows. One that was
// written through lacks what others had committed by then, whose moves had not landed. A
// page's value has those of its fragments, by their keys, and shows of each row the oldest
// version that one of them shows.
type value struct {
	Saw   map[string]int
	Lacks map[string][]int `json:",omitempty"`
	Parts map[string]value `json:",omitempty"`
}

// lack notes what a part lacks.
func (v *value) lack(row string, versions ...int) {
	if len(versions) == 0 {
		return
	}
	if v.Lacks == nil {
		v.Lacks = make(map[string][]int)
	}
	all := append(v.Lacks[row], versions...)
	slices.Sort(all)
	v.Lacks[row] = slices.Compact(all)
}

// add adds a fragment to a page.
func (v *value) add(key string, part value) {
	if v.Parts == nil {
		v.Saw, v.Parts = make(map[string]int), make(map[string]value)
	}
	v.Parts[key] = part
	for row, version := range part.Saw {
		see(v.Saw, row, version)
	}
	for row, versions := range part.Lacks {
		v.lack(row, versions...)
	}
}

// A nothing is the answer, of a load or of a page, that there is nothing (to show), and
// which versions said so.
type nothing struct{ value }

func (nothing) Error() string { return "nothing there" }

// hidden reports whether pages that show this version of a row say that there is nothing.
func hidden(version int) bool { return version%3 == 2 }

var errBroken = errors.New("the origin is broken")

// The rows of the origin. Those whose names begin with quiet are changed behind
// everybody's back: only time helps there. purges is a row that every load reads
// and that every purge changes.
const (
	quiet  = "quiet"
	purges = "*"
)

func tagOf(row string) cache.Tag {
	if row == purges {
		return cache.Everything
	}
	return cache.Tag("row:" + row)
}

// A shape is a kind of key, with a dimension for each row whose name is in it. It is a
// fragment's, whose load reads these rows, or a page's.
type shape struct {
	name  string
	dims  []string
	owner string
	page  func(*process, *cache.Composition) (value, error)
	parts func(values []string) [][]string // shape and values of all fragments that a page may use
}

// shapes are complete once init has run: pages are made of fragments, which are shapes.
var shapes []shape

func init() {
	shapes = []shape{
		{name: "row", dims: []string{"name"}},
		{name: "viewer", dims: []string{"viewer"}, owner: "viewer"},
		{name: "member", dims: []string{"name", "viewer"}, owner: "viewer"},
		{
			name: "page", dims: []string{"name", "viewer"}, page: (*process).composePage,
			parts: func(v []string) [][]string { return [][]string{{"row", v[0]}, {"viewer", v[1]}} },
		},
		{
			name: "pair", dims: []string{"name", "other"}, page: (*process).composePair,
			parts: func(v []string) [][]string { return [][]string{{"row", v[0]}, {"row", v[1]}} },
		},
		{
			name: "site", dims: []string{"name", "viewer"}, page: (*process).composeSite,
			parts: func(v []string) [][]string {
				return [][]string{{"row", quiet}, {"member", v[0], v[1]}, {"row", v[0]}, {"viewer", v[1]}}
			},
		},
	}
}

// fragments returns the keys of the fragments that a key may be made of: itself, if it is
// one.
func fragments(shape string, values []string) (keys []string) {
	sh := shapeOf(shape)
	if sh.page == nil {
		return []string{keyOf(shape, values)}
	}
	for _, part := range sh.parts(values) {
		keys = append(keys, keyOf(part[0], part[1:]))
	}
	return keys
}

// keyOf renders a key as the cache does.
func keyOf(shape string, values []string) string {
	key := shape + "/1"
	for i, d := range shapeOf(shape).dims {
		key += "|" + d + "=" + values[i]
	}
	return key
}

func shapeOf(name string) shape {
	return shapes[slices.IndexFunc(shapes, func(sh shape) bool { return sh.name == name })]
}

// rowsOf are the rows that a key shows, but for purges.
func rowsOf(name string, values []string) []string {
	if name == "site" {
		return append([]string{quiet}, values...)
	}
	return values
}
