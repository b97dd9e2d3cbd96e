package identity

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/puzpuzpuz/xsync/v4"
)

// remembered keeps what was found out about texts that clients send, in bounded memory.
//
// Every request asks it, from every core, so what is found takes no lock and writes
// nothing. It comes in two generations: the young one takes what is new and what is
// found in the old one; once it is full it becomes the old one, and the old one is
// forgotten. What is asked for again within a generation stays, as in an LRU.
type remembered[V any] struct {
	most       int        // texts in a generation
	mu         sync.Mutex // for adding
	young, old atomic.Pointer[xsync.Map[string, V]]
}

// remember returns a memory of at most n texts, two at the least.
func remember[V any](n int) *remembered[V] {
	r := &remembered[V]{most: max(1, n/2)}
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
	if young.Size() >= r.most {
		r.old.Store(young)
		young = xsync.NewMap[string, V]()
		r.young.Store(young)
	}
	young.Store(strings.Clone(text), v)
}
