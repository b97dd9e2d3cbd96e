package main

import (
	"errors"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// gcPercent lets the heap grow to five times what is alive before it is collected. A
// request leaves some kilobytes behind, and what is alive is mostly bodies in L1, which
// the collector need not look into: docs/performance.md has what that saves.
const gcPercent = 400

// spendMemory has the collector trade memory for time, up to nine tenths of what the
// container may have. Whoever sets GOGC or GOMEMLIMIT, which the Go runtime reads itself,
// has their way.
func spendMemory(log *slog.Logger) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	_, err := memlimit.Set(memlimit.WithProvider(memlimit.FromCgroup), memlimit.WithRatio(0.9))
	if err != nil && !errors.Is(err, memlimit.ErrNoCgroup) && !errors.Is(err, memlimit.ErrCgroupsNotSupported) {
		log.Warn("the container's memory limit is not known, and not kept to", "error", err)
	}
}
