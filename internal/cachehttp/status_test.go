package cachehttp

import (
	"strings"
	"testing"
	"time"

	"example.com/communityfeed/internal/cache"
)

func TestCacheStatusTellsEachOutcome(t *testing.T) {
	s := newStatuses()
	for _, c := range []struct {
		how  cache.Outcome
		left time.Duration
		want string
	}{
		{cache.HitL1, 23*time.Second + 999*time.Millisecond, "communityfeed; hit; ttl=23; detail=l1"},
		{cache.HitL1, 0, "communityfeed; hit; ttl=0; detail=l1"},
		{cache.HitL2, 330 * time.Second, "communityfeed; hit; ttl=330; detail=l2"},
		{cache.HitL2, timedSeconds * time.Second, "communityfeed; hit; ttl=331; detail=l2"},
		{cache.HitL2, 24 * time.Hour, "communityfeed; hit; ttl=86400; detail=l2"},
		{cache.Composed, 23 * time.Second, "communityfeed; hit; ttl=23; detail=composed"},
		{cache.Miss, 30 * time.Second, "communityfeed; fwd=miss; ttl=30"},
		{cache.Stale, 0, "communityfeed; hit; detail=stale"},
		{cache.Bypass, 0, "communityfeed; fwd=bypass"},
	} {
		if got := strings.Join(s.of(c.how, c.left), "|"); got != c.want {
			t.Errorf("%v with %v left: %q, want %q", c.how, c.left, got, c.want)
		}
	}
}

// Most that is served is in the table: routes are fresh for up to five minutes.
func TestUsualStatusesAreMadeInAdvance(t *testing.T) {
	s := newStatuses()
	for _, how := range []cache.Outcome{cache.Miss, cache.HitL1, cache.HitL2, cache.Composed, cache.Stale, cache.Bypass} {
		for _, left := range []time.Duration{0, time.Second, cache.Medium + cache.Medium/10} {
			if n := testing.AllocsPerRun(10, func() { s.of(how, left) }); n != 0 {
				t.Errorf("%v with %v left: %v allocations", how, left, n)
			}
		}
	}
}

func TestGroupsAreAListOfStrings(t *testing.T) {
	for _, c := range []struct {
		tags []cache.Tag
		want string
	}{
		{nil, ``},
		{[]cache.Tag{cache.Everything}, ``},
		{[]cache.Tag{"community:12", cache.Everything, "user:42"}, `"community:12", "user:42"`},
		{[]cache.Tag{"a", "b", "a"}, `"a", "b"`},
		{[]cache.Tag{`say "hi"`, `back\slash`}, `"say \"hi\"", "back\\slash"`},
		{[]cache.Tag{"tab\t", "größe", "line\nbreak", "ok"}, `"ok"`},
	} {
		if got := Groups(c.tags); got != c.want {
			t.Errorf("%q: %s, want %s", c.tags, got, c.want)
		}
	}
}
