package main

import "testing"

func TestEveryMutantFitsTheCode(t *testing.T) {
	for _, m := range mutants {
		if err := m.edit().Fits("../../.."); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}
