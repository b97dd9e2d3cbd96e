package cachetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing/synctest"
	"time"
)

// A conn is a process's connection to Redis. What the client writes waits at a
// gate until it reaches the server, and what the server says waits at a gate until
// it reaches the client. Nothing is carried by itself.
type conn struct {
	s      *sim
	p      *process
	server net.Conn // the other side: miniredis

	mu      sync.Mutex
	written []byte // by the client, not yet a whole command
	said    []byte // by the server, not yet fetched
	inbound []byte // what the client may read
	failed  error  // what it reads after that
	closed  bool   // by the client
	broken  bool   // by the server
	sub     bool   // a subscription
	user    order  // of the last request

	subscribed bool // and it stands: of the scheduler alone

	deadline time.Time
	wake     chan struct{}
}

func (s *sim) dial(p *process) (net.Conn, error) {
	server, err := s.redis.Dial()
	if err != nil {
		return nil, err
	}
	c := &conn{s: s, p: p, server: server, wake: make(chan struct{}, 1)}
	s.mu.Lock()
	s.conns = append(s.conns, c)
	s.mu.Unlock()
	go c.collect()
	return c, nil
}

// collect takes what the server says, so that the server never waits.
func (c *conn) collect() {
	buf := make([]byte, 8192)
	for {
		n, err := c.server.Read(buf)
		c.mu.Lock()
		c.said = append(c.said, buf[:n]...)
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// A request is what a client wrote at once: one command or a pipeline. The
// server may serve others between two of its commands.
type request struct {
	c       *conn
	name    string
	left    []command
	replies []byte
	kind    gateKind
	order   order
}

func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.broken {
		return 0, errReset
	}
	c.written = append(c.written, b...)
	r := &request{c: c, kind: requestGate}
	for {
		one, rest, ok := takeCommand(c.written)
		if !ok {
			break
		}
		r.left, c.written = append(r.left, one), rest
	}
	if len(r.left) == 0 {
		return len(b), nil
	}
	r.name = nameOf(r.left)
	switch r.left[0].verb() {
	case "SUBSCRIBE":
		c.sub = true
		r.kind = handshakeGate
	case "HELLO", "CLIENT":
		r.kind = handshakeGate
	}
	if c.sub {
		r.kind = handshakeGate
	}
	c.user = c.s.request(r)
	return len(b), nil
}

func (s *sim) request(r *request) order {
	r.order = s.put(&gate{
		what: fmt.Sprintf("%s → %s", r.c.p, r.name), order: r.order, p: r.c.p, c: r.c, kind: r.kind,
		open: func(v verdict) { s.serve(r, v) },
	}).order
	return r.order
}

// serve is what becomes of a request.
func (s *sim) serve(r *request, v verdict) {
	c := r.c
	switch {
	case c.isBroken() || v == lost:
		return
	case v == reset:
		s.breakConn(c)
		return
	}
	served := len(r.left)
	if served > 1 && r.kind == requestGate && s.chance(0.3) {
		served = 1
	}
	for _, one := range r.left[:served] {
		r.replies = append(r.replies, s.execute(c, one, v)...)
	}
	r.left = r.left[served:]
	switch {
	case len(r.left) > 0:
		s.request(r)
	case c.isClosed():
	case r.kind == handshakeGate:
		c.deliver(r.replies)
		synctest.Wait()
	default:
		s.put(&gate{
			what: fmt.Sprintf("%s ← reply to %s", c.p, r.name), order: r.order, p: c.p, c: c, kind: replyGate,
			open: func(v verdict) {
				switch v {
				case reset:
					s.breakConn(c)
				case well:
					c.deliver(r.replies)
				}
			},
		})
	}
}

func (c *conn) deliver(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inbound = append(c.inbound, b...)
	c.signal()
}

func (c *conn) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

var errReset = errors.New("connection reset by peer")

// breakConn ends a connection from the server's side.
func (s *sim) breakConn(c *conn) { s.sever(c)() }

// sever ends a connection, and returns how its client learns of it: a subscription
// at a gate of its own.
func (s *sim) sever(c *conn) (tell func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken || c.closed {
		return func() {}
	}
	c.broken = true
	c.server.Close()
	read := func(verdict) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.failed = io.EOF
		c.signal()
	}
	if !c.sub {
		return func() { read(well) }
	}
	return func() {
		s.put(&gate{what: fmt.Sprintf("%s ← subscription is broken", c.p), order: c.p.toldNext(), p: c.p, c: c, kind: brokenGate, open: read})
	}
}

func (c *conn) isBroken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken
}

func (c *conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *conn) Read(b []byte) (int, error) {
	for {
		c.mu.Lock()
		var late <-chan time.Time
		switch {
		case c.closed:
			c.mu.Unlock()
			return 0, net.ErrClosed
		case len(c.inbound) > 0:
			n := copy(b, c.inbound)
			c.inbound = bytes.Clone(c.inbound[n:])
			c.mu.Unlock()
			return n, nil
		case c.failed != nil:
			c.mu.Unlock()
			return 0, c.failed
		case !c.deadline.IsZero():
			left := time.Until(c.deadline)
			if left <= 0 {
				c.mu.Unlock()
				return 0, os.ErrDeadlineExceeded
			}
			t := time.NewTimer(left)
			defer t.Stop()
			late = t.C
		}
		c.mu.Unlock()
		select {
		case <-c.wake:
		case <-late:
		}
	}
}

// Close is the client's. A request under way may still reach the server.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	c.signal()
	c.s.hungUp(c)
	return nil
}

// SetReadDeadline sets an instant of its own for each goroutine, so that of two calls
// which began in one step the same is always late first.
func (c *conn) SetReadDeadline(t time.Time) error {
	if !t.IsZero() {
		t = t.Add(-time.Duration(c.s.rank()))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	c.signal()
	return nil
}

// SyscallConn lets the client find out that an idle connection is broken before it
// uses it, as it would from a socket. So it does not matter which of several idle
// connections a call gets.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if c.isBroken() {
		return nil, errReset
	}
	return healthySocket{}, nil
}

// healthySocket has nothing to read.
type healthySocket struct{ syscall.RawConn }

func (healthySocket) Read(func(uintptr) bool) error { return nil }

func (c *conn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
func (c *conn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *conn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
