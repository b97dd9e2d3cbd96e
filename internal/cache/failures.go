package cache

import (
	"sync"
	"time"
)

// A load that failed has failed for all reads that joined or waited, and for those that
// follow within failureLife: what is broken is not asked again at once by each of a
// thousand readers.
const (
	failureLife = time.Second
	maxFailures = 10_000 // when there are more, some keys are tried again early
)

// failures remembers which keys have failed lately.
type failures struct {
	mu    sync.Mutex
	byKey map[string]failure
}

type failure struct {
	err   error
	until time.Duration
}

// note remembers a failure.
func (f *failures) note(key string, err error, now time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.byKey) >= maxFailures || f.byKey == nil {
		f.byKey = make(map[string]failure)
	}
	f.byKey[key] = failure{err, now + failureLife}
}

// recent returns the error of a failure that is not over yet, or nil.
func (f *failures) recent(key string, now time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	known, ok := f.byKey[key]
	if !ok {
		return nil
	}
	if now >= known.until {
		delete(f.byKey, key)
		return nil
	}
	return known.err
}
