package main

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/report"
)

// times are so many, all alike.
func times(n int, each time.Duration) []time.Duration { return slices.Repeat([]time.Duration{each}, n) }

// runs are three rounds of two modes, the second of which had one bad round.
func runs(w workload) results {
	run := func(mode string, took time.Duration, queries, redis float64) result {
		return result{
			mode: mode, reads: times(950, time.Millisecond), writes: times(50, 3*time.Millisecond), took: took,
			cpu: .1, redis: redis, postgres: .2, queries: queries, commands: 500, trips: 250, bytes: 8e6,
			outcomes: map[string]int{"HIT": 380, "STALE": 95, "MISS": 475}, redisBytes: 4096, redisKeys: 12,
		}
	}
	return results{w, []result{
		run("both", time.Second, 19, .05), run("off", time.Second, 1900, .1),
		run("off", time.Second, 1900, .1), run("both", 20*time.Second, 190, .5),
		run("both", 2*time.Second, 19, .05), run("off", time.Second, 1900, .1),
	}}
}

func TestTheTableHasTheMedianOfEachModeInTheirOrder(t *testing.T) {
	want := report.Table{
		{"cache", "requests/s", "p50", "p99", "CPU per request", "CPU of Redis", "CPU of Postgres", "sum", "queries per read", "of off", "Redis commands per request", "bytes per answer", "answered from the cache"},
		{"off", "1,000", "1 ms", "1 ms", "100 µs", "100 µs", "200 µs", "400 µs", "2", "100 %", "0.500", "8,000", "50 %"},
		{"both", "500", "1 ms", "1 ms", "100 µs", "50 µs", "200 µs", "350 µs", "0.0200", "1 %", "0.500", "8,000", "50 %"},
	}
	if diff := cmp.Diff(want, runs(hot).table()); diff != "" {
		t.Error(diff)
	}
}

func TestTheTableOfTheWideWorkloadHasWhatTheServersDo(t *testing.T) {
	want := report.Table{
		{"cache", "requests/s", "CPU per request", "CPU of Redis", "CPU of Postgres", "sum", "of off", "queries per read",
			"Redis commands per request", "Redis round trips per request", "reads p50", "reads p99", "writes p50", "writes p99",
			"HIT", "MISS", "STALE", "bytes in Redis", "keys in Redis"},
		{"off", "1,000", "100 µs", "100 µs", "200 µs", "400 µs", "100 %", "2", "0.500", "0.250", "1 ms", "1 ms", "3 ms", "3 ms", "40 %", "50 %", "10 %", "4,096", "12"},
		{"both", "500", "100 µs", "50 µs", "200 µs", "350 µs", "87.5 %", "0.0200", "0.500", "0.250", "1 ms", "1 ms", "3 ms", "3 ms", "40 %", "50 %", "10 %", "4,096", "12"},
	}
	if diff := cmp.Diff(want, runs(wide).table()); diff != "" {
		t.Error(diff)
	}
}

// One round without a figure is enough: the median of the others would be another one's.
func TestWhatCannotBeReadIsNotAFigure(t *testing.T) {
	rs := runs(wide)
	for i := range rs.runs {
		if rs.runs[i].mode == "both" {
			rs.runs[i].postgres = math.NaN()
			break
		}
	}
	table := rs.table()
	for _, c := range []struct {
		column    int
		off, both string
	}{{4, "200 µs", "–"}, {5, "400 µs", "–"}, {6, "100 %", "–"}, {3, "100 µs", "50 µs"}} {
		if off, both := table[1][c.column], table[2][c.column]; off != c.off || both != c.both {
			t.Errorf("%s is %s and %s, want %s and %s", table[0][c.column], off, both, c.off, c.both)
		}
	}
}

func TestOfNoWritesThereIsNoMedian(t *testing.T) {
	rs := runs(wide)
	for i := range rs.runs {
		rs.runs[i].writes = nil
	}
	if table := rs.table(); table[1][12] != "–" || table[1][13] != "–" || table[1][10] != "1 ms" {
		t.Errorf("the row is %v", table[1])
	}
}

func TestWithoutOffThereIsNothingToCompareWith(t *testing.T) {
	rs := runs(hot)
	rs.runs = slices.DeleteFunc(rs.runs, func(r result) bool { return r.mode == "off" })
	if table := rs.table(); len(table) != 2 || table[1][9] != "–" {
		t.Errorf("the table is %v", table)
	}
}

func TestTheChartIsMadeOfTheSameMedians(t *testing.T) {
	chart := runs(hot).chart("a machine", "a command")
	if len(chart.Panels) != 4 || len(chart.Caption) != 2 {
		t.Fatalf("the chart is %+v", chart)
	}
	want := report.Panel{Title: "Postgres, queries per read", Labels: []string{"off", "both"}, Values: []float64{2, .02}}
	if diff := cmp.Diff(want, chart.Panels[2]); diff != "" {
		t.Error(diff)
	}
	if _, err := chart.SVG(); err != nil {
		t.Error(err)
	}
}

func TestARunWithFailuresFails(t *testing.T) {
	if err := failures(nil); err != nil {
		t.Error(err)
	}
	err := failures(map[string]int{"503 Service Unavailable": 2, "EOF": 1})
	if err == nil || !strings.Contains(err.Error(), "1 × EOF; 2 × 503 Service Unavailable") {
		t.Errorf("the error is %v", err)
	}
}
