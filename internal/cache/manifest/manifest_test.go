package manifest

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// anyManifest draws manifests of keys that can be declared.
func anyManifest() *rapid.Generator[Manifest] {
	dims := rapid.SliceOfNDistinct(rapid.StringMatching(`[A-Za-z0-9_]{1,8}`), 0, 6, rapid.ID)
	return rapid.Custom(func(t *rapid.T) Manifest {
		m := make(Manifest)
		for range rapid.IntRange(0, 8).Draw(t, "keys") {
			name := rapid.StringMatching(`[a-z0-9_]{1,5}(\.[a-z0-9_]{1,5}){0,2}`).Draw(t, "name")
			declare(t, m, name, rapid.IntRange(1, 20).Draw(t, "version"), dims.Draw(t, "dims")...)
		}
		return m
	})
}

// declare adds a key.
func declare(t interface{ Fatal(...any) }, m Manifest, name string, version int, dims ...string) {
	head, err := Head(name, version, dims)
	if err != nil {
		t.Fatal(err)
	}
	m[head] = Composition(dims)
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
		got, err := Parse("# for people\n\n" + strings.Join(lines, ""))
		if err != nil || !maps.Equal(got, m) {
			t.Fatalf("%q parsed to %q, %v", m, got, err)
		}
		if again := text(got); again != text(m) {
			t.Fatalf("%q was written as %q first", again, text(m))
		}
	})
}

func TestManifestListsVersionsInTheirOrder(t *testing.T) {
	m := make(Manifest)
	declare(t, m, "feed.page", 10, "id", "region", "user")
	declare(t, m, "products.one", 1, "id")
	declare(t, m, "feed.page", 9, "id", "user")
	declare(t, m, "feed", 1)
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
		if _, err := Parse(malformed); err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", malformed, err, want)
		}
	}
}

func TestKeysAreComparedWithThoseOnRecord(t *testing.T) {
	record := Manifest{"feed/1": "|id=", "feed/2": "|id=|user=", "feed/10": "", "old/1": "|id="}
	for name, c := range map[string]struct {
		keys Manifest
		want Diff
	}{
		"the same":         {record, Diff{}},
		"some":             {Manifest{"feed/2": "|id=|user="}, Diff{Gone: []string{"feed/1", "feed/10", "old/1"}}},
		"another order":    {Manifest{"feed/1": "|id=", "feed/2": "|user=|id=", "feed/10": "", "old/1": "|id="}, Diff{Changed: []string{"feed/2"}}},
		"one more":         {Manifest{"feed/1": "|id=|user=", "feed/2": "|id=|user=", "feed/10": "", "old/1": "|id="}, Diff{Changed: []string{"feed/1"}}},
		"none any more":    {Manifest{"feed/1": "", "feed/2": "|id=|user=", "feed/10": "", "old/1": "|id="}, Diff{Changed: []string{"feed/1"}}},
		"another version":  {Manifest{"feed/1": "|id=", "feed/3": "|id=", "feed/10": "", "old/1": "|id="}, Diff{New: []string{"feed/3"}, Gone: []string{"feed/2"}}},
		"a new name":       {Manifest{"a/1": "", "feed/1": "|id=", "feed/2": "|id=|user=", "feed/10": "", "old/1": "|id="}, Diff{New: []string{"a/1"}}},
		"nothing in there": {Manifest{}, Diff{Gone: []string{"feed/1", "feed/2", "feed/10", "old/1"}}},
	} {
		if diff := cmp.Diff(c.want, c.keys.Diff(record)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
