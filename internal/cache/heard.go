package cache

import (
	"sync"
	"sync/atomic"
	"time"
)

// heard is the half of moves that lives in the process. Snapshots and the moves that
// the process hears of are numbered together, in the order in which they happen to
// it:
//
//	snapshot: n++; its number is n          move: n++; cell(tag) = n
//
// A copy, flight or fill carries its snapshot's number, taken before its tags were
// read. It counts only while none of its tags was heard since, which is one
// comparison per tag and needs no search through L1.
//
// What it prevents, were a copy judged by its ids alone:
//
//  1. A reader reads an entry from L2, still current.
//  2. A write commits, moves the tag, and answers its author.
//  3. The reader puts what it read in step 1 into L1.
//  4. The author reads, and sees the page from before their write.
//
// With the number taken before step 1 and raised in step 2, the copy of step 3
// does not count.
//
// Numbers are compared inside one process only, so they need not survive it.
type heard struct {
	// floor is the number below which nothing counts. It rises when the process
	// may have missed a move (its subscription was lost) and when it forgets
	// cells. Read without the mutex on every hit.
	floor atomic.Uint64

	// news grows with all that is heard, after it can be seen. A copy that counted
	// since the last of it counts still.
	news atomic.Uint64

	mu     sync.Mutex
	n      uint64
	limit  int
	recent map[Tag]*cell
	older  map[Tag]*cell
	since  uint64 // n when recent was begun
	raised atomic.Uint64
}

// A cell holds the number of the last move heard for one tag. Copies point at
// their cells, so that judging a hit costs no map lookup.
type cell struct{ at atomic.Uint64 }

func newHeard(limit int) *heard {
	h := &heard{limit: limit, recent: make(map[Tag]*cell), older: make(map[Tag]*cell)}
	h.news.Store(1) // so that a copy that was never judged is
	return h
}

// A snapshot is what the state of a key's tags was when it was taken. Everything
// that a copy shows must have been read after its snapshot.
type snapshot struct {
	n     uint64        // its own number; moves heard later have higher ones
	taken time.Duration // when, on the cache's clock
	tags  []Tag
	cells []*cell // one for each tag
	ids   []ids   // one for each tag, or nil when L2 was not asked or did not answer
}

// watch takes the process's half of a snapshot. The number is taken before the
// cells are looked up; forgetting relies on it.
func (h *heard) watch(tags []Tag) snapshot {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	return h.at(h.n, tags)
}

// watchFrom takes the process's half of a snapshot with a number that was taken before.
func (h *heard) watchFrom(n uint64, tags []Tag) snapshot {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at(n, tags)
}

func (h *heard) at(n uint64, tags []Tag) snapshot {
	s := snapshot{n: n, tags: tags, cells: make([]*cell, len(tags))}
	for i, t := range tags {
		s.cells[i] = h.cell(t)
	}
	return s
}

// number takes the next number. What has a higher one began after this.
func (h *heard) number() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	return h.n
}

// hear notes a move of tags. It must be called after the move landed in L2, or
// failed to: whoever takes a number after hear returns must not be able to read
// ids from before the move.
func (h *heard) hear(tags ...Tag) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	for _, t := range tags {
		h.cell(t).at.Store(h.n)
	}
	h.news.Add(1)
}

// deafened notes that moves may have been missed: nothing taken before now counts.
func (h *heard) deafened() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	h.floor.Store(h.n)
	h.raised.Add(1)
	h.news.Add(1)
}

// counts reports whether none of the tags was heard since the snapshot.
func (h *heard) counts(s *snapshot) bool {
	if s.n < h.floor.Load() {
		return false
	}
	for _, c := range s.cells {
		if c.at.Load() > s.n {
			return false
		}
	}
	return true
}

// still is counts for a copy that is judged again and again. judged is the news of
// when it last counted: a hot copy is judged once for each move that is heard, not for
// each hit, and its cells, which lie all over the memory, are left alone.
func (h *heard) still(s *snapshot, judged *atomic.Uint64) bool {
	news := h.news.Load() // before the cells
	if judged.Load() == news {
		return true
	}
	if !h.counts(s) {
		return false
	}
	judged.Store(news)
	return true
}

// cell returns the cell of a tag, and keeps the table bounded by forgetting the
// cells that nobody touched for a whole generation.
//
// A snapshot that still points at a forgotten cell would miss later moves, so
// forgetting raises the floor to where the last generation began. A snapshot
// above it was taken after that point and touched its cells later still; they
// are in one of the two maps.
func (h *heard) cell(t Tag) *cell {
	if c := h.recent[t]; c != nil {
		return c
	}
	if len(h.recent) >= h.limit {
		if len(h.older) > 0 {
			h.floor.Store(max(h.floor.Load(), h.since))
			h.raised.Add(1)
			h.news.Add(1)
		}
		h.n++
		h.older, h.recent, h.since = h.recent, make(map[Tag]*cell), h.n
	}
	c := h.older[t]
	if c == nil {
		c = new(cell)
	}
	h.recent[t] = c
	return c
}
