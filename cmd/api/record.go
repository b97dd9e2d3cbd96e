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

// record keeps a server's keys in the record in Redis, and a server whose keys may
// not be there from serving.
//
// A server asks before it touches anything. If Redis does not answer then, it starts
// all the same, asks on, and ends when it is refused late. Once it has been let in it
// stays, whatever becomes of the record: it has a right to its keys, and if another
// program should take their numbers meanwhile, it shares no entry with that one, since
// the names of the dimensions are in the text of every key. It enters its keys again
// from time to time, so that a Redis that comes back empty has its record back as
// soon as one server has noticed, and refuses again what it refused before.
type record struct {
	keys     manifest.Manifest
	admit    bool               // --migrate-cache-key
	registry *manifest.Registry // nil: none
	log      *slog.Logger

	askEvery   time.Duration // while Redis has not answered
	enterEvery time.Duration // once this server was let in

	former atomic.Bool // processes of the version before may run
	absent int         // answers in a row without the former key

	in   bool   // it was let in
	told string // the last trouble that was logged
}

// ask asks once. Its error is a refusal; that Redis does not answer is none.
func (r *record) ask(ctx context.Context) error {
	found, entered, err := r.registry.Register(ctx, r.keys, r.admit || r.in)
	if err == nil {
		r.note(found)
	}
	refused := error(nil)
	if err == nil && !entered {
		refused = deployed(found).refusal(r.keys, r.admit || r.in)
	}
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		r.trouble("the record of cache keys cannot be read; asking on", err)
	case refused == nil:
		r.in, r.told = true, ""
	case r.in:
		r.trouble("another program has taken a number of this one's cache keys; neither reads the other's entries, but this one will not start again", refused)
	default:
		return refused
	}
	return nil
}

// keep asks until ctx ends, or returns a refusal. Without Redis there is nothing to ask.
func (r *record) keep(ctx context.Context) error {
	for r.registry != nil {
		pause := r.askEvery
		if r.in {
			pause = r.enterEvery
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
// not enough: when Redis has come back empty, those that run enter their keys within
// enterEvery, and until then no write of this process may pass them by.
const formerAbsent = 3

// note notes whether the version before is on record.
func (r *record) note(found manifest.Manifest) {
	if r.absent++; found[feed.FormerKey] != "" {
		r.absent = 0
	}
	r.former.Store(r.absent < formerAbsent)
}

// formerTags are feed.FormerTags for as long as the version before is on record. `api keys
// prune` takes it off, once no process of it runs any more.
func (r *record) formerTags(tags []cache.Tag) []cache.Tag {
	if r.former.Load() {
		return feed.FormerTags(tags)
	}
	return tags
}

// trouble logs what is wrong, once for as long as it is.
func (r *record) trouble(what string, err error) {
	if r.told == what {
		return
	}
	r.told = what
	text := oneLine(err)
	if drift, ok := errors.AsType[*driftError](err); ok {
		text = oneLine(errors.New(drift.diff))
	}
	r.log.Warn(what, "error", text)
}
