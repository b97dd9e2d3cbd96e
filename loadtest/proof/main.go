// Command proof breaks the service in each way that a load test checks for, and shows
// which checks fail.
//
// A fault replaces a few lines by way of go build's -overlay, so nothing in the
// production code knows of it. `api dev` runs the broken program on free ports, and the
// scenario that must notice runs against it. A fault that no check notices is a check
// that means nothing: the command then exits with 1. So it does when the sound program
// fails a check, which is tried first.
//
//	go run ./loadtest/proof              all, as a Markdown table
//	go run ./loadtest/proof -only ETag   those whose name contains "ETag"
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

func main() {
	k6 := flag.String("k6", "k6", "the command that runs k6")
	only := flag.String("only", "", "prove the faults whose name contains this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, strings.Fields(*k6), *only); err != nil {
		fmt.Fprintln(os.Stderr, "proof:", err)
		os.Exit(1)
	}
}

// run tries the sound program in every scenario and then each fault in its own, and
// prints a row for each.
func run(ctx context.Context, k6 []string, only string) error {
	scratch, err := os.MkdirTemp("", "proof")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if err := os.Chmod(scratch, 0o755); err != nil { // `api dev` gives up root for Postgres
		return err
	}

	var chosen []fault
	var scenarios []string
	for _, f := range faults {
		if strings.Contains(f.name, only) {
			chosen = append(chosen, f)
			scenarios = append(scenarios, f.scenario)
		}
	}
	slices.Sort(scenarios)

	fmt.Println("| what was broken | scenario | checks that failed |")
	fmt.Println("| --- | --- | --- |")
	p := prover{k6: k6, scratch: scratch}
	sound, err := p.try(ctx, nil, slices.Compact(scenarios)...)
	if err != nil {
		return fmt.Errorf("the sound program: %w", err)
	}
	fmt.Printf("| nothing | %s | %s |\n", strings.Join(slices.Compact(scenarios), ", "), cmp.Or(strings.Join(sound, "; "), "none"))
	if len(sound) > 0 {
		return errors.New("the sound program fails checks, so failing them says nothing")
	}

	var unnoticed []string
	for _, f := range chosen {
		failed, err := p.try(ctx, f.edits, f.scenario)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if len(failed) == 0 {
			unnoticed = append(unnoticed, f.name)
		}
		fmt.Printf("| %s | %s | %s |\n", f.name, f.scenario, cmp.Or(strings.Join(failed, "; "), "**none**"))
	}
	if len(unnoticed) > 0 {
		return fmt.Errorf("%d went unnoticed: %s", len(unnoticed), strings.Join(unnoticed, "; "))
	}
	return nil
}

// A prover runs scenarios against programs that it builds in a folder of its own.
type prover struct {
	k6      []string
	scratch string
}

// try builds the program with these edits, runs it, and returns which checks of the
// scenarios fail, with how often.
func (p prover) try(ctx context.Context, edits []edit, scenarios ...string) ([]string, error) {
	program := filepath.Join(p.scratch, "api")
	if err := build(ctx, program, p.scratch, edits); err != nil {
		return nil, err
	}
	s, err := start(ctx, program)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, scenario := range scenarios {
		var failed []string
		if failed, err = p.scenario(ctx, scenario, s.first, s.second); err != nil {
			break
		}
		all = append(all, failed...)
	}
	return all, errors.Join(err, s.stop())
}
