// Package postgres opens connection pools, runs migrations and reads Postgres
// errors. It holds no SQL of any domain.
//
// Idea: everything that is decided once for every connection is decided here
// (limits, names, time zone), so that stores are left with their queries.
//
// Invariant: opening a pool never waits for the database. A service starts,
// and says what is missing, while its database is away.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// connectTimeout bounds one attempt to connect unless the URL says otherwise:
// long enough for a handshake across regions, short enough to notice a
// database that swallows packets while a request still has time.
const connectTimeout = 3 * time.Second

// Options shape a pool. A zero value leaves what the URL says, else pgx's
// default.
type Options struct {
	MaxConns         int32         // at most so many connections; the pool is the bulkhead
	AppName          string        // application_name, as pg_stat_activity shows it
	StatementTimeout time.Duration // the server gives up on a statement after that
	AcquireTimeout   time.Duration // a query that gets no connection for so long fails with a [BusyError]
}

// Open returns a pool on the database at url. It only fails when the URL or
// the options are wrong: connections are made when they are first needed, so
// an unreachable database shows at the first query (and in a readiness check,
// by pool.Ping), and is found again without a restart.
//
// Times read from timestamptz columns are in UTC, whatever the machine's zone.
func Open(ctx context.Context, url string, o Options) (*pgxpool.Pool, error) {
	if url == "" {
		return nil, errors.New("postgres: no database URL") // pgx would try local defaults
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err) // pgx leaves the password out
	}
	if o.MaxConns > 0 {
		config.MaxConns = o.MaxConns
	}
	conn := config.ConnConfig
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = connectTimeout
	}
	if o.AppName != "" {
		conn.RuntimeParams["application_name"] = o.AppName
	}
	if o.StatementTimeout > 0 {
		conn.RuntimeParams["statement_timeout"] = strconv.FormatInt(max(1, o.StatementTimeout.Milliseconds()), 10)
	}
	if o.AcquireTimeout > 0 {
		conn.Tracer = &acquireTimeout{most: o.AcquireTimeout}
	}
	config.AfterConnect = func(_ context.Context, c *pgx.Conn) error {
		c.TypeMap().RegisterType(&pgtype.Type{
			Name:  "timestamptz",
			OID:   pgtype.TimestamptzOID,
			Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
		})
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return pool, nil
}
