package cache

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"
)

// A Source is a cached load: a key, its policy and tags, and the function that
// asks the origin. It is bound once, where it is declared, so a load sees what
// its key says and nothing of the caller that happened to be first.
type Source[T any] struct {
	cache  *Cache
	origin *origin
}

// origin is a Source without its type parameter: what the inside of the package
// works on.
type origin struct {
	spec   *spec
	load   func(context.Context, Key) (any, error)
	encode func(any) ([]byte, error)
	decode func([]byte) (any, error)
	stats  keyStats
}

// tags returns what a copy under k lies under: the tags of its Spec, and the one
// that every copy has.
func (o *origin) tags(k Key) []Tag {
	var tags []Tag
	if o.spec.Tags != nil {
		tags = append(tags, o.spec.Tags(k)...)
	}
	return append(tags, Everything)
}

// NewSource binds a load to its key. It panics when the Spec is malformed or its
// name and version are taken: both are mistakes in the program, found at start.
//
// load must return nothing that depends on anything but its key. It runs under
// the cache's own context with Options.LoadTimeout; a panic in it is an error for
// those who wait.
func NewSource[T any](c *Cache, s Spec, codec Codec[T], load func(context.Context, Key) (T, error)) *Source[T] {
	compiled, err := compile(s)
	if err != nil {
		panic(err)
	}
	o := &origin{
		spec: compiled,
		load: func(ctx context.Context, k Key) (v any, err error) {
			defer recoverTo(&err)
			return load(ctx, k)
		},
		encode: func(v any) (b []byte, err error) {
			defer recoverTo(&err)
			return codec.Encode(v.(T))
		},
		decode: func(b []byte) (v any, err error) {
			defer recoverTo(&err)
			return codec.Decode(b)
		},
	}
	if err := c.register(compiled, func() { c.sources = append(c.sources, o) }); err != nil {
		panic(err)
	}
	return &Source[T]{cache: c, origin: o}
}

// A PanicError is the error of a load that panicked. The process goes on; who
// waited for the load gets this.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("cache: load panicked: %v", e.Value) }

// recoverTo makes a panic an error. Loads and codecs run in goroutines that no
// caller's recover reaches, so without it one bad page would end the process.
func recoverTo(err *error) {
	if p := recover(); p != nil {
		*err = &PanicError{Value: p, Stack: debug.Stack()}
	}
}

// An Outcome says how a read was answered.
type Outcome int

const (
	Miss     Outcome = iota // by a load
	HitL1                   // by a copy in the process
	HitL2                   // by a copy in Redis
	Composed                // a page, of copies alone
	Stale                   // by a copy that is expired or changed, as the policy allows
	Bypass                  // by a load, with the cache off
)

// String returns the outcome as the metrics name it.
func (o Outcome) String() string {
	return [...]string{"miss", "hit_l1", "hit_l2", "composed", "stale", "bypass"}[o]
}

// A Result is the answer to one read. Value is shared with other readers and must
// not be changed.
type Result[T any] struct {
	Value   T
	Outcome Outcome
	TTL     time.Duration // for how long the value will still be fresh; zero when it is not
}

// GetOrSet returns the value under the key with the given values, one for each
// dimension of the Spec in order: a copy if the policy allows, else what the load
// returns. The value is shared and must not be changed. Inside a load it fails; see
// alone.
func (s *Source[T]) GetOrSet(ctx context.Context, values ...string) (T, error) {
	r, err := s.Fetch(ctx, values...)
	return r.Value, err
}

// Fetch is GetOrSet with the particulars. A hit in L1 allocates nothing.
func (s *Source[T]) Fetch(ctx context.Context, values ...string) (Result[T], error) {
	c, o := s.cache, s.origin
	if err := alone(ctx, o.spec); err != nil {
		return Result[T]{}, err
	}
	var scratch [256]byte
	text := o.spec.render(scratch[:0], values)
	if copied, left, hit := c.hit(o, text, values); hit {
		return result[T](&copied.answer, HitL1, left)
	}
	a := c.fetch(ctx, o, o.spec.key(string(text), values))
	return result[T](&a, a.outcome, a.expires-c.now())
}

// hit looks into L1 and reports whether what is there answers a read, and for how
// long it is still fresh.
func (c *Cache) hit(o *origin, text []byte, values []string) (copied *l1Copy, left time.Duration, answers bool) {
	copied = c.l1.get(text)
	if copied == nil {
		return nil, 0, false
	}
	now := c.now() // asking the clock is a fifth of a hit
	if !c.valid(copied, now) {
		return nil, 0, false
	}
	o.stats.hitL1.Add(1)
	if copied.early(now, c.o.Rand) {
		c.refresh(o, o.spec.key(copied.key, values), copied.snap.tags)
	}
	return copied, copied.expires - now, true
}

type loadingKey struct{}

// loading marks the context of a load with what it loads.
func loading(ctx context.Context, s *spec) context.Context {
	return context.WithValue(ctx, loadingKey{}, s)
}

// alone returns an error inside a load. What L2 holds depends on its key alone and uses
// no other copy: else that would have to be among its tags, and be no older than they
// are. What is made of several fragments is a [Page].
func alone(ctx context.Context, asked *spec) error {
	if s, inside := ctx.Value(loadingKey{}).(*spec); inside {
		return fmt.Errorf("cache: the load of %s asks for %s: a load uses no fragment, a page does", s.head, asked.head)
	}
	return nil
}

func result[T any](a *answer, how Outcome, left time.Duration) (Result[T], error) {
	if a.err != nil {
		return Result[T]{}, a.err
	}
	r := Result[T]{Value: a.value.(T), Outcome: how}
	if how != Stale {
		r.TTL = max(0, left)
	}
	return r, nil
}
