package report_test

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/report"
)

func TestATableIsMarkdown(t *testing.T) {
	table := report.Table{{"cache", "requests/s"}, {"off", "900"}}
	want := "| cache | requests/s |\n| ---   | ---        |\n| off   | 900        |\n"
	if diff := cmp.Diff(want, table.String()); diff != "" {
		t.Error(diff)
	}
}

func TestNumbersShowWhatCounts(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1234567: "1,234,567", 12345: "12,345", 999: "999", 45.21: "45.2", 7: "7", 1.9951: "2.00", 0.031249: "0.0312", 0.27: "0.270",
	} {
		if got := report.Number(v); got != want {
			t.Errorf("%v is printed %q, want %q", v, got, want)
		}
	}
	if got := report.Micros(1500 * time.Nanosecond); got != "1.50 µs" {
		t.Errorf("1.5 µs are printed %q", got)
	}
	if got := report.Millis(250 * time.Millisecond); got != "250 ms" {
		t.Errorf("250 ms are printed %q", got)
	}
}

func TestMedianAndPercentile(t *testing.T) {
	if m := report.Median([]float64{9, 1, 5}); m != 5 {
		t.Errorf("the median is %v", m)
	}
	if m := report.Median([]float64{2, 1}); m != 1 {
		t.Errorf("of two, the median is %v", m)
	}
	var sorted []time.Duration
	for i := range 200 {
		sorted = append(sorted, time.Duration(i))
	}
	if p := report.Percentile(sorted, 99); p != 198 {
		t.Errorf("the 99th percentile is %d", p)
	}
	if p := report.Percentile(nil, 50); p != 0 {
		t.Errorf("the median of nothing is %d", p)
	}
}

// A chart is a whole SVG that shows every title, label and value it was given.
func TestAChartShowsAllOfItsFigures(t *testing.T) {
	chart := report.Chart{
		Title: "The same traffic", Caption: []string{"one machine", "make compare"},
		Panels: []report.Panel{
			{Title: "Requests per second", Labels: []string{"off", "both"}, Values: []float64{812, 13400}},
			{Title: "CPU, µs per request", Labels: []string{"off", "both"}, Values: []float64{417, 61.3}},
			{Title: "Queries per read", Labels: []string{"off", "both"}, Values: []float64{2, 0.0312}},
		},
	}
	path := filepath.Join(t.TempDir(), "figures", "chart.svg")
	if err := chart.Write(path); err != nil {
		t.Fatal(err)
	}
	drawn, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := textOf(t, string(drawn))
	for _, want := range []string{
		"The same traffic", "one machine", "make compare", "Requests per second", "Queries per read",
		"off", "both", "812", "13,400", "61.3", "0.0312",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the chart does not show %q; its text is %q", want, text)
		}
	}
}

// textOf is what an XML document says, one element a line.
func textOf(t *testing.T, document string) string {
	t.Helper()
	var text strings.Builder
	for d := xml.NewDecoder(strings.NewReader(document)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return text.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		if words, ok := token.(xml.CharData); ok {
			text.Write(words)
			text.WriteByte('\n')
		}
	}
}
