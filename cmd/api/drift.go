package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"example.com/communityfeed/internal/cache/manifest"
)

// driftError is the refusal of keys that are not as recorded. exitCode shows the diff,
// and then the error in one line.
type driftError struct{ diff string }

func (e *driftError) Error() string { return "the cache keys are not those on record" }

// describe says of each key that is not as recorded in what it differs, and what to
// do about it.
func (l *ledger) describe(keys manifest.Manifest, d manifest.Diff) string {
	var b strings.Builder
	for _, head := range d.Changed {
		line, words := compare(l.recorded[head], keys[head])
		fmt.Fprintf(&b, "%s has other dimensions than in %s:\n\n    %s\n\n  %s. Give the key version %d where it is declared, then %s\n\n",
			head, l.name, line, words, nextVersion(head, keys, l.recorded), l.remedy)
	}
	for _, head := range d.New {
		beside, line, words := "", strings.Join(dimensions(keys[head]), "  "), ""
		if before, found := predecessor(head, l.recorded); found {
			line, words = compare(l.recorded[before], keys[head])
			beside = ". Beside " + before
		}
		if words != "" {
			words += ". "
		}
		fmt.Fprintf(&b, "%s is not in %s%s:\n\n    %s\n\n  %sIf that is meant, %s\n\n",
			head, l.name, beside, cmp.Or(line, "(no dimensions)"), words, l.remedy)
	}
	return b.String()
}

// compare shows two compositions as one line, with a - at what went and a + at what
// came, and says the same in words.
func compare(was, is string) (line, words string) {
	var names, told []string
	merged := merge(dimensions(was), dimensions(is))
	for _, d := range merged {
		names = append(names, d.mark+d.name)
		word := ""
		switch {
		case d.mark == "":
			continue
		case slices.Contains(merged, change{"+", d.name}) && slices.Contains(merged, change{"-", d.name}):
			word = " moved"
		case d.mark == "-":
			word = " went"
		default:
			word = " came"
		}
		if !slices.Contains(told, d.name+word) {
			told = append(told, d.name+word)
		}
	}
	return strings.Join(names, "  "), strings.Join(told, ", ")
}

// dimensions are the names in a composition. What is none, because somebody else has
// written it, is shown as it is.
func dimensions(composition string) []string {
	if composition == "" {
		return nil
	}
	list := strings.Split(strings.TrimPrefix(composition, "|"), "|")
	for i, field := range list {
		list[i] = strings.TrimSuffix(field, "=")
	}
	return list
}

// change is a dimension and what became of it: "-", "+" or nothing.
type change struct{ mark, name string }

// merge lines two lists up on their longest common subsequence.
func merge(was, is []string) (merged []change) {
	// common[i][j] is how much was[i:] and is[j:] have in common.
	common := make([][]int, len(was)+1)
	for i := range common {
		common[i] = make([]int, len(is)+1)
	}
	for i := len(was) - 1; i >= 0; i-- {
		for j := len(is) - 1; j >= 0; j-- {
			common[i][j] = max(common[i+1][j], common[i][j+1])
			if was[i] == is[j] {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	for i, j := 0, 0; i < len(was) || j < len(is); {
		switch {
		case i < len(was) && j < len(is) && was[i] == is[j]:
			merged = append(merged, change{"", is[j]})
			i, j = i+1, j+1
		case j == len(is) || i < len(was) && common[i+1][j] >= common[i][j+1]:
			merged = append(merged, change{"-", was[i]})
			i++
		default:
			merged = append(merged, change{"+", is[j]})
			j++
		}
	}
	return merged
}

// predecessor is the last version of the same key before one, on record.
func predecessor(head string, record manifest.Manifest) (before string, found bool) {
	name, version := split(head)
	last := 0
	for other := range record {
		if n, v := split(other); n == name && v < version && v > last {
			before, last = other, v
		}
	}
	return before, last > 0
}

// nextVersion is the first that neither the program nor the record has used.
func nextVersion(head string, keys, record manifest.Manifest) int {
	name, last := split(head)
	for _, m := range []manifest.Manifest{keys, record} {
		for other := range m {
			if n, v := split(other); n == name {
				last = max(last, v)
			}
		}
	}
	return last + 1
}

func split(head string) (name string, version int) {
	name, text, _ := strings.Cut(head, "/")
	version, _ = strconv.Atoi(text)
	return name, version
}
