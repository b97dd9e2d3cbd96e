// Command mutants breaks each rule of the cache once and shows which tests notice.
// Where a rule is kept by another package, that package is broken, and its tests run.
//
// A mutant replaces a few lines of one file by way of go test's -overlay, so nothing in the
// production code knows of it. A mutant that no test catches is a rule that nobody checks:
// the command then exits with 1. The simulator runs on each mutant of the cache, too, until
// a seed finds something.
//
//	go run ./internal/cache/mutants               all, as a Markdown table
//	go run ./internal/cache/mutants -only lease   those whose name contains "lease"
//	go run ./internal/cache/mutants -seeds 0      without the simulator
package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"example.com/communityfeed/internal/overlay"
)

// A mutant is one way to break a rule. Its old text must occur in the file exactly once, so
// that a mutant which the code has outgrown is noticed.
type mutant struct {
	rule string // of the contract, or the interleaving's number
	name string
	file string // in internal/cache; or in the module, if it begins with internal/ or cmd/
	old  string
	new  string
}

const cacheDir = "internal/cache"

// path is the mutant's file, from the module's root.
func (m mutant) path() string {
	if strings.HasPrefix(m.file, "internal/") || strings.HasPrefix(m.file, "cmd/") {
		return m.file
	}
	return path.Join(cacheDir, m.file)
}

// edit is the mutant as an edit of the module's files.
func (m mutant) edit() overlay.Edit { return overlay.Edit{File: m.path(), Old: m.old, New: m.new} }

// inCache reports whether the file is in internal/cache, or in a package below it.
func (m mutant) inCache() bool { return strings.HasPrefix(m.path(), cacheDir+"/") }

// packages are those whose tests may notice the mutant: the one that is broken, and
// internal/cache for a package below it.
func (m mutant) packages() []string {
	broken := "./" + path.Dir(m.path())
	if cache := "./" + cacheDir; m.inCache() && broken != cache {
		return []string{cache, broken}
	}
	return []string{broken}
}

// timeout bounds the tests of one package. Those of cmd/api start servers.
func (m mutant) timeout() string {
	if m.inCache() {
		return "60s"
	}
	return "240s"
}

func main() {
	only := flag.String("only", "", "run the mutants whose name contains this")
	seeds := flag.Int("seeds", 26, "simulate each with so many seeds at the most")
	flag.Parse()
	if err := run(*only, *seeds); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// run examines the mutants, as many at a time as there are cores, and prints a row for
// each in the table's order.
func run(only string, seeds int) error {
	scratch, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)

	var all []*laid
	sound := make(map[string]bool) // packages whose tests pass without a mutant
	for i, m := range slices.Concat(mutants, keyMutants) {
		if !strings.Contains(m.name, only) {
			continue
		}
		l, err := lay(m, filepath.Join(scratch, fmt.Sprint(i)))
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		for _, p := range m.packages() {
			if sound[p] { // what fails by itself would seem to catch everything
				continue
			}
			caught, err := (&laid{mutant: m}).test(".", p)
			if err != nil || len(caught) > 0 {
				return fmt.Errorf("the tests of %s fail without a mutant: %v, %v", p, caught, err)
			}
			sound[p] = true
		}
		all = append(all, l)
	}

	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	go func() {
		for _, l := range all {
			group.Go(func() error {
				defer close(l.examined)
				return l.examine(seeds)
			})
		}
	}()
	fmt.Println("| rule | what was broken | caught by | and by seed |")
	fmt.Println("| --- | --- | --- | --- |")
	var survivors []string
	for _, l := range all {
		<-l.examined
		by := cmp.Or(strings.Join(l.caught, ", "), "**nothing**")
		if len(l.caught) == 0 && l.seed == "" {
			survivors = append(survivors, l.name)
		}
		fmt.Printf("| %s | %s | %s | %s |\n", l.rule, l.name, by, l.seed)
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if len(survivors) > 0 {
		return fmt.Errorf("%d survived: %s", len(survivors), strings.Join(survivors, "; "))
	}
	return nil
}

// laid is a mutant that lies over its package.
type laid struct {
	mutant
	flags []string // of go test

	examined chan struct{} // closed when what follows is known
	caught   []string      // by these tests
	seed     string        // of the simulator
}

// lay puts the mutant into a folder of its own, from where the go command takes it.
func lay(m mutant, scratch string) (*laid, error) {
	if err := os.Mkdir(scratch, 0o700); err != nil {
		return nil, err
	}
	file, err := overlay.Lay(".", scratch, m.edit())
	if err != nil {
		return nil, err
	}
	return &laid{mutant: m, flags: []string{"-overlay", file}, examined: make(chan struct{})}, nil
}

// examine finds out which tests and which seed notice the mutant.
func (l *laid) examine(seeds int) (err error) {
	if l.caught, err = l.test(cmp.Or(stopping[l.name], l.pattern()), l.packages()...); err != nil {
		return fmt.Errorf("%s: %w", l.name, err)
	}
	if seeds > 0 && l.inCache() && stopping[l.name] == "" {
		l.seed = l.simulate(seeds)
	}
	return nil
}

// pattern says which tests of the packages run: all but the slow ones of cmd/api that are
// about something else than the rows there.
func (m mutant) pattern() string {
	if strings.HasPrefix(m.file, "cmd/api/") {
		return "Key|Regist|Build|Stuck|Server|Redis"
	}
	return "."
}

// goTest runs go test on the mutant, without vet, which has seen the code. What is broken may take all memory, so there is a
// limit to it.
func (l *laid) goTest(args ...string) (output []byte, err error) {
	args = append(append([]string{"-c", `ulimit -v 12000000; exec go test -vet=off "$@"`, "go"}, l.flags...), args...)
	cmd := exec.Command("sh", args...)
	cmd.Env = append(cmd.Environ(), "RAPID_NOFAILFILE=1") // or it would be replayed against the sound code
	return cmd.CombinedOutput()
}

var (
	failed   = regexp.MustCompile(`(?m)^--- FAIL: (\w+)`)
	panicked = regexp.MustCompile(`(?m)^(?:panic|fatal error|runtime): `)
	running  = regexp.MustCompile(`(?m)^=== RUN   (\w+)`)
	found    = regexp.MustCompile(`(?m)^seed (\d+)[: ]`)
)

// test runs those of the packages' tests that fit a pattern and returns which failed.
func (l *laid) test(pattern string, packages ...string) ([]string, error) {
	output, err := l.goTest(append([]string{"-v", "-timeout", l.timeout(), "-run", pattern}, packages...)...)
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
	for _, at := range panicked.FindAllIndex(output, -1) { // a panic or a deadlock ends the run in the middle of a test
		if begun := running.FindAllSubmatch(output[:at[0]], -1); len(begun) > 0 {
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

// simulate runs the simulator on the mutant and returns the seed that found something,
// or nothing.
func (l *laid) simulate(seeds int) string {
	output, err := l.goTest("-timeout", "240s", "-run", "TestSimulation$", "./"+cacheDir+"/cachetest", "-args", "-seeds", fmt.Sprint(seeds), "-first")
	if err == nil {
		return ""
	}
	if seed := found.FindSubmatch(output); seed != nil {
		return string(seed[1])
	}
	return "one that ends the run"
}
