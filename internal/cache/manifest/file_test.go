package manifest

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

func TestAManifestTakesWhatIsNewAndOnlyWhenTold(t *testing.T) {
	const remark = "# For people.\n"
	old := Manifest{"feed/1": {"|id=", "any"}, "gone/1": {"|x=", ""}, "list/1": {}}
	keys := Manifest{"feed/1": {"|id=", "any"}, "feed/2": {"|user=", "string"}, "list/1": {"", "[any]"}}
	changed := maps.Clone(keys)
	changed["feed/1"] = Composition{"|id=", "string"}
	for name, c := range map[string]struct {
		keys  Manifest
		admit bool
		want  Manifest // nil: the keys are refused
	}{
		"without the flag": {keys, false, nil},
		"with the flag":    {keys, true, Manifest{"feed/1": old["feed/1"], "gone/1": old["gone/1"], "feed/2": keys["feed/2"], "list/1": keys["list/1"]}},
		"a changed shape":  {changed, true, nil},
	} {
		file := filepath.Join(t.TempDir(), "keys.manifest")
		if err := os.WriteFile(file, []byte(remark+old.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		before, err := NewFile(file).Register(t.Context(), c.keys, c.admit)
		if _, refused := errors.AsType[*DiffError](err); refused != (c.want == nil) || !refused && err != nil || !maps.Equal(before, old) {
			t.Errorf("%s: before there was %q, %v", name, before, err)
		}
		want := c.want
		if want == nil {
			want = old
		}
		if text, err := os.ReadFile(file); err != nil || string(text) != remark+want.String() {
			t.Errorf("%s: %v, the file is\n%s", name, err, text)
		}
	}
}
