package main

import (
	"math/rand/v2"
	"slices"

	"example.com/communityfeed/internal/identity"
)

// locales are those that readers may ask for, the default first.
var locales = identity.SupportedLocales()

// A mix says what the traffic is made of.
type mix struct {
	Users       int     // who reads and writes; all of them have accounts
	Communities int     // that everybody may see
	Follows     int     // of these, that each user reads
	Locales     int     // languages that are asked for
	EachLocale  bool    // every user reads in all of them; else each in one
	Orders      int     // of the feed: 2, or 1 if nobody has the flag
	Writes      float64 // share of requests that change something
	Posts       float64 // share of those that are posts; the others are likes, given and taken back
	Skew        float64 // exponent of both Zipf distributions, above 1; 0: all are equally popular
	Requests    int     // length of the sequence; then it begins again
}

// A reader is one user in one language, with what their browser always sends.
type reader struct {
	user    int64
	locale  string
	feedV2  bool
	follows []int // indices into the communities, the busiest first
}

// action is what a request does.
type action uint8

const (
	read action = iota
	like
	unlike
	post
)

// A request is one step of the traffic.
type request struct {
	reader    int32 // index into traffic.readers
	community int32 // index into the communities
	slot      int32 // which of the reader's pages: remembers its ETag
	item      int32 // which post of the community is liked
	action    action
}

// traffic is a sequence of requests that follows from the mix and the seed alone, so
// that every mode of the cache is asked the same things in the same order.
type traffic struct {
	readers  []reader
	requests []request
}

// newTraffic draws the sequence. items is how many posts of each community can be liked.
func newTraffic(m mix, seed uint64, items int) traffic {
	d := rand.New(rand.NewPCG(seed, 0))
	community := m.popular(d, m.Communities)

	var t traffic
	for i := range m.Users {
		var follows []int
		for len(follows) < min(m.Follows, m.Communities) {
			if c := community(); !slices.Contains(follows, c) {
				follows = append(follows, c)
			}
		}
		speaks := locales[i%m.Locales : i%m.Locales+1]
		if m.EachLocale {
			speaks = locales[:m.Locales]
		}
		for _, locale := range speaks {
			// Every language reads all orders.
			t.readers = append(t.readers, reader{int64(i + 1), locale, i/m.Locales%m.Orders == 1, follows})
		}
	}
	// The users' numbers say nothing about how busy they are.
	d.Shuffle(len(t.readers), func(i, j int) { t.readers[i], t.readers[j] = t.readers[j], t.readers[i] })

	type liking struct {
		user            int64
		community, item int32
	}
	liked := make(map[liking]bool)
	busy := m.popular(d, len(t.readers))
	for range m.Requests {
		who := int32(busy())
		slot := d.IntN(len(t.readers[who].follows))
		r := request{reader: who, slot: int32(slot), community: int32(t.readers[who].follows[slot])}
		if d.Float64() < m.Writes {
			r.action = post
			if d.Float64() >= m.Posts {
				// A like that is there already changes nothing; so it is taken back.
				r.item = int32(d.IntN(items))
				its := liking{t.readers[who].user, r.community, r.item}
				r.action = like
				if liked[its] {
					r.action = unlike
				}
				liked[its] = !liked[its]
			}
		}
		t.requests = append(t.requests, r)
	}
	return t
}

// popular draws one of n, each as popular as its rank has it (Zipf: few are busy, most
// are not), or all alike.
func (m mix) popular(d *rand.Rand, n int) func() int {
	if m.Skew == 0 {
		return func() int { return d.IntN(n) }
	}
	zipf := rand.NewZipf(d, m.Skew, 1, uint64(n-1))
	return func() int { return int(zipf.Uint64()) }
}
