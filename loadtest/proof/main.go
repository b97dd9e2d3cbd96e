// Program proof breaks the service in each way that a load test checks for, and shows
// which checks fail.
//
// Idea: a fault replaces a few lines by way of go build's -overlay, so nothing in the
// production code knows of it. Two processes of the broken program serve, and the
// scenario that must notice runs against them.
//
// Invariant: a check is shown to fail for its fault alone. The sound program is tried
// first and fails none, and every fault begins with an empty cache. A fault that no
// check notices is a check that means nothing: the program then ends with an error.
//
//	make loadtest-proof                    all, as a Markdown table
//	go run ./loadtest/proof --only ETag    those whose name contains "ETag"
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"example.com/communityfeed/internal/embedded"
	"example.com/communityfeed/internal/overlay"
	"example.com/communityfeed/loadtest/internal/rig"
)

type command struct {
	K6   string `name:"k6" default:"k6" placeholder:"COMMAND" help:"Runs k6."`
	Only string `placeholder:"TEXT" help:"Prove the faults whose name contains this."`
}

func main() {
	embedded.Child()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	var c command
	parser := kong.Parse(&c, kong.Description("Break the service in each way that a load test checks for."))
	parser.FatalIfErrorf(c.run(ctx))
}

// run tries the sound program in every scenario, then each fault in its own.
func (c *command) run(ctx context.Context) (err error) {
	scratch, err := os.MkdirTemp("", "proof")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	r, err := rig.Start(ctx, rig.Options{Program: filepath.Join(scratch, "api"), Size: "small"}, os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()

	chosen := slices.DeleteFunc(slices.Clone(faults), func(f fault) bool { return !strings.Contains(f.name, c.Only) })
	var scenarios []string
	for _, f := range chosen {
		scenarios = append(scenarios, f.scenario)
	}
	slices.Sort(scenarios)
	p := prover{k6: strings.Fields(c.K6), scratch: scratch, rig: r}
	fmt.Println("| what was broken | scenario | checks that failed |")
	fmt.Println("| --- | --- | --- |")
	if err := p.sound(ctx, slices.Compact(scenarios)); err != nil {
		return err
	}
	return p.broken(ctx, chosen)
}

// A prover runs scenarios against programs that it builds in a folder of its own.
type prover struct {
	k6      []string
	scratch string
	rig     *rig.Rig
	tries   int
}

// sound shows that the program as it is fails no check.
func (p *prover) sound(ctx context.Context, scenarios []string) error {
	failed, err := p.try(ctx, nil, scenarios...)
	if err != nil {
		return fmt.Errorf("the sound program: %w", err)
	}
	row("nothing", strings.Join(scenarios, ", "), failed, "none")
	if len(failed) > 0 {
		return errors.New("the sound program fails checks, so that failing them says nothing")
	}
	return nil
}

// broken shows which checks fail for each fault.
func (p *prover) broken(ctx context.Context, all []fault) error {
	var unnoticed []string
	for _, f := range all {
		failed, err := p.try(ctx, f.edits, f.scenario)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		row(f.name, f.scenario, failed, "**none**")
		if len(failed) == 0 {
			unnoticed = append(unnoticed, f.name)
		}
	}
	if len(unnoticed) > 0 {
		return fmt.Errorf("%d went unnoticed: %s", len(unnoticed), strings.Join(unnoticed, "; "))
	}
	return nil
}

func row(what, scenario string, failed []string, none string) {
	fmt.Printf("| %s | %s | %s |\n", what, scenario, cmp.Or(strings.Join(failed, "; "), none))
}

// try builds the program with these edits, lets two processes of it serve over one
// cache that nobody else has, and returns which checks of the scenarios fail.
func (p *prover) try(ctx context.Context, edits []overlay.Edit, scenarios ...string) (failed []string, err error) {
	if err := build(ctx, p.rig.Program, p.scratch, edits); err != nil {
		return nil, err
	}
	p.tries++
	prefix := fmt.Sprintf("proof-%d-%d:", os.Getpid(), p.tries)
	var urls []string
	for range 2 {
		service, failure := p.rig.Serve(ctx, "--redis-prefix", prefix)
		if failure != nil {
			return nil, failure
		}
		defer func() { err = errors.Join(err, service.Close()) }()
		urls = append(urls, service.URL)
	}
	for _, scenario := range scenarios {
		now, err := p.scenario(ctx, scenario, urls[0], urls[1])
		if err != nil {
			return nil, err
		}
		failed = append(failed, now...)
	}
	return failed, nil
}
