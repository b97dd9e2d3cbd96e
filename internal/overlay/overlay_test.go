package overlay

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A module of one program that prints what the edits leave.
func module(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, text := range map[string]string{
		"go.mod":       "module example.com/spoken\n\ngo 1.26\n",
		"main.go":      "package main\n\nfunc main() { print(first, second, words()) }\n\nconst first, second = \"a\", \"b\"\n",
		"sub/words.go": "package sub\n",
		"words.go":     "package main\n\nfunc words() string { return \"c\" }\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestProgramIsBuiltAsEdited(t *testing.T) {
	root := module(t)
	file, err := Lay(root, t.TempDir(),
		Edit{"main.go", `"a"`, `"1"`}, Edit{"main.go", `"b"`, `"2"`}, Edit{"words.go", `"c"`, `"3"`})
	if err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{"123": {"run", "-overlay", file, "."}, "abc": {"run", "."}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = root
		if got, err := cmd.CombinedOutput(); err != nil || string(got) != want {
			t.Errorf("go %q says %q, %v; want %s", args, got, err, want)
		}
	}
}

func TestEditThatDoesNotFitOnceIsAnError(t *testing.T) {
	root := module(t)
	for name, e := range map[string]Edit{
		"not at all": {"main.go", "nothing like it", ""},
		"twice":      {"main.go", "first", ""},
		"no file":    {"none.go", "a", ""},
	} {
		if e.Fits(root) == nil {
			t.Errorf("%s: it fits", name)
		}
		if _, err := Lay(root, t.TempDir(), e); err == nil {
			t.Errorf("%s: it was laid", name)
		}
	}
	if _, err := Lay(root, t.TempDir(), Edit{"main.go", `"a"`, `"b"`}, Edit{"main.go", `"b"`, `"c"`}); err == nil {
		t.Error("an edit that an earlier one has made fit twice was laid")
	}
	if err := (Edit{"main.go", `"a"`, ""}).Fits(root); err != nil {
		t.Error(err)
	}
}
