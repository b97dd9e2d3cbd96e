package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryFaultFitsTheCode(t *testing.T) {
	for _, f := range faults {
		for _, e := range f.edits {
			source, err := os.ReadFile(filepath.Join("../..", e.file))
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), e.old); n != 1 {
				t.Errorf("%s: %q occurs %d times in %s", f.name, e.old, n, e.file)
			}
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
