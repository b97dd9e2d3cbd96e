package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

type healthCmd struct {
	Listen string `env:"LISTEN" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"What the server was given as --listen."`
}

// Validate is called by kong.
func (c *healthCmd) Validate() error { return checkAddress("--listen (LISTEN)", c.Listen) }

// Run fails unless the server is ready.
func (c *healthCmd) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return ready(ctx, baseURL(c.Listen))
}

// ready asks a server once whether requests should go there.
func ready(ctx context.Context, base string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", answer.Status)
	}
	return nil
}

// baseURL is how a server that listens on an address is reached from the same
// machine: the name localhost stands for the loopback interface and for all.
func baseURL(listen string) string {
	host, port, _ := net.SplitHostPort(listen) // which checkAddress has seen
	if ip := net.ParseIP(host); host == "" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified()) {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
