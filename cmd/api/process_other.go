//go:build !unix

package main

import (
	"os"
	"os/exec"
)

func alone(*exec.Cmd) {}

func terminate(p *os.Process) error { return p.Kill() }

func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	_ = p.Release()
	return true
}
