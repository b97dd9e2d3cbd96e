package cache

import (
	"cmp"
	"fmt"
	"io"
	"maps"
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

// ManifestOf returns the compositions of keys that were declared, by which a Cache
// has accepted them.
func ManifestOf(specs []Spec) Manifest {
	m := make(Manifest, len(specs))
	for _, s := range specs {
		m[head(s.Name, s.Version)] = composition(s.Dims)
	}
	return m
}

func head(name string, version int) string { return name + "/" + strconv.Itoa(version) }

func composition(dims []string) string {
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

// ParseManifest reads what WriteTo has written, in any order. Empty lines and lines
// that begin with # are for people. Its error names the line.
func ParseManifest(text string) (Manifest, error) {
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
		m[h] = composition(dims)
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
	wellFormed := err == nil && validName.MatchString(name) && version > 0 &&
		!slices.ContainsFunc(dims, func(d string) bool { return !validDim.MatchString(d) })
	// Comparing with the rendered form refuses every spelling but the one.
	if !wellFormed || head(name, version)+composition(dims) != line {
		return h, nil, fmt.Errorf("%q is not a key and its dimensions: name/1|a=|b=", line)
	}
	return h, dims, nil
}

// heads are the names and versions, in order.
func (m Manifest) heads() []string { return slices.SortedFunc(maps.Keys(m), compareHeads) }

// compareHeads puts version 9 before version 10. What is no version, because somebody
// else has written it, comes first.
func compareHeads(a, b string) int {
	nameA, textA, _ := strings.Cut(a, "/")
	nameB, textB, _ := strings.Cut(b, "/")
	versionA, _ := strconv.Atoi(textA)
	versionB, _ := strconv.Atoi(textB)
	return cmp.Or(cmp.Compare(nameA, nameB), cmp.Compare(versionA, versionB), cmp.Compare(a, b))
}

// A Drift is how a program's keys differ from those on record. Each is a list of
// name/versions, in order.
type Drift struct {
	Changed []string // on record with another composition: nobody may deploy this
	New     []string // not on record
	Gone    []string // on record, and not in the program
}

// Against compares a program's keys with those on record.
func (m Manifest) Against(record Manifest) (d Drift) {
	for _, h := range m.heads() {
		switch recorded, known := record[h]; {
		case !known:
			d.New = append(d.New, h)
		case recorded != m[h]:
			d.Changed = append(d.Changed, h)
		}
	}
	for _, h := range record.heads() {
		if _, here := m[h]; !here {
			d.Gone = append(d.Gone, h)
		}
	}
	return d
}
