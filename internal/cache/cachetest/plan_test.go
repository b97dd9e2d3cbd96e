package cachetest

import (
	"time"

	"example.com/communityfeed/internal/cache"
)

// A plan is what a seed is about: how many processes, what is cached how, and
// which faults there are. Few faults at a time leave room for long orders of steps.
type plan struct {
	processes int
	steps     int
	l1        int
	policy    cache.Policy
	rows      []string
	viewers   []string
	faults    map[fault]bool
	lingering bool // a request may reach Redis long after it was sent
	eager     int  // of ten steps, how many open a gate when there is one
}

type fault string

const (
	slowRedis   fault = "slow Redis"
	lostCalls   fault = "call lost"
	errorReply  fault = "error reply"
	brokenConns fault = "connection reset"
	eviction    fault = "key evicted"
	emptied     fault = "restart, empty"
	refusing    fault = "writes refused"
	unready     fault = "Redis loading"
	failover    fault = "failover"
	lostNews    fault = "message lost"
	twiceNews   fault = "message doubled"
	cutOffs     fault = "process cut off"
	badLoads    fault = "load fails"
	panics      fault = "load panics"
	slowLoads   fault = "slow load"
	deaths      fault = "process dies"
	unmarked    fault = "delivery not marked"
)

var allFaults = []fault{
	slowRedis, lostCalls, errorReply, brokenConns, eviction, emptied, refusing, unready, failover,
	lostNews, twiceNews, cutOffs, badLoads, panics, slowLoads, deaths, unmarked,
}

func (s *sim) makePlan() {
	seconds := func(from ...int) time.Duration { return time.Duration(from[s.draw(len(from))]) * time.Second }
	s.plan = plan{
		processes: 2 + s.draw(3),
		steps:     60 + s.draw(200),
		l1:        []int{-1, 3, 100, 100}[s.draw(4)],
		policy:    cache.Policy{Fresh: seconds(2, 6, 30, 120), Stale: seconds(0, 5, 60), OnError: seconds(0, 10, 120), Negative: seconds(0, 1, 4)},
		rows:      []string{"a", "b"}[:1+s.draw(2)],
		viewers:   []string{"u", "v"}[:1+s.draw(2)],
		faults:    make(map[fault]bool),
		eager:     5 + s.draw(5),
	}
	if s.chance(0.2) {
		s.plan.processes = 2 + s.draw(7)
	}
	if s.chance(0.15) {
		return
	}
	likely := []float64{0.1, 0.25, 0.4}[s.draw(3)]
	for _, f := range allFaults {
		s.plan.faults[f] = s.chance(likely)
	}
	s.plan.lingering = s.plan.faults[slowRedis] || s.plan.faults[cutOffs] || s.plan.faults[lostCalls]
}
