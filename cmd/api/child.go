package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// child is a serve process of `api dev`.
type child struct {
	address string
	env     []string
	log     io.Writer // where its lines go, each with the child's port before it
}

// children returns the processes, not started yet, for these addresses.
func children(log io.Writer, databaseURL, redisURL string, addresses ...string) []child {
	env := slices.DeleteFunc(os.Environ(), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.Contains([]string{"DATABASE_URL", "REDIS_URL", "JWT_SECRET"}, name)
	})
	// Not as flags: everybody on the machine can read those.
	env = append(env, "DATABASE_URL="+databaseURL, "REDIS_URL="+redisURL)

	lines := new(sync.Mutex)
	var list []child
	for _, address := range addresses {
		_, port, _ := net.SplitHostPort(address) // which has been listened on
		list = append(list, child{address, env, &prefixed{mu: lines, w: log, prefix: port + " | "}})
	}
	return list
}

// run runs the process until ctx ends and it has shut down. Its end before that,
// of whatever kind, is an error.
func (c child) run(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// It is tied to this process, should there be no time to tell it anything.
	cmd := exec.CommandContext(ctx, self, "serve", "--dev", "--listen", c.address,
		"--log-format", "text", "--parent", strconv.Itoa(os.Getpid()))
	cmd.Env = c.env
	cmd.Stdout, cmd.Stderr = c.log, c.log
	cmd.Cancel = func() error { return terminate(cmd.Process) }
	cmd.WaitDelay = 20 * time.Second // then it is killed
	alone(cmd)
	switch err = cmd.Run(); {
	case ctx.Err() != nil:
		return nil
	case err == nil:
		err = errors.New("exit status 0")
	}
	return fmt.Errorf("the server on %s has ended unexpectedly: %w", c.address, err)
}

// prefixed writes whole lines, each with a prefix. Writers that share w share mu.
type prefixed struct {
	mu      *sync.Mutex
	w       io.Writer
	prefix  string
	partial []byte
}

func (p *prefixed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.partial = append(p.partial, b...)
	for {
		end := bytes.IndexByte(p.partial, '\n')
		if end < 0 {
			return len(b), nil
		}
		if _, err := fmt.Fprintf(p.w, "%s%s", p.prefix, p.partial[:end+1]); err != nil {
			return len(b), err
		}
		p.partial = p.partial[end+1:]
	}
}
