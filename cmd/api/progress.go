package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how the rows of one table after the other are copied: as a bar
// per table on a terminal, else as plain lines, few enough for a log.
type progress struct {
	w      io.Writer
	bars   bool
	totals map[string]int64 // where they are known

	table string
	rows  int64
	bar   *progressbar.ProgressBar
	told  time.Time
}

func newProgress(w io.Writer, totals map[string]int64) *progress {
	f, ok := w.(*os.File)
	return &progress{w: w, bars: ok && term.IsTerminal(int(f.Fd())), totals: totals, told: time.Now()}
}

// report hears that so many rows of a table have been copied.
func (p *progress) report(table string, rows int64) {
	if table != p.table {
		p.end()
		p.table, p.told = table, time.Now()
		if p.bars {
			p.bar = p.newBar()
		}
	}
	p.rows = rows
	switch {
	case p.bars:
		_ = p.bar.Set64(rows)
	case time.Since(p.told) >= 5*time.Second:
		p.told = time.Now()
		fmt.Fprintf(p.w, "%-18s %9d rows so far\n", p.table, p.rows)
	}
}

// end finishes the table under way, if there is one.
func (p *progress) end() {
	switch {
	case p.table == "":
	case p.bars:
		_ = p.bar.Finish()
		fmt.Fprintln(p.w)
	default:
		fmt.Fprintf(p.w, "%-18s %9d rows\n", p.table, p.rows)
	}
	p.table = ""
}

func (p *progress) newBar() *progressbar.ProgressBar {
	total, known := p.totals[p.table]
	if !known {
		total = -1
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(p.w),
		progressbar.OptionSetDescription(fmt.Sprintf("%-18s", p.table)),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetPredictTime(known),
	)
}
