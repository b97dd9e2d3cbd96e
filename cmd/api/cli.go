package main

import (
	"context"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// cli is all commands. Their fields are the flags: the tags are what --help says,
// and what the table in the README is made of.
type cli struct {
	Serve   serveCmd   `cmd:"" help:"Answer requests, until SIGTERM or Ctrl-C."`
	Dev     devCmd     `cmd:"" help:"Run everything here, without Docker or configuration: Postgres, Redis, demo data and two servers."`
	Migrate migrateCmd `cmd:"" help:"Move the database's schema."`
	Seed    seedCmd    `cmd:"" help:"Fill a database with demo data."`
	Token   tokenCmd   `cmd:"" help:"Print a signed token."`
	Keys    keysCmd    `cmd:"" help:"Show the cache keys, which are part of the public API."`
	Try     tryCmd     `cmd:"" help:"Print three lines to try on servers that run with --dev."`
	Health  healthCmd  `cmd:"" help:"Ask the server on this machine whether it is ready: for images without curl."`
}

// streams are where a command writes: its results to Out, all else to Err.
type streams struct{ Out, Err io.Writer }

// usageError is a wrong or missing argument, flag or variable.
type usageError struct {
	command string // with a space behind it, or empty
	error
}

// run does what the arguments say, until it is done or ctx ends. Nothing of the
// program's is global, so several can run in one process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	helped := false
	parser, err := newParser(new(cli),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { helped = true }),
		kong.BindTo(ctx, (*context.Context)(nil)), // what the commands' Run may ask for
		kong.Bind(streams{Out: stdout, Err: stderr}),
	)
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if helped {
		return nil // help needs no complete command line
	}
	if err != nil {
		return &usageError{commandIn(parser, args), err}
	}
	return command.Run()
}

// newParser returns a parser that fills c.
func newParser(c *cli, options ...kong.Option) (*kong.Kong, error) {
	return kong.New(c, append(options,
		kong.Name("api"),
		kong.Description("communityfeed: a community feed and a product catalogue behind a cache that can be trusted."),
		kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true, Compact: true, WrapUpperBound: 100}),
		kong.ValueFormatter(helpValue),
	)...)
}

// helpValue adds to a flag's help where else its value may come from, and what it
// is without one.
func helpValue(v *kong.Value) string {
	var notes []string
	for _, env := range v.Tag.Envs {
		notes = append(notes, "$"+env)
	}
	if v.HasDefault && v.Default != "" {
		notes = append(notes, "default "+v.Default)
	}
	if len(notes) == 0 {
		return v.Help
	}
	return v.Help + " (" + strings.Join(notes, ", ") + ")"
}

// commandIn is the command whose help is worth reading.
func commandIn(parser *kong.Kong, args []string) string {
	for _, command := range parser.Model.Children {
		if len(args) > 0 && command.Name == args[0] {
			return command.Name + " "
		}
	}
	return ""
}
