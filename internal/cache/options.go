package cache

import (
	"cmp"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"example.com/communityfeed/internal/cache/remote"
)

// Options tunes a Cache. Zero values are the defaults.
type Options struct {
	// Off makes every read a load: for comparing, and for finding out whether the cache
	// is to blame.
	Off bool

	L1Entries  int   // most copies in the process; default 5,000; negative: no L1
	L1Bytes    int64 // most bytes in the process; default 64 MiB
	L1MaxEntry int64 // largest copy kept in the process, in bytes; default 1 MiB

	// TagsRemembered is how many tags' invalidations the process remembers at least; it
	// remembers twice as many at the most. More tags than that make copies leave L1 early.
	// It must be at least twice those of a page. Default 100,000, which cost some 20 MB at
	// the most.
	TagsRemembered int

	// LoadTimeout bounds one load. It must stay below the lease's life of five seconds, so
	// that a living holder never loses its lease. Default 4 s.
	LoadTimeout time.Duration

	// Answer reports the errors of loads that are answers: the origin works, and has
	// nothing (to show) under this key. They are kept for Policy.Negative. Every other
	// error is a fault, for which stale copies are served. Default: none.
	Answer func(error) bool

	// Rand returns numbers from [0,1) for jitter and early refreshes. Default: the
	// generator of math/rand/v2.
	Rand func() float64

	Log *slog.Logger // default: discard
}

func (o Options) withDefaults() Options {
	o.L1Entries = cmp.Or(o.L1Entries, 5000)
	o.L1Bytes = cmp.Or(o.L1Bytes, 64<<20)
	o.L1MaxEntry = cmp.Or(o.L1MaxEntry, 1<<20)
	o.TagsRemembered = cmp.Or(o.TagsRemembered, 100_000)
	o.LoadTimeout = min(cmp.Or(o.LoadTimeout, 4*time.Second), remote.LeaseLife-500*time.Millisecond)
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

// fault reports whether a load's error means that the origin is in trouble.
func (o *Options) fault(err error) bool { return err != nil && !o.Answer(err) }

// away reports whether a load's error may mean that the origin is away. A panic is about
// one page; it must not keep others from theirs.
func (o *Options) away(err error) bool {
	var panicked *PanicError
	return o.fault(err) && !errors.As(err, &panicked)
}

// fillLife bounds a fill. Every step of it has a bound of its own; this one is for all of
// them together.
func (o *Options) fillLife() time.Duration { return 2*remote.LeaseLife + o.LoadTimeout }

// The origin's breaker ignores four failures in a row, and keeps loads back for two seconds
// at the longest: readers see stale pages for as long.
const (
	originSpare = 4
	originMost  = 2 * time.Second
)
