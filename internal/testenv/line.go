package testenv

import (
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Line is a server of a test's own as its clients see it: they use URL, which
// leads to the server through this process, and the test may Stop, Hang and
// Start it. What lies on the server stays there (a Redis that came back empty
// is a FLUSHDB on Direct away), and no other test notices.
type Line struct {
	URL    string // through the line
	Direct string // past it, for looking and writing behind the outage

	t      testing.TB
	addr   string // where clients connect; the same after every Start
	target string

	mu       sync.Mutex
	flows    *sync.Cond // hung has changed
	hung     bool
	listener net.Listener // nil while stopped
	conns    map[net.Conn]struct{}
	running  sync.WaitGroup
}

// OwnPostgres is Database behind a Line.
func OwnPostgres(t testing.TB) *Line {
	t.Helper()
	return newLine(t, Database(t), "5432")
}

// OwnRedis is Redis behind a Line.
func OwnRedis(t testing.TB) *Line {
	t.Helper()
	return newLine(t, Redis(t), "6379")
}

func newLine(t testing.TB, direct, defaultPort string) *Line {
	t.Helper()
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	l := &Line{
		Direct: direct,
		t:      t,
		addr:   "127.0.0.1:0",
		target: net.JoinHostPort(u.Hostname(), port),
		conns:  map[net.Conn]struct{}{},
	}
	l.flows = sync.NewCond(&l.mu)
	l.Start()
	t.Cleanup(l.Stop)
	u.Host = l.addr
	l.URL = u.String()
	return l
}

// Start ends an outage of either kind.
func (l *Line) Start() {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hung = false
	l.flows.Broadcast()
	if l.listener != nil {
		return
	}
	listener, err := net.Listen("tcp", l.addr)
	if err != nil {
		l.t.Errorf("testenv: starting again: %v", err)
		return
	}
	l.listener, l.addr = listener, listener.Addr().String()
	l.running.Go(func() { l.accept(listener) })
}

// Stop is a server that has died: every connection ends, new ones are refused.
func (l *Line) Stop() {
	l.mu.Lock()
	if l.listener != nil {
		_ = l.listener.Close()
		l.listener = nil
	}
	for c := range l.conns {
		_ = c.Close()
	}
	l.hung = false
	l.flows.Broadcast()
	l.mu.Unlock()
	l.running.Wait()
}

// Hang is a server that has frozen: connections stay and new ones are taken,
// but no byte passes until Start. A test that ends while its server hangs may
// wait for clients that want to say goodbye first.
func (l *Line) Hang() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hung = true
}

func (l *Line) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		if !l.register(listener, client) {
			return
		}
		l.running.Go(func() { l.serve(listener, client) })
	}
}

func (l *Line) serve(listener net.Listener, client net.Conn) {
	defer l.forget(client)
	server, err := net.DialTimeout("tcp", l.target, 5*time.Second)
	if err != nil || !l.register(listener, server) {
		return
	}
	defer l.forget(server)
	var back sync.WaitGroup
	back.Go(func() { l.carry(client, server) })
	l.carry(server, client)
	back.Wait()
}

// carry moves bytes one way until either side ends, and then ends both.
func (l *Line) carry(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		l.awaitFlow()
		if _, writeErr := to.Write(buffer[:n]); err != nil || writeErr != nil {
			return
		}
	}
}

func (l *Line) awaitFlow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.hung {
		l.flows.Wait()
	}
}

// register makes Stop end the connection; it refuses one that came too late.
func (l *Line) register(of net.Listener, c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener != of {
		_ = c.Close()
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

func (l *Line) forget(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = c.Close()
	delete(l.conns, c)
}
