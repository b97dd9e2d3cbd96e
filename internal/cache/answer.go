package cache

import (
	"time"

	"example.com/communityfeed/internal/cache/fence"
	"example.com/communityfeed/internal/cache/local"
)

// An answer is what a read gets. What a hit in L1 looks at comes first.
type answer struct {
	value   any
	err     error         // the load's, or why there was none
	expires time.Duration // when the value stops being fresh
	cost    time.Duration // how long its load took
	outcome Outcome

	snapshot fence.Snapshot // what the value was read under; of a copy from L2, that of the lookup
	filled   time.Duration  // the origin was read after this, on the cache's clock
}

// A localCopy is an answer in L1.
type localCopy struct {
	answer
	key       Key
	fragments []fragment // of a page, the first to expire first; nil of all else
}

type entry = local.Entry[localCopy]

// inProcess is what this process knows: its clock, which copies count, and the copies.
type inProcess struct {
	base  time.Time
	fence *fence.Fence
	l1    *local.Cache[localCopy]
}

// now is the cache's clock: time since it was made, monotonic.
func (p *inProcess) now() time.Duration { return time.Since(p.base) }

// snapshot takes the process's half of a snapshot.
func (p *inProcess) snapshot(tags []Tag) fence.Snapshot {
	taken := p.now()
	s := p.fence.Snapshot(tags)
	s.Taken = taken
	return s
}

// keep puts an answer into L1, counted from when its tags were read, unless an invalidation
// was heard of since: then it answers the reads that wait for it, and no others.
// size is that of its encoded value. keep returns the entry, or nil.
func (s *source) keep(k Key, a answer, size int) *entry {
	c := s.cache
	if !c.fence.Counts(&a.snapshot) {
		s.stats.fenced.Add(1)
		return nil
	}
	until := min(a.snapshot.Taken+s.spec.Policy.l1Age(), a.expires)
	return c.keep(localCopy{answer: a, key: k}, until, size)
}

// keep offers a copy to L1 until a moment, and returns the entry, or nil if its time is over.
func (p *inProcess) keep(v localCopy, until time.Duration, size int) *entry {
	if until <= p.now() {
		return nil // it would only push out a copy that is of use
	}
	e := &entry{
		Value: v, Key: v.key.text, Until: until,
		Page: v.fragments != nil, Cheap: v.fragments != nil || v.err != nil,
		Size: int64(len(v.key.text)+size) + local.Overhead,
	}
	e.Snapshot = &e.Value.snapshot
	var grows local.Growing
	if v.err == nil {
		grows, _ = v.value.(local.Growing)
	}
	p.l1.Keep(e, grows)
	return e
}

// valid reports whether a copy in L1 may still be served.
func (p *inProcess) valid(e *entry, now time.Duration) bool {
	return now < e.Until && e.Counts(p.fence)
}

// hit returns the copy under a rendered key if it may be served, or nil, and what time it is.
func (p *inProcess) hit(text []byte) (*localCopy, time.Duration) {
	e := p.l1.Get(text)
	if e == nil {
		return nil, 0
	}
	now := p.now() // asking the clock is a fifth of a hit
	if !p.valid(e, now) {
		return nil, 0
	}
	return &e.Value, now
}

// answerOfEntry makes an answer of a copy in the process, if there is one and it may still be
// served.
func (p *inProcess) answerOfEntry(e *entry) (answer, bool) {
	if e == nil || !p.valid(e, p.now()) {
		return answer{}, false
	}
	a := e.Value.answer
	a.outcome = HitL1
	return a, true
}
