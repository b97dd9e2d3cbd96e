// Program watch runs a command, most likely a long load test, and looks at the processes
// of the service meanwhile. At the end it draws what became of their memory, their
// goroutines and their files, and ends as the command did.
//
// Idea: what only time shows is seen in a picture, and by whoever looks at it later.
//
// Invariant: it asks for nothing but /metrics, so what is measured does not notice.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"example.com/communityfeed/internal/report"
	"example.com/communityfeed/loadtest/internal/rig"
)

type command struct {
	URLs    []string      `name:"url" required:"" placeholder:"URL" help:"A process of the service; can be given several times."`
	Every   time.Duration `default:"10s" placeholder:"DURATION" help:"Between two looks."`
	Figure  string        `placeholder:"FILE" help:"Draw a chart into this file, as SVG."`
	Command []string      `arg:"" passthrough:"" help:"What to run meanwhile."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	var c command
	parser := kong.Parse(&c, kong.Description("Run a command, and draw what the service's processes need meanwhile."))
	err := c.run(ctx)
	if failed, ok := err.(*exec.ExitError); ok {
		os.Exit(failed.ExitCode()) // it has said why
	}
	parser.FatalIfErrorf(err)
}

func (c *command) run(ctx context.Context) error {
	all := newWatch(c.URLs)
	if err := c.look(ctx, all, 0); err != nil {
		return err
	}
	run := exec.CommandContext(ctx, c.Command[0], c.Command[1:]...)
	run.Stdin, run.Stdout, run.Stderr = os.Stdin, os.Stdout, os.Stderr
	run.Cancel = func() error { return run.Process.Signal(os.Interrupt) }
	began := time.Now()
	if err := run.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()

	ticks := time.NewTicker(c.Every)
	defer ticks.Stop()
	for {
		select {
		case err := <-ended:
			what := fmt.Sprintf("%s, a look every %v", strings.Join(c.Command, " "), c.Every)
			fmt.Printf("%s\n%s\n\n%s\n", report.Machine(), what, all.table())
			if err != nil || c.Figure == "" {
				return err
			}
			return all.chart(report.Machine(), what).Write(c.Figure)
		case <-ticks.C:
			if err := c.look(ctx, all, time.Since(began)); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "watch:", err) // the command tells whether that matters
			}
		}
	}
}

// look gives the processes as much time as there is until the next look.
func (c *command) look(ctx context.Context, all *watch, at time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, max(c.Every, time.Second))
	defer cancel()
	return all.look(ctx, at)
}

// measures are what is looked at.
var measures = []struct {
	title, metric string
	unit          float64
}{
	{"Resident memory, MB", "process_resident_memory_bytes", 1e6},
	{"The collector's heap goal, MB", "go_memstats_next_gc_bytes", 1e6},
	{"Goroutines", "go_goroutines", 1},
	{"Open files", "process_open_fds", 1},
}

// A watch is what was seen so far: a value of each measure and process for each look.
type watch struct {
	services []rig.Service
	at       []time.Duration
	values   [][][]float64 // by measure, by process, by look
}

func newWatch(urls []string) *watch {
	w := &watch{values: make([][][]float64, len(measures))}
	for _, url := range urls {
		w.services = append(w.services, rig.Service{URL: url})
	}
	for m := range measures {
		w.values[m] = make([][]float64, len(urls))
	}
	return w
}

// look asks all processes. A look that does not reach all of them is left out.
func (w *watch) look(ctx context.Context, at time.Duration) error {
	seen := make([]rig.Metrics, len(w.services))
	for i := range w.services {
		var err error
		if seen[i], err = w.services[i].Metrics(ctx); err != nil {
			return err
		}
	}
	w.at = append(w.at, at)
	for m, measure := range measures {
		for i := range seen {
			w.values[m][i] = append(w.values[m][i], seen[i].Sum(measure.metric)/measure.unit)
		}
	}
	return nil
}

// table shows medians of parts of the time: a single look says when the garbage was
// collected last.
func (w *watch) table() report.Table {
	head := []string{"", "process"}
	parts := []string{"first fifth", "second", "third", "fourth", "last"}
	t := report.Table{append(head, parts...)}
	for m, measure := range measures {
		for i, service := range w.services {
			row, values := []string{measure.title, service.URL}, w.values[m][i]
			for part := range parts {
				fifth := values[part*len(values)/len(parts) : (part+1)*len(values)/len(parts)]
				if len(fifth) == 0 { // there were few looks
					row = append(row, "–")
					continue
				}
				row = append(row, report.Number(report.Median(fifth)))
			}
			t = append(t, row)
		}
	}
	return t
}

func (w *watch) chart(caption ...string) report.Chart {
	c := report.Chart{Title: "What the processes need while time passes (minutes)", Caption: caption}
	labels := make([]string, len(w.at))
	for i, at := range w.at {
		labels[i] = report.Number(float64(int(at.Minutes())))
	}
	for m, measure := range measures {
		panel := report.Panel{Title: measure.title, Labels: labels}
		for i, service := range w.services {
			panel.Lines = append(panel.Lines, report.Line{Name: service.URL, Values: w.values[m][i]})
		}
		c.Panels = append(c.Panels, panel)
	}
	return c
}
