package main

import (
	"os"
	"path/filepath"
	"testing"
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

func TestEveryFaultNamesAScenario(t *testing.T) {
	for _, f := range faults {
		if _, err := os.Stat(filepath.Join("..", f.scenario+".js")); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
	}
}
