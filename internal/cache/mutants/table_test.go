package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryMutantFitsTheCode(t *testing.T) {
	for _, m := range mutants {
		path := filepath.Join("..", m.file)
		if strings.Contains(m.file, "/") {
			path = filepath.Join("../../..", m.file)
		}
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(source), m.old); n != 1 {
			t.Errorf("%s: %q occurs %d times in %s", m.name, m.old, n, m.file)
		}
	}
}
