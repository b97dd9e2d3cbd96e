package main

import (
	"slices"
	"strings"
	"testing"

	"example.com/communityfeed/internal/cache"
)

func some() costs {
	return costs{
		{size{1000, 8192}, 95e-9, 35e-9, 36e-6, 190e-6, 27e-6, 9127, 8790, 10600},
		{size{100000, 8192}, 700e-9, 270e-9, 50e-6, 190e-6, 27e-6, 9127, 8790, 10600},
	}
}

func TestTheTableSaysUnits(t *testing.T) {
	row := strings.Join(some().table()[1], ", ")
	if want := "1,000, 8,192 B, 95 ns, 35 ns, 36 µs, 190 µs, 27 µs, 8,790 B, 9,127 B, 10,600 B"; row != want {
		t.Errorf("the row is\n%s, want\n%s", row, want)
	}
}

func TestTheChartHasABarForEachSize(t *testing.T) {
	chart := some().chart("a machine")
	for _, p := range chart.Panels {
		if !slices.Equal(p.Labels, []string{"1,000", "100,000"}) || len(p.Values) != 2 {
			t.Errorf("%s: %q %v", p.Title, p.Labels, p.Values)
		}
	}
	if _, err := chart.SVG(); err != nil {
		t.Error(err)
	}
}

// All that is measured in the process, on few entries.
func TestHitsAreMeasuredOnHits(t *testing.T) {
	c := cost{size: size{entries: 600, body: 100}}
	if err := c.inProcess(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.inLRU(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.hitL1 <= 0 || c.rawLRU <= 0 || c.heap < 100 || c.accounted < 100 {
		t.Errorf("measured: %+v", c)
	}
}

// What is timed as a hit and is none ends the run.
func TestAMissIsNotTakenForAHit(t *testing.T) {
	c := cache.New(nil, cache.Options{})
	defer c.Close()
	s := pages(c, 100)
	if err := fetch(t.Context(), s, "42", cache.HitL1); err == nil {
		t.Error("the first read passes for a hit")
	}
	if err := fetch(t.Context(), s, "42", cache.HitL1); err != nil {
		t.Error(err)
	}
}

func TestNobodyIsDrawnTwice(t *testing.T) {
	users := drawn(1000, 500)
	slices.Sort(users)
	if len(slices.Compact(users)) != 500 {
		t.Errorf("some of %q are there twice", users)
	}
}
