package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// ErrUnavailable is the error of a read that could not be answered although the
// origin may have the answer: another process's load failed, or the cache is
// closed. Trying again later may help.
var ErrUnavailable = errors.New("cache: unavailable")

// Options tunes a Cache. Zero values are the defaults.
type Options struct {
	// Off makes every read a load: for comparing, and for finding out whether the
	// cache is to blame.
	Off bool

	L1Entries int   // most copies in the process; default 5,000; negative: no L1
	L1Bytes   int64 // most bytes in the process; default 64 MiB
	L1MaxCopy int64 // largest copy kept in the process, in bytes; default 1 MiB

	// TagsRemembered is how many tags a generation of invalidations remembers, of two.
	// More tags than that make copies leave L1 early. It must be at least twice those of a
	// page. Default 100,000, which cost some 20 MB at the most.
	TagsRemembered int

	// LoadTimeout bounds one load. It must stay below the lease's life of five
	// seconds, so that a living holder never loses its lease. Default 4 s.
	LoadTimeout time.Duration

	// Answer reports the errors of loads that are answers: the origin works, and
	// has nothing (to show) under this key. They are kept for Policy.Negative. Every
	// other error is a fault, for which stale copies stand in. Default: none.
	Answer func(error) bool

	// Rand returns numbers from [0,1) for jitter and early refreshes. Default: the
	// generator of math/rand/v2.
	Rand func() float64

	Log *slog.Logger // default: discard
}

func (o Options) withDefaults() Options {
	o.L1Entries = cmp.Or(o.L1Entries, 5000)
	o.L1Bytes = cmp.Or(o.L1Bytes, 64<<20)
	o.L1MaxCopy = cmp.Or(o.L1MaxCopy, 1<<20)
	o.TagsRemembered = cmp.Or(o.TagsRemembered, 100_000)
	o.LoadTimeout = min(cmp.Or(o.LoadTimeout, 4*time.Second), leaseLife-500*time.Millisecond)
	if o.Answer == nil {
		o.Answer = func(error) bool { return false }
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// A Cache is both tiers of one process. Reads go through the [Source]s that were
// made for it, writes through [Cache.Move].
type Cache struct {
	o        Options
	l1       *memory // nil: none
	l2       *Redis  // nil: none
	base     time.Time
	heard    *heard
	trust    trust
	waiters  waiters
	flights  flights
	composed pageFlights
	holdings holdings
	origins  breaker // of all loads together: they go to one database
	failed   failures
	stats    stats

	mu         sync.Mutex
	sources    []*origin
	pages      []*page
	refreshing map[string]bool
	closed     bool
	root       context.Context // of every flight: no caller's context reaches a load
	cancel     context.CancelFunc
	running    sync.WaitGroup
}

// New makes a cache over l2, which may be nil, and starts listening to the moves
// of other processes. Close it.
func New(l2 *Redis, o Options) *Cache {
	c := newCache(l2, o)
	if l2 != nil {
		c.spawn(func(ctx context.Context) { l2.listen(ctx, c.heed, c.cutOff, c.deafen) })
	}
	return c
}

// newCache makes a cache that hears nothing yet.
func newCache(l2 *Redis, o Options) *Cache {
	o = o.withDefaults()
	c := &Cache{
		o:          o,
		l1:         newMemory(o.L1Entries, o.L1Bytes, o.L1MaxCopy),
		l2:         l2,
		base:       time.Now(),
		heard:      newHeard(o.TagsRemembered),
		origins:    breaker{spare: 4, most: originMost},
		refreshing: make(map[string]bool),
	}
	c.root, c.cancel = context.WithCancel(context.Background())
	return c
}

// Close stops listening, cancels the loads under way, gives their leases back and
// waits for all of it to end. Reads after Close load nothing.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.running.Wait()
}

// spawn runs do in a goroutine that Close waits for. It reports false after Close.
func (c *Cache) spawn(do func(context.Context)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.running.Go(func() { do(c.root) })
	return true
}

// enter has Close wait for the caller's own goroutine until it calls leave. It reports
// false after Close.
func (c *Cache) enter() (leave func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, false
	}
	c.running.Add(1)
	return c.running.Done, true
}

// now is the cache's clock: time since it was made, monotonic.
func (c *Cache) now() time.Duration { return time.Since(c.base) }

// Move tells both tiers what a write has changed. Call it after the commit and
// before the writer is answered: once it returns, no read in this process returns
// a copy from before the write (but a changed copy, marked Stale, when the load
// fails).
//
// It runs to its end whatever becomes of ctx, within the budget of L2. An error
// means that other processes may not have heard, and that this one reads L2 no more
// until a drain has repeated the move; see [Cache.BeginDrain].
func (c *Cache) Move(ctx context.Context, m Move) error {
	if len(m.Tags) == 0 {
		return nil
	}
	var err error
	if c.l2 != nil {
		// The turn and the call have one budget each.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*c.l2.budget)
		defer cancel()
		var did []replacement
		did, err = c.l2.move(ctx, m)
		trailOf(ctx).moves(m, did, err)
	}
	if err != nil {
		c.trust.lose(moveFailed) // before it is heard of, and before the writer is answered
	}
	// Only now: whoever takes a number after this reads ids from after the move, or
	// does not read L2.
	c.heard.hear(m.Tags...)
	c.stats.moved(m, err)
	return err
}

// register adds a key by add. Two of one name and version would answer each other's
// reads, so that is refused.
func (c *Cache) register(s *spec, add func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := func(other *spec) bool { return other.head == s.head }
	if slices.ContainsFunc(c.sources, func(o *origin) bool { return taken(o.spec) }) ||
		slices.ContainsFunc(c.pages, func(p *page) bool { return taken(p.spec) }) {
		return fmt.Errorf("cache: key %s is declared twice", s.head)
	}
	add()
	return nil
}

// Specs returns what the sources and pages of this cache have declared, by name.
func (c *Cache) Specs() []Spec {
	c.mu.Lock()
	defer c.mu.Unlock()
	specs := make([]Spec, 0, len(c.sources)+len(c.pages))
	for _, o := range c.sources {
		specs = append(specs, o.spec.Spec)
	}
	for _, p := range c.pages {
		specs = append(specs, p.spec.Spec)
	}
	slices.SortFunc(specs, func(a, b Spec) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return specs
}
