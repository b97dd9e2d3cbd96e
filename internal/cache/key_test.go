package cache

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.com/communityfeed/internal/cache/remote"
)

func compileTest(t interface{ Fatal(...any) }, dims ...string) *spec {
	s, err := compile(Spec{Name: "feed.page", Version: 1, Dims: dims, Policy: Policy{TTL: time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKeyRendersAsDocumented(t *testing.T) {
	s := compileTest(t, "id", "user", "locale", "feed_v2", "after", "limit")
	got := string(s.append(nil, []string{"12", "42", "de", "1", "", "20"}))
	want := "feed.page/1|id=12|user=42|locale=de|feed_v2=1|after=|limit=20"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	k, err := s.parse(want)
	if err != nil || k.Get("user") != "42" || k.Get("after") != "" {
		t.Errorf("parsed %v, %v", k.values, err)
	}
}

func TestKeyParsesToTheValuesItWasMadeOf(t *testing.T) {
	s := compileTest(t, "a", "b")
	anything := rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })
	rapid.Check(t, func(t *rapid.T) {
		renderAndParse(t, s, []string{anything.Draw(t, "a"), anything.Draw(t, "b")})
	})
}

// renderAndParse renders values, which must come back, and returns the text.
func renderAndParse(t interface{ Fatalf(string, ...any) }, s *spec, values []string) string {
	text := string(s.append(nil, values))
	k, err := s.parse(text)
	if err != nil || !slices.Equal(k.values, values) {
		t.Fatalf("%q rendered as %q, parsed as %q, %v", values, text, k.values, err)
	}
	if strings.ContainsAny(text, "{} \n") {
		t.Fatalf("%q has a byte that a Redis hash tag or a log line cannot hold", text)
	}
	return text
}

// FuzzKeysOfDifferentValuesDiffer: no two lists of values share an entry, whatever
// bytes they are of.
func FuzzKeysOfDifferentValuesDiffer(f *testing.F) {
	s := compileTest(f, "a", "b")
	f.Add("", "", "", "")
	f.Add("x|b=y", "z", "x", "y|b=z")
	f.Add("%7C", "\xff", "|", "\xff")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		one, two := []string{a, b}, []string{c, d}
		same := renderAndParse(t, s, one) == renderAndParse(t, s, two)
		if same != slices.Equal(one, two) {
			t.Errorf("%q and %q render alike: %v", one, two, same)
		}
	})
}

// FuzzParseKey: what parses renders back to the same text, so a key has one
// spelling.
func FuzzParseKey(f *testing.F) {
	s := compileTest(f, "a", "b")
	f.Add("feed.page/1|a=|b=")
	f.Add("feed.page/1|a=%7C|b=%25")
	f.Add("feed.page/1|a=%7c|b=%41")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := s.parse(text)
		if err == nil && renderAndParse(t, s, k.values) != text {
			t.Errorf("%q parsed to %q, which renders otherwise", text, k.values)
		}
	})
}

func TestMalformedSpecsAreRefused(t *testing.T) {
	good := Policy{TTL: time.Second}
	for name, s := range map[string]Spec{
		"upper case":         {Name: "Feed", Version: 1, Policy: good},
		"no version":         {Name: "feed", Policy: good},
		"no freshness":       {Name: "feed", Version: 1},
		"dimension twice":    {Name: "feed", Version: 1, Dims: []string{"a", "a"}, Policy: good},
		"odd dimension":      {Name: "feed", Version: 1, Dims: []string{"a|b"}, Policy: good},
		"kept for too long":  {Name: "feed", Version: 1, Policy: Policy{TTL: Day, StaleIfError: 2 * Day}},
		"too long by jitter": {Name: "feed", Version: 1, Policy: Policy{TTL: remote.MaxRetention - time.Hour}},
	} {
		if _, err := compile(s); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// What the registry guards are numbers and meanings. Entries of two compositions would
// not meet even under one number: the names are in the text.
func TestKeysOfTwoCompositionsHaveNoTextInCommon(t *testing.T) {
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 4, rapid.ID)
	value := rapid.StringOf(rapid.SampledFrom([]rune("ab|=%")))
	rapid.Check(t, func(t *rapid.T) {
		var texts, dims [2]string
		for i := range texts {
			s := compileTest(t, names.Draw(t, "dims")...)
			values := make([]string, len(s.Dims))
			for j := range values {
				values[j] = value.Draw(t, "value")
			}
			texts[i], dims[i] = string(s.append(nil, values)), strings.Join(s.Dims, " ")
		}
		if texts[0] == texts[1] && dims[0] != dims[1] {
			t.Fatalf("keys of %q and of %q both render as %s", dims[0], dims[1], texts[0])
		}
	})
}
