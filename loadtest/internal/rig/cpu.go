package rig

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ticks is how many of the kernel's units of processor time are a second. Linux
// shows 100 whatever its own clock is.
const ticks = 100

// A processTable is what /proc tells of processes.
type processTable string

// stat is what a process has used: its own time, and that of its children that have
// ended and that it has waited for.
type stat struct {
	parent     int
	own, ended int64 // in ticks
}

func (t processTable) stat(pid int) (stat, error) {
	line, err := os.ReadFile(filepath.Join(string(t), strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(line))
}

// parseStat reads one line of /proc/<pid>/stat. The second field is the program's
// name in parentheses, and may contain any character.
func parseStat(line string) (s stat, err error) {
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(fields) < 15 {
		return stat{}, fmt.Errorf("%q is not the state of a process", line)
	}
	number := func(i int) (n int64) {
		n, wrong := strconv.ParseInt(fields[i], 10, 64)
		if wrong != nil {
			err = wrong
		}
		return n
	}
	s = stat{parent: int(number(1)), own: number(11) + number(12), ended: number(13) + number(14)}
	return s, err
}

// postmaster returns the parent of a backend of Postgres: the process with this
// number, if it serves the client at this port. The number alone proves nothing, since
// a server in a container or on another machine counts its own.
func (t processTable) postmaster(backend, clientPort int) (pid int, found bool) {
	title, err := os.ReadFile(filepath.Join(string(t), strconv.Itoa(backend), "cmdline"))
	if err != nil || !strings.HasPrefix(string(title), "postgres:") || !strings.Contains(string(title), fmt.Sprintf("(%d)", clientPort)) {
		return 0, false
	}
	s, err := t.stat(backend)
	return s.parent, err == nil && s.parent > 1
}

// family is the time of a process and its children, in seconds, with those that have
// ended. It is NaN if that cannot be read.
func (t processTable) family(parent int) float64 {
	for range 100 {
		before, err := t.stat(parent)
		if err != nil {
			return math.NaN()
		}
		sum := before.own + before.ended + t.children(parent)
		// A child that has ended meanwhile is missing, or is in the sum twice.
		if after, err := t.stat(parent); err == nil && after.ended == before.ended {
			return float64(sum) / ticks
		}
	}
	return math.NaN()
}

// children is the time of a process's children that are there.
func (t processTable) children(parent int) (sum int64) {
	paths, _ := filepath.Glob(filepath.Join(string(t), "[0-9]*")) // the only error is a bad pattern
	for _, path := range paths {
		pid, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			continue
		}
		if s, err := t.stat(pid); err == nil && s.parent == parent {
			sum += s.own
		}
	}
	return sum
}
