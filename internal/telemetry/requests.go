package telemetry

import (
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// requestBuckets are in seconds. The finest are for hits, the coarsest for what
// runs into a deadline.
var requestBuckets = []float64{
	.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10,
}

// Requests counts and times HTTP requests by route. Looking labels up costs
// more than counting does, so it is done once per route and status code.
type Requests struct {
	inFlight atomic.Int64
	count    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec

	mu     sync.Mutex                                   // for adding a route
	routes atomic.Pointer[map[routeName]*RouteRequests] // never changed, only replaced
}

type routeName struct{ method, pattern string }

func newRequests(r prometheus.Registerer) *Requests {
	q := &Requests{
		count: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "http_requests_total",
			Help: "Requests by route and status code; 499 is a client that left before the answer.",
		}, []string{"method", "route", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "http_request_seconds",
			Help:    "Time from the request's header to the answer's last byte.",
			Buckets: requestBuckets,
		}, []string{"method", "route"}),
	}
	q.routes.Store(&map[routeName]*RouteRequests{})
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "http_requests_in_flight",
		Help: "Requests being answered now.",
	}, func() float64 { return float64(q.inFlight.Load()) })
	r.MustRegister(inFlight, q.count, q.seconds)
	return q
}

// Begin notes that a request is being answered; Done that it no longer is.
func (q *Requests) Begin() { q.inFlight.Add(1) }

// Done is the end of what Begin began.
func (q *Requests) Done() { q.inFlight.Add(-1) }

// Route returns the counters of a method on a route's pattern. Both must come
// from the router, not from the client, since each pair is kept for good; a
// method that HTTP does not know is counted as "other".
func (q *Requests) Route(method, pattern string) *RouteRequests {
	name := routeName{method, pattern}
	if r, ok := (*q.routes.Load())[name]; ok {
		return r
	}
	name.method = known(method)
	q.mu.Lock()
	defer q.mu.Unlock()
	routes := *q.routes.Load()
	if r, ok := routes[name]; ok {
		return r
	}
	r := &RouteRequests{
		routeName: name,
		count:     q.count,
		seconds:   q.seconds.WithLabelValues(name.method, name.pattern),
	}
	routes = maps.Clone(routes)
	routes[name] = r
	q.routes.Store(&routes)
	return r
}

func known(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return "other"
}

// RouteRequests are the counters of one method on one route.
type RouteRequests struct {
	routeName
	count   *prometheus.CounterVec
	seconds prometheus.Observer
	codes   [600]atomic.Pointer[prometheus.Counter] // by status code, filled as they occur
}

// Observe counts one answer. Codes outside 100 to 599 count as 500.
func (r *RouteRequests) Observe(code int, took time.Duration) {
	r.seconds.Observe(took.Seconds())
	if code < 100 || code >= len(r.codes) {
		code = http.StatusInternalServerError
	}
	c := r.codes[code].Load()
	if c == nil {
		counter := r.count.WithLabelValues(r.method, r.pattern, strconv.Itoa(code))
		c = &counter
		r.codes[code].Store(c)
	}
	(*c).Inc()
}
