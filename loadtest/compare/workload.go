package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/communityfeed/internal/report"
)

// A workload is what is sent, to what, and which figures of it are shown.
type workload struct {
	name string
	mix
	rate      float64 // requests per second, answered or not; 0: each connection asks again when it has been answered
	processes int     // that take turns
	warmup    time.Duration
	measured  time.Duration
	modes     []mode
	columns   []column
}

// A mode is one way to run what is measured.
type mode struct {
	name        string
	byHand      bool   // it is the peer, not the service
	cache       string // its --cache
	conditional bool
}

// hot is what few communities and few readers make: most pages are read again soon.
var hot = workload{
	name:      "hot",
	mix:       mix{Users: 1000, Communities: 40, Follows: 3, Locales: 3, Orders: 2, Writes: 0.05, Posts: 0.05, Skew: 1.1, Requests: 1 << 20},
	processes: 1, warmup: 5 * time.Second, measured: 10 * time.Second,
	modes: []mode{
		{name: "off", cache: "off"},
		{name: "L2", cache: "l2"},
		{name: "L1", cache: "l1"},
		{name: "both", cache: "both"},
		{name: "both + 304", cache: "both", conditional: true},
	},
	columns: []column{
		{"requests/s", result.perSecond, report.Number, false},
		{"p50", result.readMedian, millis, false},
		{"p99", result.readTail, millis, false},
		{"CPU per request", result.serviceMicros, micros, false},
		{"CPU of Redis", result.redisMicros, micros, false},
		{"CPU of Postgres", result.postgresMicros, micros, false},
		{"sum", result.sumMicros, micros, false},
		{"queries per read", result.perRead, report.Number, false},
		{"of off", result.perRead, percent, true},
		{"Redis commands per request", result.perRequest, report.Number, false},
		{"bytes per answer", result.sent, report.Number, false},
		{"answered from the cache", result.answeredFromCopy, percent, false},
	},
}

// wide is what everybody makes who reads everything: 120,000 pages, most of which
// nobody asks for again while they are fresh.
var wide = workload{
	name:      "wide",
	mix:       mix{Users: 1000, Communities: 40, Follows: 40, Locales: 3, EachLocale: true, Orders: 1, Writes: 0.05, Posts: 1, Requests: 1 << 20},
	rate:      500,
	processes: 2, warmup: 15 * time.Second, measured: 20 * time.Second,
	modes: []mode{
		{name: "off", cache: "off"},
		{name: "L1", cache: "l1"},
		{name: "both", cache: "both"},
		{name: "peer", byHand: true, cache: "on"},
		{name: "plain", byHand: true, cache: "off"},
	},
	columns: []column{
		{"requests/s", result.perSecond, report.Number, false},
		{"CPU per request", result.serviceMicros, micros, false},
		{"CPU of Redis", result.redisMicros, micros, false},
		{"CPU of Postgres", result.postgresMicros, micros, false},
		{"sum", result.sumMicros, micros, false},
		{"of off", result.sumMicros, percent, true},
		{"queries per read", result.perRead, report.Number, false},
		{"Redis commands per request", result.perRequest, report.Number, false},
		{"Redis round trips per request", result.tripsPerRequest, report.Number, false},
		{"reads p50", result.readMedian, millis, false},
		{"reads p99", result.readTail, millis, false},
		{"writes p50", result.writeMedian, millis, false},
		{"writes p99", result.writeTail, millis, false},
		{"HIT", share("HIT"), percent, false},
		{"MISS", share("MISS"), percent, false},
		{"STALE", share("STALE"), percent, false},
		{"bytes in Redis", result.redisBytesLeft, report.Number, false},
		{"keys in Redis", result.redisKeysLeft, report.Number, false},
	},
}

func workloadOf(name string) workload {
	if name == wide.name {
		return wide
	}
	return hot
}

// command is how it is run.
func (w workload) command() string {
	if w.name == hot.name {
		return "make compare"
	}
	return "make compare WORKLOAD=" + w.name
}

// only keeps the modes of these names, in the workload's order; without names, all.
func (w *workload) only(names []string) error {
	if len(names) == 0 {
		return nil
	}
	var kept []mode
	for _, name := range names {
		i := slices.IndexFunc(w.modes, func(m mode) bool { return m.name == name })
		if i < 0 {
			return fmt.Errorf("the workload %s has no mode %q", w.name, name)
		}
	}
	for _, m := range w.modes {
		if slices.Contains(names, m.name) {
			kept = append(kept, m)
		}
	}
	w.modes = kept
	return nil
}

// String describes the traffic.
func (w workload) String() string {
	n := func(v float64) string { return report.Number(v) }
	parts := []string{fmt.Sprintf("%s users", n(float64(w.Users)))}
	if w.rate > 0 {
		parts = append([]string{n(w.rate) + " requests/s"}, parts...)
	}
	if w.processes > 1 {
		parts = append(parts, fmt.Sprintf("%d processes in turn", w.processes))
	}
	if w.EachLocale {
		parts = append(parts, fmt.Sprintf("%d locales each", w.Locales))
	}
	popular := "uniform"
	if w.Skew > 0 {
		popular = fmt.Sprintf("Zipf %.1f", w.Skew)
	}
	parts = append(parts, fmt.Sprintf("%d communities each of %d", w.Follows, w.Communities), popular)
	return fmt.Sprintf("%s; %s %% writes, of which %s %% posts; %v after %v of warm-up",
		strings.Join(parts, ", "), n(w.Writes*100), n(w.Posts*100), w.measured, w.warmup)
}
