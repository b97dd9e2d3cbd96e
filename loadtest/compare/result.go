package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/communityfeed/internal/report"
)

// A mode is one way to run the service.
type mode struct {
	name        string
	cache       string // its --cache
	conditional bool
}

var modes = []mode{
	{"off", "off", false},
	{"L2", "l2", false},
	{"L1", "l1", false},
	{"both", "both", false},
	{"both + 304", "both", true},
}

// A result is one run of one mode.
type result struct {
	mode     string
	reads    int
	writes   int
	took     time.Duration
	p50, p99 time.Duration // of reads
	cpu      float64       // of the service, in seconds
	queries  float64       // of the read pool
	commands float64       // in Redis
	bytes    float64       // that the service sent
	hits     float64       // reads that were answered with a copy
	same     int           // 304
}

func (r result) requests() float64   { return float64(r.reads + r.writes) }
func (r result) perSecond() float64  { return r.requests() / r.took.Seconds() }
func (r result) cpuMicros() float64  { return r.cpu * 1e6 / r.requests() }
func (r result) perRead() float64    { return r.queries / float64(r.reads) }
func (r result) perRequest() float64 { return r.commands / r.requests() }
func (r result) sent() float64       { return r.bytes / r.requests() }
func (r result) millis50() float64   { return r.p50.Seconds() * 1e3 }
func (r result) millis99() float64   { return r.p99.Seconds() * 1e3 }

// results are all runs, in the order in which they were made.
type results []result

// modes are those that ran, in order of their first run's rank in the list.
func (rs results) modes() (names []string) {
	for _, m := range modes {
		if slices.ContainsFunc(rs, func(r result) bool { return r.mode == m.name }) {
			names = append(names, m.name)
		}
	}
	return names
}

// median is that of one figure over the runs of a mode.
func (rs results) median(mode string, figure func(result) float64) float64 {
	var values []float64
	for _, r := range rs {
		if r.mode == mode {
			values = append(values, figure(r))
		}
	}
	return report.Median(values)
}

// table has one row for each mode, of medians over its runs.
func (rs results) table() report.Table {
	t := report.Table{{"cache", "requests/s", "p50", "p99", "CPU per request", "queries per read", "of off", "Redis commands per request", "bytes per answer", "answered from the cache"}}
	names := rs.modes()
	off := 0.0
	if slices.Contains(names, "off") {
		off = rs.median("off", result.perRead)
	}
	for _, name := range names {
		of := func(figure func(result) float64) string { return report.Number(rs.median(name, figure)) }
		share := "–"
		if off > 0 {
			share = percent(rs.median(name, result.perRead) / off)
		}
		t = append(t, []string{
			name, of(result.perSecond), of(result.millis50) + " ms", of(result.millis99) + " ms",
			of(result.cpuMicros) + " µs", of(result.perRead), share, of(result.perRequest), of(result.sent),
			percent(rs.median(name, func(r result) float64 { return r.hits / float64(r.reads) })),
		})
	}
	return t
}

func percent(share float64) string { return report.Number(share*100) + " %" }

// chart draws four of the columns.
func (rs results) chart(caption ...string) report.Chart {
	names := rs.modes()
	panel := func(title string, figure func(result) float64) report.Panel {
		p := report.Panel{Title: title, Labels: names}
		for _, name := range names {
			p.Values = append(p.Values, rs.median(name, figure))
		}
		return p
	}
	return report.Chart{
		Title:   "The same traffic, by where copies are kept",
		Caption: caption,
		Panels: []report.Panel{
			panel("Requests per second", result.perSecond),
			panel("CPU of the service, µs per request", result.cpuMicros),
			panel("Postgres, queries per read", result.perRead),
			panel("99th percentile of reads, ms", result.millis99),
		},
	}
}

// String is one line, for those who watch.
func (r result) String() string {
	line := fmt.Sprintf("%-10s  %8s requests/s  p99 %s ms  %s µs CPU  %s queries/read  %s Redis commands",
		r.mode, report.Number(r.perSecond()), report.Number(r.millis99()), report.Number(r.cpuMicros()), report.Number(r.perRead()), report.Number(r.perRequest()))
	if r.same > 0 {
		line += fmt.Sprintf("  304: %s", percent(float64(r.same)/float64(r.reads)))
	}
	return line
}

// failures tells what was answered instead of what was asked for, or nothing.
func failures(failed map[string]int) error {
	if len(failed) == 0 {
		return nil
	}
	var list []string
	for what, n := range failed {
		list = append(list, fmt.Sprintf("%d × %s", n, what))
	}
	slices.Sort(list)
	return fmt.Errorf("not every request was answered: %s", strings.Join(list, "; "))
}
