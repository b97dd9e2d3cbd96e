package embedded

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// helperMark makes the test binary a program that starts both servers, prints
// their URLs and waits to be killed.
const helperMark = "EMBEDDED_TEST_HELPER"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "redis-server" {
		standInRedis(os.Args[1:])
	}
	Child()
	if os.Getenv(helperMark) != "" {
		startAndWait()
	}
	m.Run()
}

func TestServersEndWhenTheirParentIsKilled(t *testing.T) {
	scratch := scratchFolder(t)
	withRedisServer(t, "7.2.4")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), helperMark+"=1")
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var urls []string
	if err := json.NewDecoder(out).Decode(&urls); err != nil {
		t.Fatal(err)
	}
	for _, u := range urls {
		if !listening(t, u) {
			t.Fatalf("nobody listens on %s", u)
		}
	}
	// Both the keepers and their servers name one of these on their command line.
	marks := []string{fmt.Sprintf("for process %d)", parent.Process.Pid), scratch}
	if n := len(processes(t, marks)); n < 4 {
		t.Fatalf("%d processes before the kill; two keepers and two servers expected", n)
	}

	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()

	eventually(t, func() error {
		if left := processes(t, marks); len(left) > 0 {
			return fmt.Errorf("still running: %q", left)
		}
		for _, u := range urls {
			if listening(t, u) {
				return fmt.Errorf("%s still listens", u)
			}
		}
		return nil
	})
	assertEmpty(t, scratch)
}

func TestAProgramThatForgotChildIsTold(t *testing.T) {
	t.Setenv(mark, "1")
	_, err := StartPostgres(t.Context(), Options{})
	if err == nil || !strings.Contains(err.Error(), "must call embedded.Child") {
		t.Errorf("error: %v", err)
	}
}

// scratchFolder is where servers started by this test put their folders; a
// server that gave up root must be able to use it.
// withRedisServer puts this test binary on PATH as a redis-server that says it
// has the given version.
// standInRedis is the redis-server of withRedisServer; it never returns.
func startAndWait() {
	ctx := context.Background()
	p, err := StartPostgres(ctx, Options{Volatile: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	r, err := StartRedis(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode([]string{p.URL, r.URL})
	select {}
}

// processes returns the command lines of running processes that contain any of
// the marks.
func processes(t *testing.T, marks []string) []string {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-o", "args=").Output()
	if err != nil {
		t.Fatalf("ps on %s: %v", runtime.GOOS, err)
	}
	var found []string
	for line := range strings.Lines(string(out)) {
		for _, mark := range marks {
			if strings.Contains(line, mark) {
				found = append(found, strings.TrimSpace(line))
				break
			}
		}
	}
	return found
}

func listening(t *testing.T, rawURL string) bool {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.DialTimeout("tcp", u.Host, time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
