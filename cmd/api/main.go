// Program api is the service and everything that is done to it by hand: it
// serves, migrates, seeds, signs tokens, and with `api dev` runs all of it on a
// machine that has nothing.
//
// Idea: this is the only package that knows where settings come from. Each
// command is a struct whose fields are its flags and whose Run builds, in order,
// what the command needs, each thing with its close beside it.
//
// Invariant: a wrong or missing setting is told in one line, and nothing has
// been opened, started or changed by then.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9/logging"

	"example.com/communityfeed/internal/cache/manifest"
	"example.com/communityfeed/internal/embedded"
)

// What the program exits with, besides 0.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells have it: 128 + SIGINT
)

func main() {
	embedded.Child()
	logging.Disable() // the Redis client's own log, whose lines have another form than ours
	ctx, stop := signal.NotifyContext(context.Background(), endings()...)
	context.AfterFunc(ctx, stop) // so a second Ctrl-C ends the program at once
	os.Exit(exitCode(ctx, run(ctx, os.Args[1:], os.Stdout, os.Stderr), os.Stderr))
}

// endings are the signals that ask the program to end. A closed terminal is one
// of them, unless nohup has said otherwise.
func endings() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// exitCode tells an error in one line, a refusal of keys with its diff before that, and
// returns what the program exits with.
func exitCode(ctx context.Context, err error, stderr io.Writer) int {
	switch usage, wrong := errors.AsType[*usageError](err); {
	case err == nil:
		return 0
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exitInterrupted // whoever interrupted knows
	case wrong:
		fmt.Fprintf(stderr, "api: %s (see api %s--help)\n", oneLine(usage.error), usage.command)
		return exitUsage
	}
	if refused, ok := errors.AsType[*manifest.DiffError](err); ok {
		fmt.Fprint(stderr, refused.Diff)
	}
	fmt.Fprintf(stderr, "api: %s\n", oneLine(err))
	return exitFailed
}

// oneLine puts an error that was laid out over several lines into one.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
