package cache

import (
	"fmt"
	"time"

	"example.com/communityfeed/internal/cache/remote"
)

// Classes of freshness. A policy may name any duration; these four keep a code base from
// growing forty.
const (
	Short  = 30 * time.Second
	Medium = 5 * time.Minute
	Long   = time.Hour
	Day    = 24 * time.Hour
)

// maxL1Age is the longest that a copy may stay in the process: what another process's lost
// message can cost.
const maxL1Age = 5 * time.Second

// A Policy says how long a copy is fresh and what may be served after that. The names are
// those of RFC 5861 and RFC 9111.
type Policy struct {
	// TTL is how long a copy is served without a question, give or take ten per cent, so
	// that copies taken together do not expire together. Required.
	TTL time.Duration

	// StaleWhileRevalidate is how long after TTL an expired copy is served at once while
	// one refresh runs in the background. It does not cover a changed copy.
	StaleWhileRevalidate time.Duration

	// StaleIfError is how long after TTL an expired or changed copy is served when the
	// load has failed. An expired one is also served when the lease of the key was held for
	// its whole life and nothing was stored. It never covers a revoked copy.
	StaleIfError time.Duration

	// Negative is how long "the origin has nothing" is kept, in L1 only. Zero: not at all.
	// It is never served past that.
	Negative time.Duration

	// L1 caps how long a copy stays in the process, counted from when its tags were read.
	// Zero means five seconds, which is also the most.
	L1 time.Duration
}

// retention is how long L2 keeps an entry that is fresh for so long: as long as any rule
// could serve it.
func (p Policy) retention(fresh time.Duration) time.Duration {
	return fresh + max(p.StaleWhileRevalidate, p.StaleIfError)
}

func (p Policy) l1Age() time.Duration {
	if p.L1 == 0 {
		return maxL1Age
	}
	return min(p.L1, maxL1Age)
}

// jittered returns TTL ± 10 %, by a number from [0,1).
func (p Policy) jittered(random float64) time.Duration {
	return time.Duration(float64(p.TTL) * (0.9 + 0.2*random))
}

func (p Policy) validate() error {
	switch retention := p.retention(p.TTL); {
	case p.TTL <= 0:
		return fmt.Errorf("policy needs TTL > 0, has %v", p.TTL)
	case p.StaleWhileRevalidate < 0 || p.StaleIfError < 0 || p.Negative < 0 || p.L1 < 0:
		return fmt.Errorf("policy has a negative duration: %+v", p)
	case retention+p.TTL/10 > remote.MaxRetention: // with the most jitter
		return fmt.Errorf("policy retains for %v, with jitter more than the %v that an entry may live", retention, remote.MaxRetention)
	}
	return nil
}
