package identity

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/puzpuzpuz/xsync/v4"
)

// remembered keeps what was found out about texts that clients send, in bounded memory.
//
// Every request asks it, from every core, so what is found in the young of its two
// generations takes no lock and writes nothing. The young one takes what is new, and what
// is found in the old one; once it is full it becomes the old one, and that is forgotten.
// So the texts that were asked for last are there, as in an LRU, as many as a generation
// has room for; and in all at most twice as many.
type remembered[V any] struct {
	room       int        // texts in a generation
	mu         sync.Mutex // for adding
	young, old atomic.Pointer[xsync.Map[string, V]]
}

// remember returns a memory of at least the last n texts, and of at most 2n.
func remember[V any](n int) *remembered[V] {
	r := &remembered[V]{room: n}
	r.young.Store(xsync.NewMap[string, V]())
	r.old.Store(xsync.NewMap[string, V]())
	return r
}

// get returns what was found out about text.
func (r *remembered[V]) get(text string) (v V, ok bool) {
	if v, ok = r.young.Load().Load(text); ok {
		return v, true
	}
	if v, ok = r.old.Load().Load(text); ok {
		r.add(text, v)
	}
	return v, ok
}

// add remembers v. It keeps a copy of text, which may be a part of a request's whole
// header.
func (r *remembered[V]) add(text string, v V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	young := r.young.Load()
	if young.Size() >= r.room {
		r.old.Store(young)
		young = xsync.NewMap[string, V]()
		r.young.Store(young)
	}
	young.Store(strings.Clone(text), v)
}
