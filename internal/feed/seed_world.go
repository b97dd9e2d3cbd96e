package feed

import (
	"math"
	"math/rand/v2"
	"time"

	"example.com/communityfeed/internal/identity"
)

// world is the demo data, as functions of row numbers. Any row can be made
// without any other, so none is kept, and what one table says of another agrees:
// a post's count of likes is drawn as often as it is needed and falls the same
// each time.
type world struct {
	SeedSize
	now time.Time
}

// span is how far the posts reach back.
const span = 90 * 24 * time.Hour

// dice draws the random numbers of one row after the other.
type dice struct {
	pcg *rand.PCG
	*rand.Rand
}

func newDice() dice {
	pcg := rand.NewPCG(0, 0)
	return dice{pcg, rand.New(pcg)}
}

// forRow makes the next numbers be those of a row, whatever was drawn before.
func (d dice) forRow(row int64) {
	const seed, spread = 0x636f6d6d756e6974, 0x9e3779b97f4a7c15
	d.pcg.Seed(seed, uint64(row)*spread)
}

// The members of a community are a run of users, in a circle: its owner first.
// Runs are long in the first communities and short in the later ones.

// memberCount is how many members a community has.
func (w world) memberCount(community int64) int64 {
	return min(w.Users-1, 25+w.Users/(community+10))
}

// member is the nth member of a community, counting from 0. Community 12 begins
// at user 40, so that user 42 is in it; each next one begins 0.382 of a circle
// further on, which is how a plant spreads its leaves.
func (w world) member(community, n int64) identity.UserID {
	first := 39 + (community-12)*(w.Users*382/1000)
	return identity.UserID(mod(first+n, w.Users) + 1)
}

func mod(a, m int64) int64 { return (a%m + m) % m }

// demoPost is all that is drawn of one post.
type demoPost struct {
	community    int64
	author       identity.UserID
	locale       int // index into the phrasebook
	text         phrases
	likes        int64
	firstLiker   int64 // as the nth member; the others follow
	translations []int // indices into the phrasebook
	created      time.Time
	deleted      bool
}

// post draws a post. Its author and those who like it are members, so nobody has
// touched what they cannot see.
func (w world) post(d dice, id int64) demoPost {
	d.forRow(id)
	var p demoPost
	// The square makes the first communities busier than the later ones.
	p.community = 1 + int64(math.Pow(d.Float64(), 2)*float64(w.Communities))
	members := w.memberCount(p.community)
	p.author = w.member(p.community, d.Int64N(members))
	p.locale = drawLocale(d)
	p.text = drawPhrases(d)
	// Few posts are liked much: a Pareto distribution with a mean of about two.
	p.likes = min(members, 500, int64(math.Pow(1-d.Float64(), -0.7))-1)
	p.firstLiker = d.Int64N(members)
	if d.IntN(3) == 0 {
		p.translations = drawTranslations(d, p.locale)
	}
	p.deleted = d.IntN(100) == 0
	p.created = w.now.Add(-span + time.Duration(float64(id)/float64(w.Posts)*float64(span))).Truncate(time.Second)
	return p
}

func drawLocale(d dice) int {
	// en, de, fr, es, pt-BR, ja, in per cent, each added to those before.
	upTo := [...]int{40, 60, 72, 84, 92, 100}
	at := d.IntN(100)
	for i, limit := range upTo {
		if at < limit {
			return i
		}
	}
	return 0
}

// drawTranslations picks one or two languages other than the original's.
func drawTranslations(d dice, original int) []int {
	languages := len(phrasebook)
	first := d.IntN(languages - 1)
	picked := []int{(original + 1 + first) % languages}
	if d.IntN(2) == 0 {
		second := (first + 1 + d.IntN(languages-2)) % (languages - 1)
		picked = append(picked, (original+1+second)%languages)
	}
	return picked
}
