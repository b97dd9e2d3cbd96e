package cachetest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"example.com/communityfeed/internal/cache"
)

// A process is one member of the fleet: a cache over the production Redis tier,
// its sources, and a relay.
type process struct {
	s     *sim
	id    int
	cache *cache.Cache
	tier  *cache.Redis
	begun time.Time
	dead  atomic.Bool // died: nothing of it counts any more
	cut   atomic.Bool // its network is down

	lastMiss time.Time // when a load last closed its origin's breaker
	told     int       // of messages, so far

	sources map[string]*cache.Source[page] // by the name of the key
	stop    chan struct{}
	relay   sync.WaitGroup
}

func (p *process) String() string { return fmt.Sprintf("p%d", p.id) }

// toldNext numbers what a process is told, in the order in which Redis says it.
func (p *process) toldNext() order {
	p.told++
	return order{nth: p.told}
}

// A page is what a load returns: the version of every row that it shows.
type page struct {
	Saw map[string]int
}

// A nothing is a load's answer that a row is not there, and which version of the
// row said so.
type nothing struct{ page }

func (nothing) Error() string { return "nothing there" }

var errBroken = errors.New("the origin is broken")

// The rows of the origin. Those whose names begin with quiet are changed behind
// everybody's back: only time helps there. purges is a row that every load reads
// and that every purge changes.
const (
	quiet  = "quiet"
	purges = "*"
)

func tagOf(row string) cache.Tag {
	if row == purges {
		return cache.Everything
	}
	return cache.Tag("row:" + row)
}

// A shape is a kind of key: which parts its load asks for, and which rows it reads
// itself.
type shape struct {
	name  string
	dims  []string
	parts func(k cache.Key) [][]string // name and values
	own   func(k cache.Key) []string
	first bool // reads its own rows before its parts
}

var shapes = []shape{
	{
		name: "row", dims: []string{"name"},
		own: func(k cache.Key) []string { return []string{k.Get("name")} },
	},
	{
		name: "page", dims: []string{"name", "viewer"},
		parts: func(k cache.Key) [][]string { return [][]string{{"row", k.Get("name")}} },
		own:   func(k cache.Key) []string { return []string{k.Get("viewer")} },
	},
	{
		name: "pair", dims: []string{"name", "other"}, first: true,
		parts: func(k cache.Key) [][]string { return [][]string{{"row", k.Get("name")}, {"row", k.Get("other")}} },
		own:   func(cache.Key) []string { return nil },
	},
	{
		name: "site", dims: []string{"name", "viewer"},
		parts: func(k cache.Key) [][]string {
			return [][]string{{"row", quiet}, {"page", k.Get("name"), k.Get("viewer")}}
		},
		own: func(k cache.Key) []string { return []string{k.Get("name")} },
	},
}

// rowsOf are the rows that a key shows, in the end.
func rowsOf(name string, values []string) []string {
	if name == "site" {
		return append([]string{quiet}, values...)
	}
	return values
}

func (s *sim) launch() *process {
	s.launched++
	p := &process{s: s, id: s.launched, begun: time.Now(), sources: make(map[string]*cache.Source[page]), stop: make(chan struct{})}
	tier, err := cache.NewRedis("redis://127.0.0.1:1", cache.RedisOptions{
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
		L1Entries: s.plan.l1,
		Rand:      p.random,
		Answer:    func(err error) bool { return errors.As(err, new(nothing)) },
	})
	for _, sh := range shapes {
		p.sources[sh.name] = cache.NewSource(p.cache, cache.Spec{
			Name: sh.name, Version: 1, Dims: sh.dims, Policy: s.plan.policy,
			Tags: func(k cache.Key) []cache.Tag {
				values := make([]string, len(sh.dims))
				for i, d := range sh.dims {
					values[i] = k.Get(d)
				}
				var tags []cache.Tag
				for _, r := range rowsOf(sh.name, values) {
					tags = append(tags, tagOf(r))
				}
				return tags
			},
		}, cache.JSON[page]{}, func(ctx context.Context, k cache.Key) (page, error) { return p.load(ctx, sh, k) })
	}
	p.poll() // before the first read
	p.relay.Go(p.run)
	s.processes = append(s.processes, p)
	return p
}

// random is the chance in a cache. It depends on the time and not on how often it
// was asked.
func (p *process) random() float64 {
	h := fnv.New64a()
	fmt.Fprint(h, p.s.seed, p.id, time.Since(p.s.began))
	return float64(h.Sum64()>>11) / (1 << 53)
}

// load reads the parts and rows of a key, and stands at a gate before it returns,
// so that what it returns may be old by then.
func (p *process) load(ctx context.Context, sh shape, k cache.Key) (page, error) {
	p.s.rank()
	saw := make(map[string]int)
	there := true
	ownRows := func() { there = p.s.db.read(saw, append(sh.own(k), purges)...) && there }
	if sh.first {
		ownRows()
	}
	if sh.parts != nil {
		for _, part := range sh.parts(k) {
			v, err := p.sources[part[0]].GetOrSet(ctx, part[1:]...)
			if err != nil {
				if ctx.Err() != nil {
					p.s.loadFault() // its parts were too slow
				}
				return page{}, err
			}
			for row, version := range v.Saw {
				see(saw, row, version)
			}
		}
	}
	if !sh.first {
		ownRows()
	}
	v := page{maps.Clone(saw)}
	switch p.s.atLoad(ctx, p, k.String()) {
	case failing:
		p.s.loadFault()
		return page{}, errBroken
	case panicking:
		p.s.loadFault()
		panic("the load panics")
	}
	if ctx.Err() != nil {
		p.s.loadFault()
		return page{}, ctx.Err()
	}
	if !there {
		return page{}, nothing{v}
	}
	p.s.oracle.produced(k.String(), v)
	return v, nil
}

// atLoad holds a load until its gate opens or its context ends.
func (s *sim) atLoad(ctx context.Context, p *process, key string) verdict {
	ch := make(chan verdict, 1)
	g := s.put(&gate{what: fmt.Sprintf("%s load of %s ends", p, key), p: p, kind: loadGate, open: func(v verdict) { ch <- v }})
	select {
	case v := <-ch:
		return v
	case <-ctx.Done():
		s.take(g)
		return well
	}
}

// The relay, as the contract has it: every half second it looks for events that
// are undelivered for two seconds, which L2 is distrusted for, and it repeats what
// is undelivered, and after a loss what was delivered shortly before it.
const (
	pollEvery   = 500 * time.Millisecond
	overdue     = 2 * time.Second
	redelivered = 10 * time.Second
)

func (p *process) run() {
	select { // so that no two relays wake up in the same instant
	case <-p.stop:
		return
	case <-time.After(time.Duration(p.id) * 7_000_003):
	}
	again := make(chan struct{}, 1)
	p.relay.Go(func() {
		for {
			select {
			case <-p.stop:
				return
			case <-again:
				p.drain()
			}
		}
	})
	for {
		p.poll()
		select {
		case again <- struct{}{}:
		default:
		}
		select {
		case <-p.stop:
			return
		case <-time.After(pollEvery):
		}
	}
}

func (p *process) poll() {
	if len(p.s.db.due(overdue, time.Time{})) > 0 {
		p.cache.Distrust()
	}
}

func (p *process) drain() {
	since, end, needed := p.cache.BeginDrain()
	age, from := overdue/2, time.Time{}
	if needed {
		age, from = 0, since.Add(-redelivered)
	}
	complete := true
	for _, e := range p.s.db.due(age, from) {
		select {
		case <-p.stop:
			return
		default:
		}
		if p.cache.Move(context.Background(), e.move) != nil {
			complete = false
			continue
		}
		p.s.db.mark(e)
	}
	if needed && complete {
		end()
	}
}
