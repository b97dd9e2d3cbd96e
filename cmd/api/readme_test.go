package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the table of configuration into the README")

const (
	readme      = "../../README.md"
	configBegin = "<!-- config -->\n"
	configEnd   = "<!-- /config -->"
)

func TestREADMEListsTheSettings(t *testing.T) {
	content, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(content), configBegin)
	got, after, ended := strings.Cut(rest, configEnd)
	if !begun || !ended {
		t.Fatalf("README.md has no place for the table: %s and %s, each on a line", strings.TrimSpace(configBegin), configEnd)
	}
	want := settingsTable(t)
	if *update {
		if err := os.WriteFile(readme, []byte(before+configBegin+want+configEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("README.md does not list the settings of api serve as they are; "+
			"`go test ./cmd/api -run README -update` writes them (-want +got):\n%s", diff)
	}
}

// settingsTable is the flags of `api serve` as Markdown.
func settingsTable(t *testing.T) string {
	parser, err := newParser(new(cli))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| flag | environment | default | meaning |\n| --- | --- | --- | --- |\n")
	for _, command := range parser.Model.Children {
		if command.Name != "serve" {
			continue
		}
		for _, f := range command.Flags {
			if f.Hidden {
				continue
			}
			def := ""
			if f.Default != "" {
				def = "`" + f.Default + "`"
			}
			fmt.Fprintf(&b, "| `--%s` | `%s` | %s | %s |\n", f.Name, strings.Join(f.Envs, ", "), def, strings.ReplaceAll(f.Help, "|", `\|`))
		}
	}
	return b.String()
}
