package cache

import (
	"fmt"
	"time"
)

// Classes of freshness. A policy may name any duration; these four keep a code
// base from growing forty.
const (
	Short  = 30 * time.Second
	Medium = 5 * time.Minute
	Long   = time.Hour
	Day    = 24 * time.Hour
)

// maxL1Age is the longest that a copy may stay in the process: what another
// process's lost message can cost.
const maxL1Age = 5 * time.Second

// A Policy says how long a copy is fresh and what may be served after that.
type Policy struct {
	// Fresh is how long a copy is served without a question, give or take ten
	// per cent, so that copies taken together do not expire together. Required.
	Fresh time.Duration

	// Stale is how long after Fresh an expired copy is served at once while one
	// refresh runs in the background. It does not cover a changed copy.
	Stale time.Duration

	// OnError is how long after Fresh an expired or changed copy is served when
	// the load has failed. It never covers a revoked copy.
	OnError time.Duration

	// Negative is how long "the origin has nothing" is kept, in L1 only. Zero: not
	// at all. It is never served past that.
	Negative time.Duration

	// L1 caps how long a copy stays in the process, counted from when its tags
	// were read. Zero means five seconds, which is also the most.
	L1 time.Duration
}

// retention is how long L2 keeps an entry: as long as any rule could serve it.
func (p Policy) retention() time.Duration { return p.Fresh + max(p.Stale, p.OnError) }

func (p Policy) l1Age() time.Duration {
	if p.L1 == 0 {
		return maxL1Age
	}
	return min(p.L1, maxL1Age)
}

// jittered returns Fresh ± 10 %, by a number from [0,1).
func (p Policy) jittered(random float64) time.Duration {
	return time.Duration(float64(p.Fresh) * (0.9 + 0.2*random))
}

func (p Policy) validate() error {
	switch {
	case p.Fresh <= 0:
		return fmt.Errorf("policy needs Fresh > 0, has %v", p.Fresh)
	case p.Stale < 0 || p.OnError < 0 || p.Negative < 0 || p.L1 < 0:
		return fmt.Errorf("policy has a negative duration: %+v", p)
	case p.retention()+p.Fresh/10 > maxRetention: // with the most jitter
		return fmt.Errorf("policy retains for %v, with jitter more than the %v that an entry may live", p.retention(), maxRetention)
	}
	return nil
}

// A state is what has become of a copy. The order is from best to worst, so the
// state of a copy under several tags is the maximum over them.
type state int

const (
	fresh state = iota
	expired
	changed
	revoked
)

func (s state) String() string { return [...]string{"fresh", "expired", "changed", "revoked"}[s] }
