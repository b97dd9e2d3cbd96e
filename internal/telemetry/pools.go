package telemetry

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/postgres"
)

// Pool is a Postgres pool under the name that its metrics carry.
type Pool struct {
	Name string // "read", "write"
	*pgxpool.Pool
}

// Postgres adds the connection pools.
func (m *Metrics) Postgres(pools ...Pool) {
	var (
		conns    = gauge("postgres_connections", "Connections by pool and state: acquired, idle or constructing.", "pool", "state")
		most     = gauge("postgres_connections_max", "Size of the pool.", "pool")
		acquires = counter("postgres_acquires", "Connections handed out.", "pool")
		waits    = counter("postgres_acquire_waits", "Of these, those that had to be waited for.", "pool")
		waitTime = counter("postgres_acquire_wait_seconds", "Time spent waiting for connections.", "pool")
		canceled = counter("postgres_acquires_canceled", "Waits that were given up, refused ones included.", "pool")
		refused  = counter("postgres_acquires_refused", "Waits that ended because no connection was free in time.", "pool")
		opened   = counter("postgres_connections_opened", "Connections made.", "pool")
	)
	m.registry.MustRegister(&collector{
		metrics: []metric{conns, most, acquires, waits, waitTime, canceled, refused, opened},
		read: func(emit emit) {
			for _, p := range pools {
				s := p.Stat()
				emit(conns, float64(s.AcquiredConns()), p.Name, "acquired")
				emit(conns, float64(s.IdleConns()), p.Name, "idle")
				emit(conns, float64(s.ConstructingConns()), p.Name, "constructing")
				emit(most, float64(s.MaxConns()), p.Name)
				emit(acquires, float64(s.AcquireCount()), p.Name)
				emit(waits, float64(s.EmptyAcquireCount()), p.Name)
				emit(waitTime, s.EmptyAcquireWaitTime().Seconds(), p.Name)
				emit(canceled, float64(s.CanceledAcquireCount()), p.Name)
				emit(refused, float64(postgres.Refused(p.Pool)), p.Name)
				emit(opened, float64(s.NewConnsCount()), p.Name)
			}
		},
	})
}

// Redis adds the connection pool of the Redis client.
func (m *Metrics) Redis(stats func() *redis.PoolStats) {
	var (
		conns    = gauge("redis_connections", "Connections by state: used or idle.", "state")
		acquires = counter("redis_acquires", "Connections asked for: reused, opened or timeout.", "outcome")
		waits    = counter("redis_acquire_waits", "Waits for a connection.")
		waitTime = counter("redis_acquire_wait_seconds", "Time spent waiting for connections.")
		stale    = counter("redis_connections_stale", "Connections closed because they were of no more use.")
	)
	m.registry.MustRegister(&collector{
		metrics: []metric{conns, acquires, waits, waitTime, stale},
		read: func(emit emit) {
			s := stats()
			emit(conns, float64(s.TotalConns-min(s.IdleConns, s.TotalConns)), "used")
			emit(conns, float64(s.IdleConns), "idle")
			emit(acquires, float64(s.Hits), "reused")
			emit(acquires, float64(s.Misses), "opened")
			emit(acquires, float64(s.Timeouts), "timeout")
			emit(waits, float64(s.WaitCount))
			emit(waitTime, float64(s.WaitDurationNs)/1e9)
			emit(stale, float64(s.StaleConns))
		},
	})
}
