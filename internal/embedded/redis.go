package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// startMiniredis runs a Redis written in Go inside this process. It ends with
// the process, and so needs no keeper.
func startMiniredis(about string) (*Server, error) {
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true) // entries expire by the real clock, as in Redis
	if err := m.Start(); err != nil {
		return nil, fmt.Errorf("starting miniredis: %w", err)
	}
	done := make(chan struct{})
	return &Server{
		URL:   "redis://" + m.Addr() + "/0",
		About: about,
		done:  done,
		stop: sync.OnceValue(func() error {
			m.Close()
			close(done)
			return nil
		}),
	}, nil
}

// keepRedis runs redis-server in the keeper: it returns when ctx or Redis has
// ended, and Redis is gone then.
func keepRedis(ctx context.Context, o order, ready func(url string)) (err error) {
	folder, err := workFolder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave(folder)) }()

	for attempt := 1; ; attempt++ {
		port, err := freePort()
		if err != nil {
			return err
		}
		err = runRedis(ctx, o.Binaries, folder, port, ready)
		if ctx.Err() != nil {
			return nil
		}
		if attempt == startAttempts || !taken(port) {
			return err
		}
	}
}

// runRedis runs one redis-server until ctx ends, which is no error, or until
// it ends by itself, which always is one.
func runRedis(ctx context.Context, program, folder string, port int, ready func(url string)) error {
	var output bytes.Buffer
	cmd := exec.Command(program,
		"--bind", "127.0.0.1", "--port", strconv.Itoa(port),
		"--save", "", "--appendonly", "no",
		"--dir", folder, "--daemonize", "no", "--loglevel", "warning")
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for waiting := true; ; {
		select {
		case err := <-ended:
			return fmt.Errorf("redis-server ended: %w\n%s", err, strings.TrimSpace(output.String()))
		case <-ctx.Done():
			_ = cmd.Process.Kill() // there is nothing to save
			<-ended
			return nil
		case <-tick.C:
			if waiting && pong(port) {
				waiting = false
				tick.Stop()
				ready("redis://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + "/0")
			}
		}
	}
}

// pong tells whether a Redis answers on the port.
func pong(port int) bool {
	c, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte("*1\r\n$4\r\nPING\r\n")); err != nil {
		return false
	}
	reply := make([]byte, len("+PONG"))
	_, err = io.ReadFull(c, reply)
	return err == nil && string(reply) == "+PONG"
}
