package cache

import (
	"errors"
	"sync/atomic"
	"time"

	"example.com/communityfeed/internal/cache/breaker"
	"example.com/communityfeed/internal/cache/local"
	"example.com/communityfeed/internal/cache/remote"
)

// Stats is what a cache has done since it was made.
type Stats struct {
	Keys map[string]KeyStats // by "name/version"

	Changed            uint64 // tags invalidated as changed by this process
	Revoked            uint64 // tags invalidated as revoked by this process
	InvalidationErrors uint64 // invalidations that did not reach L2
	FenceRaised        uint64 // times that everything taken before stopped counting

	TrustLost    map[string]uint64 // reasons that were found to distrust L2: invalidation_failed, subscription_lost or event_late
	L2Distrusted bool              // L2 is not read until a drain has ended
	L2           breaker.Stats     // before L2
	Origin       breaker.Stats     // before the origin

	L1 local.Stats
}

// KeyStats counts the reads of one key by how they ended, and its loads. A read of a page
// is one here, and one more of each fragment that it uses: a ratio is of one kind, or it
// counts what a client asked for several times over.
type KeyStats struct {
	Kind string // page, response or fragment

	HitL1    uint64
	HitL2    uint64
	Composed uint64 // of a page: of copies alone
	Stale    uint64
	Miss     uint64 // something was loaded for it
	Bypass   uint64 // loaded with the cache off
	Errors   uint64

	Joined uint64 // of these, those that waited for a fill under way; they ended as it did, or left before

	Loads    uint64
	LoadTime time.Duration // of all loads together

	WrittenThrough uint64 // copies that WriteThrough brought up to date

	Fenced   uint64 // fills kept out of L1 because a tag was invalidated while they ran
	L2Errors uint64 // calls to L2 that failed or were too slow, taken for a miss

	ServedStale map[string]uint64 // stale copies that answered a fill: refreshing (expired, while a refresh runs), expired or changed (because the load failed)
	Refused     map[string]uint64 // what L2 did not take: lease_lost, overtaken (of Set and WriteThrough: L2 has moved on) or error
	Waits       map[string]uint64 // waits for the fill that has the lease, by how they ended: stored, not_stored, failed, unknown (looked for itself) or given_up
}

// keyStats are the counters behind KeyStats.
type keyStats struct {
	hitL1, hitL2, composed, answeredStale, miss, bypass, errors, joined atomic.Uint64
	loads, fenced, l2Errors, writtenThrough                             atomic.Uint64
	loadNanos                                                           atomic.Int64
	stale, refused, waits                                               tally
}

// Why things happen, and what is read, as the metrics name it.
const (
	// what a key is of
	kindPage     = "page"
	kindResponse = "response"
	kindFragment = "fragment"

	// a stale copy was served
	staleRefreshing = "refreshing" // it is expired, and a refresh runs
	staleExpired    = "expired"    // the load failed
	staleChanged    = "changed"    // the load failed

	// L2 did not take a fill
	refusedLeaseLost = "lease_lost"
	refusedOvertaken = "overtaken"
	refusedError     = "error"

	// a wait for another process's fill ended
	waitStored    = "stored"
	waitNotStored = "not_stored"
	waitFailed    = "failed"
	waitUnknown   = "unknown" // the waiter looked for itself
	waitGivenUp   = "given_up"

	// L2 is distrusted
	invalidationFailed = "invalidation_failed" // by this process
	subscriptionLost   = "subscription_lost"   // what broke it may have cost Redis its last writes
	eventLate          = "event_late"          // an invalidation of some process is missing
)

// count counts a read that L1 did not answer, by what did. One that joined a fill is
// answered by what the fill was: it says so to its client, too.
func (s *keyStats) count(a answer, joined bool) {
	if joined {
		s.joined.Add(1)
	}
	switch {
	case a.err != nil:
		s.errors.Add(1)
	case a.outcome == HitL1:
		s.hitL1.Add(1)
	case a.outcome == HitL2:
		s.hitL2.Add(1)
	case a.outcome == Composed:
		s.composed.Add(1)
	case a.outcome == Stale:
		s.answeredStale.Add(1)
	case a.outcome == Bypass:
		s.bypass.Add(1)
	default:
		s.miss.Add(1)
	}
}

// waited counts a wait for another process's fill.
func (s *keyStats) waited(how remote.FillResult, patient bool) {
	switch {
	case !patient:
		s.waits.add(waitGivenUp)
	case how == remote.Stored:
		s.waits.add(waitStored)
	case how == remote.NotStored:
		s.waits.add(waitNotStored)
	case how == remote.Failed:
		s.waits.add(waitFailed)
	default:
		s.waits.add(waitUnknown)
	}
}

// softened counts a read of L2 that was taken for a miss, unless there is no L2.
func (s *keyStats) softened(err error) {
	if !errors.Is(err, remote.ErrNone) {
		s.l2Errors.Add(1)
	}
}

// stats are the counters of the whole cache.
type stats struct {
	changed, revoked, failed atomic.Uint64
}

func (s *stats) invalidated(inv Invalidation, err error) {
	if err != nil {
		s.failed.Add(1)
	}
	if n := uint64(len(inv.Tags)); inv.Revoke {
		s.revoked.Add(n)
	} else {
		s.changed.Add(n)
	}
}

// Stats returns what the cache has done so far.
func (c *Cache) Stats() Stats {
	s := Stats{
		Keys:               make(map[string]KeyStats),
		Changed:            c.stats.changed.Load(),
		Revoked:            c.stats.revoked.Load(),
		InvalidationErrors: c.stats.failed.Load(),
		FenceRaised:        c.fence.Raised(),
		L2:                 c.l2.Stats(),
		Origin:             c.origin.Stats(),
		L1:                 c.l1.Stats(),
	}
	s.TrustLost, s.L2Distrusted = c.l2.trust.report()
	c.declared.mu.Lock()
	defer c.declared.mu.Unlock()
	for _, src := range c.sources {
		s.Keys[src.spec.head] = src.stats.report(src.spec.kind())
	}
	for _, p := range c.pages {
		s.Keys[p.spec.head] = p.stats.report(kindPage)
	}
	return s
}

// kind says what is kept under a source's key.
func (s *spec) kind() string {
	if s.Response {
		return kindResponse
	}
	return kindFragment
}

func (s *keyStats) report(kind string) KeyStats {
	return KeyStats{
		Kind:  kind,
		HitL1: s.hitL1.Load(), HitL2: s.hitL2.Load(), Composed: s.composed.Load(), Stale: s.answeredStale.Load(),
		Miss: s.miss.Load(), Bypass: s.bypass.Load(), Errors: s.errors.Load(), Joined: s.joined.Load(),
		Loads: s.loads.Load(), LoadTime: time.Duration(s.loadNanos.Load()),
		WrittenThrough: s.writtenThrough.Load(), Fenced: s.fenced.Load(), L2Errors: s.l2Errors.Load(),
		ServedStale: s.stale.by(staleRefreshing, staleExpired, staleChanged),
		Refused:     s.refused.by(refusedLeaseLost, refusedOvertaken, refusedError),
		Waits:       s.waits.by(waitStored, waitNotStored, waitFailed, waitUnknown, waitGivenUp),
	}
}
