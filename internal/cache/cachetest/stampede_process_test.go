package cachetest

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/remote"
)

// One process of a stampede: this test binary, executed again. Orders come in on
// standard input and answers go out on standard output, as JSON; the process ends
// with its input.

// stampedeMark is set in the environment of such a process and nowhere else.
const stampedeMark = "COMMUNITYFEED_STAMPEDE"

const (
	stampedeReaders = 1000
	stampedeLoad    = 50 * time.Millisecond
)

// A stampedeOrder begins the process, arms a round or fires it.
type stampedeOrder struct {
	URL, Prefix string // the first order
	Key         string // of a round that is to be armed; empty: fire it
}

// A stampedeAnswer says that an order is carried out.
type stampedeAnswer struct {
	Error   string
	Fired   time.Time       // when the readers were let go
	Took    []time.Duration // of each, from then on
	Loads   int64
	Elapsed time.Duration // of the load, as the process saw it
}

func stampede(in io.Reader, out io.Writer) {
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	var first stampedeOrder
	if orders.Decode(&first) != nil {
		return
	}
	tier, err := remote.Open(first.URL, remote.Options{
		Prefix:  first.Prefix,
		Timeout: 2 * time.Second, // a machine that is busy with something else must not cost a load
	})
	if err != nil {
		_ = answers.Encode(stampedeAnswer{Error: err.Error()})
		os.Exit(1)
	}
	c := cache.New(tier, cache.Options{})
	var loads, elapsed atomic.Int64
	pages := cache.NewSource(c, itemSpec("page"), cache.JSON[string]{}, func(context.Context, cache.Key) (string, error) {
		began := time.Now()
		loads.Add(1)
		time.Sleep(stampedeLoad) // what the origin takes
		elapsed.Store(int64(time.Since(began)))
		return "the page", nil
	})
	_, _ = pages.GetOrSet(context.Background(), "greeting") // connects
	_ = answers.Encode(stampedeAnswer{})

	for {
		var arm, fire stampedeOrder
		if orders.Decode(&arm) != nil {
			return
		}
		loads.Store(0)
		elapsed.Store(0)
		took := make([]time.Duration, stampedeReaders)
		var failed atomic.Pointer[error]
		var ready, done sync.WaitGroup
		var fired time.Time
		barrier := make(chan struct{})
		for i := range took {
			ready.Add(1)
			done.Go(func() {
				ready.Done()
				<-barrier
				v, err := pages.GetOrSet(context.Background(), arm.Key)
				took[i] = time.Since(fired)
				if err == nil && v != "the page" {
					err = io.ErrUnexpectedEOF
				}
				if err != nil {
					failed.Store(&err)
				}
			})
		}
		ready.Wait()
		_ = answers.Encode(stampedeAnswer{})
		if orders.Decode(&fire) != nil {
			return
		}
		fired = time.Now()
		close(barrier)
		done.Wait()
		answer := stampedeAnswer{Fired: fired, Took: took, Loads: loads.Load(), Elapsed: time.Duration(elapsed.Load())}
		if err := failed.Load(); err != nil {
			answer.Error = (*err).Error()
		}
		_ = answers.Encode(answer)
	}
}
