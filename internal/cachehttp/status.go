package cachehttp

import (
	"fmt"
	"time"

	"example.com/communityfeed/internal/cache"
)

// HeaderCache is the response header that tells how a read was answered: HIT,
// MISS, STALE or BYPASS.
const HeaderCache = "X-Cache"

// The values of X-Cache, by outcome.
var outcomes = [...][]string{
	cache.Miss:     header("MISS"),
	cache.HitL1:    header("HIT"),
	cache.HitL2:    header("HIT"),
	cache.Composed: header("HIT"),
	cache.Stale:    header("STALE"),
	cache.Bypass:   header("BYPASS"),
}

// statuses has the values of Cache-Status (RFC 9211): the same in the words of a
// standard, with what is left of the answer's freshness. Most are made in advance,
// so that a hit makes nothing.
//
// A load is "fwd=miss": that there was no copy at all (uri-miss), or only others'
// (vary-miss), or one that a tag has withdrawn, the cache does not tell apart. A
// stale copy has no ttl: what makes it stale may be a write, not its age. Whether a
// load was stored, or shared with others, is not claimed either.
type statuses struct {
	timed         [4][timedSeconds][]string // by outcome and seconds
	stale, bypass []string
}

// timedSeconds covers five minutes (cache.Medium) with their jitter.
const timedSeconds = 331

var timedFormats = [4]string{
	cache.Miss:     "communityfeed; fwd=miss; ttl=%d",
	cache.HitL1:    "communityfeed; hit; ttl=%d; detail=l1",
	cache.HitL2:    "communityfeed; hit; ttl=%d; detail=l2",
	cache.Composed: "communityfeed; hit; ttl=%d; detail=composed",
}

func newStatuses() *statuses {
	s := &statuses{
		stale:  header("communityfeed; hit; detail=stale"),
		bypass: header("communityfeed; fwd=bypass"),
	}
	for how := range s.timed {
		for ttl := range s.timed[how] {
			s.timed[how][ttl] = header(fmt.Sprintf(timedFormats[how], ttl))
		}
	}
	return s
}

// of returns the value for an outcome, with the time that the answer stays fresh.
func (s *statuses) of(how cache.Outcome, left time.Duration) []string {
	switch how {
	case cache.Stale:
		return s.stale
	case cache.Bypass:
		return s.bypass
	}
	ttl := int(left / time.Second)
	if ttl < timedSeconds {
		return s.timed[how][ttl]
	}
	return header(fmt.Sprintf(timedFormats[how], ttl))
}
