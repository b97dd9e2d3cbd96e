package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// mark is set in a keeper's environment and nowhere else.
const mark = "COMMUNITYFEED_KEEPER"

// stopLimit is how long a keeper may take to stop its server. Postgres ends
// every connection at once, so only a stuck disk takes longer.
const stopLimit = time.Minute

// order is what a keeper is asked to run: one line of JSON on its standard
// input, which then stays open for as long as the server is wanted.
type order struct {
	Server     string // "postgres" or "redis"
	Binaries   string // Postgres: folder of pg_ctl, empty to fetch; Redis: the program
	Repository string // to fetch from; empty: Maven Central
	Archives   string // where fetched archives are kept
	Volatile   bool
}

// answer is a line of the keeper's output: the address once the server is
// ready, the error when it could not be started or stopped.
type answer struct {
	URL   string
	Error string
}

// startKeeper re-executes this program as a keeper and waits for its answer.
func startKeeper(ctx context.Context, about string, o order) (*Server, error) {
	s, err := keep(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", about, err)
	}
	s.About = about
	return s, nil
}

func keep(ctx context.Context, o order) (*Server, error) {
	if os.Getenv(mark) != "" {
		// Without this a program that forgot Child would start copies of
		// itself without end.
		return nil, errors.New("the program must call embedded.Child first thing in main")
	}
	self, err := executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Args = []string{"communityfeed-keeper", fmt.Sprintf("(%s for process %d)", o.Server, os.Getpid())}
	cmd.Env = keeperEnv(os.Environ())
	detach(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	// Standard error is not handed on: a keeper that outlives `go test` by a
	// moment would hold its output open and make it wait.
	if err := cmd.Start(); err != nil {
		return nil, err
	}

	first, last := make(chan answer, 1), answer{}
	done := make(chan struct{})
	go func() { // ends when the keeper does; stop waits for it
		defer close(done)
		answers := json.NewDecoder(stdout)
		first <- readAnswer(answers)
		_ = answers.Decode(&last) // what went wrong later, if anything
		_ = cmd.Wait()
	}()
	stop := sync.OnceValue(func() error {
		_ = stdin.Close()
		select {
		case <-done:
			switch {
			case last.Error != "":
				return fmt.Errorf("stopping %s: %s", o.Server, last.Error)
			case !cmd.ProcessState.Success():
				return fmt.Errorf("stopping %s: its keeper ended before: %s", o.Server, cmd.ProcessState)
			}
			return nil
		case <-time.After(stopLimit):
			_ = cmd.Process.Kill()
			<-done
			return fmt.Errorf("stopping %s: still running after %s", o.Server, stopLimit)
		}
	})

	if err := json.NewEncoder(stdin).Encode(o); err != nil {
		return nil, errors.Join(err, stop())
	}
	select {
	case a := <-first:
		if a.Error != "" {
			_ = stop()
			return nil, errors.New(a.Error)
		}
		return &Server{URL: a.URL, stop: stop, done: done}, nil
	case <-ctx.Done():
		_ = stop()
		return nil, context.Cause(ctx)
	}
}

func readAnswer(answers *json.Decoder) answer {
	var a answer
	if err := answers.Decode(&a); err != nil {
		return answer{Error: "the keeper left without an answer; does the program call embedded.Child first thing in main?"}
	}
	return a
}

// executable names this program so that it can be executed again even when its
// file has been replaced or lies in a folder that only root may enter.
func executable() (string, error) {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}

// keeperEnv is env with the mark, and without the PG… variables that would
// otherwise steer the Postgres programs and their client library.
func keeperEnv(env []string) []string {
	kept := []string{mark + "=1"}
	for _, e := range env {
		if !strings.HasPrefix(e, "PG") {
			kept = append(kept, e)
		}
	}
	return kept
}

// Child makes this process a keeper, and then never returns, when it was
// started as one; else it returns at once.
func Child() {
	if os.Getenv(mark) == "" {
		return
	}
	_ = os.Unsetenv(mark) // it is for this process, not for the server
	if err := child(os.Stdin, os.Stdout); err != nil {
		_ = json.NewEncoder(os.Stdout).Encode(answer{Error: err.Error()})
		os.Exit(1)
	}
	os.Exit(0)
}

// child runs the ordered server until standard input ends or the process is
// asked to terminate.
func child(stdin io.Reader, stdout io.Writer) error {
	in := bufio.NewReader(stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading the order: %w", err)
	}
	var o order
	if err := json.Unmarshal(line, &o); err != nil {
		return fmt.Errorf("reading the order: %w", err)
	}
	ctx, cancel := terminated()
	defer cancel()
	go func() { // ends with the process
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	ready := func(url string) {
		// Nobody may be there to read it any more; the pipe then tells so.
		_ = json.NewEncoder(stdout).Encode(answer{URL: url})
	}
	switch o.Server {
	case "postgres":
		return keepPostgres(ctx, o, ready)
	case "redis":
		return keepRedis(ctx, o, ready)
	}
	return fmt.Errorf("unknown server %q", o.Server)
}
