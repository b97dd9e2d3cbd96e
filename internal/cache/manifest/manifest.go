// Package manifest keeps account of what keys are made of. A program's keys are compared
// with a manifest in the repository and with a registry in Redis, so that neither a key nor
// what is stored under it changes without a new version.
//
// manifest.go is the list of keys, and shape.go the part of it that is read from Go types.
// diff.go and shapediff.go compare two lists and put the difference in words. file.go and
// registry.go are the two places where keys are registered.
package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Manifest says what keys are made of, by name/version.
type Manifest map[string]Composition

// A Composition is what can be seen of a key from outside. What a dimension means, and where
// its value is from, cannot: a change there needs a new version as well, and only its author
// knows.
type Composition struct {
	Dims  string // the dimensions, as the key renders but for the values: "|id=|user="
	Shape string // of the JSON under the key; see shapeOf. Empty if it is not known
}

var (
	validName = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)*$`)
	validDim  = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
)

// Compose returns name/version, which names a key, and what the key is made of. value is the
// Go type of what is stored under it, or nil. The error says why there can be no such key.
func Compose(name string, version int, dims []string, value reflect.Type) (head string, c Composition, err error) {
	head = name + "/" + strconv.Itoa(version)
	switch {
	case !validName.MatchString(name):
		return "", c, fmt.Errorf("%q is not a key name: lower-case words joined by dots", name)
	case version < 1:
		return "", c, fmt.Errorf("key %s needs a version from 1", name)
	}
	for i, d := range dims {
		if !validDim.MatchString(d) || slices.Contains(dims[:i], d) {
			return "", c, fmt.Errorf("key %s: dimension %q is malformed or declared twice", head, d)
		}
		c.Dims += "|" + d + "="
	}
	if value != nil {
		s, err := shapeOf(value, nil)
		if err != nil {
			return "", c, fmt.Errorf("key %s: its value %s is not JSON: %w", head, value, err)
		}
		c.Shape = s.String()
	}
	return head, c, nil
}

// String returns two lines for each key, by name and version: its dimensions, and its shape
// if it is known.
func (m Manifest) String() string {
	var b strings.Builder
	for _, h := range m.heads() {
		b.WriteString(h + m[h].Dims + "\n")
		if shape := m[h].Shape; shape != "" {
			b.WriteString("    " + shape + "\n")
		}
	}
	return b.String()
}

// Parse reads what String returns. Empty lines and lines that begin with # are for people. An
// indented line is the shape of the key above it. The error names the line.
func Parse(text string) (Manifest, error) {
	m := make(Manifest)
	head, number := "", 0
	for line := range strings.Lines(text) {
		number++
		indented := line[0] == ' ' || line[0] == '\t'
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		var err error
		if indented {
			err = m.addShape(head, line)
		} else {
			head, err = m.addKey(line)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	return m, nil
}

// addKey adds the key of a line.
func (m Manifest) addKey(line string) (head string, err error) {
	head, _, _ = strings.Cut(line, "|")
	name, version := split(head)
	head, c, err := Compose(name, version, Composition{Dims: line[len(head):]}.names(), nil)
	// Comparing with the rendered form refuses every spelling but the one.
	if err != nil || head+c.Dims != line {
		return "", fmt.Errorf("%q is not a key and its dimensions: name/1|a=|b=", line)
	}
	if _, twice := m[head]; twice {
		return "", fmt.Errorf("%s is there twice", head)
	}
	m[head] = c
	return head, nil
}

// addShape adds the shape of a line to the key above it.
func (m Manifest) addShape(head, line string) error {
	c := m[head]
	switch _, err := parseShape(line); {
	case err != nil:
		return err
	case head == "" || c.Shape != "":
		return errors.New("this is the shape of the key above it, and there is no key, or it has one")
	}
	m[head] = Composition{c.Dims, line}
	return nil
}

// heads are the names and versions, in order: version 9 before version 10.
func (m Manifest) heads() []string {
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		nameA, versionA := split(a)
		nameB, versionB := split(b)
		return cmp.Or(cmp.Compare(nameA, nameB), cmp.Compare(versionA, versionB), cmp.Compare(a, b))
	})
}

// last returns the last version of a key below another, or 0.
func (m Manifest) last(name string, below int) (last int) {
	for h := range m {
		if n, version := split(h); n == name && version < below {
			last = max(last, version)
		}
	}
	return last
}

// names are those of the dimensions. What another program has written as none is shown as it
// is.
func (c Composition) names() []string {
	return strings.FieldsFunc(strings.ReplaceAll(c.Dims+"|", "=|", "|"), func(r rune) bool { return r == '|' })
}

// split returns the name and the version of a key. What is no version is 0.
func split(head string) (name string, version int) {
	name, text, _ := strings.Cut(head, "/")
	version, _ = strconv.Atoi(text)
	return name, version
}
