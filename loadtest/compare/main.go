// Program compare sends the same traffic to the service with its cache off, with
// either tier, with both, and with both to clients that ask whether their copy is
// still good, and shows what that saves: a table, and a chart.
//
// Idea: one program, one database, one sequence of requests; only --cache differs.
// Modes take turns, and a figure is the median over the rounds, so that what else the
// machine does meets all of them alike.
//
// Invariant: every request is answered as asked, or the run fails. A mode that is
// quick because it refuses is not shown.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"example.com/communityfeed/internal/embedded"
	"example.com/communityfeed/internal/report"
	"example.com/communityfeed/loadtest/internal/rig"
)

type command struct {
	rig.Options
	Modes       []string      `default:"off,L2,L1,both,both + 304" placeholder:"MODE,…" help:"Which to compare."`
	Rounds      int           `default:"3" placeholder:"N" help:"How often each mode runs."`
	For         time.Duration `default:"10s" placeholder:"DURATION" help:"How long a run is measured."`
	Warmup      time.Duration `default:"5s" placeholder:"DURATION" help:"How long it goes before that."`
	Connections int           `default:"32" placeholder:"N" help:"Requests under way at a time."`
	Users       int           `default:"1000" placeholder:"N" help:"Who reads and writes; the database must have them."`
	Writes      float64       `default:"5" placeholder:"PERCENT" help:"Of the requests."`
	Posts       float64       `default:"5" placeholder:"PERCENT" help:"Of what is written; the rest are likes."`
	Seed        uint64        `default:"1" placeholder:"N" help:"Another number draws another traffic."`
	Figure      string        `placeholder:"FILE" help:"Draw a chart into this file, as SVG."`
}

func main() {
	embedded.Child()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	var c command
	parser := kong.Parse(&c, kong.Description("Compare the service with its cache off, in Redis, in the process, and in both."), kong.Vars{"size": "small"})
	parser.FatalIfErrorf(c.run(ctx))
}

func (c *command) run(ctx context.Context) (err error) {
	r, err := rig.Start(ctx, c.Options, os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	versions, err := r.Versions(ctx)
	if err != nil {
		return err
	}
	s, err := c.site(ctx, r)
	if err != nil {
		return err
	}
	about := c.about(s)
	fmt.Printf("%s, %s\n%s\n\n", report.Machine(), versions, about)

	var all results
	var check tally
	for round := range c.Rounds {
		for i := range modes {
			m := modes[(i+round)%len(modes)] // no mode is always the first, or always after the same
			if !slices.Contains(c.Modes, m.name) {
				continue
			}
			measured, err := c.measure(ctx, r, s, m, &check)
			if err != nil {
				return fmt.Errorf("cache %s: %w", m.name, err)
			}
			fmt.Fprintln(os.Stderr, measured)
			all = append(all, measured)
		}
	}
	fmt.Printf("%s\n%s\n", all.table(), check)
	if c.Figure == "" {
		return nil
	}
	return all.chart(report.Machine()+", "+versions, about, "make compare").Write(c.Figure)
}

// site starts the service once, so that there are data, and looks at them.
func (c *command) site(ctx context.Context, r *rig.Rig) (s *site, err error) {
	service, err := r.Serve(ctx, "--cache", "off")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, service.Close()) }()
	m := defaultMix
	m.Users, m.Writes, m.Posts = c.Users, c.Writes/100, c.Posts/100
	return newSite(ctx, service.URL, r.Secret, m, c.Seed)
}

// about describes the traffic.
func (c *command) about(s *site) string {
	return fmt.Sprintf("%d connections, %s users, %d communities each of %d, Zipf %.1f; %s %% writes, of which %s %% posts; %v after %v of warm-up, median of %d",
		c.Connections, report.Number(float64(c.Users)), defaultMix.Follows, len(s.communities), defaultMix.Skew,
		report.Number(c.Writes), report.Number(c.Posts), c.For, c.Warmup, c.Rounds)
}

// measure runs one mode once, with a process and keys of its own.
func (c *command) measure(ctx context.Context, r *rig.Rig, s *site, m mode, check *tally) (measured result, err error) {
	before, err := r.Transactions(ctx)
	if err != nil {
		return result{}, err
	}
	service, err := r.Serve(ctx, "--cache", m.cache)
	if err != nil {
		return result{}, err
	}
	l := newLoad(s, service.URL, c.Connections, m.conditional)
	measured, err = c.drive(ctx, r, service, l)
	measured.mode = m.name
	if err == nil {
		err = check.pools(ctx, service)
	}
	l.client.CloseIdleConnections()
	if err = errors.Join(err, service.Close()); err != nil {
		return result{}, err
	}
	return measured, check.database(ctx, r, before)
}

// drive warms the service up, measures it, and takes the differences.
func (c *command) drive(ctx context.Context, r *rig.Rig, service *rig.Service, l *load) (result, error) {
	if a := l.run(ctx, c.Connections, c.Warmup); len(a.failed) > 0 {
		return result{}, failures(a.failed)
	}
	bytes := l.bytes.Load()
	commands, err := r.Commands(ctx)
	if err != nil {
		return result{}, err
	}
	before, err := service.Metrics(ctx)
	if err != nil {
		return result{}, err
	}
	a := l.run(ctx, c.Connections, c.For)
	after, err := service.Metrics(ctx)
	if err != nil {
		return result{}, err
	}
	commandsAfter, err := r.Commands(ctx)
	if err != nil {
		return result{}, err
	}
	hits := 0.0
	for _, outcome := range []string{"hit_l1", "hit_l2", "stale"} {
		const reads = "communityfeed_cache_reads_total"
		hits += after.Sum(reads, "key", feedPage, "outcome", outcome) - before.Sum(reads, "key", feedPage, "outcome", outcome)
	}
	return result{
		reads: len(a.reads), writes: a.writes, same: a.notModified, took: a.took,
		p50: report.Percentile(a.reads, 50), p99: report.Percentile(a.reads, 99),
		cpu:      after.CPU() - before.CPU(),
		queries:  after.Queries("read") - before.Queries("read"),
		commands: float64(commandsAfter - commands - 1), // the question itself is one
		bytes:    float64(l.bytes.Load() - bytes),
		hits:     hits,
	}, failures(a.failed)
}

// feedPage is the key of what is read.
const feedPage = "feed.page/1"
