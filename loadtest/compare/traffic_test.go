package main

import (
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func small() mix {
	m := hot.mix
	m.Requests = 50_000
	return m
}

func TestTheSameSeedDrawsTheSameTraffic(t *testing.T) {
	a, b := newTraffic(small(), 7, 20), newTraffic(small(), 7, 20)
	if diff := cmp.Diff(a.readers, b.readers, cmp.AllowUnexported(reader{})); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(a.requests, b.requests) {
		t.Error("the same seed draws other requests")
	}
	if slices.Equal(a.requests, newTraffic(small(), 8, 20).requests) {
		t.Error("another seed draws the same requests")
	}
}

func TestTrafficIsMixedAsItSays(t *testing.T) {
	m := small()
	traffic := newTraffic(m, 1, 20)
	counts := make(map[action]int)
	for _, r := range traffic.requests {
		counts[r.action]++
	}
	writes := float64(counts[like] + counts[unlike] + counts[post])
	about := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > want/10 {
			t.Errorf("%s are %.4f of the requests, want about %.4f", what, got, want)
		}
	}
	all := float64(m.Requests)
	about("writes", writes/all, m.Writes)
	about("posts", float64(counts[post])/all, m.Writes*m.Posts)
}

// A like that is there is taken back and nothing else, so every write changes
// something.
func TestEveryLikeChangesSomething(t *testing.T) {
	type liking struct{ reader, community, item int32 }
	liked := make(map[liking]bool)
	for i, r := range newTraffic(small(), 1, 20).requests {
		its := liking{r.reader, r.community, r.item}
		switch {
		case r.action == like && liked[its]:
			t.Fatalf("request %d likes what is liked", i)
		case r.action == unlike && !liked[its]:
			t.Fatalf("request %d takes back what is not there", i)
		case r.action == like || r.action == unlike:
			liked[its] = !liked[its]
		}
	}
}

// All languages and both orders are read, everybody keeps to the communities that they
// follow, and few users and communities make most of the traffic.
func TestTrafficIsSkewedAndStaysWhereItsReadersAre(t *testing.T) {
	traffic := newTraffic(small(), 1, 20)
	type kind struct {
		locale string
		feedV2 bool
	}
	kinds := make(map[kind]int)
	for _, r := range traffic.readers {
		kinds[kind{r.locale, r.feedV2}]++
	}
	if len(kinds) != 2*3 {
		t.Errorf("the readers are of these kinds only: %v", kinds)
	}
	byUser, byCommunity := make(map[int32]int), make(map[int32]int)
	for i, r := range traffic.requests {
		if follows := traffic.readers[r.reader].follows; int32(follows[r.slot]) != r.community {
			t.Fatalf("request %d is for community %d, which is not at %d of %v", i, r.community, r.slot, follows)
		}
		byUser[r.reader]++
		byCommunity[r.community]++
	}
	if byUser[0] < 20*byUser[500] {
		t.Errorf("the busiest user has %d requests, one in the middle %d", byUser[0], byUser[500])
	}
	if byCommunity[0] < 3*byCommunity[20] {
		t.Errorf("the busiest community has %d requests, one in the middle %d", byCommunity[0], byCommunity[20])
	}
}

// smallWide is the wide workload, shorter.
func smallWide() mix {
	m := wide.mix
	m.Requests = 120_000
	return m
}

func TestWideTrafficFollowsFromItsSeed(t *testing.T) {
	a := newTraffic(smallWide(), 7, 20).requests
	if !slices.Equal(a, newTraffic(smallWide(), 7, 20).requests) {
		t.Error("the same seed draws other requests")
	}
	if slices.Equal(a, newTraffic(smallWide(), 8, 20).requests) {
		t.Error("another seed draws the same requests")
	}
}

// Everybody reads every community in every language, all about equally often, and what
// is written is posts.
func TestWideTrafficIsUniform(t *testing.T) {
	m := smallWide()
	traffic := newTraffic(m, 1, 20)
	byUser, byCommunity, byLocale := make(map[int64]int), make(map[int32]int), make(map[string]int)
	type page struct {
		user      int64
		community int32
		locale    string
	}
	pages := make(map[page]bool)
	posts := 0
	for i, r := range traffic.requests {
		reader := traffic.readers[r.reader]
		if reader.feedV2 || int32(reader.follows[r.slot]) != r.community {
			t.Fatalf("request %d is of %+v at %d, for community %d", i, reader, r.slot, r.community)
		}
		switch r.action {
		case post:
			posts++
		case read:
		default:
			t.Fatalf("request %d is a like", i)
		}
		byUser[reader.user]++
		byCommunity[r.community]++
		byLocale[reader.locale]++
		pages[page{reader.user, r.community, reader.locale}] = true
	}
	even := func(what string, counts []int, kinds int, within float64) {
		t.Helper()
		if len(counts) != kinds {
			t.Errorf("there are %d %s, want %d", len(counts), what, kinds)
		}
		mean := float64(m.Requests) / float64(kinds)
		for _, n := range counts {
			if math.Abs(float64(n)-mean) > mean*within {
				t.Errorf("one of the %s has %d requests, the mean is %.0f", what, n, mean)
			}
		}
	}
	even("users", slices.Collect(maps.Values(byUser)), 1000, 0.5)
	even("communities", slices.Collect(maps.Values(byCommunity)), 40, 0.1)
	even("locales", slices.Collect(maps.Values(byLocale)), 3, 0.05)
	// Of n pages that are drawn n times, 1 - 1/e are drawn at all.
	if got, want := float64(len(pages)), 120_000*(1-1/math.E); math.Abs(got-want) > want/50 {
		t.Errorf("%v pages are asked for, want about %v", got, want)
	}
	if got, want := float64(posts), float64(m.Requests)*m.Writes; math.Abs(got-want) > want/10 {
		t.Errorf("%v posts, want about %v", got, want)
	}
}
