package manifest

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var leaves = regexp.MustCompile(`^(string|integer|number|boolean|any|\^[0-9]+|<[^>]*>)`)

// parseShape is the inverse of [shape.String]. It refuses every text that String would not
// return.
func parseShape(text string) (*shape, error) {
	if s, rest := cutShape(text); s != nil && rest == "" && s.String() == text {
		return s, nil
	}
	return nil, fmt.Errorf("%q is not the shape of a value: {id:integer names:[string]}", text)
}

// cutShape cuts a shape off the beginning of a text. It returns nil if there is none.
func cutShape(text string) (s *shape, rest string) {
	s = new(shape)
	for _, s.open = range []string{"{*:", "{", "[", ""} {
		if strings.HasPrefix(text, s.open) {
			break
		}
	}
	rest = text[len(s.open):]
	switch s.open {
	case "":
		s.leaf = leaves.FindString(rest)
		rest = rest[len(s.leaf):]
		if s.leaf == "" {
			return nil, rest
		}
	case "{":
		for rest != "" && rest[0] != '}' {
			var f field
			if f, rest = cutField(rest); f.shape == nil {
				return nil, rest
			}
			s.fields, rest = append(s.fields, f), strings.TrimPrefix(rest, " ")
		}
	default:
		of, after := cutShape(rest)
		if of == nil {
			return nil, rest
		}
		s.fields, rest = []field{{shape: of}}, after
	}
	rest = strings.TrimPrefix(rest, closing[s.open])
	rest, s.null = strings.CutPrefix(rest, "?")
	return s, rest
}

// cutField cuts a field of an object off. Its shape is nil if there is none.
func cutField(text string) (f field, rest string) {
	f.name = plainName.FindString(text)
	rest = text[len(f.name):]
	if f.name == "" {
		name, _ := strconv.QuotedPrefix(text)
		f.name, _ = strconv.Unquote(name)
		rest = text[len(name):]
	}
	rest, f.missing = strings.CutPrefix(rest, "?")
	rest, some := strings.CutPrefix(rest, ":")
	if f.name != "" && some {
		f.shape, rest = cutShape(rest)
	}
	return f, rest
}

// shapeChanges says in words what the new text of a shape changes, in a line for each object.
// Where one of them is not known, nothing has changed.
func shapeChanges(was, is string) []string {
	if was == is || was == "" || is == "" {
		return nil
	}
	a, errA := parseShape(was)
	b, errB := parseShape(is)
	if errA != nil || errB != nil { // another program has written it
		return []string{"the value became " + is + ", was " + was}
	}
	return changes(nil, "", a, b)
}

// changes appends what became of the shape at a path: items[].author.
func changes(told []string, at string, was, is *shape) []string {
	tell := func(at, what string) { told = append(told, cmp.Or(at, "the value")+" "+what) }
	if was.open != is.open || was.leaf != is.leaf || was.open == "" && was.null != is.null {
		tell(at, "became "+is.String()+", was "+was.String())
		return told
	}
	if was.null != is.null {
		tell(at, either(is.null, "may be null", "is never null"))
	}
	if lost := without(was, is); len(lost) > 0 {
		tell(at, "lost "+strings.Join(lost, ", "))
	}
	if gained := without(is, was); len(gained) > 0 {
		tell(at, "gained "+strings.Join(gained, ", "))
	}
	var kept []field // in their order before
	for _, f := range was.fields {
		now, found := is.field(f.name)
		if !found {
			continue
		}
		kept = append(kept, f)
		inside := strings.TrimPrefix(at+"."+f.name, ".")
		switch was.open {
		case "[":
			inside = at + "[]"
		case "{*:":
			inside = at + "[*]"
		}
		if f.missing != now.missing {
			tell(inside, either(now.missing, "may be left out", "is never left out"))
		}
		told = changes(told, inside, f.shape, now.shape)
	}
	ordered := slices.DeleteFunc(slices.Clone(is.fields), func(f field) bool { _, found := was.field(f.name); return !found })
	if !slices.EqualFunc(kept, ordered, func(a, b field) bool { return a.name == b.name }) {
		tell(at, "changed its order")
	}
	return told
}

// field returns the field with a name.
func (s *shape) field(name string) (field, bool) {
	i := slices.IndexFunc(s.fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return s.fields[i], true
}

// without returns the names in an object that another does not have, in quotes.
func without(s, other *shape) (names []string) {
	for _, f := range s.fields {
		if _, found := other.field(f.name); !found {
			names = append(names, strconv.Quote(f.name))
		}
	}
	return names
}
