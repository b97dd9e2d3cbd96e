package cache

import (
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/puzpuzpuz/xsync/v4"
)

// An l1Copy is an answer as it lies in the process. It is immutable but for two marks of
// its readers: a better copy replaces it.
type l1Copy struct {
	until  time.Duration // when it leaves L1: when it expires, or before
	parts  []fragment    // what a page was composed of, the first to expire first; nil of all else
	judged atomic.Uint64 // see heard.still
	used   atomic.Bool   // see memory
	answer
	of   Key
	key  string // of, as text
	page bool   // a page, which is soon composed again of what L1 has: see memory
	size int64  // under memory.mu once it is kept
}

// A Growing value takes more room in the process after it was kept: it makes a part of
// itself when it is first asked for. L1 counts other values by the length of what their
// Codec makes of them, and these by what they say.
type Growing interface {
	// Size returns how many bytes the value takes, and keeps grown. From then on the
	// value calls grown with each n bytes that it adds, before anybody can see them. It
	// is called once for each copy that is made of the value.
	Size(grown func(n int)) int
}

// copyOverhead is what a copy costs besides its key and body, in bytes: the structs, its
// place in the index and in the list, the ids of a few tags, and what a decoded value
// has beside its bytes; rounded up.
const copyOverhead = 1500

// memory is L1: copies bounded in number and in bytes.
//
// A hit takes no lock: it finds its copy in the index and marks it. The order is that
// of a clock with second chances (Corbató, "A Paging Experiment with the Multics
// System", 1968): a marked copy that comes to the end of the list loses its mark and
// goes to the front once more, instead of being evicted.
//
// Pages have a list of their own, and half of the room as their share. They may take
// what is free beyond it. When room is needed, a page is evicted if pages have more than
// their share of what is short, entries or bytes; anything else only if they have not.
// So a flood of pages evicts pages. A page is composed again in some fifty microseconds
// as long as its fragments are here; a fragment costs a round trip or a query.
//
// The lists are simplelru under a mutex of their own. The library's ready-made locked
// cache makes readers queue for one mutex, runs its eviction callback outside the lock
// and not at all when a key is overwritten; so bytes could not be counted exactly.
type memory struct {
	index *xsync.Map[string, *l1Copy] // of what is in the lists; changed under mu

	mu            sync.Mutex
	pages, others class
	maxEntries    int
	maxBytes      int64
	maxCopy       int64
	evictions     uint64
	staying       *l1Copy // leaves its list and not the index
}

// A class is the copies that are evicted in one order.
type class struct {
	list  *simplelru.LRU[string, *l1Copy]
	bytes int64
}

// newMemory bounds L1. It returns nil, which keeps nothing, for no entries.
func newMemory(maxEntries int, maxBytes, maxCopy int64) *memory {
	if maxEntries <= 0 {
		return nil
	}
	m := &memory{
		index:      xsync.NewMap[string, *l1Copy](),
		maxEntries: maxEntries, maxBytes: maxBytes, maxCopy: min(maxCopy, maxBytes),
	}
	for _, of := range []*class{&m.pages, &m.others} {
		// The error is for sizes below one only. The callback runs under m.mu.
		of.list, _ = simplelru.NewLRU(maxEntries, func(key string, c *l1Copy) {
			of.bytes -= c.size
			if c != m.staying {
				m.index.Delete(key)
			}
		})
	}
	return m
}

// share is the half of a limit that pages may have when there is no room to spare.
func share[N int | int64](limit N) N { return limit - limit/2 }

// get returns the copy under a rendered key, or nil. It does not keep key.
func (m *memory) get(key []byte) *l1Copy {
	if m == nil {
		return nil
	}
	c, _ := m.index.Load(unsafe.String(unsafe.SliceData(key), len(key)))
	if c != nil && !c.used.Load() { // a mark that is there is not written again: cores share it
		c.used.Store(true)
	}
	return c
}

// keep stores a copy, unless one with a younger snapshot is there already: a slow
// reader must not undo a faster one.
func (m *memory) keep(c *l1Copy) {
	if m == nil {
		return
	}
	var size int64
	if v, ok := c.value.(Growing); ok && c.err == nil {
		c.size = int64(len(c.key)) + copyOverhead
		size = int64(v.Size(func(n int) { m.grow(c, n) })) // which may be called at once
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c.size += size
	if m.tooLarge(c) {
		return
	}
	if old, ok := m.index.Load(c.key); ok {
		if old.snap.n > c.snap.n {
			return
		}
		m.take(old)
	}
	m.add(c)
}

// grow counts n bytes more of a copy. One that is not kept any more, or not yet, has no
// others to make room.
func (m *memory) grow(c *l1Copy, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if kept, _ := m.index.Load(c.key); kept != c {
		c.size += int64(n)
		return
	}
	m.take(c) // so that it is not evicted to make room for itself
	c.size += int64(n)
	if m.tooLarge(c) {
		m.index.Delete(c.key)
		m.evictions++
		return
	}
	m.add(c)
}

// tooLarge reports whether a copy is not worth its room. A page must fit the share of
// pages, or it would evict what is none.
func (m *memory) tooLarge(c *l1Copy) bool {
	return c.size > m.maxCopy || c.page && c.size > share(m.maxBytes)
}

// class returns the class of a copy.
func (m *memory) class(c *l1Copy) *class {
	if c.page {
		return &m.pages
	}
	return &m.others
}

// take takes a copy off its list. The index has it until another is added, or it is
// deleted there: readers go on finding it.
func (m *memory) take(c *l1Copy) {
	m.staying = c
	m.class(c).list.Remove(c.key) // through the callback, which Add would skip
	m.staying = nil
}

// add makes room for a copy and puts it to the front of its list.
func (m *memory) add(c *l1Copy) {
	entries, bytes := 0, int64(0) // of pages, with this one
	if c.page {
		entries, bytes = 1, c.size
	}
	for {
		if m.entries() >= m.maxEntries {
			m.evict(m.pages.list.Len()+entries > share(m.maxEntries))
		} else if m.bytes()+c.size > m.maxBytes {
			m.evict(m.pages.bytes+bytes > share(m.maxBytes))
		} else {
			break
		}
	}
	of := m.class(c)
	of.bytes += c.size
	of.list.Add(c.key, c)
	m.index.Store(c.key, c)
}

// evict takes out the first page, or the first copy that is none, from the end of its
// list that was not used since it came to its front. Where there is none of the kind, it
// takes the other.
func (m *memory) evict(page bool) {
	list := m.others.list
	if page && m.pages.list.Len() > 0 || list.Len() == 0 {
		list = m.pages.list
	}
	for {
		key, c, _ := list.GetOldest()
		if !c.used.Swap(false) {
			list.RemoveOldest()
			m.evictions++
			return
		}
		list.Get(key) // to the front
	}
}

func (m *memory) entries() int { return m.pages.list.Len() + m.others.list.Len() }
func (m *memory) bytes() int64 { return m.pages.bytes + m.others.bytes }

// usage returns the number of copies, their bytes, and evictions so far.
func (m *memory) usage() (entries int, bytes int64, evictions uint64) {
	if m == nil {
		return 0, 0, 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries(), m.bytes(), m.evictions
}
