package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"example.com/communityfeed/internal/report"
)

// A result is one run of one mode. NaN is what could not be read.
type result struct {
	mode       string
	reads      []time.Duration // sorted, as are writes
	writes     []time.Duration
	took       time.Duration
	cpu        float64        // of the service's processes, in seconds
	redis      float64        // the same of Redis
	postgres   float64        // and of Postgres
	queries    float64        // of the read pool
	commands   float64        // in Redis
	trips      float64        // to Redis
	bytes      float64        // that the service sent
	outcomes   map[string]int // of reads, by X-Cache
	same       int            // 304
	redisBytes float64        // that are more in Redis when the service has ended
	redisKeys  float64
}

func (r result) requests() float64         { return float64(len(r.reads) + len(r.writes)) }
func (r result) perSecond() float64        { return r.requests() / r.took.Seconds() }
func (r result) each(cpu float64) float64  { return cpu * 1e6 / r.requests() }
func (r result) serviceMicros() float64    { return r.each(r.cpu) }
func (r result) redisMicros() float64      { return r.each(r.redis) }
func (r result) postgresMicros() float64   { return r.each(r.postgres) }
func (r result) sumMicros() float64        { return r.each(r.cpu + r.redis + r.postgres) }
func (r result) perRead() float64          { return r.queries / float64(len(r.reads)) }
func (r result) perRequest() float64       { return r.commands / r.requests() }
func (r result) tripsPerRequest() float64  { return r.trips / r.requests() }
func (r result) sent() float64             { return r.bytes / r.requests() }
func (r result) readMedian() float64       { return inMillis(r.reads, 50) }
func (r result) readTail() float64         { return inMillis(r.reads, 99) }
func (r result) writeMedian() float64      { return inMillis(r.writes, 50) }
func (r result) writeTail() float64        { return inMillis(r.writes, 99) }
func (r result) answeredFromCopy() float64 { return r.with("HIT") + r.with("STALE") }
func (r result) redisKeysLeft() float64    { return r.redisKeys }

// redisBytesLeft is nothing where Redis has only freed what it held for connections.
func (r result) redisBytesLeft() float64 { return max(0, r.redisBytes) }

// with is the share of reads that were answered with this X-Cache.
func (r result) with(outcome string) float64 {
	return float64(r.outcomes[outcome]) / float64(len(r.reads))
}

// share is with as a figure.
func share(outcome string) func(result) float64 {
	return func(r result) float64 { return r.with(outcome) }
}

func inMillis(sorted []time.Duration, n int) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	return report.Percentile(sorted, n).Seconds() * 1e3
}

// results are all runs of a workload, in the order in which they were made.
type results struct {
	workload
	runs []result
}

// names are the modes that ran, in the workload's order.
func (rs results) names() (names []string) {
	for _, m := range rs.modes {
		if slices.ContainsFunc(rs.runs, func(r result) bool { return r.mode == m.name }) {
			names = append(names, m.name)
		}
	}
	return names
}

// median is that of one figure over the runs of a mode; NaN if one of them has none.
func (rs results) median(mode string, figure func(result) float64) float64 {
	var values []float64
	for _, r := range rs.runs {
		if r.mode == mode {
			values = append(values, figure(r))
		}
	}
	if len(values) == 0 || slices.ContainsFunc(values, math.IsNaN) {
		return math.NaN()
	}
	return report.Median(values)
}

// A column shows one figure of each mode.
type column struct {
	head   string
	figure func(result) float64
	show   func(float64) string
	ofOff  bool // as a share of the figure with the cache off
}

// table has one row for each mode, of medians over its runs.
func (rs results) table() report.Table {
	head := []string{"cache"}
	for _, c := range rs.columns {
		head = append(head, c.head)
	}
	t := report.Table{head}
	for _, name := range rs.names() {
		row := []string{name}
		for _, c := range rs.columns {
			v := rs.median(name, c.figure)
			if c.ofOff {
				v /= rs.median("off", c.figure)
			}
			row = append(row, known(v, c.show))
		}
		t = append(t, row)
	}
	return t
}

// known shows a figure, or that there is none.
func known(v float64, show func(float64) string) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	return show(v)
}

func percent(share float64) string { return report.Number(share*100) + " %" }
func millis(v float64) string      { return report.Number(v) + " ms" }
func micros(v float64) string      { return report.Number(v) + " µs" }

// chart draws four of the columns.
func (rs results) chart(caption ...string) report.Chart {
	names := rs.names()
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
			panel("CPU of the service, µs per request", result.serviceMicros),
			panel("Postgres, queries per read", result.perRead),
			panel("99th percentile of reads, ms", result.readTail),
		},
	}
}

// String is one line, for those who watch.
func (r result) String() string {
	line := fmt.Sprintf("%-10s  %8s requests/s  p99 %s ms  %s µs CPU, with Redis and Postgres %s  %s queries/read  %s Redis commands",
		r.mode, report.Number(r.perSecond()), known(r.readTail(), report.Number), report.Number(r.serviceMicros()), known(r.sumMicros(), micros),
		report.Number(r.perRead()), report.Number(r.perRequest()))
	if r.same > 0 {
		line += fmt.Sprintf("  304: %s", percent(float64(r.same)/float64(len(r.reads))))
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
