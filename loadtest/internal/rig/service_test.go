package rig

import (
	"bytes"
	"slices"
	"testing"
)

func TestMetricsAreSummedByTheirLabels(t *testing.T) {
	m, err := parseMetrics(bytes.NewBufferString(`# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 1.25
# TYPE communityfeed_postgres_acquires_total counter
communityfeed_postgres_acquires_total{pool="read"} 40
communityfeed_postgres_acquires_total{pool="write"} 2
# TYPE communityfeed_cache_loads_total counter
communityfeed_cache_loads_total{key="communities.list/1"} 30
communityfeed_cache_loads_total{key="feed.shared/4"} 10
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.CPU(); got != 1.25 {
		t.Errorf("CPU is %v", got)
	}
	if read, write := m.Queries("read"), m.Queries("write"); read != 40 || write != 2 {
		t.Errorf("the pools have %v and %v", read, write)
	}
	if all := m.Sum("communityfeed_cache_loads_total"); all != 40 {
		t.Errorf("there are %v loads", all)
	}
	if none := m.Sum("communityfeed_cache_loads_total", "key", "posts.one/1"); none != 0 {
		t.Errorf("a key that is not there has %v loads", none)
	}
	if keys := m.Values("communityfeed_cache_loads_total", "key"); !slices.Equal(keys, []string{"communities.list/1", "feed.shared/4"}) {
		t.Errorf("the keys are %q", keys)
	}
}

func TestMetricsOfAFleetAreAddedUp(t *testing.T) {
	all := make(Metrics)
	for _, text := range []string{"process_cpu_seconds_total 1.25\n", "process_cpu_seconds_total 2\nonly_here 3\n"} {
		m, err := parseMetrics(bytes.NewBufferString(text))
		if err != nil {
			t.Fatal(err)
		}
		all.add(m)
	}
	if all.CPU() != 3.25 || all.Sum("only_here") != 3 {
		t.Errorf("CPU is %v, and what one process has is %v", all.CPU(), all.Sum("only_here"))
	}
}
