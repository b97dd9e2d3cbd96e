package testenv

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	quiet "github.com/testcontainers/testcontainers-go/log"
)

const (
	postgresImage = "postgres:18-alpine"
	redisImage    = "redis:8-alpine"
)

// engineAnswers pings the Docker engine that testcontainers would use. It is
// asked before anything else is, because some of testcontainers' own functions
// panic where there is no engine.
func engineAnswers(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	quiet.SetDefault(quiet.NewNoopLogger())
	answer := make(chan error, 1)
	go func() { answer <- ping(ctx) }() // may overstay ctx where a proxy holds the line
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer within %s", limit)
	}
}

func ping(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	engine, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	_, err = engine.Ping(ctx, client.PingOptions{})
	return err
}

// runContainer runs an image and returns the address at which its port can be
// reached. The container is removed when the tests have ended; should this
// process die before, testcontainers' reaper removes it, unless that is
// switched off.
func runContainer(ctx context.Context, image, port string, options ...testcontainers.ContainerCustomizer) (addr string, err error) {
	options = append(options, testcontainers.WithExposedPorts(port))
	c, err := testcontainers.Run(ctx, image, options...)
	stopLater(func() error { // also for a container that was made but did not start
		return testcontainers.TerminateContainer(c, testcontainers.StopTimeout(0))
	})
	if err != nil {
		return "", fmt.Errorf("running %s (TESTENV=embedded does without Docker): %w", image, err)
	}
	addr, err = c.PortEndpoint(ctx, port, "")
	if err != nil {
		return "", fmt.Errorf("running %s: %w", image, err)
	}
	if host, p, err := net.SplitHostPort(addr); err == nil && host == "localhost" {
		addr = net.JoinHostPort("127.0.0.1", p) // the engine may publish on IPv4 only
	}
	return strings.TrimSpace(addr), nil
}
