//go:build unix

package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dev is a running `api dev`, in a process of its own.
type dev struct {
	cmd   *exec.Cmd
	mark  string   // a variable in the environment of it and of all that it starts
	urls  []string // of the two servers
	lines []string // to try
}

func startDev(t *testing.T) *dev {
	t.Helper()
	d := &dev{mark: asProgram + "=" + strconv.FormatInt(time.Now().UnixNano(), 36)}
	d.cmd = exec.Command(os.Args[0], "dev", "--first=127.0.0.1:0", "--second=127.0.0.1:0")
	d.cmd.Env = append(os.Environ(), d.mark)
	d.cmd.Stderr = &logOf{t: t}
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // nothing, unless the test has failed
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
	})
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "Ready: "):
			d.urls = regexp.MustCompile(`http://[^ ,.]+`).FindAllString(line, -1)
		case strings.HasPrefix(line, "curl "), strings.HasPrefix(line, "for "):
			d.lines = append(d.lines, line)
		case strings.HasPrefix(line, "Ctrl-C"):
			if len(d.urls) != 2 || len(d.lines) != 3 {
				t.Fatalf("api dev printed the addresses %q and %d lines to try", d.urls, len(d.lines))
			}
			return d
		}
	}
	t.Fatal("api dev ended before it was ready")
	return nil
}

// logOf is a test's log as a writer that can outlast the test: what comes after it
// is dropped.
type logOf struct{ t *testing.T }

func (l *logOf) Write(b []byte) (int, error) {
	if l.t.Context().Err() == nil {
		_, _ = l.t.Output().Write(b)
	}
	return len(b), nil
}

// left lists what there still is of it: processes, where the system can tell, and
// ports that are taken.
func (d *dev) left() (all []string) {
	for _, raw := range d.urls {
		if u, err := url.Parse(raw); err == nil {
			if c, err := net.DialTimeout("tcp", u.Host, time.Second); err == nil {
				c.Close()
				all = append(all, "port "+u.Port())
			}
		}
	}
	environments, _ := filepath.Glob("/proc/[0-9]*/environ") // on Linux
	for _, name := range environments {
		if env, err := os.ReadFile(name); err == nil && bytes.Contains(env, []byte(d.mark)) {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
			all = append(all, "process "+strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return all
}

func TestDevShowsThreeLinesThatWork(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	wants := []string{ // of each line, what it prints without what differs from time to time
		"200 MISS 42 12 de, 200 HIT 42 12 de",
		"200 MISS 42 12 de Hallo vom anderen Server",
		"200 HIT 42 13 de, 404",
	}
	gist := regexp.MustCompile(`(?m)^HTTP/1.1 (\d+).*$|^X-Cache: (\w+)|^\{"viewer":(\d+),"community":(\d+),"locale":"(\w+)"(?:.*"title":"(Hallo vom anderen Server)")?`)
	for i, line := range d.lines {
		output, err := exec.CommandContext(t.Context(), "sh", "-c", line).CombinedOutput()
		if err != nil {
			t.Fatalf("%s\n%v\n%s", line, err, output)
		}
		var words []string
		for _, match := range gist.FindAllStringSubmatch(string(output), -1) {
			if match[1] != "" && len(words) > 0 {
				words[len(words)-1] += ","
			}
			for _, word := range match[1:] {
				if word != "" {
					words = append(words, word)
				}
			}
		}
		if got := strings.Join(words, " "); got != wants[i] {
			t.Errorf("line %d shows %q, want %q:\n%s", i+1, got, wants[i], output)
		}
	}
}

func TestDevLeavesNothingHoweverItEnds(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			d := startDev(t)
			if runsHere := d.left(); len(runsHere) < 2 {
				t.Fatalf("of a running api dev there is only %q", runsHere)
			}
			if err := d.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			err := d.cmd.Wait()
			if killed := signal == syscall.SIGKILL; (err == nil) == killed {
				t.Errorf("after %v: %v", signal, err)
			}
			for limit := time.Now().Add(15 * time.Second); len(d.left()) > 0; time.Sleep(20 * time.Millisecond) {
				if time.Now().After(limit) {
					t.Fatalf("15 s after %v there is still %q", signal, d.left())
				}
			}
		})
	}
}

func TestDevNamesTheFlagOfAPortThatIsTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = run(t.Context(), []string{"dev", "--first=127.0.0.1:0", "--second=" + l.Addr().String()}, io.Discard, io.Discard)
	want := "--second " + l.Addr().String() + ": address already in use; give another address"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
