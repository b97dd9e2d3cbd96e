// Package local is L1: copies in the process, bounded in number and in bytes.
package local

import (
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/puzpuzpuz/xsync/v4"

	"example.com/communityfeed/internal/cache/fence"
)

// An Entry is a copy in the process. A better copy replaces it; only the marks of its readers
// and its size change.
type Entry[V any] struct {
	Until    time.Duration   // when it may no longer be served, on the caller's clock
	Snapshot *fence.Snapshot // what it was read under
	judged   atomic.Uint64   // see fence.StillCounts
	used     atomic.Bool
	Value    V
	Key      string
	Page     bool
	Cheap    bool  // it is soon there again: a page, or that there is nothing under the key
	Size     int64 // what it takes, in bytes; it belongs to L1 once the entry is kept
}

// Counts reports whether no tag of the entry was heard since its snapshot.
func (e *Entry[V]) Counts(f *fence.Fence) bool { return f.StillCounts(e.Snapshot, &e.judged) }

// A Growing value takes more room in the process after it was kept: it makes a part of
// itself when it is first asked for. L1 counts other values by the length of what their
// codec makes of them, and these by what they say.
type Growing interface {
	// Size returns how many bytes the value takes, and keeps grown. From then on the
	// value calls grown with each n bytes that it adds, before anything can see them. It
	// is called once for each copy that is made of the value.
	Size(grown func(n int)) int
}

// Overhead is what a copy costs besides its key and body, in bytes: the structs, its place
// in the index and in the list, the ids of a few tags, and what a decoded value has beside
// its bytes; rounded up.
const Overhead = 1500

// A Cache is L1.
//
// A hit takes no lock: it finds its copy in the index and marks it. The order is that of a
// clock with second chances (Corbató, "A Paging Experiment with the Multics System",
// 1968): a marked copy that comes to the end of the list loses its mark and goes to the
// front once more, instead of being evicted.
//
// Cheap entries have a list of their own, and half of the room as their share. They may take
// what is free beyond it. When room is needed, a cheap entry is evicted if they have more
// than their share of what is short, entries or bytes; any other only if they have not. So a
// flood of pages evicts pages, and so does a flood of requests for what does not exist. A
// page is composed again in some fifty microseconds as long as its fragments are here; a
// fragment costs a round trip or a query.
//
// The lists are simplelru under a mutex of their own. The library's ready-made locked
// cache makes readers queue for one mutex, and runs its eviction callback outside the lock
// and not at all when a key is overwritten. So bytes could not be counted exactly.
type Cache[V any] struct {
	index *xsync.Map[string, *Entry[V]] // of what is in the lists; changed under mu

	mu            sync.Mutex
	cheap, others class[V]
	maxEntries    int
	maxBytes      int64
	maxEntry      int64
	evictions     uint64
	staying       *Entry[V] // leaves its list and not the index
}

// A class is the copies that are evicted in one order.
type class[V any] struct {
	list  *simplelru.LRU[string, *Entry[V]]
	bytes int64
}

// New makes an L1 of so many entries and bytes at most, whose largest entry has maxEntry
// bytes. It keeps nothing if maxEntries is not positive.
func New[V any](maxEntries int, maxBytes, maxEntry int64) *Cache[V] {
	c := &Cache[V]{
		index:      xsync.NewMap[string, *Entry[V]](),
		maxEntries: maxEntries, maxBytes: maxBytes, maxEntry: min(maxEntry, maxBytes),
	}
	for _, of := range []*class[V]{&c.cheap, &c.others} {
		// The error is for sizes below one only. The callback runs under c.mu.
		of.list, _ = simplelru.NewLRU(max(1, maxEntries), func(key string, e *Entry[V]) {
			of.bytes -= e.Size
			if e != c.staying {
				c.index.Delete(key)
			}
		})
	}
	return c
}

// share is the half of a limit that cheap entries may have when there is no room to spare.
func share[N int | int64](limit N) N { return limit - limit/2 }

// Get returns the entry under a rendered key, or nil. It does not keep key.
func (c *Cache[V]) Get(key []byte) *Entry[V] {
	e, _ := c.index.Load(unsafe.String(unsafe.SliceData(key), len(key)))
	if e != nil && !e.used.Load() { // a mark that is there is not written again: cores share it
		e.used.Store(true)
	}
	return e
}

// Keep stores an entry, unless one with a younger snapshot is there already: a slow reader
// must not undo a faster one. grows is the value if it is a Growing one, or else nil.
func (c *Cache[V]) Keep(e *Entry[V], grows Growing) {
	if c.maxEntries <= 0 {
		return
	}
	var size int64
	if grows != nil {
		e.Size = int64(len(e.Key)) + Overhead
		size = int64(grows.Size(func(n int) { c.grow(e, n) })) // which may be called at once
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e.Size += size
	if c.tooLarge(e) {
		return
	}
	if old, ok := c.index.Load(e.Key); ok {
		if old.Snapshot.Number > e.Snapshot.Number {
			return
		}
		c.take(old)
	}
	c.add(e)
}

// grow counts n bytes more of an entry. One that is not kept any more, or not yet, has no
// others to make room.
func (c *Cache[V]) grow(e *Entry[V], n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept, _ := c.index.Load(e.Key); kept != e {
		e.Size += int64(n)
		return
	}
	c.take(e) // so that it is not evicted to make room for itself
	e.Size += int64(n)
	if c.tooLarge(e) {
		c.index.Delete(e.Key)
		c.evictions++
		return
	}
	c.add(e)
}

// tooLarge reports whether an entry is not worth its room. A cheap one must fit the share of
// its kind, or it would evict others.
func (c *Cache[V]) tooLarge(e *Entry[V]) bool {
	return e.Size > c.maxEntry || e.Cheap && e.Size > share(c.maxBytes)
}

// class returns the class of an entry.
func (c *Cache[V]) class(e *Entry[V]) *class[V] {
	if e.Cheap {
		return &c.cheap
	}
	return &c.others
}

// take takes an entry off its list. The index has it until another is added, or it is
// deleted there: readers go on finding it.
func (c *Cache[V]) take(e *Entry[V]) {
	c.staying = e
	c.class(e).list.Remove(e.Key) // through the callback, which Add would skip
	c.staying = nil
}

// add makes room for an entry and puts it to the front of its list.
func (c *Cache[V]) add(e *Entry[V]) {
	entries, bytes := 0, int64(0) // of cheap ones, with this one
	if e.Cheap {
		entries, bytes = 1, e.Size
	}
	for {
		if c.entries() >= c.maxEntries {
			c.evict(c.cheap.list.Len()+entries > share(c.maxEntries))
		} else if c.bytes()+e.Size > c.maxBytes {
			c.evict(c.cheap.bytes+bytes > share(c.maxBytes))
		} else {
			break
		}
	}
	of := c.class(e)
	of.bytes += e.Size
	of.list.Add(e.Key, e)
	c.index.Store(e.Key, e)
}

// evict takes out an entry, a cheap one or another: the first from the end of its list that
// was not used since it came to the front. Where there is none of the kind, it takes the
// other.
func (c *Cache[V]) evict(cheap bool) {
	list := c.others.list
	if cheap && c.cheap.list.Len() > 0 || list.Len() == 0 {
		list = c.cheap.list
	}
	for {
		key, e, _ := list.GetOldest()
		if !e.used.Swap(false) {
			list.RemoveOldest()
			c.evictions++
			return
		}
		list.Get(key) // to the front
	}
}

func (c *Cache[V]) entries() int { return c.cheap.list.Len() + c.others.list.Len() }
func (c *Cache[V]) bytes() int64 { return c.cheap.bytes + c.others.bytes }

// Stats is how full L1 is.
type Stats struct {
	Entries   int
	Bytes     int64
	Evictions uint64 // so far
}

// Stats returns how full L1 is.
func (c *Cache[V]) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{c.entries(), c.bytes(), c.evictions}
}

// Peek returns the entry under a key, or nil, and its size in bytes. It does not mark it
// as used.
func (c *Cache[V]) Peek(key string) (e *Entry[V], size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, _ = c.index.Load(key); e != nil {
		size = e.Size
	}
	return e, size
}

// DeletePages removes the pages whose keys match, and returns how many there were.
func (c *Cache[V]) DeletePages(match func(key string) bool) (deleted int) {
	var keys []string
	for key, e := range c.index.All() { // without the lock: readers need it to keep what they have
		if e.Page && match(key) {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		if c.delete(key) {
			deleted++
		}
	}
	return deleted
}

// delete removes the entry under a key, and reports whether there was one.
func (c *Cache[V]) delete(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.index.Load(key)
	return ok && c.class(e).list.Remove(key)
}
