package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"example.com/communityfeed/internal/overlay"
)

func TestEveryFaultFitsTheCode(t *testing.T) {
	for _, f := range faults {
		for _, e := range f.edits {
			if err := e.Fits("../.."); err != nil {
				t.Errorf("%s: %v", f.name, err)
			}
		}
	}
}

// A fault that does not compile would be noticed only by the whole proof, which takes long.
func TestEveryFaultCompiles(t *testing.T) {
	for _, f := range faults {
		file, err := overlay.Lay("../..", t.TempDir(), f.edits...)
		if err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		args := []string{"build", "-overlay", file}
		for _, e := range f.edits {
			args = append(args, "./"+filepath.Dir(e.File))
		}
		build := exec.CommandContext(t.Context(), "go", args...)
		build.Dir = "../.."
		if output, err := build.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", f.name, err, output)
		}
	}
}

func TestEveryFaultNamesAScenario(t *testing.T) {
	for _, f := range faults {
		if _, err := os.Stat(filepath.Join("..", f.scenario+".js")); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
	}
}
