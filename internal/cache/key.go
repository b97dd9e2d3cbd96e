package cache

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"example.com/communityfeed/internal/cache/manifest"
)

// A Spec declares a key: its name, its version, its dimensions in order, and the
// policy and tags of what is kept under it. Two Specs share no entry unless name
// and version are both equal. A change to Dims, to the meaning of a dimension or to
// the shape of Value needs a new Version.
type Spec struct {
	Name    string   // lower-case words joined by dots: "feed.page"
	Version int      // from 1
	Dims    []string // names of the dimensions, in the order in which they render
	Policy  Policy

	// Value is the Go type of what is kept as JSON under the key. Its shape is part of the
	// key's contract; see package manifest. Without it nothing is known of the shape.
	Value reflect.Type

	// Owner names the dimension that says which user's the value is; empty if it is for
	// all. A page that uses it must be that user's, too: it has a dimension of the same
	// name, with the same value.
	Owner string

	// Response says that the value is a whole answer to a client, and not a fragment of
	// one. Its reads are counted apart.
	Response bool

	// Tags returns the tags of a key. They follow from the key and never from the
	// content: what is under which tag must be known before the load, or the
	// snapshot could not be taken first.
	Tags func(Key) []Tag
}

// A Key is one value for each dimension of a Spec. It renders injectively:
//
//	feed.page/1|id=12|user=42|locale=de
//
// Keys are immutable and safe to share.
type Key struct {
	spec   *spec
	text   string
	values []string
}

// String returns the rendered key.
func (k Key) String() string { return k.text }

// Get returns the value of a dimension. A name that the Spec does not declare is
// a mistake in the program and panics, naming both.
func (k Key) Get(name string) string {
	i := slices.Index(k.spec.Dims, name)
	if i < 0 {
		panic(fmt.Sprintf("cache: key %s has no dimension %q", k.spec.head, name))
	}
	return k.values[i]
}

// spec is a Spec prepared for rendering.
type spec struct {
	Spec
	head        string // "feed.page/1"
	composition manifest.Composition
	fields      []string // "|id=", "|user=", one for each dimension
}

// compile checks a Spec and its policy.
func compile(s Spec) (*spec, error) {
	c, err := compileKey(s)
	if err != nil {
		return nil, err
	}
	if err := s.Policy.validate(); err != nil {
		return nil, fmt.Errorf("cache: key %s: %w", c.head, err)
	}
	if s.Owner != "" && !slices.Contains(s.Dims, s.Owner) {
		return nil, fmt.Errorf("cache: key %s has no dimension %q, which says whose it is", c.head, s.Owner)
	}
	return c, nil
}

// compileKey checks all of a Spec that makes a key.
func compileKey(s Spec) (*spec, error) {
	head, composition, err := manifest.Compose(s.Name, s.Version, s.Dims, s.Value)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	c := &spec{Spec: s, head: head, composition: composition}
	for _, d := range s.Dims {
		c.fields = append(c.fields, "|"+d+"=")
	}
	return c, nil
}

// append renders the key with the given values onto b. It allocates only when b
// is too small.
func (s *spec) append(b []byte, values []string) []byte {
	b = append(b, s.head...)
	for i, f := range s.fields {
		b = append(b, f...)
		b = appendEscaped(b, values[i])
	}
	return b
}

// render is append for values that come from outside the package.
func (s *spec) render(b []byte, values []string) []byte {
	if len(values) != len(s.Dims) {
		panic(fmt.Sprintf("cache: key %s has %d dimensions, got %d values", s.head, len(s.Dims), len(values)))
	}
	return s.append(b, values)
}

// parse is the inverse of append. It refuses every text that append would not render.
func (s *spec) parse(text string) (Key, error) {
	k := s.split(text)
	if k.values == nil || string(s.append(nil, k.values)) != text {
		return Key{}, fmt.Errorf("cache: %q is not a key of %s", text, s.head)
	}
	return k, nil
}

// split is parse for a text that was rendered. Of any other it makes a Key without values,
// or with values that render to another text.
func (s *spec) split(text string) Key {
	k := Key{spec: s, text: text, values: make([]string, len(s.fields))}
	rest, ok := strings.CutPrefix(text, s.head)
	for i, f := range s.fields {
		if ok {
			rest, ok = strings.CutPrefix(rest, f)
		}
		if !ok {
			return Key{spec: s, text: text}
		}
		end := strings.IndexByte(rest, '|')
		if end < 0 {
			end = len(rest)
		}
		k.values[i], rest = unescape(rest[:end]), rest[end:]
	}
	return k
}

// tags returns the tags of a copy under k: those of the Spec, and the one of everything.
func (s *spec) tags(k Key) []Tag {
	var tags []Tag
	if s.Tags != nil {
		tags = append(tags, s.Tags(k)...)
	}
	return append(tags, Everything)
}

const hexDigits = "0123456789ABCDEF"

// mustEscape reports the bytes that would make a key ambiguous (the separators),
// would end a Redis hash tag early (the braces), or would be unreadable in a log.
func mustEscape(c byte) bool {
	switch c {
	case '%', '|', '=', '{', '}':
		return true
	}
	return c <= ' ' || c >= 0x7f
}

func appendEscaped(b []byte, value string) []byte {
	for i := 0; i < len(value); i++ {
		if c := value[i]; mustEscape(c) {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

// unescape undoes appendEscaped. What is malformed is left as it is: parse
// renders the result again and so refuses it.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
			if hi >= 0 && lo >= 0 {
				b, i = append(b, byte(hi<<4|lo)), i+2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}
