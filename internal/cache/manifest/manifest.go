// Package manifest keeps account of what keys are made of. A program's keys are compared
// with a file in the repository and with a registry in Redis, so that a key cannot change
// under its version.
package manifest

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Manifest says what keys are made of: the composition of each, by name/version. A
// composition is the names of the dimensions in their order, spelled as the key
// renders but for the values:
//
//	"feed.page/1": "|id=|user=|locale="
//
// That is all that can be seen of a key from outside. What a value means, and what
// lies under the key, is not in it: a change there needs a new version as well, and
// nobody but its author can know.
type Manifest map[string]string

var (
	validName = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)*$`)
	validDim  = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
)

// Head returns name/version, which names a key, or why it is none.
func Head(name string, version int, dims []string) (head string, err error) {
	head = name + "/" + strconv.Itoa(version)
	switch {
	case !validName.MatchString(name):
		return "", fmt.Errorf("%q is not a key name: lower-case words joined by dots", name)
	case version < 1:
		return "", fmt.Errorf("key %s needs a version from 1", name)
	}
	for i, d := range dims {
		if !validDim.MatchString(d) || slices.Contains(dims[:i], d) {
			return "", fmt.Errorf("key %s: dimension %q is malformed or declared twice", head, d)
		}
	}
	return head, nil
}

// Composition returns how the dimensions of a key render, without the values.
func Composition(dims []string) string {
	var b strings.Builder
	for _, d := range dims {
		b.WriteString("|" + d + "=")
	}
	return b.String()
}

// WriteTo writes one line for each key, by name and version: what two versions of a
// key have in common stands one below the other.
func (m Manifest) WriteTo(w io.Writer) (n int64, err error) {
	for _, h := range m.heads() {
		k, err := fmt.Fprintln(w, h+m[h])
		n += int64(k)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Parse reads what WriteTo has written, in any order. Empty lines and lines
// that begin with # are for people. Its error names the line.
func Parse(text string) (Manifest, error) {
	m := make(Manifest)
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		h, dims, err := parseComposition(line)
		if _, twice := m[h]; twice && err == nil {
			err = fmt.Errorf("%s is there twice", h)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		m[h] = Composition(dims)
	}
	return m, nil
}

// parseComposition is the inverse of a line of a manifest.
func parseComposition(line string) (h string, dims []string, err error) {
	h, rest, some := strings.Cut(line, "|")
	name, text, _ := strings.Cut(h, "/")
	version, err := strconv.Atoi(text)
	if some {
		for field := range strings.SplitSeq(rest, "|") {
			dims = append(dims, strings.TrimSuffix(field, "="))
		}
	}
	h, malformed := Head(name, version, dims)
	// Comparing with the rendered form refuses every spelling but the one.
	if err != nil || malformed != nil || h+Composition(dims) != line {
		return h, nil, fmt.Errorf("%q is not a key and its dimensions: name/1|a=|b=", line)
	}
	return h, dims, nil
}

// heads are the names and versions, in order.
func (m Manifest) heads() []string { return slices.SortedFunc(maps.Keys(m), compareHeads) }

// compareHeads puts version 9 before version 10. What is no version, because another program
// has written it, comes first.
func compareHeads(a, b string) int {
	nameA, textA, _ := strings.Cut(a, "/")
	nameB, textB, _ := strings.Cut(b, "/")
	versionA, _ := strconv.Atoi(textA)
	versionB, _ := strconv.Atoi(textB)
	return cmp.Or(cmp.Compare(nameA, nameB), cmp.Compare(versionA, versionB), cmp.Compare(a, b))
}

// A Diff is how a program's keys differ from those that are registered. Each is a list of
// name/versions, in order.
type Diff struct {
	Changed []string // registered with another composition: this must not be deployed
	New     []string // not registered
	Gone    []string // registered, and not in the program
}

// Diff compares a program's keys with those that are registered.
func (m Manifest) Diff(registered Manifest) (d Diff) {
	for _, h := range m.heads() {
		switch other, known := registered[h]; {
		case !known:
			d.New = append(d.New, h)
		case other != m[h]:
			d.Changed = append(d.Changed, h)
		}
	}
	for _, h := range registered.heads() {
		if _, here := m[h]; !here {
			d.Gone = append(d.Gone, h)
		}
	}
	return d
}
