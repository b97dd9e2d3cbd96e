package cachetest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/remote"
)

// A process is one member of the fleet: a cache over the production Redis tier,
// its sources, and a relay.
type process struct {
	s     *sim
	id    int
	cache *cache.Cache
	tier  *remote.Redis
	begun time.Time
	slots slots
	dead  atomic.Bool // died: nothing of it counts any more
	cut   atomic.Bool // its network is down

	stopping bool           // it is given no more work
	writing  sync.WaitGroup // the writes that it has begun

	lastMiss time.Time // when a load last closed its origin's breaker
	told     int       // of messages, so far

	sources map[string]*cache.Source[value] // of fragments, by the name of the key
	fetch   map[string]fetch                // of all
	stop    chan struct{}
	relay   sync.WaitGroup
}

// fetch reads a key.
type fetch func(ctx context.Context, values ...string) (cache.Result[value], error)

func (p *process) String() string { return fmt.Sprintf("p%d", p.id) }

// toldNext numbers what a process is told, in the order in which Redis says it.
func (p *process) toldNext() order {
	p.told++
	return order{nth: p.told}
}

func (s *sim) launch() *process {
	s.launched++
	p := &process{
		s: s, id: s.launched, begun: time.Now(), stop: make(chan struct{}),
		sources: make(map[string]*cache.Source[value]), fetch: make(map[string]fetch),
	}
	p.slots.free = s.plan.slots
	tier, err := remote.Open("redis://127.0.0.1:1", remote.Options{
		Prefix: prefix,
		Dial: func(ctx context.Context) (net.Conn, error) {
			if p.dead.Load() {
				return nil, errReset
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return s.dial(p)
		},
	})
	if err != nil {
		panic(err)
	}
	p.tier = tier
	p.cache = cache.New(tier, cache.Options{
		L1Entries:      s.plan.l1,
		TagsRemembered: s.plan.tags,
		Rand:           p.random,
		Answer:         func(err error) bool { return errors.As(err, new(nothing)) },
	})
	p.declare()
	p.poll() // before the first read
	p.relay.Go(p.run)
	s.processes = append(s.processes, p)
	return p
}

// serves reports whether the process can be asked for anything.
func (p *process) serves() bool { return !p.dead.Load() && !p.stopping }

// random is the chance in a cache. It depends on the time and not on how often it
// was asked.
func (p *process) random() float64 {
	h := fnv.New64a()
	fmt.Fprint(h, p.s.seed, p.id, time.Since(p.s.began))
	return float64(h.Sum64()>>11) / (1 << 53)
}
