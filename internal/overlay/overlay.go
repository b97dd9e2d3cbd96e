// Package overlay builds the program otherwise than it stands in the repository: with
// a rule broken, to see which test notices, or as another version of itself.
//
// Idea: the go command takes other files in the place of some (go help build,
// -overlay), so the production code has no switch that breaks it.
//
// Invariant: what an edit replaces stands in its file exactly once, or laying it is an
// error: an edit that the code has outgrown does not pass for one that nobody notices.
package overlay

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// An Edit replaces a text that occurs once in a file.
type Edit struct {
	File string // from the module's root
	Old  string
	New  string
}

// Replace is an edit of a file, from the module's root.
func Replace(file, old, new string) Edit { return Edit{file, old, new} }

// Lay writes the edited files into dir, which exists and is nobody else's, and returns
// the file that names them to go build's or go test's -overlay. Edits of one file are
// made one after the other. root is the module's root.
func Lay(root, dir string, edits ...Edit) (file string, err error) {
	replace := make(map[string]string)
	for _, e := range edits {
		original, err := filepath.Abs(filepath.Join(root, e.File))
		if err != nil {
			return "", err
		}
		from, again := replace[original]
		if !again {
			from = original
			replace[original] = filepath.Join(dir, strings.ReplaceAll(e.File, "/", "_"))
		}
		edited, err := e.apply(from)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(replace[original], []byte(edited), 0o600); err != nil {
			return "", err
		}
	}
	names, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file = filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, names, 0o600)
}

// Fits returns an error unless the edit can be made.
func (e Edit) Fits(root string) error {
	_, err := e.apply(filepath.Join(root, e.File))
	return err
}

// apply returns the text of a file, edited.
func (e Edit) apply(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), e.Old); n != 1 {
		return "", fmt.Errorf("%q occurs %d times in %s", e.Old, n, e.File)
	}
	return strings.Replace(string(text), e.Old, e.New, 1), nil
}
