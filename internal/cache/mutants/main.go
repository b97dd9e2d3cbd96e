// Command mutants breaks each rule of the cache once and shows which tests notice.
// Where a rule is kept by another package, that package is broken, and its tests run.
//
// A mutant replaces a few lines of one file by way of go test's -overlay, so
// nothing in the production code knows of it. A mutant that no test catches is a
// rule that nobody checks: the command then exits with 1.
//
//	go run ./internal/cache/mutants               all, as a Markdown table
//	go run ./internal/cache/mutants -only lease   those whose name contains "lease"
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A mutant is one way to break the cache. Its text must occur in the file exactly
// once, so that a mutant which the code has outgrown is noticed.
type mutant struct {
	rule string // of the contract, or the interleaving's number
	name string
	file string // in internal/cache; or, with its folder, anywhere: the tests beside it must notice
	old  string
	new  string
}

func main() {
	only := flag.String("only", "", "run the mutants whose name contains this")
	dir := flag.String("dir", "internal/cache", "the package to break, where a mutant names no other")
	flag.Parse()
	if err := run(*dir, *only); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(dir, only string) error {
	scratch, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)

	fmt.Println("| rule | what was broken | caught by |")
	fmt.Println("| --- | --- | --- |")
	var survivors []string
	sound := make(map[string]bool) // packages whose tests pass without a mutant
	for _, m := range mutants {
		if !strings.Contains(m.name, only) {
			continue
		}
		dir := dir
		if folder, file := filepath.Split(m.file); folder != "" {
			dir, m.file = folder, file
		}
		dir, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		if !sound[dir] { // what fails by itself would seem to catch everything
			same := m
			same.new = same.old
			if caught, err := same.test(dir, scratch); err != nil || len(caught) > 0 {
				return fmt.Errorf("the tests of %s fail without a mutant: %v, %v", dir, caught, err)
			}
			sound[dir] = true
		}
		caught, err := m.test(dir, scratch)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		by := "**nothing**"
		if len(caught) > 0 {
			by = strings.Join(caught, ", ")
		} else {
			survivors = append(survivors, m.name)
		}
		fmt.Printf("| %s | %s | %s |\n", m.rule, m.name, by)
	}
	if len(survivors) > 0 {
		return fmt.Errorf("%d survived: %s", len(survivors), strings.Join(survivors, "; "))
	}
	return nil
}

var (
	failed   = regexp.MustCompile(`(?m)^--- FAIL: (\w+)`)
	panicked = regexp.MustCompile(`(?m)^(?:panic|fatal error): `)
	running  = regexp.MustCompile(`(?m)^=== RUN   (\w+)`)
)

// test runs the package's tests on the mutant and returns those that failed.
func (m mutant) test(dir, scratch string) ([]string, error) {
	path := filepath.Join(dir, m.file)
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(source, []byte(m.old)); n != 1 {
		return nil, fmt.Errorf("%q occurs %d times in %s", m.old, n, m.file)
	}
	broken := filepath.Join(scratch, m.file)
	if err := os.WriteFile(broken, bytes.Replace(source, []byte(m.old), []byte(m.new), 1), 0o600); err != nil {
		return nil, err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: broken}})
	if err != nil {
		return nil, err
	}
	overlayFile := filepath.Join(scratch, "overlay.json")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "test", "-v", "-timeout", "120s", "-overlay", overlayFile, "-run", cmp.Or(stopping[m.name], "."), ".")
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "RAPID_NOFAILFILE=1") // or it would be replayed against the sound code
	output, err := cmd.CombinedOutput()
	if err == nil {
		return nil, nil
	}
	if bytes.Contains(output, []byte("[build failed]")) {
		return nil, fmt.Errorf("the mutant does not compile:\n%s", output)
	}
	var names []string
	for _, match := range failed.FindAllSubmatch(output, -1) {
		names = append(names, string(match[1]))
	}
	if panicked.Match(output) { // a panic or a deadlock ends the run in the middle of a test
		if begun := running.FindAllSubmatch(output, -1); len(begun) > 0 {
			names = append(names, string(begun[len(begun)-1][1]))
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > 4 {
		names = append(names[:3], fmt.Sprintf("and %d more", len(names)-3))
	}
	return names, nil
}
