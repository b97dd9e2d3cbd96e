package cache

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// anyManifest draws manifests of what compile accepts.
func anyManifest() *rapid.Generator[Manifest] {
	dims := rapid.SliceOfNDistinct(rapid.StringMatching(`[A-Za-z0-9_]{1,8}`), 0, 6, rapid.ID)
	return rapid.Custom(func(t *rapid.T) Manifest {
		specs := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Spec {
			return Spec{
				Name:    rapid.StringMatching(`[a-z0-9_]{1,5}(\.[a-z0-9_]{1,5}){0,2}`).Draw(t, "name"),
				Version: rapid.IntRange(1, 20).Draw(t, "version"),
				Dims:    dims.Draw(t, "dims"),
			}
		})).Draw(t, "specs")
		return ManifestOf(specs)
	})
}

func text(m Manifest) string {
	var b strings.Builder
	_, _ = m.WriteTo(&b)
	return b.String()
}

func TestManifestParsesToWhatWroteIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := anyManifest().Draw(t, "manifest")
		lines := rapid.Permutation(strings.SplitAfter(text(m), "\n")).Draw(t, "lines")
		got, err := ParseManifest("# for people\n\n" + strings.Join(lines, ""))
		if err != nil || !maps.Equal(got, m) {
			t.Fatalf("%q parsed to %q, %v", m, got, err)
		}
		if again := text(got); again != text(m) {
			t.Fatalf("%q was written as %q first", again, text(m))
		}
	})
}

func TestManifestListsVersionsInTheirOrder(t *testing.T) {
	m := ManifestOf([]Spec{
		{Name: "feed.page", Version: 10, Dims: []string{"id", "region", "user"}},
		{Name: "products.one", Version: 1, Dims: []string{"id"}},
		{Name: "feed.page", Version: 9, Dims: []string{"id", "user"}},
		{Name: "feed", Version: 1},
	})
	want := "feed/1\nfeed.page/9|id=|user=\nfeed.page/10|id=|region=|user=\nproducts.one/1|id=\n"
	if diff := cmp.Diff(want, text(m)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMalformedManifestIsRefusedWithItsLine(t *testing.T) {
	for malformed, want := range map[string]string{
		"feed/1\n\nfeed.page|id=\n":        `line 3: "feed.page|id=" is not a key and its dimensions: name/1|a=|b=`,
		"<<<<<<< HEAD":                     `line 1: "<<<<<<< HEAD" is not a key and its dimensions: name/1|a=|b=`,
		"feed/01|id=":                      `line 1: "feed/01|id=" is not a key and its dimensions: name/1|a=|b=`,
		"feed/0|id=":                       `line 1: "feed/0|id=" is not a key and its dimensions: name/1|a=|b=`,
		"feed/1|id":                        `line 1: "feed/1|id" is not a key and its dimensions: name/1|a=|b=`,
		"feed/1|id=12":                     `line 1: "feed/1|id=12" is not a key and its dimensions: name/1|a=|b=`,
		"feed/1|":                          `line 1: "feed/1|" is not a key and its dimensions: name/1|a=|b=`,
		"# once\nfeed/1|id=\nfeed/1|user=": `line 3: feed/1 is there twice`,
	} {
		if _, err := ParseManifest(malformed); err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", malformed, err, want)
		}
	}
}

func TestKeysAreComparedWithThoseOnRecord(t *testing.T) {
	record := Manifest{"feed/1": "|id=", "feed/2": "|id=|user=", "feed/10": "", "old/1": "|id="}
	for name, c := range map[string]struct {
		keys Manifest
		want Drift
	}{
		"the same":         {record, Drift{}},
		"some":             {Manifest{"feed/2": "|id=|user="}, Drift{Gone: []string{"feed/1", "feed/10", "old/1"}}},
		"another order":    {Manifest{"feed/1": "|id=", "feed/2": "|user=|id=", "feed/10": "", "old/1": "|id="}, Drift{Changed: []string{"feed/2"}}},
		"one more":         {Manifest{"feed/1": "|id=|user=", "feed/2": "|id=|user=", "feed/10": "", "old/1": "|id="}, Drift{Changed: []string{"feed/1"}}},
		"none any more":    {Manifest{"feed/1": "", "feed/2": "|id=|user=", "feed/10": "", "old/1": "|id="}, Drift{Changed: []string{"feed/1"}}},
		"another version":  {Manifest{"feed/1": "|id=", "feed/3": "|id=", "feed/10": "", "old/1": "|id="}, Drift{New: []string{"feed/3"}, Gone: []string{"feed/2"}}},
		"a new name":       {Manifest{"a/1": "", "feed/1": "|id=", "feed/2": "|id=|user=", "feed/10": "", "old/1": "|id="}, Drift{New: []string{"a/1"}}},
		"nothing in there": {Manifest{}, Drift{Gone: []string{"feed/1", "feed/2", "feed/10", "old/1"}}},
	} {
		if diff := cmp.Diff(c.want, c.keys.Against(record)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What the record guards are numbers and meanings. Entries of two compositions would
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
