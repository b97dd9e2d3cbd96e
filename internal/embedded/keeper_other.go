//go:build !unix

package embedded

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
)

func detach(*exec.Cmd) {}

func terminated() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt)
}

func archives() string {
	base, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(base, "communityfeed")
}

func giveUpRoot(string) error { return nil }
