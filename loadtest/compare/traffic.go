package main

import (
	"math/rand/v2"
	"slices"
)

// A mix says what the traffic is made of.
type mix struct {
	Users    int     // who reads and writes; all of them have accounts
	Follows  int     // communities that each of them reads
	Writes   float64 // share of requests that change something
	Posts    float64 // share of those that are posts; the others are likes, given and taken back
	Skew     float64 // exponent of both Zipf distributions, above 1
	Requests int     // length of the sequence; then it begins again
}

// defaultMix is what feed_mixed means here: 95 % reads of the first page of a
// community, and of what is written one in twenty a post, the rest likes.
var defaultMix = mix{Users: 1000, Follows: 3, Writes: 0.05, Posts: 0.05, Skew: 1.1, Requests: 1 << 20}

// The languages that readers ask for.
var locales = [...]string{"en", "de", "fr"}

// A reader is one user, with what their browser always sends.
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

// newTraffic draws the sequence. Users and communities are each as popular as their
// rank has it (Zipf): few are busy, most are not. items is how many posts of each
// community can be liked.
func newTraffic(m mix, seed uint64, communities, items int) traffic {
	d := rand.New(rand.NewPCG(seed, 0))
	busyUsers := rand.NewZipf(d, m.Skew, 1, uint64(m.Users-1))
	busyCommunities := rand.NewZipf(d, m.Skew, 1, uint64(communities-1))

	var t traffic
	for i := range m.Users {
		// Every language reads both orders.
		r := reader{user: int64(i + 1), locale: locales[i%len(locales)], feedV2: i/len(locales)%2 == 1}
		for len(r.follows) < min(m.Follows, communities) {
			if c := int(busyCommunities.Uint64()); !slices.Contains(r.follows, c) {
				r.follows = append(r.follows, c)
			}
		}
		t.readers = append(t.readers, r)
	}
	// The users' numbers say nothing about how busy they are.
	d.Shuffle(len(t.readers), func(i, j int) { t.readers[i], t.readers[j] = t.readers[j], t.readers[i] })

	type liking struct{ reader, community, item int32 }
	liked := make(map[liking]bool)
	for range m.Requests {
		who := int32(busyUsers.Uint64())
		slot := d.IntN(len(t.readers[who].follows))
		r := request{reader: who, slot: int32(slot), community: int32(t.readers[who].follows[slot])}
		if d.Float64() < m.Writes {
			r.action = post
			if d.Float64() >= m.Posts {
				// A like that is there already changes nothing; so it is taken back.
				r.item = int32(d.IntN(items))
				its := liking{who, r.community, r.item}
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
