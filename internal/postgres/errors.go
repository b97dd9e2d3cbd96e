package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Violates tells whether err says that a statement broke the constraint of
// that name, of whatever kind (unique, foreign key, check, exclusion): class 23 of
// https://www.postgresql.org/docs/current/errcodes-appendix.html.
func Violates(err error, constraint string) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && strings.HasPrefix(pg.Code, "23") && pg.ConstraintName == constraint
}

// Unavailable tells whether err says that the database could not be asked: it
// cannot be reached, is starting or stopping, it or the pool has no connection to
// spare, the connection broke, or the statement ran out of time. The same request
// may succeed a moment later.
//
// A context that ended is none of that, for it says something about the
// caller. Only a connection that could not be made in time counts, whoever set
// the time.
func Unavailable(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return unavailableCode(pg.Code)
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*BusyError](err); ok {
		return true
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	return brokenConnection(err)
}

func unavailableCode(code string) bool {
	for _, prefix := range []string{
		"08",    // connection exception
		"53",    // insufficient resources
		"57P0",  // admin shutdown, crash shutdown, cannot connect now
		"57014", // query canceled: statement_timeout
	} {
		if strings.HasPrefix(code, prefix) {
			return true
		}
	}
	return false
}

// brokenConnection tells whether the connection ended under the statement.
func brokenConnection(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
