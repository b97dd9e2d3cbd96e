package cache

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// A gate holds calls to Redis: before they are sent, or after their answer has
// arrived and before the process sees it. It can also refuse them.
type gate struct {
	mu      sync.Mutex
	before  []*hold
	after   []*hold
	refused []*hold // what they hold up is not sent at all
	silent  bool    // nothing is answered any more
}

var errRefused = errors.New("refused")

// silence makes every call wait for its deadline.
func (g *gate) silence() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.silent = true
}

func (g *gate) blackhole(ctx context.Context) error {
	g.mu.Lock()
	silent := g.silent
	g.mu.Unlock()
	if !silent {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

// holdBefore stops the next call that has a command with the given text among its
// arguments. Redis does not know of it yet.
func (g *gate) holdBefore(text string) *hold { return g.hold(&g.before, text) }

// holdAfter stops such a call once Redis has answered it.
func (g *gate) holdAfter(text string) *hold { return g.hold(&g.after, text) }

func (g *gate) hold(where *[]*hold, text string) *hold {
	h := newHold(text)
	g.mu.Lock()
	defer g.mu.Unlock()
	*where = append(*where, h)
	return h
}

// refuse makes such a call fail.
func (g *gate) refuse(text string) { g.hold(&g.refused, text) }

// take returns the hold that is meant for a call, if there is one, and forgets it.
func (g *gate) take(where *[]*hold, cmds []redis.Cmder) *hold {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, h := range *where {
		if slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return strings.Contains(cmd.String(), h.match) }) {
			*where = slices.Delete(*where, i, i+1)
			return h
		}
	}
	return nil
}

// pass takes a call through the gate.
func (g *gate) pass(ctx context.Context, send func() error, cmds ...redis.Cmder) error {
	if err := g.blackhole(ctx); err != nil {
		return fail(err, cmds)
	}
	if h := g.take(&g.before, cmds); h != nil {
		<-h.released
	}
	var err error
	if g.take(&g.refused, cmds) != nil {
		err = fail(errRefused, cmds)
	} else {
		err = send()
	}
	if h := g.take(&g.after, cmds); h != nil {
		<-h.released
	}
	return err
}

func fail(err error, cmds []redis.Cmder) error {
	for _, cmd := range cmds {
		cmd.SetErr(err)
	}
	return err
}

func (g *gate) DialHook(next redis.DialHook) redis.DialHook { return next }

func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return g.pass(ctx, func() error { return next(ctx, cmd) }, cmd)
	}
}

func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return g.pass(ctx, func() error { return next(ctx, cmds) }, cmds...)
	}
}
