package cache

import (
	"math"
	"time"
)

// A hot key should be filled anew shortly before it expires, by one of its many readers, so
// that none of them ever waits. Each read decides for itself, by the rule of Vattani,
// Chierichetti and Lowenstein ("Optimal Probabilistic Cache Stampede Prevention", VLDB
// 2015, called XFetch there):
//
//	refresh when  now − δ·β·ln(rand) ≥ expiry
//
// δ is what the last load took; β is 1 here. The nearer the end, the dearer the load and
// the more reads there are, the earlier one of them begins.

// earlyWindow is from how many δ before expiry on the rule is asked at all. Before that it
// says yes once in e^20 reads.
const earlyWindow = 20

// nearEnd reports whether the rule need be asked.
func (a *answer) nearEnd(now time.Duration) bool { return a.expires-now < earlyWindow*a.cost }

// early asks the rule.
func (a *answer) early(now time.Duration, random func() float64) bool {
	if !a.nearEnd(now) {
		return false
	}
	ahead := -math.Log(random()) * float64(a.cost)
	return ahead >= float64(a.expires-now)
}
