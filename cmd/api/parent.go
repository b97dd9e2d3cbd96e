package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// tied returns a context that ends with ctx, and also when a process is no more:
// pid, or the one that started this one. With pid 0 it is ctx's child and nothing
// else. A killed parent can tell nobody, so its children look for themselves.
//
// Call untie when the context is no longer needed.
func tied(ctx context.Context, pid int) (tiedCtx context.Context, untie func()) {
	ctx, cancel := context.WithCancel(ctx)
	if pid == 0 {
		return ctx, cancel
	}
	// What is written to the parent that is no more must not end this process
	// before it has cleaned up.
	signal.Ignore(syscall.SIGPIPE)
	parent := os.Getppid()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		defer cancel()
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for os.Getppid() == parent && alive(pid) {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() {
		cancel()
		<-watched
	}
}
