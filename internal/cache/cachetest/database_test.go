package cachetest

import (
	"slices"
	"sync"
	"time"

	"example.com/communityfeed/internal/cache"
)

// A commit is one version of one row. Versions are drawn from one counter, so they
// order all commits.
type commit struct {
	row     string
	version int
	at      time.Time
	deleted bool
}

// An event is a row of the outbox: what a commit moves, and whether everybody
// could have heard of it.
type event struct {
	id        int
	move      cache.Invalidation
	written   time.Time
	delivered time.Time // zero: not yet
	moved     mark      // a Move of it has returned, and has not failed
}

// database is the origin: rows with their whole history, and the outbox.
type database struct {
	mu      sync.Mutex
	version int
	history map[string][]commit
	outbox  []*event
}

func newDatabase(rows ...string) *database {
	db := &database{history: make(map[string][]commit)}
	for _, r := range rows {
		db.history[r] = []commit{{row: r, at: time.Now()}}
	}
	return db
}

// commit writes rows and one event, or none for tags that nobody moves.
func (db *database) commit(rows []string, deleted bool, m cache.Invalidation) (version int, e *event) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.version++
	for _, r := range rows {
		db.history[r] = append(db.history[r], commit{r, db.version, time.Now(), deleted})
	}
	if len(m.Tags) > 0 {
		e = &event{id: len(db.outbox) + 1, move: m, written: time.Now()}
		db.outbox = append(db.outbox, e)
	}
	return db.version, e
}

// read adds the current versions of rows to what a load has seen, and reports
// whether all of them are there.
func (db *database) read(saw map[string]int, rows ...string) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	there := true
	for _, r := range rows {
		h := db.history[r]
		last := h[len(h)-1]
		there = there && !last.deleted
		see(saw, r, last.version)
	}
	return there
}

// see notes a version; of two, the older one is what is shown.
func see(saw map[string]int, row string, version int) {
	if old, ok := saw[row]; !ok || version < old {
		saw[row] = version
	}
}

// superseded is when a version stopped being the current one; zero: it is not.
func (db *database) superseded(row string, version int) (at time.Time, known bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	h := db.history[row]
	i := slices.IndexFunc(h, func(c commit) bool { return c.version == version })
	switch {
	case i < 0:
		return at, false
	case i+1 < len(h):
		return h[i+1].at, true
	}
	return at, true
}

// saidNothing reports whether one of the versions that a row has had since a time says
// that there is nothing.
func (db *database) saidNothing(row string, since time.Time) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	h := db.history[row]
	for i, c := range h {
		if (c.deleted || hidden(c.version)) && (i+1 == len(h) || h[i+1].at.After(since)) {
			return true
		}
	}
	return false
}

// others returns the versions of a row since one of them, but for another one.
func (db *database) others(row string, since, but int) (versions []int) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, c := range db.history[row] {
		if since < c.version && c.version != but {
			versions = append(versions, c.version)
		}
	}
	return versions
}

func (db *database) mark(e *event) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if e.delivered.IsZero() {
		e.delivered = time.Now()
	}
}

// due returns the events that are undelivered and at least that old, and those
// that were delivered since.
func (db *database) due(age time.Duration, since time.Time) (out []*event) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, e := range db.outbox {
		if e.delivered.IsZero() && time.Since(e.written) >= age || !since.IsZero() && !e.delivered.Before(since) {
			out = append(out, e)
		}
	}
	return out
}
