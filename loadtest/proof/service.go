package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// build builds the service with edits laid over it.
func build(ctx context.Context, program, scratch string, edits []edit) error {
	args := []string{"build", "-o", program}
	if len(edits) > 0 {
		overlay, err := lay(scratch, edits)
		if err != nil {
			return err
		}
		args = append(args, "-overlay", overlay)
	}
	output, err := exec.CommandContext(ctx, "go", append(args, "./cmd/api")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("building: %w\n%s", err, output)
	}
	return nil
}

// lay writes the broken files, and what tells the go command to take them, and returns
// the latter's name.
func lay(scratch string, edits []edit) (string, error) {
	replace := make(map[string]string)
	for i, e := range edits {
		path, err := filepath.Abs(e.file)
		if err != nil {
			return "", err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		if n := strings.Count(string(source), e.old); n != 1 {
			return "", fmt.Errorf("%q occurs %d times in %s", e.old, n, e.file)
		}
		replace[path] = filepath.Join(scratch, fmt.Sprintf("%d.go", i))
		broken := strings.Replace(string(source), e.old, e.new, 1)
		if err := os.WriteFile(replace[path], []byte(broken), 0o600); err != nil {
			return "", err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name := filepath.Join(scratch, "overlay.json")
	return name, os.WriteFile(name, overlay, 0o600)
}

// A service is an `api dev`: two processes over one Postgres and one Redis.
type service struct {
	first, second string // URLs
	cmd           *exec.Cmd
	read          chan struct{} // closed when its output has ended
}

var announced = regexp.MustCompile(`^Ready: (\S+), and on the same data (\S+)\. `)

// start runs a program as `api dev` on free ports and waits until it says that it is
// ready. Stop it.
func start(ctx context.Context, program string) (*service, error) {
	cmd := exec.CommandContext(ctx, program, "dev", "--first", "127.0.0.1:0", "--second", "127.0.0.1:0", "--parent", fmt.Sprint(os.Getpid()))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	var log bytes.Buffer // of what went wrong, if anything; read after the end alone
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &service{cmd: cmd, read: make(chan struct{})}
	ready := make(chan []string, 1)
	go func() {
		defer close(s.read)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if urls := announced.FindStringSubmatch(lines.Text()); urls != nil {
				ready <- urls
				break
			}
		}
		close(ready)
		_, _ = io.Copy(io.Discard, stdout)
	}()
	urls := <-ready
	if urls == nil {
		<-s.read
		return nil, fmt.Errorf("api dev ended before it was ready: %w\n%s", cmd.Wait(), &log)
	}
	s.first, s.second = urls[1], urls[2]
	return s, nil
}

// stop ends the service as Ctrl-C does, and waits until all of it has.
func (s *service) stop() error {
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	<-s.read
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("api dev: %w", err)
	}
	return nil
}
