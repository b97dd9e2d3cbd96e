package telemetry

import (
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is everything that one process tells Prometheus. Names have the
// prefix communityfeed_ and base units; what only grows ends in _total.
type Metrics struct {
	registry *prometheus.Registry
	requests *Requests
}

// NewMetrics returns metrics of the Go runtime, the process and, once a server
// reports to Requests, of HTTP. Cache, Events, Postgres and Redis add the rest;
// adding the same thing twice is a programming error and panics.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	)
	m.requests = newRequests(m.registry)
	return m
}

// Requests is where a server reports what it has answered.
func (m *Metrics) Requests() *Requests { return m.requests }

// Handler answers a scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

const namespace = "communityfeed"

// metric is one name of a collector's table.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func counter(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc(namespace+"_"+name+"_total", help, labels, nil), prometheus.CounterValue}
}

func gauge(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc(namespace+"_"+name, help, labels, nil), prometheus.GaugeValue}
}

// emit sends one reading of a metric.
type emit func(m metric, value float64, labels ...string)

// each sends a reading for each value of the last label.
func (e emit) each(m metric, counts map[string]uint64, labels ...string) {
	for last, n := range counts {
		e(m, float64(n), append(slices.Clone(labels), last)...)
	}
}

// collector reads Stats when it is scraped. What it holds in memory is a table
// of names and a function.
type collector struct {
	metrics []metric
	read    func(emit)
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		ch <- m.desc
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.read(func(m metric, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...)
	})
}
