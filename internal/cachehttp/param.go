package cachehttp

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Param is a parameter of the path or query. Its value is checked, and brought
// into the one spelling that it has in the key, before there is a key: nobody can
// fill the cache with keys of their own making.
type Param struct {
	Name    string
	Default string // of a query parameter that is absent or empty; canonical

	// Parse returns the canonical form of a raw value. Its error is shown to the
	// client beside the name: "must be one of 10, 20".
	Parse func(raw string) (canonical string, err error)
}

// ID is a positive number that fits an int64, in its one decimal spelling.
func ID(name string) Param {
	return Param{Name: name, Parse: func(raw string) (string, error) {
		if !isNumber(raw, 19) {
			return "", errors.New("must be a positive whole number")
		}
		if len(raw) == 19 {
			if _, err := strconv.ParseInt(raw, 10, 64); err != nil {
				return "", errors.New("is too large")
			}
		}
		return raw, nil
	}}
}

// isNumber reports a positive decimal number of at most so many digits, without
// sign, leading zeros or escapes.
func isNumber(s string, digits int) bool {
	if s == "" || len(s) > digits || s[0] == '0' {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// OneOf is one of a few values.
func OneOf(name, def string, allowed ...string) Param {
	message := errors.New("must be one of " + strings.Join(allowed, ", "))
	return Param{Name: name, Default: def, Parse: func(raw string) (string, error) {
		if !slices.Contains(allowed, raw) {
			return "", message
		}
		return raw, nil
	}}
}

// PageNumber is the number of a page, from 1 to 10,000; 1 when absent.
func PageNumber(name string) Param {
	return Param{Name: name, Default: "1", Parse: func(raw string) (string, error) {
		if !isNumber(raw, 5) || len(raw) == 5 && raw > "10000" {
			return "", errors.New("must be a number from 1 to 10000")
		}
		return raw, nil
	}}
}

// Text is free text of at most so many characters; empty when absent.
func Text(name string, most int) Param {
	return Param{Name: name, Parse: func(raw string) (string, error) {
		if !utf8.ValidString(raw) || utf8.RuneCountInString(raw) > most {
			return "", fmt.Errorf("must be text of at most %d characters", most)
		}
		return raw, nil
	}}
}

// Cursor is a place in a list, as a Cursors sealed it. The client holds the sealed
// form; the key and the handler see what is inside.
func Cursor(name string, c *Cursors) Param {
	return Param{Name: name, Parse: func(raw string) (string, error) {
		payload, err := c.Open(raw)
		if err != nil {
			return "", errors.New(`must be the "next" of an earlier page`)
		}
		return payload, nil
	}}
}
