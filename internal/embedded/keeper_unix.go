//go:build unix

package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// detach puts the keeper into a process group of its own: Ctrl-C in a terminal
// and a kill of the parent's group reach the parent only, and the keeper stops
// its server in its own time.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// terminated returns a context that ends when the keeper itself is asked to.
// A write to the parent's closed pipe must not end the keeper before it has
// stopped its server, hence SIGPIPE.
func terminated() (context.Context, context.CancelFunc) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
}

// archives is the folder in which fetched Postgres archives are kept.
func archives() string {
	if os.Geteuid() == 0 {
		return "/var/cache/communityfeed"
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(base, "communityfeed")
}

// giveUpRoot makes this process run as the user postgres, else nobody, because
// Postgres refuses to run as root. The folder own, when named, is made and
// handed to that user first. For anybody but root it does nothing.
//
// The keeper does this itself, once it runs: started with other credentials it
// would have to be executable for that user, and under `go run` it is not.
func giveUpRoot(own string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	uid, gid, err := servant()
	if err != nil {
		return err
	}
	if own != "" {
		if err := os.MkdirAll(own, 0o755); err != nil {
			return err
		}
		if err := os.Chown(own, uid, gid); err != nil {
			return err
		}
	}
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return fmt.Errorf("giving up root: %w", err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return fmt.Errorf("giving up root: %w", err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("giving up root: %w", err)
	}
	return nil
}

func servant() (uid, gid int, err error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, lookupErr := user.Lookup(name)
		if lookupErr != nil {
			continue
		}
		if uid, err = strconv.Atoi(u.Uid); err != nil {
			continue
		}
		if gid, err = strconv.Atoi(u.Gid); err != nil {
			continue
		}
		return uid, gid, nil
	}
	return 0, 0, errors.New("there is no user postgres or nobody to run Postgres as; it refuses to run as root")
}
