//go:build unix

package main

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// alone puts a child into a process group of its own: Ctrl-C in a terminal then
// reaches the parent only, which ends the child in its own time.
func alone(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// terminate asks a process to end.
func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

// alive tells whether there is such a process.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
