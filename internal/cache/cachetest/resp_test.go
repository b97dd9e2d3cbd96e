package cachetest

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// A command is one command as a client wrote it.
type command struct {
	args []string
	raw  []byte
}

// takeCommand splits the first command off b, if all of it is there.
func takeCommand(b []byte) (c command, rest []byte, ok bool) {
	n := valueLen(b)
	if n == 0 {
		return c, b, false
	}
	c.raw = bytes.Clone(b[:n])
	c.args = strs(c.raw)
	return c, b[n:], true
}

// valueLen is the length of the first RESP value in b, or zero when it is not
// complete.
func valueLen(b []byte) int {
	end := bytes.Index(b, []byte("\r\n"))
	if end < 1 {
		return 0
	}
	size, _ := strconv.Atoi(string(b[1:end]))
	at := end + 2
	switch b[0] {
	case '$', '=', '!':
		if size >= 0 {
			at += size + 2
		}
		if at > len(b) {
			return 0
		}
		return at
	case '%':
		size *= 2
	case '*', '>', '~':
	default:
		return at
	}
	for range size {
		n := valueLen(b[at:])
		if n == 0 {
			return 0
		}
		at += n
	}
	return at
}

// strs returns the strings, statuses and numbers in a value, flattened.
func strs(b []byte) (out []string) {
	for len(b) > 0 {
		end := bytes.Index(b, []byte("\r\n"))
		head, size := string(b[1:end]), 0
		kind := b[0]
		b = b[end+2:]
		switch kind {
		case '$', '=', '!':
			if size, _ = strconv.Atoi(head); size >= 0 {
				out = append(out, string(b[:size]))
				b = b[size+2:]
			}
		case '*', '>', '~', '%':
		default:
			out = append(out, head)
		}
	}
	return out
}

// verb names what a command does, and key what it does it to, without the tokens
// and ids in it.
func (c command) verb() string {
	name := strings.ToUpper(c.args[0])
	if name != "EVAL" {
		return name
	}
	script := c.args[1]
	switch {
	case strings.Contains(script, "'GETRANGE', KEYS[1]"):
		return "replace"
	case strings.Contains(script, "'SET', KEYS[1], ARGV[1]"):
		return "take"
	case strings.Contains(script, "'SET', KEYS[1]"):
		return "store"
	case strings.Contains(script, "'UNLINK', KEYS[1]"):
		return "release"
	case strings.Contains(script, "'PUBLISH'"):
		return "move"
	case strings.Contains(script, "return {c, r}"):
		return "snapshot"
	}
	panic("the simulator does not know this script:\n" + script)
}

func (c command) key() string {
	key := ""
	switch {
	case strings.EqualFold(c.args[0], "EVAL"):
		key = c.args[3]
	case len(c.args) > 1:
		key = c.args[1]
	}
	return strings.TrimPrefix(key, prefix)
}

func (c command) String() string { return c.verb() + " " + c.key() }

// nameOf names a pipeline in one word and a key.
func nameOf(commands []command) string {
	first, last := commands[0], commands[len(commands)-1]
	switch {
	case strings.HasPrefix(first.key(), "e:") && !slices.Contains([]string{"store", "replace", "release"}, first.verb()):
		if last.verb() == "snapshot" {
			return "read and snapshot " + first.key()
		}
		return "read " + first.key()
	case first.verb() == "SET", first.verb() == "take":
		if len(commands) > 1 {
			return "lease and read " + first.key()
		}
		return "lease " + first.key()
	case first.verb() == "move":
		names := make([]string, len(commands))
		for i, c := range commands {
			names[i] = c.key()
		}
		return "move " + strings.Join(names, ", ")
	}
	return first.String()
}

// scriptArg is the ith ARGV of an EVAL, from 1 as in Lua.
func (c command) scriptArg(i int) string { return c.scriptArgs(i)[0] }

// scriptArgs are those from the ith on.
func (c command) scriptArgs(i int) []string {
	keys, _ := strconv.Atoi(c.args[2])
	return c.args[2+keys+i:]
}

const prefix = "cf:"
