// Program costs shows how the cost of the cache grows with what it holds: of a hit in
// either tier, of a miss, of moving the tag that everything lies under, and of memory.
//
// Idea: what must stay flat is drawn beside how much there is. All entries are variants
// of one page under one tag, as a busy community's are.
//
// Invariant: a hit that is timed was one. What is timed as a hit and was none ends the
// run.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"example.com/communityfeed/internal/embedded"
	"example.com/communityfeed/internal/report"
)

type command struct {
	Million bool   `help:"A million entries of 1 KB as well: some 5 GB of memory, and three minutes."`
	Figure  string `placeholder:"FILE" help:"Draw a chart into this file, as SVG."`
}

func main() {
	embedded.Child()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	var c command
	parser := kong.Parse(&c, kong.Description("Show how the cost of the cache grows with the number of entries."))
	parser.FatalIfErrorf(c.run(ctx))
}

func (c *command) run(ctx context.Context) error {
	sizes := []size{{1_000, 8 << 10}, {10_000, 8 << 10}, {100_000, 8 << 10}}
	if c.Million {
		sizes = append(sizes, size{1_000_000, 1 << 10})
	}
	_, redis := embedded.Describe(ctx)
	fmt.Printf("%s, %s\n\n", report.Machine(), redis)
	var all costs
	for _, s := range sizes {
		fmt.Fprintf(os.Stderr, "%s entries of %s bytes …\n", report.Number(float64(s.entries)), report.Number(float64(s.body)))
		measured := cost{size: s}
		for _, measure := range []func(context.Context) error{measured.inProcess, measured.inLRU} {
			if err := measure(ctx); err != nil {
				return err
			}
		}
		all = append(all, measured)
	}
	fmt.Fprintln(os.Stderr, "the same in Redis …")
	if err := all.inRedis(ctx); err != nil {
		return err
	}
	fmt.Println(all.table())
	if c.Figure == "" {
		return nil
	}
	command := "make costs"
	if c.Million {
		command += " ARGS=--million"
	}
	return all.chart(report.Machine()+", "+redis, command).Write(c.Figure)
}

// A size is how much there is.
type size struct {
	entries int
	body    int // bytes
}

// A cost is what was measured at one size.
type cost struct {
	size
	hitL1, rawLRU             float64 // seconds, medians
	hitL2, miss, invalidation float64 // seconds, medians
	accounted                 float64 // bytes an entry, as L1 counts them
	heap                      float64 // bytes an entry, as the runtime does
	redis                     float64 // bytes an entry
}

type costs []cost

func (all costs) table() report.Table {
	t := report.Table{{"entries", "of", "hit in L1", "raw LRU", "hit in L2", "miss", "invalidation", "L1, an entry", "as accounted", "Redis, an entry"}}
	bytes := func(n float64) string { return report.Number(n) + " B" }
	nanos := func(s float64) string { return report.Number(s*1e9) + " ns" }
	micros := func(s float64) string { return report.Number(s*1e6) + " µs" }
	for _, c := range all {
		t = append(t, []string{
			report.Number(float64(c.entries)), bytes(float64(c.body)),
			nanos(c.hitL1), nanos(c.rawLRU), micros(c.hitL2), micros(c.miss), micros(c.invalidation),
			bytes(c.heap), bytes(c.accounted), bytes(c.redis),
		})
	}
	return t
}

func (all costs) chart(caption ...string) report.Chart {
	panel := func(title string, figure func(cost) float64) report.Panel {
		p := report.Panel{Title: title}
		for _, c := range all {
			p.Labels = append(p.Labels, report.Number(float64(c.entries)))
			p.Values = append(p.Values, figure(c))
		}
		return p
	}
	return report.Chart{
		Title:   "What an operation costs, by how many entries there are",
		Caption: caption,
		Panels: []report.Panel{
			panel("Hit in L1, ns", func(c cost) float64 { return c.hitL1 * 1e9 }),
			panel("Hit in L2, µs", func(c cost) float64 { return c.hitL2 * 1e6 }),
			panel("Miss with a load of nothing, µs", func(c cost) float64 { return c.miss * 1e6 }),
			panel("Invalidation of the tag that all of them have, µs", func(c cost) float64 { return c.invalidation * 1e6 }),
			panel("L1, bytes an entry besides its body", func(c cost) float64 { return max(0, c.heap-float64(c.body)) }),
			panel("Redis, bytes an entry besides its body", func(c cost) float64 { return max(0, c.redis-float64(c.body)) }),
		},
	}
}
