package cachetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// A sim is one run: a fleet, the world around it, and the scheduler that moves
// both. Its methods run in the scheduler's goroutine unless they lock mu.
type sim struct {
	seed  uint64
	plan  plan
	rng   *rand.Rand
	began time.Time
	step  int

	redis *miniredis.Miniredis
	server
	db        *database
	oracle    *oracle
	processes []*process
	launched  int
	conns     []*conn

	reads     []*read  // that may have left a flight
	followers []func() // reads to come soon
	ops       int
	checked   int
	loaded    map[string]time.Time // keys, since every fault is over
	stores    int
	through   int            // of them, what writes have made of a copy
	away      bool           // the origin
	answers   map[string]int // of fragments, by what the outcomes are called
	pages     map[string]int // the same of pages
	excused   int            // pages that failed without a load that did
	faults    map[fault]int
	lines     []string
	violated  []string
	blurred   string // a step that two goroutines want to take

	mu        sync.Mutex
	gates     []*gate
	actors    map[string]*actor // by the ids of goroutines
	hung      []*conn
	finished  []any
	arrived   chan struct{}
	lastFault time.Time // of a load
}

// draw returns a number below n.
func (s *sim) draw(n int) int { return s.rng.IntN(n) }

func (s *sim) chance(p float64) bool { return s.rng.Float64() < p }

// hits reports whether a fault of the plan strikes now, and counts it.
func (s *sim) hits(f fault, p float64) bool {
	if !s.plan.faults[f] || !s.chance(p) {
		return false
	}
	s.count(f)
	return true
}

// answer counts how a read has ended.
func (s *sim) answer(r *read) {
	if r.isPage() {
		s.pages[r.how()]++
	} else {
		s.answers[r.how()]++
	}
}

func (s *sim) count(f fault) { s.faults[f]++ }

func (s *sim) trace(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf("%4d %11v  ", s.step, time.Since(s.began))+fmt.Sprintf(format, args...))
}

// over reports whether a run ends before its time: something was found, or two
// goroutines want to take the same step and nothing from before tells them apart. From
// there on the seed would not be the same order of steps each time.
func (s *sim) over() bool { return len(s.violated) > 0 || s.blurred != "" }

func (s *sim) violate(format string, args ...any) {
	v := fmt.Sprintf(format, args...)
	s.violated = append(s.violated, v)
	s.trace("VIOLATION: %s", v)
}

func (s *sim) loadFault() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastFault = time.Now()
}

func (s *sim) all() []*gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.gates)
}

func newSim(seed uint64) *sim {
	s := &sim{
		seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), began: time.Now(), step: 1,
		answers: make(map[string]int), pages: make(map[string]int), faults: make(map[fault]int), actors: make(map[string]*actor), arrived: make(chan struct{}, 1),
	}
	s.leases = make(map[string]heldLease)
	s.oracle = newOracle(s)
	s.redis = miniredis.NewMiniRedis()
	s.redis.ClockTTL(true)
	return s
}

// run is a whole run, in a bubble.
func (s *sim) run() {
	s.makePlan()
	s.db = newDatabase(append(append([]string{quiet, purges}, s.plan.rows...), s.plan.viewers...)...)
	var faults []string
	for _, f := range allFaults {
		if s.plan.faults[f] {
			faults = append(faults, string(f))
		}
	}
	s.trace("%s: %d processes, %d steps, L1 of %d, %d tags, %d slots, %+v, faults: %s",
		s.plan.theme.name, s.plan.processes, s.plan.steps, s.plan.l1, s.plan.tags, s.plan.slots, s.plan.policy, strings.Join(faults, ", "))
	for range s.plan.processes {
		s.launch()
	}
	s.pass(50 * time.Millisecond)
	if s.plan.warm {
		s.warmUp()
	}
	for range s.plan.steps {
		s.settle()
		s.next()
		if s.over() {
			break
		}
	}
	s.wind()
}
