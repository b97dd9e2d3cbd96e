package manifest

import (
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// member is a field of a struct, or of one that is embedded in it.
type member struct {
	name    string
	tagged  bool  // its name is from a tag
	missing bool  // it may be left out
	text    bool  // its value is in quotes
	twice   bool  // the struct around it is embedded twice at its depth
	index   []int // as in [reflect.StructField], from the outermost struct
	typ     reflect.Type
}

// members returns what encoding/json writes of a struct, in its order. Of fields with one
// name it writes the outermost, and of those the one that is tagged; none if that leaves two.
func members(t reflect.Type) []member {
	all := allMembers(t)
	kept := slices.DeleteFunc(slices.Clone(all), func(m member) bool {
		return m.twice || slices.ContainsFunc(all, func(o member) bool {
			return o.name == m.name && !slices.Equal(o.index, m.index) &&
				(len(o.index) < len(m.index) || len(o.index) == len(m.index) && (o.tagged || !m.tagged))
		})
	})
	slices.SortFunc(kept, func(a, b member) int { return slices.Compare(a.index, b.index) })
	return kept
}

// allMembers returns the fields of a struct and of those that are embedded in it, by depth.
// As in encoding/json, a struct that is embedded at two depths counts at the lesser one.
func allMembers(t reflect.Type) (all []member) {
	seen := make(map[reflect.Type]bool)
	for depth := []member{{typ: t}}; len(depth) > 0; {
		var deeper []member
		for _, outer := range depth {
			if seen[outer.typ] {
				continue
			}
			seen[outer.typ] = true
			for i := range outer.typ.NumField() {
				m, embedded, written := memberOf(outer, i)
				same := func(o member) bool { return o.typ == m.typ }
				switch {
				case !written:
				case !embedded:
					all = append(all, m)
				case slices.ContainsFunc(deeper, same):
					deeper[slices.IndexFunc(deeper, same)].twice = true
				default:
					deeper = append(deeper, m)
				}
			}
		}
		depth = deeper
	}
	return all
}

// memberOf returns a field of a struct, and whether it is a struct whose fields are written
// in its place, and whether it is written at all.
func memberOf(outer member, i int) (m member, embedded, written bool) {
	f := outer.typ.Field(i)
	inner := f.Type
	if inner.Kind() == reflect.Pointer && inner.Name() == "" {
		inner = inner.Elem()
	}
	embedded = f.Anonymous && inner.Kind() == reflect.Struct
	tag := f.Tag.Get("json")
	name, rest, _ := strings.Cut(tag, ",")
	options := strings.Split(rest, ",")
	m = member{
		name: name, tagged: name != "" && !strings.ContainsFunc(name, notInName),
		missing: outer.missing || slices.Contains(options, "omitempty") || slices.Contains(options, "omitzero"),
		text:    slices.Contains(options, "string"),
		twice:   outer.twice,
		index:   append(slices.Clip(outer.index), i),
		typ:     f.Type,
	}
	if !m.tagged {
		m.name = f.Name
	}
	written = tag != "-" && (f.IsExported() || embedded)
	if embedded = embedded && !m.tagged; embedded {
		m.missing, m.twice, m.typ = outer.missing || f.Type.Kind() == reflect.Pointer, false, inner
	}
	return m, embedded, written
}

// notInName reports whether encoding/json takes a tag with a rune in it for no name.
func notInName(r rune) bool {
	return !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
}
