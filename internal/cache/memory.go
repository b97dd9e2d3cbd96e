package cache

import (
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// An l1Copy is an answer as it lies in the process. It is immutable but for judged: a
// better copy replaces it.
type l1Copy struct {
	until  time.Duration // when it leaves L1: when it expires, or before
	judged atomic.Uint64 // see heard.still
	answer
	key  string
	size int64
}

// copyOverhead is what a copy costs besides its key and body, in bytes: the structs,
// the map bucket, the list element, and the ids of a few tags, rounded up.
const copyOverhead = 900

// memory is L1: the most recently used copies, bounded in number and in bytes.
//
// It is built on simplelru under a mutex of its own. The library's ready-made
// locked cache runs its eviction callback outside the lock and not at all when a
// key is overwritten, so bytes could not be counted exactly with it.
type memory struct {
	mu        sync.Mutex
	lru       *simplelru.LRU[string, *l1Copy]
	bytes     int64
	maxBytes  int64
	maxCopy   int64
	evictions uint64
}

// newMemory bounds L1. It returns nil, which keeps nothing, for no entries.
func newMemory(maxEntries int, maxBytes, maxCopy int64) *memory {
	if maxEntries <= 0 {
		return nil
	}
	m := &memory{maxBytes: maxBytes, maxCopy: maxCopy}
	// The error is for sizes below one only. The callback runs under m.mu.
	m.lru, _ = simplelru.NewLRU(maxEntries, func(_ string, c *l1Copy) { m.bytes -= c.size })
	return m
}

// get returns the copy under a rendered key, or nil. It does not keep key.
func (m *memory) get(key []byte) *l1Copy {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c, _ := m.lru.Get(unsafe.String(unsafe.SliceData(key), len(key)))
	return c
}

// keep stores a copy, unless one with a younger snapshot is there already: a slow
// reader must not undo a faster one.
func (m *memory) keep(c *l1Copy) {
	if m == nil || c.size > m.maxCopy {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.lru.Peek(c.key); ok {
		if old.snap.n > c.snap.n {
			return
		}
		m.lru.Remove(c.key) // through the callback, which Add would skip
	}
	m.bytes += c.size
	if m.lru.Add(c.key, c) {
		m.evictions++
	}
	for m.bytes > m.maxBytes && m.lru.Len() > 0 {
		m.lru.RemoveOldest()
		m.evictions++
	}
}

// usage returns the number of copies, their bytes, and evictions so far.
func (m *memory) usage() (entries int, bytes int64, evictions uint64) {
	if m == nil {
		return 0, 0, 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lru.Len(), m.bytes, m.evictions
}
