package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/report"
)

// process is a service that has one goroutine more each time that it is asked.
func process(t *testing.T) (url string) {
	var asked atomic.Int64
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			t.Errorf("asked for %s", r.URL)
		}
		fmt.Fprintf(w, "# TYPE go_goroutines gauge\ngo_goroutines %d\n# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes 5e7\n", asked.Add(1))
	}))
	t.Cleanup(service.Close)
	return service.URL
}

func TestWhatIsSeenIsTold(t *testing.T) {
	w := newWatch([]string{process(t), process(t)})
	for n := range 10 {
		if err := w.look(t.Context(), time.Duration(n)*time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	table := w.table()
	want := []string{"Goroutines", w.services[1].URL, "1", "3", "5", "7", "9"}
	if diff := cmp.Diff(want, table[6]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Resident memory, MB", w.services[0].URL, "50", "50", "50", "50", "50"}, table[1]); diff != "" {
		t.Error(diff)
	}
	want = []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
	panel := w.chart().Panels[2]
	if diff := cmp.Diff(want, panel.Labels); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(report.Line{Name: w.services[0].URL, Values: []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}, panel.Lines[0]); diff != "" {
		t.Error(diff)
	}
}

func TestItEndsAsTheCommandDid(t *testing.T) {
	figure := filepath.Join(t.TempDir(), "figure.svg")
	c := command{URLs: []string{process(t)}, Every: time.Millisecond, Figure: figure, Command: []string{"sh", "-c", "sleep 0.1; exit 3"}}
	err := c.run(t.Context())
	if failed, ok := errors.AsType[*exec.ExitError](err); !ok || failed.ExitCode() != 3 {
		t.Errorf("a command that exits with 3: %v", err)
	}
	if _, err := os.Stat(figure); err == nil {
		t.Error("what has failed is drawn over what is there")
	}
	c.Command = []string{"sleep", "0.1"}
	if err := c.run(t.Context()); err != nil {
		t.Error(err)
	}
	if svg, err := os.ReadFile(figure); err != nil || !strings.Contains(string(svg), "Goroutines") {
		t.Errorf("the figure: %v, %.80s", err, svg)
	}
	c = command{URLs: []string{process(t)}, Every: time.Hour, Command: []string{"true"}} // one look
	if err := c.run(t.Context()); err != nil {
		t.Error(err)
	}
	c = command{URLs: []string{"http://127.0.0.1:1"}, Every: time.Second, Command: []string{"true"}}
	if c.run(t.Context()) == nil {
		t.Error("a service that is not there is not noticed")
	}
}
