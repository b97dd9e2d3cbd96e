package cache

import (
	"context"
	"errors"
	"sync"
)

// rows is the origin: values by the key's name, whose loads can be held after they
// have read, counted, and made to fail.
type rows struct {
	mu      sync.Mutex
	values  map[string]string
	failing map[string]error
	loads   int
	holds   []*hold
}

var (
	errNothing = errors.New("nothing there")
	errBroken  = errors.New("origin is broken")
)

func (o *rows) set(name, value string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.values[name] = value
}

func (o *rows) fail(name string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failing[name] = err
}

func (o *rows) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.loads
}

// load reads first and is held after, so that what it returns may be old, or deleted. What is
// a viewer's own has the viewer in its name: "a/42".
func (o *rows) load(ctx context.Context, k Key) (string, error) {
	name := k.Get("name")
	if len(k.values) > 1 {
		name += "/" + k.Get("viewer")
	}
	o.mu.Lock()
	o.loads++
	v, err := o.values[name], o.failing[name]
	var h *hold
	for i, each := range o.holds {
		if each.match == name {
			h, o.holds = each, append(o.holds[:i:i], o.holds[i+1:]...)
			break
		}
	}
	o.mu.Unlock()
	if h != nil {
		select {
		case <-h.released:
		case <-ctx.Done():
			if !h.heedless {
				return "", ctx.Err()
			}
			<-h.released
		}
		o.mu.Lock()
		if now := o.failing[name]; errors.Is(now, errBroken) { // a load may fail at its end
			err = now
		}
		o.mu.Unlock()
	}
	return v, err
}

// hold stops the next load of a name after it has read.
func (o *rows) hold(name string) *hold {
	h := newHold(name)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.holds = append(o.holds, h)
	return h
}

// A hold is something that waits until it is released.
type hold struct {
	match    string
	released chan struct{}
	heedless bool // a load that does not end with its context
}

func newHold(match string) *hold { return &hold{match: match, released: make(chan struct{})} }

func (h *hold) release() { close(h.released) }
