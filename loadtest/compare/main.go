// Program compare sends the same traffic to the service with its cache off, with
// either tier, with both, and with both to clients that ask whether their copy is
// still good, and to a cache that was written by hand. It shows what each saves and
// costs: a table, and a chart.
//
// Idea: one database, one sequence of requests; only what answers them differs. Two
// workloads are two values of one type: hot, where copies are read again, and wide,
// where they hardly are. Modes take turns, and a figure is the median over the rounds, so that what else the
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
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"example.com/communityfeed/internal/embedded"
	"example.com/communityfeed/internal/report"
	"example.com/communityfeed/loadtest/internal/rig"
)

type command struct {
	rig.Options
	Workload    string         `enum:"hot,wide" default:"hot" placeholder:"NAME" help:"hot: few pages are read often; wide: everybody reads everything. Without another flag, the rest follows from it."`
	Peer        string         `default:"bin/peer" placeholder:"FILE" help:"The cache by hand; make compare builds it."`
	Modes       []string       `placeholder:"MODE,…" help:"Which of the workload's to compare."`
	Rounds      int            `default:"3" placeholder:"N" help:"How often each mode runs."`
	For         *time.Duration `placeholder:"DURATION" help:"How long a run is measured."`
	Warmup      *time.Duration `placeholder:"DURATION" help:"How long it goes before that."`
	Rate        *float64       `placeholder:"N" help:"Requests per second, answered or not; 0: each connection asks again when it has been answered."`
	Connections int            `default:"32" placeholder:"N" help:"Requests under way at a time, if there is no rate."`
	Processes   *int           `placeholder:"N" help:"Of the service, that take turns."`
	Users       *int           `placeholder:"N" help:"Who reads and writes."`
	Communities *int           `placeholder:"N" help:"That are read; each must have a page of posts."`
	Locales     *int           `placeholder:"N" help:"Languages that are asked for."`
	Writes      *float64       `placeholder:"PERCENT" help:"Of the requests."`
	Posts       *float64       `placeholder:"PERCENT" help:"Of what is written; the rest are likes."`
	Seed        uint64         `default:"1" placeholder:"N" help:"Another number draws another traffic."`
	Figure      string         `placeholder:"FILE" help:"Draw a chart into this file, as SVG."`
}

func main() {
	embedded.Child()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	var c command
	parser := kong.Parse(&c, kong.Description("Compare the service with its cache off, in Redis, in the process, and in both, and with a cache by hand."), kong.Vars{"size": "small"})
	parser.FatalIfErrorf(c.run(ctx))
}

// workload is the one that was asked for, with what the flags change.
func (c *command) workload() (workload, error) {
	w := workloadOf(c.Workload)
	set(&w.measured, c.For)
	set(&w.warmup, c.Warmup)
	set(&w.rate, c.Rate)
	set(&w.processes, c.Processes)
	set(&w.Users, c.Users)
	everything := w.Follows == w.Communities
	set(&w.Communities, c.Communities)
	if everything {
		w.Follows = w.Communities
	}
	set(&w.Locales, c.Locales)
	if c.Writes != nil {
		w.Writes = *c.Writes / 100
	}
	if c.Posts != nil {
		w.Posts = *c.Posts / 100
	}
	if w.Users < 2 || w.Communities < 2 || w.Locales < 1 || w.Locales > len(locales) || w.processes < 1 || w.rate < 0 {
		return w, fmt.Errorf("a workload has at least 2 users, 2 communities, 1 process and 1 to %d locales", len(locales))
	}
	return w, w.only(c.Modes)
}

func set[T any](value *T, flag *T) {
	if flag != nil {
		*value = *flag
	}
}

func (c *command) run(ctx context.Context) (err error) {
	w, err := c.workload()
	if err != nil {
		return err
	}
	c.Size = sizeFor(w.mix, c.Size)
	r, err := rig.Start(ctx, c.Options, os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	versions, err := r.Versions(ctx)
	if err != nil {
		return err
	}
	s, err := c.site(ctx, r, w.mix)
	if err != nil {
		return err
	}
	about := fmt.Sprintf("%s, median of %d", w, c.Rounds)
	if w.rate == 0 {
		about = fmt.Sprintf("%d connections, %s", c.Connections, about)
	}
	fmt.Printf("%s, %s\n%s\n\n", report.Machine(), versions, about)

	all := results{workload: w}
	var check tally
	for round := range c.Rounds {
		for i := range w.modes {
			m := w.modes[(i+round)%len(w.modes)] // no mode is always the first, or always after the same
			measured, err := c.measure(ctx, r, s, w, m, &check)
			if err != nil {
				return fmt.Errorf("cache %s: %w", m.name, err)
			}
			fmt.Fprintln(os.Stderr, measured)
			all.runs = append(all.runs, measured)
		}
	}
	fmt.Printf("%s\n%s\n", all.table(), check)
	if c.Figure == "" {
		return nil
	}
	return all.chart(report.Machine()+", "+versions, about, w.command()).Write(c.Figure)
}

// site starts the service once, so that there are data, and looks at them.
func (c *command) site(ctx context.Context, r *rig.Rig, m mix) (s *site, err error) {
	service, err := r.Serve(ctx, "--cache", "off")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, service.Close()) }()
	return newSite(ctx, service.URL, r, m, c.Seed)
}
