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
	judged atomic.Uint64 // see heard.still
	used   atomic.Bool   // see memory
	answer
	key  string
	size int64
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
// The list is simplelru under a mutex of its own. The library's ready-made locked
// cache makes readers queue for one mutex, runs its eviction callback outside the lock
// and not at all when a key is overwritten; so bytes could not be counted exactly.
type memory struct {
	index *xsync.Map[string, *l1Copy] // of what is in the list; changed under mu

	mu         sync.Mutex
	list       *simplelru.LRU[string, *l1Copy]
	bytes      int64
	maxEntries int
	maxBytes   int64
	maxCopy    int64
	evictions  uint64
	replaced   string // the key whose copy is being replaced: the index has the old one until then
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
	// The error is for sizes below one only. The callback runs under m.mu.
	m.list, _ = simplelru.NewLRU(maxEntries, func(key string, c *l1Copy) {
		m.bytes -= c.size
		if key != m.replaced {
			m.index.Delete(key)
		}
	})
	return m
}

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
	if m == nil || c.size > m.maxCopy {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.list.Peek(c.key); ok {
		if old.snap.n > c.snap.n {
			return
		}
		m.replaced = c.key
		m.list.Remove(c.key) // through the callback, which Add would skip
		m.replaced = ""
	}
	for m.list.Len() >= m.maxEntries || m.bytes+c.size > m.maxBytes {
		m.evict()
	}
	m.bytes += c.size
	m.list.Add(c.key, c)
	m.index.Store(c.key, c)
}

// evict takes out the first copy from the end of the list that was not used since it
// came to its front.
func (m *memory) evict() {
	for {
		key, c, _ := m.list.GetOldest()
		if !c.used.Swap(false) {
			m.list.RemoveOldest()
			m.evictions++
			return
		}
		m.list.Get(key) // to the front
	}
}

// usage returns the number of copies, their bytes, and evictions so far.
func (m *memory) usage() (entries int, bytes int64, evictions uint64) {
	if m == nil {
		return 0, 0, 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list.Len(), m.bytes, m.evictions
}
