package cachetest

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/redis/go-redis/v9"
)

// A table is printed as Markdown: its first row is the heading.
type table [][]string

func (t table) String() string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
	line := func(cells []string) { w.Write([]byte("| " + strings.Join(cells, "\t| ") + "\t|\n")) }
	for i, row := range t {
		line(row)
		if i == 0 {
			line(slices.Repeat([]string{"---"}, len(row)))
		}
	}
	w.Flush()
	return b.String()
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }

func micros(d time.Duration) string { return fmt.Sprintf("%d µs", d.Microseconds()) }

// machine says on what the figures were measured.
func machine(t testing.TB, redisURL string) string {
	t.Helper()
	options, err := redis.ParseURL(redisURL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	info, err := client.InfoMap(t.Context(), "server").Result()
	if err != nil {
		t.Fatal(err)
	}
	cpu := runtime.GOARCH
	about, _ := os.ReadFile("/proc/cpuinfo") // where there is none, the architecture must do
	if model := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(about); model != nil {
		cpu = string(model[1])
	}
	return fmt.Sprintf("%s, %s, %d CPUs of %s, Redis %s", runtime.Version(), runtime.GOOS, runtime.NumCPU(), cpu, info["Server"]["redis_version"])
}

// percentile returns the nth percentile of sorted times.
func percentile(sorted []time.Duration, n int) time.Duration {
	return sorted[min(len(sorted)*n/100, len(sorted)-1)]
}
