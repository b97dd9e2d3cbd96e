package cachetest

import (
	"errors"
	"slices"

	"example.com/communityfeed/internal/cache"
)

// A page is what a load returns: the version of every row that it shows. One that was
// written through lacks what others had committed by then, whose moves had not landed.
type page struct {
	Saw   map[string]int
	Lacks map[string][]int `json:",omitempty"`
}

// lack notes what a part lacks.
func (v *page) lack(row string, versions ...int) {
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

// A nothing is a load's answer that a row is not there, and which version of the
// row said so.
type nothing struct{ page }

func (nothing) Error() string { return "nothing there" }

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

// A shape is a kind of key: which parts its load asks for, and which rows it reads
// itself.
type shape struct {
	name  string
	dims  []string
	parts func(k cache.Key) [][]string // name and values
	own   func(k cache.Key) []string
	first bool // reads its own rows before its parts
	many  bool // asks for all of its parts, which are rows, at a time
}

var shapes = []shape{
	{
		name: "row", dims: []string{"name"},
		own: func(k cache.Key) []string { return []string{k.Get("name")} },
	},
	{
		name: "page", dims: []string{"name", "viewer"},
		parts: func(k cache.Key) [][]string { return [][]string{{"row", k.Get("name")}} },
		own:   func(k cache.Key) []string { return []string{k.Get("viewer")} },
	},
	{
		name: "pair", dims: []string{"name", "other"}, first: true, many: true,
		parts: func(k cache.Key) [][]string { return [][]string{{"row", k.Get("name")}, {"row", k.Get("other")}} },
		own:   func(cache.Key) []string { return nil },
	},
	{
		name: "site", dims: []string{"name", "viewer"},
		parts: func(k cache.Key) [][]string {
			return [][]string{{"row", quiet}, {"page", k.Get("name"), k.Get("viewer")}}
		},
		own: func(k cache.Key) []string { return []string{k.Get("name")} },
	},
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

// partsOf returns the parts of a key.
func (sh shape) partsOf(k cache.Key) [][]string {
	if sh.parts == nil {
		return nil
	}
	return sh.parts(k)
}

// rowsOf are the rows that a key shows, in the end.
func rowsOf(name string, values []string) []string {
	if name == "site" {
		return append([]string{quiet}, values...)
	}
	return values
}
