package telemetry_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/breaker"
	"example.com/communityfeed/internal/cache/local"
	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/telemetry"
)

// scrape reads /metrics into its lines.
func scrape(t *testing.T, m *telemetry.Metrics) map[string]bool {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK {
		t.Fatalf("the scrape answers %d: %s", rec.Code, rec.Body)
	}
	lines := map[string]bool{}
	for line := range strings.Lines(rec.Body.String()) {
		lines[strings.TrimSuffix(line, "\n")] = true
	}
	return lines
}

func wantLines(t *testing.T, lines map[string]bool, want string) {
	t.Helper()
	for line := range strings.FieldsFuncSeq(want, func(r rune) bool { return r == '\n' }) {
		if line = strings.TrimSpace(line); line != "" && !lines[line] {
			t.Errorf("the scrape lacks %s", line)
		}
	}
}

func TestTheCacheIsScrapedByKeyAndTier(t *testing.T) {
	m := telemetry.NewMetrics()
	m.Cache(func() cache.Stats {
		return cache.Stats{
			Keys: map[string]cache.KeyStats{
				"feed.page/1": {
					Kind: "page", HitL1: 1, HitL2: 2, Stale: 3, Miss: 4, Joined: 5, Errors: 6, Composed: 24, Bypass: 25,
					Loads: 7, LoadTime: 8500 * time.Millisecond,
					Fenced: 9, L2Errors: 12,
					Refused:     map[string]uint64{"lease_lost": 10},
					ServedStale: map[string]uint64{"changed": 20},
					Waits:       map[string]uint64{"stored": 11, "given_up": 0},
				},
				"products.one/2": {Kind: "response", Miss: 1},
			},
			Changed: 13, Revoked: 14, InvalidationErrors: 15, FenceRaised: 16,
			TrustLost: map[string]uint64{"event_late": 21},
			L2:        breaker.Stats{Open: true, Opened: 22, Failures: map[string]uint64{"timeout": 23}},
			L1:        local.Stats{Entries: 17, Bytes: 18, Evictions: 19},
		}
	})
	wantLines(t, scrape(t, m), `
		communityfeed_cache_reads_total{key="feed.page/1",kind="page",outcome="hit_l1"} 1
		communityfeed_cache_reads_total{key="feed.page/1",kind="page",outcome="hit_l2"} 2
		communityfeed_cache_reads_total{key="feed.page/1",kind="page",outcome="stale"} 3
		communityfeed_cache_reads_total{key="feed.page/1",kind="page",outcome="miss"} 4
		communityfeed_cache_reads_total{key="feed.page/1",kind="page",outcome="composed"} 24
		communityfeed_cache_reads_total{key="feed.page/1",kind="page",outcome="bypass"} 25
		communityfeed_cache_joined_total{key="feed.page/1",kind="page"} 5
		communityfeed_cache_reads_total{key="feed.page/1",kind="page",outcome="error"} 6
		communityfeed_cache_reads_total{key="products.one/2",kind="response",outcome="miss"} 1
		communityfeed_cache_loads_total{key="feed.page/1"} 7
		communityfeed_cache_load_seconds_total{key="feed.page/1"} 8.5
		communityfeed_cache_fills_fenced_total{key="feed.page/1"} 9
		communityfeed_cache_fills_refused_total{key="feed.page/1",reason="lease_lost"} 10
		communityfeed_cache_stale_served_total{key="feed.page/1",reason="changed"} 20
		communityfeed_cache_lease_waits_total{ending="stored",key="feed.page/1"} 11
		communityfeed_cache_lease_waits_total{ending="given_up",key="feed.page/1"} 0
		communityfeed_cache_l2_trust_lost_total{reason="event_late"} 21
		communityfeed_cache_breaker_open{of="l2"} 1
		communityfeed_cache_breaker_open{of="origin"} 0
		communityfeed_cache_breaker_opened_total{of="l2"} 22
		communityfeed_cache_breaker_failures_total{of="l2",reason="timeout"} 23
		communityfeed_cache_l2_errors_total{key="feed.page/1"} 12
		communityfeed_cache_invalidated_tags_total{how="changed"} 13
		communityfeed_cache_invalidated_tags_total{how="revoked"} 14
		communityfeed_cache_invalidation_errors_total 15
		communityfeed_cache_fence_raised_total 16
		communityfeed_cache_l1_entries 17
		communityfeed_cache_l1_bytes 18
		communityfeed_cache_l1_evictions_total 19`)
}

func TestTheBusAndTheOutboxAreScraped(t *testing.T) {
	bus := events.NewBus(slog.New(slog.DiscardHandler))
	bus.Subscribe("invalidation", func(_ context.Context, event any) error {
		if event == 1 {
			panic("one")
		}
		return nil
	})
	for i := range 3 {
		if err := bus.Publish(t.Context(), i); (err != nil) != (i == 1) {
			t.Fatal(err)
		}
	}

	m := telemetry.NewMetrics()
	outbox := events.NewOutbox(nil, bus, nil, slog.New(slog.DiscardHandler))
	m.Events(bus, outbox, events.NewRelay(outbox, events.RelayOptions{}))
	wantLines(t, scrape(t, m), `
		communityfeed_events_published_total 3
		communityfeed_events_publish_failures_total 1
		communityfeed_events_handled_total{outcome="ok",subscriber="invalidation"} 2
		communityfeed_events_handled_total{outcome="failed",subscriber="invalidation"} 1
		communityfeed_events_subscriber_panics_total{subscriber="invalidation"} 1
		communityfeed_outbox_written_total 0
		communityfeed_outbox_delivered_total 0
		communityfeed_outbox_left_undelivered_total 0`)
}

func TestBothClientsPoolsAreScraped(t *testing.T) {
	pool := func(url string) *pgxpool.Pool { // it connects when it is first used: never
		p, err := pgxpool.New(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		return p
	}
	m := telemetry.NewMetrics()
	m.Postgres(
		telemetry.Pool{Name: "read", Pool: pool("postgres://127.0.0.1:1/x?pool_max_conns=16")},
		telemetry.Pool{Name: "write", Pool: pool("postgres://127.0.0.1:1/x?pool_max_conns=4")},
	)
	m.Redis(func() *redis.PoolStats {
		return &redis.PoolStats{
			Hits: 1, Misses: 2, Timeouts: 3, WaitCount: 4, WaitDurationNs: 5_500_000_000,
			TotalConns: 10, IdleConns: 7, StaleConns: 8,
		}
	})
	wantLines(t, scrape(t, m), `
		communityfeed_postgres_connections_max{pool="read"} 16
		communityfeed_postgres_connections_max{pool="write"} 4
		communityfeed_postgres_connections{pool="read",state="acquired"} 0
		communityfeed_postgres_connections{pool="write",state="idle"} 0
		communityfeed_postgres_acquires_total{pool="read"} 0
		communityfeed_postgres_acquire_waits_total{pool="read"} 0
		communityfeed_postgres_acquire_wait_seconds_total{pool="read"} 0
		communityfeed_postgres_acquires_canceled_total{pool="read"} 0
		communityfeed_postgres_acquires_refused_total{pool="read"} 0
		communityfeed_redis_connections{state="used"} 3
		communityfeed_redis_connections{state="idle"} 7
		communityfeed_redis_acquires_total{outcome="reused"} 1
		communityfeed_redis_acquires_total{outcome="opened"} 2
		communityfeed_redis_acquires_total{outcome="timeout"} 3
		communityfeed_redis_acquire_waits_total 4
		communityfeed_redis_acquire_wait_seconds_total 5.5
		communityfeed_redis_connections_stale_total 8`)
}

func TestRequestsAreCountedByRouteAndCode(t *testing.T) {
	m := telemetry.NewMetrics()
	q := m.Requests()
	q.Begin()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				q.Route("GET", "/api/posts/:id").Observe(200, 3*time.Millisecond)
				q.Route("GET", "/api/posts/:id").Observe(404, 700*time.Microsecond)
				q.Route("BREW", "/api/posts/:id").Observe(405, time.Second)
				q.Route("STEEP", "/api/posts/:id").Observe(405, time.Second)
			}
		})
	}
	all.Wait()
	q.Route("GET", "unmatched").Observe(0, time.Minute)

	wantLines(t, scrape(t, m), `
		communityfeed_http_requests_in_flight 1
		communityfeed_http_requests_total{code="200",method="GET",route="/api/posts/:id"} 400
		communityfeed_http_requests_total{code="404",method="GET",route="/api/posts/:id"} 400
		communityfeed_http_requests_total{code="405",method="other",route="/api/posts/:id"} 800
		communityfeed_http_requests_total{code="500",method="GET",route="unmatched"} 1
		communityfeed_http_request_seconds_bucket{method="GET",route="/api/posts/:id",le="0.001"} 400
		communityfeed_http_request_seconds_bucket{method="GET",route="/api/posts/:id",le="0.005"} 800
		communityfeed_http_request_seconds_count{method="GET",route="/api/posts/:id"} 800
		communityfeed_http_request_seconds_bucket{method="GET",route="unmatched",le="10"} 0`)
}

func TestCountingARequestAllocatesNothing(t *testing.T) {
	q := telemetry.NewMetrics().Requests()
	if n := testing.AllocsPerRun(100, func() {
		q.Begin()
		q.Route("GET", "/api/posts/:id").Observe(200, time.Millisecond)
		q.Done()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTheRuntimeAndTheProcessAreScraped(t *testing.T) {
	var got string
	for line := range scrape(t, telemetry.NewMetrics()) {
		got += line + "\n"
	}
	for _, name := range []string{"go_goroutines ", "process_open_fds ", "go_build_info{"} {
		if !strings.Contains(got, name) {
			t.Errorf("the scrape lacks %s", name)
		}
	}
}

func BenchmarkCountARequest(b *testing.B) {
	q := telemetry.NewMetrics().Requests()
	b.ReportAllocs()
	for b.Loop() {
		q.Begin()
		q.Route("GET", "/api/posts/:id").Observe(200, time.Millisecond)
		q.Done()
	}
}
