package testenv

import (
	"net"
	"sync/atomic"
)

// RoundTrips counts how often the clients of some connections have sent something and
// then received something: statements that travel together are one.
type RoundTrips struct{ n atomic.Int64 }

// Count is how many there were until now.
func (r *RoundTrips) Count() int64 { return r.n.Load() }

// Over returns the connection, counted from now on.
func (r *RoundTrips) Over(conn net.Conn) net.Conn { return &countedConn{Conn: conn, trips: r} }

type countedConn struct {
	net.Conn
	trips *RoundTrips
	sent  atomic.Bool // and nothing was received since
}

func (c *countedConn) Write(b []byte) (int, error) {
	c.sent.Store(true)
	return c.Conn.Write(b)
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && c.sent.Swap(false) {
		c.trips.n.Add(1)
	}
	return n, err
}
