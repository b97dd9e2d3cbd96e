package embedded

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// startAttempts is how many ports are tried. Between choosing a free port and
// binding it another process may take it.
const startAttempts = 3

// workFolder makes a folder for data and scratch files and moves into it. The
// environment's folder for temporary files may be one that only root can
// enter (and the working directory, too): then the machine's own is taken.
func workFolder() (string, error) {
	var errs []error
	for _, base := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		folder, err := os.MkdirTemp(base, "communityfeed-")
		if err == nil {
			err = errors.Join(os.Chdir(folder), os.Setenv("TMPDIR", folder))
		}
		if err == nil {
			return folder, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("no place for data: %w", errors.Join(errs...))
}

// leave removes the work folder and everything in it.
func leave(folder string) error {
	return errors.Join(os.Chdir(filepath.Dir(folder)), os.RemoveAll(folder))
}

func writable(folder string) bool {
	if folder == "" {
		return false
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return false
	}
	probe, err := os.CreateTemp(folder, "probe-")
	if err != nil {
		return false
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name())) == nil
}

// freePort asks the operating system for a port that nobody uses.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func taken(port int) bool {
	c, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
