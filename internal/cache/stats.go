package cache

import (
	"errors"
	"sync"
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

	TrustLost    map[string]uint64 // reasons that were found to distrust L2: move_failed, subscription_lost or event_late
	L2Distrusted bool              // L2 is not read until a drain has ended
	L2           BreakerStats      // before L2
	Origin       BreakerStats      // before the origin

	L1Entries   int
	L1Bytes     int64
	L1Evictions uint64
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

	Joined uint64 // of these, those that waited for a flight under way; they ended as it did, or left before

	Loads    uint64
	LoadTime time.Duration // of all loads together

	WrittenThrough uint64 // copies that WriteThrough brought up to date

	Fenced   uint64 // fills kept out of L1 because a tag moved while they ran
	L2Errors uint64 // calls to L2 that failed or were too slow, taken for a miss

	Stood   map[string]uint64 // stale copies that answered a flight: refreshing (expired, while a refresh runs), expired or changed (because the load failed)
	Refused map[string]uint64 // what L2 did not take: lease_lost, overtaken (of Set and WriteThrough: L2 has moved on) or error
	Waits   map[string]uint64 // waits for another process's fill, by how they ended: landed, refused, failed, unheard (looked for itself) or given_up
}

// keyStats are the counters behind KeyStats.
type keyStats struct {
	hitL1, hitL2, composed, stale, miss, bypass, errors, joined atomic.Uint64
	loads, fenced, l2Errors, writtenThrough                     atomic.Uint64
	loadNanos                                                   atomic.Int64
	stood, refused, waits                                       tally
}

// A tally counts what happens, by why.
type tally struct {
	mu sync.Mutex
	n  map[string]uint64
}

func (t *tally) add(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = make(map[string]uint64)
	}
	t.n[why]++
}

// by returns the counts, of these reasons also when they are zero.
func (t *tally) by(reasons ...string) map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := make(map[string]uint64, len(reasons))
	for _, why := range reasons {
		counts[why] = t.n[why]
	}
	return counts
}

// Why things happen, and what is read, as the metrics name it.
const (
	// what a key is of
	kindPage     = "page"
	kindResponse = "response"
	kindFragment = "fragment"

	// a stale copy answered
	whileRefreshing = "refreshing" // it is expired, and a refresh runs
	whenExpired     = "expired"    // the load failed
	whenChanged     = "changed"    // the load failed

	// L2 did not take a fill
	leaseLost   = "lease_lost"
	overtaken   = "overtaken"
	storeFailed = "error"

	// a wait for another process's fill ended
	waitLanded  = "landed"
	waitRefused = "refused"
	waitFailed  = "failed"
	waitUnheard = "unheard" // the waiter looked for itself
	waitGivenUp = "given_up"

	// L2 is distrusted
	moveFailed       = "move_failed"       // by this process
	subscriptionLost = "subscription_lost" // what broke it may have cost Redis its last writes
	eventLate        = "event_late"        // somebody's move is missing

	// a breaker's call failed
	callTimeout = "timeout"
	callError   = "error"
)

// count counts a read that L1 did not answer, by what did. One that joined a flight is
// answered by what the flight was: it says so to its client, too.
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
		s.stale.Add(1)
	case a.outcome == Bypass:
		s.bypass.Add(1)
	default:
		s.miss.Add(1)
	}
}

// waited counts a wait for another process's fill.
func (s *keyStats) waited(how ending, patient bool) {
	switch {
	case !patient:
		s.waits.add(waitGivenUp)
	case how == landed:
		s.waits.add(waitLanded)
	case how == refused:
		s.waits.add(waitRefused)
	case how == failed:
		s.waits.add(waitFailed)
	default:
		s.waits.add(waitUnheard)
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
	s.Origin = c.origins.stats()
	if c.l2 != nil {
		s.L2 = c.l2.calls.stats()
	}
	s.L1Entries, s.L1Bytes, s.L1Evictions = c.l1.usage()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.sources {
		s.Keys[o.spec.head] = o.stats.report(o.spec.kind())
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
		HitL1: s.hitL1.Load(), HitL2: s.hitL2.Load(), Composed: s.composed.Load(), Stale: s.stale.Load(),
		Miss: s.miss.Load(), Bypass: s.bypass.Load(), Errors: s.errors.Load(), Joined: s.joined.Load(),
		Loads: s.loads.Load(), LoadTime: time.Duration(s.loadNanos.Load()),
		WrittenThrough: s.writtenThrough.Load(), Fenced: s.fenced.Load(), L2Errors: s.l2Errors.Load(),
		Stood:   s.stood.by(whileRefreshing, whenExpired, whenChanged),
		Refused: s.refused.by(leaseLost, overtaken, storeFailed),
		Waits:   s.waits.by(waitLanded, waitRefused, waitFailed, waitUnheard, waitGivenUp),
	}
}
