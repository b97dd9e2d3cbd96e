package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/report"
)

// runs are three rounds of two modes, the second of which had one bad round.
func runs() results {
	run := func(mode string, took time.Duration, queries float64) result {
		return result{
			mode: mode, reads: 950, writes: 50, took: took, p50: time.Millisecond, p99: 2 * time.Millisecond,
			cpu: .1, queries: queries, commands: 500, bytes: 8e6, hits: 475,
		}
	}
	return results{
		run("both", time.Second, 19), run("off", time.Second, 1900),
		run("off", time.Second, 1900), run("both", 20*time.Second, 190),
		run("both", 2*time.Second, 19), run("off", time.Second, 1900),
	}
}

func TestTheTableHasTheMedianOfEachModeInTheirOrder(t *testing.T) {
	want := report.Table{
		{"cache", "requests/s", "p50", "p99", "CPU per request", "queries per read", "of off", "Redis commands per request", "bytes per answer", "answered from the cache"},
		{"off", "1,000", "1 ms", "2 ms", "100 µs", "2", "100 %", "0.500", "8,000", "50 %"},
		{"both", "500", "1 ms", "2 ms", "100 µs", "0.0200", "1 %", "0.500", "8,000", "50 %"},
	}
	if diff := cmp.Diff(want, runs().table()); diff != "" {
		t.Error(diff)
	}
}

func TestWithoutOffThereIsNothingToCompareWith(t *testing.T) {
	var both results
	for _, r := range runs() {
		if r.mode == "both" {
			both = append(both, r)
		}
	}
	if table := both.table(); len(table) != 2 || table[1][6] != "–" {
		t.Errorf("the table is %v", table)
	}
}

func TestTheChartIsMadeOfTheSameMedians(t *testing.T) {
	chart := runs().chart("a machine", "a command")
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
