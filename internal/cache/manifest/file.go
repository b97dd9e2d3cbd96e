package manifest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// A File is the manifest in the repository. An empty one is no new installation: it refuses
// every key that is new.
type File struct{ place }

// NewFile returns the manifest with a name.
func NewFile(name string) *File {
	return &File{place{
		name:   name,
		remedy: "run\n      go run ./cmd/api keys check --migrate-cache-key\n  and commit " + name + ".",
	}}
}

// Read implements [Place].
func (f *File) Read(context.Context) (Manifest, error) {
	_, registered, err := f.read()
	return registered, err
}

// read returns also the remark that the file begins with.
func (f *File) read() (remark string, registered Manifest, err error) {
	text, err := os.ReadFile(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, fmt.Errorf("there is no manifest %s here: run this in the repository's root, or name it with --manifest", f.name)
	}
	if err != nil {
		return "", nil, err
	}
	for line := range strings.Lines(string(text)) {
		if line[0] != '#' {
			break
		}
		remark += line
	}
	if registered, err = Parse(string(text)); err != nil {
		return "", nil, fmt.Errorf("%s: %w", f.name, err)
	}
	return remark, registered, nil
}

// Register implements [Place]. What people have written at the top stays.
func (f *File) Register(_ context.Context, keys Manifest, admit bool) (before Manifest, err error) {
	remark, before, err := f.read()
	if err != nil {
		return nil, err
	}
	if err := f.Refuse(keys, before, admit); err != nil {
		return before, err
	}
	d, all := keys.Diff(before), maps.Clone(before)
	for _, h := range slices.Concat(d.New, d.Unshaped) {
		all[h] = keys[h]
	}
	return before, os.WriteFile(f.name, []byte(remark+all.String()), 0o644)
}
