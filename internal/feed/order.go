package feed

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
)

// Order is how the posts of a community follow each other.
type Order string

const (
	// Newest is the first version of the feed: the youngest post first.
	Newest Order = "newest"

	// Ranked is the second version: likes and age, by a score that changes only
	// when a post is liked, so that time alone never reorders a page.
	Ranked Order = "ranked"
)

// orderFor returns the order of the feed that the caller has asked for.
func orderFor(who identity.Caller) Order {
	if who.FeedV2() {
		return Ranked
	}
	return Newest
}

// position is a place in an order: the post with which a page ended. Two posts may
// be equally old or have the same score, so the number of the post is part of it.
type position struct {
	created time.Time // of Newest
	hot     float64   // of Ranked
	id      PostID
}

// start lies before the first post of either order.
var start = position{created: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), hot: math.Inf(1), id: math.MaxInt64}

// text renders the position of an order as the payload of a cursor. The order is
// part of it: what is a place in one order is none in the other. Both values come
// back exactly as they are in the database (which counts microseconds, and reads
// the shortest decimal of a float as that float), or pages would skip posts.
func (p position) text(o Order) string {
	value := strconv.FormatInt(p.created.UnixMicro(), 10)
	if o == Ranked {
		value = strconv.FormatFloat(p.hot, 'g', -1, 64)
	}
	return fmt.Sprintf("%s,%s,%d", o, value, p.id)
}

// parsePosition reads the payload of a cursor; the empty one is the start. A
// payload that is not of this order is the fault of the request.
func parsePosition(o Order, text string) (position, error) {
	if text == "" {
		return start, nil
	}
	var p position
	var wrong problem.Fields
	wrong.Check(p.parse(o, text), "after",
		fmt.Sprintf("is not a cursor of the feed in the order %q: start again at the first page", o))
	return p, wrong.Err()
}

func (p *position) parse(o Order, text string) bool {
	parts := strings.Split(text, ",")
	if len(parts) != 3 || parts[0] != string(o) {
		return false
	}
	id, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return false
	}
	p.id = PostID(id)
	if o == Ranked {
		p.hot, err = strconv.ParseFloat(parts[1], 64)
		return err == nil
	}
	micros, err := strconv.ParseInt(parts[1], 10, 64)
	p.created = time.UnixMicro(micros).UTC()
	return err == nil
}
