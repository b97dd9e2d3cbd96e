package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryMutantFitsTheCode(t *testing.T) {
	for _, m := range mutants {
		source, err := os.ReadFile(filepath.Join("..", m.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(source), m.old); n != 1 {
			t.Errorf("%s: %q occurs %d times in %s", m.name, m.old, n, m.file)
		}
	}
}
