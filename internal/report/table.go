// Package report puts what was measured into words and pictures: Markdown tables,
// charts in SVG, and the line that says on what it was measured.
//
// Idea: a figure without its machine and its command is a rumour. So every report
// begins with both, and a chart carries them in its own caption.
package report

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// A Table is printed as Markdown: its first row is the heading.
type Table [][]string

func (t Table) String() string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
	line := func(cells []string) { fmt.Fprintf(w, "| %s\t|\n", strings.Join(cells, "\t| ")) }
	for i, row := range t {
		line(row)
		if i == 0 {
			line(slices.Repeat([]string{"---"}, len(row)))
		}
	}
	w.Flush() // into memory, which does not fail
	return b.String()
}

// Number prints a number that is not negative with the three digits that count, a
// whole one as it is, and with commas between thousands: 12,345, 45.2, 7, 0.0312.
func Number(v float64) string {
	switch {
	case v == math.Trunc(v) && v < 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 1000:
		return thousands(v)
	}
	return strconv.FormatFloat(v, 'f', max(0, 2-int(math.Floor(math.Log10(v)))), 64)
}

func thousands(v float64) string {
	digits := fmt.Sprintf("%.0f", v)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// Millis prints a time in milliseconds, Micros in microseconds.
func Millis(d time.Duration) string { return Number(d.Seconds()*1e3) + " ms" }

// Micros prints a time in microseconds.
func Micros(d time.Duration) string { return Number(d.Seconds()*1e6) + " µs" }

// Percentile returns the nth percentile of sorted times; zero of none.
func Percentile(sorted []time.Duration, n int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*n/100, len(sorted)-1)]
}

// Median returns the middle one of the values, the lower of two. It panics when there
// are none.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}
