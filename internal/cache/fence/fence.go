// Package fence says which copies still count.
//
// Every copy has tags. A write invalidates the tags of what it changed, and a copy whose
// tags were invalidated after it was read no longer counts, wherever it is stored. The
// fence has two halves. Between processes, each tag has minted [IDs] in Redis, and a copy
// carries the ids that were read before it was loaded. Within a process, every
// invalidation that the process hears of gets the next number, and a copy carries the
// number that was taken before its ids were read. The first half judges what lies in
// Redis. The second makes the copies of the process exact without a search, and makes
// messages harmless that are lost, late, repeated or out of order.
//
// The package does no I/O and has no clock.
package fence

import (
	"sync"
	"sync/atomic"
	"time"
)

// A Fence is the half of invalidations that lives in the process. It numbers snapshots and
// invalidations together, in the order in which they happen to the process:
//
//	snapshot: n++; its number is n          invalidation: n++; version(tag) = n
//
// A copy carries its snapshot's number, taken before its tags were read. It counts while
// none of its tags has a higher version, which is one comparison per tag.
//
// If copies were judged by their ids alone, this could happen:
//
//  1. A reader reads an entry from Redis. It is current.
//  2. A write commits, invalidates the tag, and answers its author.
//  3. The reader puts what it read in step 1 into L1.
//  4. The author reads, and sees the page from before their write.
//
// With the number taken before step 1 and the version raised in step 2, the copy of step 3
// does not count.
//
// Numbers are compared inside one process only, so they need not survive it.
type Fence struct {
	// minVersion is the number below which nothing counts. It rises when the process may
	// have missed an invalidation (its subscription was lost) and when versions are
	// forgotten. It is read without the mutex on every hit.
	minVersion atomic.Uint64

	// generation grows after each change of a version or of minVersion. A copy that counted
	// in this generation counts still.
	generation atomic.Uint64

	mu     sync.Mutex
	n      uint64
	limit  int
	recent map[Tag]*version
	older  map[Tag]*version
	since  uint64 // n when recent was begun
	raised atomic.Uint64
}

// A version is the number of the last invalidation of one tag that was heard. Snapshots
// point at it, so judging a hit costs no map lookup.
type version struct{ at atomic.Uint64 }

// New makes a fence that remembers the versions of between limit and twice as many tags.
// The limit must be at least twice the number of tags of any one copy.
func New(limit int) *Fence {
	f := &Fence{limit: limit, recent: make(map[Tag]*version), older: make(map[Tag]*version)}
	f.generation.Store(1) // so that a copy that was never judged is judged
	return f
}

// A Snapshot is the state of a key's tags at one moment. What is loaded from the origin is
// read after its snapshot. A copy that is found in Redis, with the ids of the snapshot, gets
// the snapshot of that lookup: equal ids say that nothing was invalidated since its own.
type Snapshot struct {
	Number   uint64        // invalidations that are heard later have higher numbers
	Taken    time.Duration // when, on the caller's clock
	Tags     []Tag
	IDs      []IDs // one for each tag; nil if Redis was not asked or did not answer
	versions []*version
}

// Lacks returns the tags that have no ids.
func (s *Snapshot) Lacks() (tags []Tag) {
	for i, ids := range s.IDs {
		if ids.Change == "" || ids.Revoke == "" {
			tags = append(tags, s.Tags[i])
		}
	}
	return tags
}

// Snapshot takes the process's half of a snapshot. The number is taken before the versions
// are looked up; forgetting relies on it.
func (f *Fence) Snapshot(tags []Tag) Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	return f.at(f.n, tags)
}

// SnapshotAt is Snapshot with a number that was taken before by [Fence.Number].
func (f *Fence) SnapshotAt(number uint64, tags []Tag) Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at(number, tags)
}

func (f *Fence) at(number uint64, tags []Tag) Snapshot {
	s := Snapshot{Number: number, Tags: tags, versions: make([]*version, len(tags))}
	for i, t := range tags {
		s.versions[i] = f.version(t)
	}
	return s
}

// Number takes the next number. What has a higher one began after this call.
func (f *Fence) Number() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	return f.n
}

// Hear notes that tags were invalidated. Call it after the invalidation has reached Redis,
// or has failed to: whoever takes a number after Hear returns must not be able to read ids
// from before the invalidation.
func (f *Fence) Hear(tags ...Tag) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	for _, t := range tags {
		f.version(t).at.Store(f.n)
	}
	f.generation.Add(1)
}

// Missed notes that invalidations may have been missed: nothing taken before now counts.
func (f *Fence) Missed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	f.raise(f.n)
}

// Counts reports whether none of the snapshot's tags was heard since it was taken.
func (f *Fence) Counts(s *Snapshot) bool {
	if s.Number < f.minVersion.Load() {
		return false
	}
	for _, v := range s.versions {
		if v.at.Load() > s.Number {
			return false
		}
	}
	return true
}

// StillCounts is Counts for a copy that is judged again and again. judged is the generation
// in which it last counted. So a hot copy is judged once for each invalidation that is
// heard, not for each hit, and its versions, which are spread over the memory, stay out of
// the processor's caches.
func (f *Fence) StillCounts(s *Snapshot, judged *atomic.Uint64) bool {
	generation := f.generation.Load() // before the versions
	if judged.Load() == generation {
		return true
	}
	if !f.Counts(s) {
		return false
	}
	judged.Store(generation)
	return true
}

// Raised returns how often everything taken before stopped counting.
func (f *Fence) Raised() uint64 { return f.raised.Load() }

// raise lets nothing below a number count. Its caller has the mutex.
func (f *Fence) raise(number uint64) {
	f.minVersion.Store(max(f.minVersion.Load(), number))
	f.raised.Add(1)
	f.generation.Add(1)
}

// version returns the version of a tag. When recent is full, older is dropped, recent becomes
// older, and a new recent is begun. So a version is forgotten if nothing has asked for it
// while recent filled up once.
//
// A snapshot that points at a forgotten version would miss later invalidations. So dropping
// older raises minVersion to the number at which the maps were exchanged the time before. A
// snapshot with a higher number has looked up all of its versions since, which put them into
// one of the two maps that remain.
func (f *Fence) version(t Tag) *version {
	if v := f.recent[t]; v != nil {
		return v
	}
	if len(f.recent) >= f.limit {
		if len(f.older) > 0 {
			f.raise(f.since)
		}
		f.n++
		f.older, f.recent, f.since = f.recent, make(map[Tag]*version), f.n
	}
	v := f.older[t]
	if v == nil {
		v = new(version)
	}
	f.recent[t] = v
	return v
}
