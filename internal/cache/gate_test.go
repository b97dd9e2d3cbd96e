package cache

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// A gate holds calls to Redis: before they are sent, or after their answer has
// arrived and before the process sees it.
type gate struct {
	mu     sync.Mutex
	before []*hold
	after  []*hold
	silent bool // nothing is answered any more
}

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

// wait stops a call that one of the holds is meant for.
func (g *gate) wait(where *[]*hold, cmds ...redis.Cmder) {
	g.mu.Lock()
	var found *hold
	for i, h := range *where {
		if slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return strings.Contains(cmd.String(), h.match) }) {
			found, *where = h, slices.Delete(*where, i, i+1)
			break
		}
	}
	g.mu.Unlock()
	if found != nil {
		<-found.released
	}
}

func (g *gate) DialHook(next redis.DialHook) redis.DialHook { return next }

func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := g.blackhole(ctx); err != nil {
			return err
		}
		g.wait(&g.before, cmd)
		err := next(ctx, cmd)
		g.wait(&g.after, cmd)
		return err
	}
}

func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := g.blackhole(ctx); err != nil {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
			return err
		}
		g.wait(&g.before, cmds...)
		err := next(ctx, cmds)
		g.wait(&g.after, cmds...)
		return err
	}
}
