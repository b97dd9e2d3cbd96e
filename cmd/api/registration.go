package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/manifest"
	"example.com/communityfeed/internal/feed"
)

// registration keeps a server's keys in the registry in Redis, and a server from serving
// whose keys may not be there.
//
// A server asks before it touches anything. If Redis does not answer then, it starts all the
// same, keeps asking, and ends when it is refused late. Once admitted it stays, whatever
// becomes of the registry. It registers its keys again from time to time: a Redis that comes
// back empty has its registry back as soon as one server has noticed, and refuses again what
// it refused before.
type registration struct {
	keys     manifest.Manifest
	admit    bool               // --migrate-cache-key
	registry *manifest.Registry // nil: none
	log      *slog.Logger

	askEvery      time.Duration // while Redis has not answered
	registerEvery time.Duration // once this server was admitted

	former atomic.Bool // processes of the version before may run
	absent int         // answers in a row without the former key

	in   bool   // it was admitted
	told string // the last trouble that was logged
}

// ask asks once. Its error is a refusal; that Redis does not answer is none.
func (r *registration) ask(ctx context.Context) error {
	before, err := r.registry.Register(ctx, r.keys, r.admit || r.in)
	refused, isRefused := errors.AsType[*manifest.DiffError](err)
	if err == nil || isRefused {
		r.note(before)
	}
	switch {
	case ctx.Err() != nil:
	case err == nil:
		r.in, r.told = true, ""
	case !isRefused:
		r.trouble("the registry of cache keys cannot be read; asking on", err)
	case r.in:
		r.trouble("another program has taken a number of this one's cache keys; this one will not start again", errors.New(refused.Diff))
	default:
		return refused
	}
	return nil
}

// keep asks until ctx ends, or returns a refusal. Without Redis there is nothing to ask.
func (r *registration) keep(ctx context.Context) error {
	for r.registry != nil {
		pause := r.askEvery
		if r.in {
			pause = r.registerEvery
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		if err := r.ask(ctx); err != nil {
			return err
		}
	}
	return nil
}

// formerAbsent is after how many answers without the former key no process has it. One is
// not enough: when Redis has come back empty, those that run register their keys within
// registerEvery, and until then no write of this process may pass them by.
const formerAbsent = 3

// note notes whether the version before is registered.
func (r *registration) note(registered manifest.Manifest) {
	r.absent++
	if _, there := registered[feed.FormerKey]; there {
		r.absent = 0
	}
	r.former.Store(r.absent < formerAbsent)
}

// formerTags are feed.FormerTags for as long as the version before is registered. `api keys
// prune` removes it, once no process of it runs any more.
func (r *registration) formerTags(tags []cache.Tag) []cache.Tag {
	if r.former.Load() {
		return feed.FormerTags(tags)
	}
	return tags
}

// trouble logs what is wrong, once for as long as it is.
func (r *registration) trouble(what string, err error) {
	if r.told != what {
		r.told = what
		r.log.Warn(what, "error", oneLine(err))
	}
}
