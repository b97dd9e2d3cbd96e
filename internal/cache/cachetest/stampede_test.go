package cachetest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"example.com/communityfeed/internal/report"
	"example.com/communityfeed/internal/testenv"
)

var stampedeRounds = flag.Int("stampede-rounds", 3, "how often the stampede runs, each time for another cold key")

// A thousand readers in each of three operating system processes ask for one cold
// key at once. That there is one load is asserted, its times are printed.
func TestStampedeOfThreeProcessesIsOneLoad(t *testing.T) {
	url, prefix := testenv.Redis(t), testenv.Prefix(t)
	var herd []*stampeding
	for range 3 {
		herd = append(herd, startStampeding(t, stampedeOrder{URL: url, Prefix: prefix}))
	}
	var all, p50s, p99s, slowest []time.Duration
	loads := int64(0)
	rows := report.Table{{"round", "loads", "p50", "p99", "slowest", "the load", "begun within"}}
	row := func(name string, loads int64, took []time.Duration, load, spread string) {
		slices.Sort(took)
		rows = append(rows, []string{name, fmt.Sprint(loads), report.Millis(report.Percentile(took, 50)), report.Millis(report.Percentile(took, 99)), report.Millis(took[len(took)-1]), load, spread})
	}
	for round := range *stampedeRounds {
		for _, p := range herd {
			p.send(stampedeOrder{Key: fmt.Sprint("cold", round)})
		}
		for _, p := range herd {
			p.receive()
		}
		for _, p := range herd {
			p.send(stampedeOrder{})
		}
		var took []time.Duration
		var first, last time.Time
		var load time.Duration
		loadsNow := int64(0)
		for _, p := range herd {
			a := p.receive()
			took = append(took, a.Took...)
			loadsNow += a.Loads
			load = max(load, a.Elapsed)
			if first.IsZero() || a.Fired.Before(first) {
				first = a.Fired
			}
			if a.Fired.After(last) {
				last = a.Fired
			}
		}
		if loadsNow != 1 {
			t.Errorf("round %d: %d loads, want 1", round, loadsNow)
		}
		loads += loadsNow
		all = append(all, took...)
		row(fmt.Sprint(round+1), loadsNow, took, report.Millis(load), report.Millis(last.Sub(first)))
		p50s, p99s, slowest = append(p50s, report.Percentile(took, 50)), append(p99s, report.Percentile(took, 99)), append(slowest, took[len(took)-1])
	}
	row("all", loads, all, "", "")
	middle := func(of []time.Duration) string { slices.Sort(of); return report.Millis(report.Percentile(of, 50)) }
	rows = append(rows, []string{"median round", "", middle(p50s), middle(p99s), middle(slowest), "", ""})
	t.Logf("%d readers in each of %d processes, a load takes %v; times count from when the readers of a process were let go\n%s\n\n%s",
		stampedeReaders, len(herd), stampedeLoad, machine(t, url), rows)
}

// stampeding is a process of the stampede, as its parent sees it.
type stampeding struct {
	t       *testing.T
	orders  *json.Encoder
	answers *json.Decoder
}

func startStampeding(t *testing.T, first stampedeOrder) *stampeding {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), stampedeMark+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("a process of the stampede: %v", err)
		}
	})
	p := &stampeding{t, json.NewEncoder(in), json.NewDecoder(out)}
	p.send(first)
	p.receive()
	return p
}

func (p *stampeding) send(o stampedeOrder) {
	p.t.Helper()
	if err := p.orders.Encode(o); err != nil {
		p.t.Fatal(err)
	}
}

func (p *stampeding) receive() stampedeAnswer {
	p.t.Helper()
	var a stampedeAnswer
	if err := p.answers.Decode(&a); err != nil {
		p.t.Fatal(err)
	}
	if a.Error != "" {
		p.t.Error(a.Error)
	}
	return a
}
