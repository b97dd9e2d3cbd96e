package cachetest

import (
	"time"

	"example.com/communityfeed/internal/cache"
)

// A plan is what a seed is about: how many processes, what is cached how, and
// which faults there are. Few faults at a time leave room for long orders of steps.
type plan struct {
	theme       theme
	processes   int
	steps       int
	l1          int
	tags        int // that a generation remembers: twice those of a page, or more
	slots       int // of each process in the database
	policy      cache.Policy
	rows        []string
	viewers     []string
	faults      map[fault]bool
	lingering   bool // a request may reach Redis long after it was sent
	calm        bool // whatever is asked of Redis is done at once
	warm        bool // every page has been read before anything happens
	lateViewers bool // what is loaded of viewers takes long
	lateIDs     bool // the ids that stale pages are judged by are often late
	eager       int  // of ten steps, how many open a gate when there is one
	fragments   int  // of twenty reads, how many are of fragments and not of pages
}

// A theme is what seeds look for. A fault that is one of twenty hardly ever meets the
// few steps in which it would do harm; here it comes often, with few others.
type theme struct {
	name   string
	faults []fault           // it has all of these
	also   []fault           // and some of these
	often  map[string]int    // weights of operations, where they are not the usual ones
	tune   func(*sim, *plan) // what else it needs
}

// themes are taken in turn, so that as many seeds in a row have them all.
var themes = []theme{
	{name: "no faults"},
	{name: "late news", faults: []fault{lateNews}, also: []fault{lostNews, twiceNews, slowLoads}},
	{name: "one row", faults: []fault{lateNews, slowLoads}, also: []fault{failedMoves, stops}, tune: oneRow},
	{
		name: "lost news", faults: []fault{brokenSubs, cutOffs, lostNews}, also: []fault{twiceNews, lateNews},
		often: map[string]int{"fault": 20, "change": 20},
	},
	{
		name: "failed moves", faults: []fault{failedMoves}, also: []fault{refusing, unready, slowRedis},
		often: map[string]int{"change": 25}, tune: oneRow,
	},
	{
		name: "failover", faults: []fault{failover}, also: []fault{slowRedis, unmarked, lostNews, lateNews, badLoads},
		often: map[string]int{"fault": 20, "change": 20},
	},
	{
		name: "lost tags", faults: []fault{eviction}, also: []fault{emptied, refusing, badLoads, slowLoads},
		often: map[string]int{"fault": 20},
	},
	{
		name: "deaths", faults: []fault{deaths}, also: []fault{stops, unmarked, lostNews, slowRedis, badLoads},
		often: map[string]int{"fault": 20, "change": 20},
	},
	{
		name: "bad Redis", faults: []fault{refusing, unready, emptied}, also: []fault{slowRedis, cutOffs, badLoads, failedMoves},
		often: map[string]int{"fault": 20},
	},
	{name: "bad network", faults: []fault{slowRedis, lostCalls}, also: []fault{brokenConns, errorReply, unready, emptied, cutOffs}},
	{
		name: "bad origin", faults: []fault{away, slowLoads}, also: []fault{badLoads, panics, lateNews, eviction},
		often: map[string]int{"change": 10, "revoke": 4, "fault": 12, "time": 25},
		tune: func(s *sim, p *plan) {
			oneRow(s, p)
			p.slots = pick(s, []int{1, 20, 20, 20})
			p.policy.TTL, p.policy.StaleWhileRevalidate, p.policy.StaleIfError = seconds(s, 6, 30), seconds(s, 0, 0, 5), seconds(s, 10, 120)
		},
	},
	{
		name: "age", also: []fault{slowLoads, lateNews}, often: map[string]int{"change": 1, "revoke": 1, "purge": 0, "quiet change": 15, "rush": 10, "time": 30},
		tune: func(s *sim, p *plan) {
			p.policy.TTL, p.l1 = seconds(s, 2, 6, 12), pick(s, []int{-1, 100})
			p.policy.StaleWhileRevalidate = seconds(s, 0, 5)
		},
	},
	{
		name: "pages", faults: []fault{lateNews, slowLoads}, also: []fault{lostNews, stops, failedMoves, brokenSubs},
		often: map[string]int{"change": 15, "revoke": 8, "revoke beside": 6, "rush": 6}, tune: onePage,
	},
	{
		name: "stale pages", faults: []fault{away, slowLoads, lateNews}, also: []fault{badLoads, lostNews, slowRedis, eviction, failedMoves},
		often: map[string]int{"change": 12, "revoke": 3, "revoke beside": 10, "outage": 8, "purge": 0, "fault": 12, "time": 25, "rush": 6},
		tune: func(s *sim, p *plan) {
			onePage(s, p)
			p.lateViewers = s.chance(0.7)
			p.warm, p.policy.TTL, p.policy.StaleIfError = true, seconds(s, 2, 6), seconds(s, 60, 120)
		},
	},
	{
		name: "forgotten tags", faults: []fault{lateNews}, also: []fault{slowLoads, lostNews, brokenSubs, failedMoves},
		often: map[string]int{"change": 20, "flood": 40},
		tune: func(s *sim, p *plan) {
			onePage(s, p)
			p.tags, p.policy.TTL = 8, seconds(s, 6, 30, 120)
		},
	},
	{
		name: "old fragments", faults: []fault{lateNews, lostNews}, also: []fault{slowLoads},
		often: map[string]int{"read": 40, "change": 8, "revoke": 2, "purge": 0, "time": 30},
		tune: func(s *sim, p *plan) {
			onePage(s, p)
			p.fragments, p.policy.TTL = 10, seconds(s, 30, 120)
		},
	},
	{name: "anything", also: allFaults},
}

// themeOf is the theme of a seed.
func themeOf(seed uint64) theme { return themes[seed%uint64(len(themes))] }

// oneRow has two processes meet at one row again and again.
func oneRow(s *sim, p *plan) {
	p.processes, p.rows, p.viewers = 2, []string{"a"}, []string{"u"}
}

// onePage has two processes meet at the pages of one row.
func onePage(s *sim, p *plan) {
	oneRow(s, p)
	p.fragments, p.l1, p.lateIDs = 3, pick(s, []int{8, 100, 100, 100}), s.chance(0.6)
	p.policy.TTL, p.policy.StaleWhileRevalidate = seconds(s, 2, 6, 30), seconds(s, 0, 5, 60)
}

func seconds(s *sim, from ...int) time.Duration {
	return time.Duration(pick(s, from)) * time.Second
}

func (s *sim) makePlan() {
	s.plan = plan{
		theme:     themeOf(s.seed),
		processes: 2 + s.draw(3),
		steps:     80 + s.draw(320),
		l1:        pick(s, []int{-1, 8, 100, 100}),
		tags:      pick(s, []int{8, 8, 12, 100}),
		slots:     pick(s, []int{1, 2, 5, 20, 20}),
		policy:    cache.Policy{TTL: seconds(s, 2, 6, 30, 120), StaleWhileRevalidate: seconds(s, 0, 5, 60), StaleIfError: seconds(s, 0, 10, 120), Negative: seconds(s, 0, 1, 4)},
		rows:      []string{"a", "b"}[:1+s.draw(2)],
		viewers:   []string{"u", "v"}[:1+s.draw(2)],
		faults:    make(map[fault]bool),
		eager:     5 + s.draw(5),
		fragments: pick(s, []int{4, 8, 12}),
	}
	if s.chance(0.15) {
		s.plan.processes = 2 + s.draw(7)
	}
	likely := pick(s, []float64{0, 0.2, 0.4})
	for _, f := range s.plan.theme.also {
		s.plan.faults[f] = s.chance(likely)
	}
	for _, f := range s.plan.theme.faults {
		s.plan.faults[f] = true
	}
	if s.plan.theme.tune != nil {
		s.plan.theme.tune(s, &s.plan)
	}
	s.plan.lingering = s.plan.any(slowRedis, cutOffs, lostCalls)
	s.plan.calm = !s.plan.any(ofRedis...)
}

// any reports whether the plan has one of the faults.
func (p *plan) any(faults ...fault) bool {
	for _, f := range faults {
		if p.faults[f] {
			return true
		}
	}
	return false
}
