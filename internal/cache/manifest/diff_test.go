package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// keys are a manifest without shapes, of dimensions by name/version.
func keys(dims map[string]string) Manifest {
	m := make(Manifest)
	for head, d := range dims {
		m[head] = Composition{Dims: d}
	}
	return m
}

// shaped is a manifest of one key.
func shaped(dims, shape string) Manifest { return Manifest{"feed.page/1": {dims, shape}} }

func TestKeysAreComparedWithThoseRegistered(t *testing.T) {
	type dims = map[string]string
	registered := keys(dims{"feed/1": "|id=", "feed/2": "|id=|user=", "feed/10": "", "old/1": "|id="})
	for name, c := range map[string]struct {
		keys, registered Manifest
		want             Diff
	}{
		"the same":         {registered, registered, Diff{}},
		"some":             {keys(dims{"feed/2": "|id=|user="}), registered, Diff{Gone: []string{"feed/1", "feed/10", "old/1"}}},
		"another order":    {keys(dims{"feed/1": "|id=", "feed/2": "|user=|id=", "feed/10": "", "old/1": "|id="}), registered, Diff{Changed: []string{"feed/2"}}},
		"one more":         {keys(dims{"feed/1": "|id=|user=", "feed/2": "|id=|user=", "feed/10": "", "old/1": "|id="}), registered, Diff{Changed: []string{"feed/1"}}},
		"none any more":    {keys(dims{"feed/1": "", "feed/2": "|id=|user=", "feed/10": "", "old/1": "|id="}), registered, Diff{Changed: []string{"feed/1"}}},
		"another version":  {keys(dims{"feed/1": "|id=", "feed/3": "|id=", "feed/10": "", "old/1": "|id="}), registered, Diff{New: []string{"feed/3"}, Gone: []string{"feed/2"}}},
		"a new name":       {keys(dims{"a/1": "", "feed/1": "|id=", "feed/2": "|id=|user=", "feed/10": "", "old/1": "|id="}), registered, Diff{New: []string{"a/1"}}},
		"nothing in there": {Manifest{}, registered, Diff{Gone: []string{"feed/1", "feed/2", "feed/10", "old/1"}}},

		"the same shape":        {shaped("|id=", "string"), shaped("|id=", "string"), Diff{}},
		"another shape":         {shaped("|id=", "string"), shaped("|id=", "integer"), Diff{Changed: []string{"feed.page/1"}}},
		"a shape at last":       {shaped("|id=", "string"), shaped("|id=", ""), Diff{Unshaped: []string{"feed.page/1"}}},
		"a shape and dimension": {shaped("|id=", "string"), shaped("", ""), Diff{Changed: []string{"feed.page/1"}}},
		"no shape":              {shaped("|id=", ""), shaped("|id=", "string"), Diff{}},
	} {
		if diff := cmp.Diff(c.want, c.keys.Diff(c.registered)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestARefusalSaysWhichKeyHowItDiffersAndWhatToDo(t *testing.T) {
	const commit = `run
      go run ./cmd/api keys check --migrate-cache-key
  and commit keys.manifest.
`
	type dims = map[string]string
	for _, test := range []struct {
		name             string
		registered, keys Manifest
		want             string
	}{
		{"a new dimension", keys(dims{"feed.page/1": "|id=|user=|limit="}), keys(dims{"feed.page/1": "|id=|user=|region=|limit="}), `
feed.page/1 differs from keys.manifest:

    id  user  +region  limit

  Give the key version 2 where it is declared, then ` + commit},
		{"a dimension less", keys(dims{"feed.page/1": "|id=|user=|limit="}), keys(dims{"feed.page/1": "|id=|limit="}), `
feed.page/1 differs from keys.manifest:

    id  -user  limit

  Give the key version 2 where it is declared, then ` + commit},
		{"no dimension any more", keys(dims{"feed.page/1": "|id="}), keys(dims{"feed.page/1": ""}), `
feed.page/1 differs from keys.manifest:

    -id

  Give the key version 2 where it is declared, then ` + commit},
		{"a dimension moved down", keys(dims{"feed.page/1": "|id=|user=|limit="}), keys(dims{"feed.page/1": "|user=|limit=|id="}), `
feed.page/1 differs from keys.manifest:

    -id  user  limit  +id

  Give the key version 2 where it is declared, then ` + commit},
		{"a dimension moved up", keys(dims{"feed.page/1": "|id=|user=|limit="}), keys(dims{"feed.page/1": "|limit=|id=|user="}), `
feed.page/1 differs from keys.manifest:

    +limit  id  user  -limit

  Give the key version 2 where it is declared, then ` + commit},
		{"one is another, and one moved", keys(dims{"feed.page/1": "|id=|user=|locale=|limit="}), keys(dims{"feed.page/1": "|user=|id=|language=|limit="}), `
feed.page/1 differs from keys.manifest:

    -id  user  -locale  +id  +language  limit

  Give the key version 2 where it is declared, then ` + commit},
		{"a number that was used before", keys(dims{"feed.page/1": "|id=", "feed.page/3": "|id=|user="}), keys(dims{"feed.page/1": "|user="}), `
feed.page/1 differs from keys.manifest:

    -id  +user

  Give the key version 4 where it is declared, then ` + commit},
		{"another shape", shaped("|id=|user=", "{items:[{id:integer}]}"), shaped("|id=|user=", "{items:[{id:integer likes:integer}]}"), `
feed.page/1 differs from keys.manifest:

    id  user
    items[] gained "likes"

  Give the key version 2 where it is declared, then ` + commit},
		{"a dimension and a shape", shaped("|id=", "{a:string b:any}"), shaped("|id=|user=", "{b:any}"), `
feed.page/1 differs from keys.manifest:

    id  +user
    the value lost "a"

  Give the key version 2 where it is declared, then ` + commit},
		{"a new version", keys(dims{"feed.page/1": "|id=", "feed.page/9": "|id=|user="}), keys(dims{"feed.page/10": "|id=|user=|region="}), `
feed.page/10 is not in keys.manifest. Beside feed.page/9:

    id  user  +region

  If that is meant, ` + commit},
		{"a new version of another shape", shaped("|id=", "string"), Manifest{"feed.page/2": {"|id=", "integer"}}, `
feed.page/2 is not in keys.manifest. Beside feed.page/1:

    id
    the value became integer, was string

  If that is meant, ` + commit},
		{"a new key", keys(dims{"feed.page/1": "|id="}), keys(dims{"feed.page/1": "|id=", "feed.list/1": "|user=|after="}), `
feed.list/1 is not in keys.manifest:

    user  after

  If that is meant, ` + commit},
		{"a new key without dimensions", nil, keys(dims{"feed.list/1": ""}), `
feed.list/1 is not in keys.manifest:

    (no dimensions)

  If that is meant, ` + commit},
		{"two of them", keys(dims{"feed.page/1": "|id="}), keys(dims{"feed.page/1": "", "a/1": "|x="}), `
feed.page/1 differs from keys.manifest:

    -id

  Give the key version 2 where it is declared, then ` + commit + `
a/1 is not in keys.manifest:

    x

  If that is meant, ` + commit},
		{"new shapes", keys(dims{"feed.page/1": "|id=", "feed.list/1": ""}), Manifest{"feed.page/1": {"|id=", "string"}, "feed.list/1": {"", "any"}}, `
keys.manifest has no shape yet of feed.list/1, feed.page/1: ` + commit},
		{"none", keys(dims{"feed.page/1": "|id=", "feed.page/2": "|user="}), keys(dims{"feed.page/2": "|user="}), ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if err := NewFile("keys.manifest").Refuse(test.keys, test.registered, false); err != nil {
				got = "\n" + strings.TrimSuffix(err.(*DiffError).Diff, "\n")
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
