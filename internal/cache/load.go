package cache

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"
)

// call asks the origin and counts it.
func (s *source) call(ctx context.Context, k Key) (any, error) {
	began := time.Now()
	v, err := s.load(loading(ctx, s.spec), k)
	s.stats.loads.Add(1)
	s.stats.loadNanos.Add(int64(time.Since(began)))
	return v, err
}

// callWithin is call for as long as the limit allows. A load that ignores its context is not
// stopped: it is told in the log, since it may have lost its lease.
func (s *source) callWithin(ctx context.Context, k Key, limit time.Duration) (any, error) {
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	v, err := s.call(bounded, k)
	switch {
	case bounded.Err() == nil || ctx.Err() != nil:
	case err != nil:
		err = fmt.Errorf("cache: the load of %s was not done in %v: %w", k, limit, err)
	default:
		s.cache.o.Log.Warn("cache: a load took longer than its limit", "key", k.text, "limit", limit)
	}
	return v, err
}

// bypass loads for one caller and keeps nothing. The load sees no more of the caller than
// any other does: only that it has left.
func (s *source) bypass(ctx context.Context, k Key) answer {
	load, cancel := context.WithCancel(s.cache.root)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	v, err := s.callWithin(load, k, s.cache.o.LoadTimeout)
	a := answer{value: v, err: err, outcome: Bypass, expires: s.cache.now()}
	s.stats.count(a, false)
	return a
}

// A PanicError is the error of a load that panicked. The process goes on; those who waited
// for the load get this.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("cache: load panicked: %v", e.Value) }

// recoverTo makes a panic an error. Loads and codecs run in goroutines that no caller's
// recover reaches, so without it one bad page would end the process.
func recoverTo(err *error) {
	if p := recover(); p != nil {
		*err = &PanicError{Value: p, Stack: debug.Stack()}
	}
}

type loadingKey struct{}

// loading marks the context of a load with what it loads.
func loading(ctx context.Context, s *spec) context.Context {
	return context.WithValue(ctx, loadingKey{}, s)
}

// alone returns an error inside a load. What L2 has depends on its key alone and uses no
// other copy. Otherwise the tags of the other copy would have to be among its tags, and be
// no older than they are. What is made of several fragments is a [Page]. The mark is in the
// context because a load is user code, and the context is all that it passes on.
func alone(ctx context.Context, asked *spec) error {
	if s, inside := ctx.Value(loadingKey{}).(*spec); inside {
		return fmt.Errorf("cache: the load of %s asks for %s: a load uses no fragment, a page does", s.head, asked.head)
	}
	return nil
}
