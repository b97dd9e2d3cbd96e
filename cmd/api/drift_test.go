package main

import (
	"strings"
	"testing"

	"example.com/communityfeed/internal/cache/manifest"
	"github.com/google/go-cmp/cmp"
)

func TestADriftSaysWhichKeyWhichDimensionAndWhatToDo(t *testing.T) {
	const commit = `run
      go run ./cmd/api keys check --migrate-cache-key
  and commit keys.manifest.
`
	tests := []struct {
		name           string
		recorded, keys manifest.Manifest
		want           string
	}{
		{"a dimension came", manifest.Manifest{"feed.page/1": "|id=|user=|limit="}, manifest.Manifest{"feed.page/1": "|id=|user=|region=|limit="}, `
feed.page/1 has other dimensions than in keys.manifest:

    id  user  +region  limit

  region came. Give the key version 2 where it is declared, then ` + commit},
		{"a dimension went", manifest.Manifest{"feed.page/1": "|id=|user=|limit="}, manifest.Manifest{"feed.page/1": "|id=|limit="}, `
feed.page/1 has other dimensions than in keys.manifest:

    id  -user  limit

  user went. Give the key version 2 where it is declared, then ` + commit},
		{"the only dimension went", manifest.Manifest{"feed.page/1": "|id="}, manifest.Manifest{"feed.page/1": ""}, `
feed.page/1 has other dimensions than in keys.manifest:

    -id

  id went. Give the key version 2 where it is declared, then ` + commit},
		{"a dimension moved", manifest.Manifest{"feed.page/1": "|id=|user=|limit="}, manifest.Manifest{"feed.page/1": "|user=|limit=|id="}, `
feed.page/1 has other dimensions than in keys.manifest:

    -id  user  limit  +id

  id moved. Give the key version 2 where it is declared, then ` + commit},
		{"one became another, and one moved", manifest.Manifest{"feed.page/1": "|id=|user=|locale=|limit="}, manifest.Manifest{"feed.page/1": "|user=|id=|language=|limit="}, `
feed.page/1 has other dimensions than in keys.manifest:

    -id  user  -locale  +id  +language  limit

  id moved, locale went, language came. Give the key version 2 where it is declared, then ` + commit},
		{"a number that was used before", manifest.Manifest{"feed.page/1": "|id=", "feed.page/3": "|id=|user="}, manifest.Manifest{"feed.page/1": "|user="}, `
feed.page/1 has other dimensions than in keys.manifest:

    -id  +user

  id went, user came. Give the key version 4 where it is declared, then ` + commit},
		{"a new version", manifest.Manifest{"feed.page/1": "|id=", "feed.page/9": "|id=|user="}, manifest.Manifest{"feed.page/10": "|id=|user=|region="}, `
feed.page/10 is not in keys.manifest. Beside feed.page/9:

    id  user  +region

  region came. If that is meant, ` + commit},
		{"a new version of the same dimensions", manifest.Manifest{"feed.page/1": "|id="}, manifest.Manifest{"feed.page/2": "|id="}, `
feed.page/2 is not in keys.manifest. Beside feed.page/1:

    id

  If that is meant, ` + commit},
		{"a new key", manifest.Manifest{"feed.page/1": "|id="}, manifest.Manifest{"feed.page/1": "|id=", "feed.list/1": "|user=|after="}, `
feed.list/1 is not in keys.manifest:

    user  after

  If that is meant, ` + commit},
		{"a new key without dimensions", nil, manifest.Manifest{"feed.list/1": ""}, `
feed.list/1 is not in keys.manifest:

    (no dimensions)

  If that is meant, ` + commit},
		{"two of them", manifest.Manifest{"feed.page/1": "|id="}, manifest.Manifest{"feed.page/1": "", "a/1": "|x="}, `
feed.page/1 has other dimensions than in keys.manifest:

    -id

  id went. Give the key version 2 where it is declared, then ` + commit + `
a/1 is not in keys.manifest:

    x

  If that is meant, ` + commit},
		{"none", manifest.Manifest{"feed.page/1": "|id=", "feed.page/2": "|user="}, manifest.Manifest{"feed.page/2": "|user="}, ``},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := &ledger{name: "keys.manifest", remedy: strings.TrimSuffix(commit, "\n"), recorded: test.recorded}
			got := ""
			if err := l.refusal(test.keys, false); err != nil {
				got = "\n" + strings.TrimSuffix(err.(*driftError).diff, "\n")
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
