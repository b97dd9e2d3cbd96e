package cachehttp

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParams(t *testing.T) {
	for _, test := range []struct {
		param     Param
		good, bad []string
	}{
		{ID("id"), []string{"1", "42", "9223372036854775807"}, []string{"", "0", "-1", "+1", "01", "1.0", "%31", " 1", "1e3", "9223372036854775808", "99999999999999999999", "١"}},
		{OneOf("limit", "20", "10", "20"), []string{"10", "20"}, []string{"", "15", "010", "20 "}},
		{PageNumber("page"), []string{"1", "999", "10000"}, []string{"0", "01", "10001", "99999", "100000", "-1", "x"}},
		{Text("q", 3), []string{"", "abc", "äöü"}, []string{"abcd", "\xff"}},
	} {
		for _, raw := range test.good {
			if got, err := test.param.Parse(raw); err != nil || got != raw {
				t.Errorf("%s %q: %q, %v", test.param.Name, raw, got, err)
			}
		}
		for _, raw := range test.bad {
			if got, err := test.param.Parse(raw); err == nil {
				t.Errorf("%s %q: accepted as %q", test.param.Name, raw, got)
			}
		}
	}
}

func TestCursorOpensToWhatWasSealed(t *testing.T) {
	c := NewCursors("a secret")
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.StringN(0, 40, 120).Draw(t, "payload")
		got, err := c.Open(c.Seal(payload))
		if err != nil || got != payload {
			t.Fatalf("%q opened to %q, %v", payload, got, err)
		}
	})
}

func TestCursorOfNobodysMakingIsRefused(t *testing.T) {
	c := NewCursors("a secret")
	good := c.Seal("newest.991")
	for i := range good {
		for _, other := range "AZaz09-_" {
			bad := good[:i] + string(other) + good[i+1:]
			if bad == good {
				continue
			}
			if payload, err := c.Open(bad); err == nil {
				t.Fatalf("%q opened to %q", bad, payload)
			}
		}
		if _, err := c.Open(good[:i]); err == nil {
			t.Errorf("%q opened", good[:i])
		}
	}
	for _, bad := range []string{NewCursors("another").Seal("newest.991"), good + "=", good + "\n", strings.Repeat("A", 300)} {
		if _, err := c.Open(bad); err == nil {
			t.Errorf("%q opened", bad)
		}
	}
}
