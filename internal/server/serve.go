package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// What a connection may cost. Writing must outlast the slowest answer: a request
// that runs into its own deadline still gets to say so.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeSlack        = 20 * time.Second // on top of RequestTimeout
	idleTimeout       = 2 * time.Minute
	maxHeader         = 16 << 10 // bytes
)

// Serve answers requests on ln until ctx ends, and then goes in order: /readyz
// turns 503 for DrainDelay, no more requests are taken, those under way are
// ended, its dependencies are free to be closed.
//
// It returns nil when all of that has come to its end, and an error when the
// listener has failed or something had to be cut off. It closes ln, and can be
// called once.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	requests, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	defer cutOff()
	hs := &http.Server{
		Handler:           s.echo,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      s.o.RequestTimeout + writeSlack,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
	}
	served := make(chan error, 1)
	go func() { served <- hs.Serve(ln) }()

	var failed error
	select {
	case err := <-served:
		failed = fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
		s.log.Info("shutting down", "delay", s.o.DrainDelay, "timeout", s.o.ShutdownTimeout)
		s.draining.Store(true)
		failed = wait(s.o.DrainDelay, served)
	}
	return errors.Join(failed, s.endRequests(hs, cutOff))
}

// wait lets time pass, unless the listener fails meanwhile.
func wait(delay time.Duration, served <-chan error) error {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case err := <-served:
		return fmt.Errorf("serving: %w", err)
	}
}

// endRequests waits for the requests under way. Those that take too long lose
// their context and their connection.
func (s *Server) endRequests(hs *http.Server, cutOff func()) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.o.ShutdownTimeout)
	defer cancel()
	if err := hs.Shutdown(ctx); err != nil {
		cutOff()
		return errors.Join(fmt.Errorf("requests cut off after %v: %w", s.o.ShutdownTimeout, err), hs.Close())
	}
	return nil
}
