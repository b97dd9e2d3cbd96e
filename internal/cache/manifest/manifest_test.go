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
			head := declare(t, m, name, rapid.IntRange(1, 20).Draw(t, "version"), dims.Draw(t, "dims")...)
			if rapid.Bool().Draw(t, "shaped") {
				m[head] = Composition{m[head].Dims, anyShape(2).Draw(t, "shape").String()}
			}
		}
		return m
	})
}

// declare adds a key without a shape.
func declare(t interface{ Fatal(...any) }, m Manifest, name string, version int, dims ...string) (head string) {
	head, c, err := Compose(name, version, dims, nil)
	if err != nil {
		t.Fatal(err)
	}
	m[head] = c
	return head
}

func TestManifestParsesToWhatWroteIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := anyManifest().Draw(t, "manifest")
		var blocks []string // a key, and its shape
		for line := range strings.Lines(m.String()) {
			if line[0] == ' ' {
				blocks[len(blocks)-1] += line
			} else {
				blocks = append(blocks, line)
			}
		}
		got, err := Parse("# for people\n\n" + strings.Join(rapid.Permutation(blocks).Draw(t, "blocks"), ""))
		if err != nil || !maps.Equal(got, m) {
			t.Fatalf("%q parsed to %q, %v", m, got, err)
		}
		if got.String() != m.String() {
			t.Fatalf("%q was written as %q first", got, m)
		}
	})
}

func TestManifestListsVersionsInTheirOrder(t *testing.T) {
	m := make(Manifest)
	declare(t, m, "feed.page", 10, "id", "region", "user")
	declare(t, m, "products.one", 1, "id")
	declare(t, m, "feed.page", 9, "id", "user")
	declare(t, m, "feed", 1)
	m["feed/1"] = Composition{Shape: "[string]"}
	want := "feed/1\n    [string]\nfeed.page/9|id=|user=\nfeed.page/10|id=|region=|user=\nproducts.one/1|id=\n"
	if diff := cmp.Diff(want, m.String()); diff != "" {
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
		"  feed/1|id=":                     `line 1: "feed/1|id=" is not the shape of a value: {id:integer names:[string]}`,
		"feed/1|id=\n\ttext":               `line 2: "text" is not the shape of a value: {id:integer names:[string]}`,
		"    string\nfeed/1|id=":           `line 1: this is the shape of the key above it, and there is no key, or it has one`,
		"feed/1|id=\n    any\n    any":     `line 3: this is the shape of the key above it, and there is no key, or it has one`,
	} {
		if _, err := Parse(malformed); err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", malformed, err, want)
		}
	}
}
