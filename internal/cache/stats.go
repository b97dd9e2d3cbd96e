package cache

import (
	"errors"
	"sync/atomic"
	"time"
)

// Stats is what a cache has done since it was made.
type Stats struct {
	Keys map[string]KeyStats // by "name/version"

	MovesChanged uint64 // tags moved as changed by this process
	MovesRevoked uint64 // tags moved as revoked by this process
	MovesFailed  uint64 // moves that did not reach L2
	FloorsRaised uint64 // times that everything taken before stopped counting
	TrustLost    uint64 // reasons that were found to distrust L2

	L2Distrusted bool // L2 is not read until a drain has ended
	L2Open       bool // the breaker before L2 is open
	OriginOpen   bool // the breaker before the origin is open

	L1Entries   int
	L1Bytes     int64
	L1Evictions uint64
}

// KeyStats counts the reads of one key by how they ended, and its loads.
type KeyStats struct {
	HitL1  uint64
	HitL2  uint64
	Stale  uint64
	Miss   uint64
	Wait   uint64 // joined a flight under way
	Errors uint64

	Loads    uint64
	LoadTime time.Duration // of all loads together

	Fenced     uint64 // fills kept out of L1 because a tag moved while they ran
	Refused    uint64 // fills that L2 did not take: lease lost, or not reached
	LeaseWaits uint64 // waits for another process's fill
	L2Errors   uint64 // calls to L2 that failed or were too slow, taken for a miss
}

// keyStats are the counters behind KeyStats.
type keyStats struct {
	hitL1, hitL2, stale, miss, wait, errors      atomic.Uint64
	loads, fenced, refused, leaseWaits, l2Errors atomic.Uint64
	loadNanos                                    atomic.Int64
}

// count counts a read that L1 did not answer.
func (s *keyStats) count(a answer, joined bool) {
	switch {
	case a.err != nil:
		s.errors.Add(1)
	case joined:
		s.wait.Add(1)
	case a.outcome == HitL2:
		s.hitL2.Add(1)
	case a.outcome == Stale:
		s.stale.Add(1)
	default:
		s.miss.Add(1)
	}
}

// softened counts a read of L2 that was taken for a miss, unless there is no L2.
func (s *keyStats) softened(err error) {
	if !errors.Is(err, errNoL2) {
		s.l2Errors.Add(1)
	}
}

// stats are the counters of the whole cache.
type stats struct {
	changed, revoked, failed atomic.Uint64
}

func (s *stats) moved(m Move, err error) {
	if err != nil {
		s.failed.Add(1)
	}
	if n := uint64(len(m.Tags)); m.Revoke {
		s.revoked.Add(n)
	} else {
		s.changed.Add(n)
	}
}

// Stats returns what the cache has done so far.
func (c *Cache) Stats() Stats {
	s := Stats{
		Keys:         make(map[string]KeyStats),
		MovesChanged: c.stats.changed.Load(),
		MovesRevoked: c.stats.revoked.Load(),
		MovesFailed:  c.stats.failed.Load(),
		FloorsRaised: c.heard.raised.Load(),
	}
	s.TrustLost, s.L2Distrusted = c.trust.report()
	s.L2Open, s.OriginOpen = c.l2 != nil && c.l2.calls.open(), c.origins.open()
	s.L1Entries, s.L1Bytes, s.L1Evictions = c.l1.usage()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.sources {
		k := &o.stats
		s.Keys[o.spec.head] = KeyStats{
			HitL1: k.hitL1.Load(), HitL2: k.hitL2.Load(), Stale: k.stale.Load(),
			Miss: k.miss.Load(), Wait: k.wait.Load(), Errors: k.errors.Load(),
			Loads: k.loads.Load(), LoadTime: time.Duration(k.loadNanos.Load()),
			Fenced: k.fenced.Load(), Refused: k.refused.Load(),
			LeaseWaits: k.leaseWaits.Load(), L2Errors: k.l2Errors.Load(),
		}
	}
	return s
}
