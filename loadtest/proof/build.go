package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// build builds the service with edits laid over it.
func build(ctx context.Context, program, scratch string, edits []edit) error {
	args := []string{"build", "-o", program}
	if len(edits) > 0 {
		overlay, err := lay(scratch, edits)
		if err != nil {
			return err
		}
		args = append(args, "-overlay", overlay)
	}
	output, err := exec.CommandContext(ctx, "go", append(args, "./cmd/api")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("building: %w\n%s", err, output)
	}
	return nil
}

// lay writes the broken files, and what tells the go command to take them, and returns
// the latter's name.
func lay(scratch string, edits []edit) (string, error) {
	replace := make(map[string]string)
	for i, e := range edits {
		path, err := filepath.Abs(e.file)
		if err != nil {
			return "", err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		if n := strings.Count(string(source), e.old); n != 1 {
			return "", fmt.Errorf("%q occurs %d times in %s", e.old, n, e.file)
		}
		replace[path] = filepath.Join(scratch, fmt.Sprintf("%d.go", i))
		broken := strings.Replace(string(source), e.old, e.new, 1)
		if err := os.WriteFile(replace[path], []byte(broken), 0o600); err != nil {
			return "", err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name := filepath.Join(scratch, "overlay.json")
	return name, os.WriteFile(name, overlay, 0o600)
}
