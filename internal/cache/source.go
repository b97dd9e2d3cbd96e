package cache

import (
	"context"
	"time"
)

// A Source is a cached load: a key, its policy and tags, and the function that asks the
// origin. It is bound once, where it is declared, so a load sees what its key says and
// nothing of the caller that happened to be first.
type Source[T any] struct{ source *source }

// source is a Source without its type parameter: what the inside of the package works on.
type source struct {
	cache  *Cache
	spec   *spec
	load   func(context.Context, Key) (any, error)
	encode func(any) ([]byte, error)
	decode func([]byte) (any, error)
	stats  keyStats
}

// NewSource binds a load to its key. It panics when the Spec is malformed or its name and
// version are taken: both are mistakes in the program, found at start.
//
// load must return nothing that depends on anything but its key. It runs under the cache's
// own context with Options.LoadTimeout; a panic in it is an error for those who wait.
func NewSource[T any](c *Cache, s Spec, codec Codec[T], load func(context.Context, Key) (T, error)) *Source[T] {
	compiled, err := compile(s)
	if err != nil {
		panic(err)
	}
	src := &source{
		cache: c,
		spec:  compiled,
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
	if err := c.addSource(src); err != nil {
		panic(err)
	}
	return &Source[T]{src}
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

// A Result is the answer to one read. Value is shared with other readers and must not be
// changed.
type Result[T any] struct {
	Value   T
	Outcome Outcome
	TTL     time.Duration // for how long the value will still be fresh; zero when it is not
}

// GetOrSet returns the value under the key with the given values, one for each dimension of
// the Spec in order: a copy if the policy allows, else what the load returns. The value is
// shared and must not be changed. Inside a load it fails; see alone.
func (s *Source[T]) GetOrSet(ctx context.Context, values ...string) (T, error) {
	r, err := s.Fetch(ctx, values...)
	return r.Value, err
}

// Fetch is GetOrSet with the particulars. A hit in L1 allocates nothing.
func (s *Source[T]) Fetch(ctx context.Context, values ...string) (Result[T], error) {
	var scratch [256]byte
	return fetch[T](ctx, s.source, s.source.spec.render(scratch[:0], values))
}

// fetch returns the value under a rendered key.
func fetch[T any](ctx context.Context, s *source, text []byte) (Result[T], error) {
	if err := alone(ctx, s.spec); err != nil {
		return Result[T]{}, err
	}
	if hit, left, ok := s.hit(text); ok {
		return result[T](&hit.answer, HitL1, left)
	}
	a := s.read(ctx, s.spec.split(string(text)))
	return result[T](&a, a.outcome, a.expires-s.cache.now())
}

// hit looks into L1 and reports whether what is there answers a read, and for how long it is
// still fresh.
func (s *source) hit(text []byte) (hit *localCopy, left time.Duration, ok bool) {
	hit, now := s.cache.hit(text)
	if hit == nil {
		return nil, 0, false
	}
	s.stats.hitL1.Add(1)
	if hit.early(now, s.cache.o.Rand) {
		s.refreshBehind(hit.key, hit.snapshot.Tags)
	}
	return hit, hit.expires - now, true
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
