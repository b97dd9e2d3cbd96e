package main

import (
	"slices"
	"testing"
)

func TestEveryMutantFitsTheCode(t *testing.T) {
	for _, m := range slices.Concat(mutants, keyMutants) {
		if err := m.edit().Fits("../../.."); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}
