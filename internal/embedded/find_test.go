package embedded

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOlderComparesVersionNumbers(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"14.9", "15", true},
		{"15", "15", false},
		{"15.18", "15", false},
		{"9.6.24", "15", true},
		{"7.0.15", "7.0", false},
		{"6.2", "7.0", true},
		{"7.9", "7.10", true},
		{"", "15", true},
	} {
		if got := older(c.a, c.b); got != c.want {
			t.Errorf("older(%q, %q) = %v", c.a, c.b, got)
		}
	}
}

func TestAFolderWithClientProgramsOnlyIsNoPostgres(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"pg_ctl", "initdb"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if b := postgresIn(t.Context(), dir); b.dir != "" {
		t.Errorf("found %v", b)
	}
}
