package feed

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/identity"
)

// How many rows of a kind are kept of a reader: 8 KB of numbers, and what somebody can
// like in two hours without a program.
const (
	readerRows = 1000
	readerActs = 200
)

// Reader is what the pages of all communities need to know of their reader. It is cached
// once for each user, so what they like or block costs one query, however many pages show
// it, and a new post in a community costs its readers none.
//
// The zero Reader is an anonymous one: it likes nothing and blocks nobody.
type Reader struct {
	Blocked numbers[identity.UserID] `json:"blocked"`
	Likes   numbers[PostID]          `json:"likes"`

	// Acts are the latest likes and unlikes, the last one first, with the count that each
	// has left. A page counts the likes of a post as of the later of its fragment and the
	// reader's act, so that no page contradicts what its reader has just done. It has the
	// acts of two hours: no fragment is served for longer.
	Acts []Act `json:"acts,omitempty"`
}

// numbers are what the rows of one user point to, the largest first. The younger a post
// the larger its number, so if they like too many posts to keep, those are kept that first
// pages ask about.
type numbers[ID ~int64] struct {
	IDs  []ID `json:"ids"`
	More bool `json:"more"` // there are others, all smaller than the last
}

// newNumbers keeps at most so many of ids, which are descending.
func newNumbers[ID ~int64](ids []ID, most int) numbers[ID] {
	if len(ids) > most {
		return numbers[ID]{IDs: slices.Clip(ids[:most]), More: true}
	}
	return numbers[ID]{IDs: ids}
}

// has reports whether id is among them; known is false if what is kept does not tell.
func (n numbers[ID]) has(id ID) (yes, known bool) {
	i, yes := n.find(id)
	return yes, yes || !n.More || i < len(n.IDs)
}

// find returns where id is, or would be.
func (n numbers[ID]) find(id ID) (i int, found bool) {
	return slices.BinarySearchFunc(n.IDs, id, func(a, b ID) int { return cmp.Compare(b, a) })
}

// with returns the numbers and id, at most so many. Where others are left out that may
// be larger, so is id.
func (n numbers[ID]) with(id ID, most int) numbers[ID] {
	i, yes := n.find(id)
	if yes || n.More && i == len(n.IDs) {
		return n
	}
	kept := newNumbers(slices.Insert(slices.Clone(n.IDs), i, id), most)
	kept.More = kept.More || n.More
	return kept
}

// without returns the numbers without id.
func (n numbers[ID]) without(id ID) numbers[ID] {
	i, yes := n.find(id)
	if !yes {
		return n
	}
	return numbers[ID]{IDs: slices.Delete(slices.Clone(n.IDs), i, i+1), More: n.More}
}

// acting returns r after a like or an unlike: what readerSQL would return of it by then. r
// stays as it is.
func (r Reader) acting(act Act) Reader {
	if act.Liked {
		r.Likes = r.Likes.with(act.Post, readerRows)
	} else {
		r.Likes = r.Likes.without(act.Post)
	}
	if act.Seq == 0 || slices.Contains(r.Acts, act) {
		return r // no count is older than the first; or the like has changed nothing
	}
	acts := make([]Act, 0, min(len(r.Acts)+1, readerActs))
	acts = append(acts, act)
	for _, a := range r.Acts {
		if a.Post != act.Post && len(acts) < readerActs {
			acts = append(acts, a)
		}
	}
	r.Acts = acts
	return r
}

// One more than is kept tells whether there are others.
const readerSQL = `
	SELECT ARRAY (SELECT blocked_id FROM blocks WHERE blocker_id = $1 ORDER BY blocked_id DESC LIMIT $2),
	       ARRAY (SELECT post_id FROM likes WHERE user_id = $1 ORDER BY post_id DESC LIMIT $2),
	       ARRAY (SELECT ARRAY [post_id, liked::int, likes, seq] FROM like_acts
	              WHERE user_id = $1 AND acted_at > now() - interval '2 hours'
	              ORDER BY acted_at DESC, post_id DESC LIMIT $3)`

// Reader reads what is kept of a user. Of one who does not exist there is nothing.
func (s *Store) Reader(ctx context.Context, user identity.UserID) (Reader, error) {
	var (
		blocked []identity.UserID
		likes   []PostID
		acts    [][]int64
	)
	if err := s.read.QueryRow(ctx, readerSQL, user, readerRows+1, readerActs).Scan(&blocked, &likes, &acts); err != nil {
		return Reader{}, fmt.Errorf("reading what is kept of user %d: %w", user, err)
	}
	r := Reader{Blocked: newNumbers(blocked, readerRows), Likes: newNumbers(likes, readerRows)}
	for _, a := range acts {
		r.Acts = append(r.Acts, Act{Post: PostID(a[0]), Liked: a[1] == 1, Likes: int(a[2]), Seq: a[3]})
	}
	return r, nil
}

// A wantedReader is the fragment of a page's reader. An anonymous one has none.
type wantedReader struct {
	h         *Handler
	p         *cachehttp.Composing
	wanted    cache.Wanted[Reader]
	anonymous bool
}

// wantReader names the fragment of the page's reader.
func (h *Handler) wantReader(p *cachehttp.Composing) wantedReader {
	user := p.Caller().User()
	if user == 0 {
		return wantedReader{anonymous: true}
	}
	return wantedReader{h: h, p: p, wanted: h.fragments.readers.Want(p.Composition, readerKey{user})}
}

// of returns what the reader adds to posts. What their fragment does not tell of them, their
// buckets do, which are looked up in one round trip.
func (w wantedReader) of(posts ...SharedPost) (own personalView, err error) {
	if w.anonymous {
		return own, nil
	}
	if own.Reader, err = w.wanted.Get(); err != nil {
		return own, err
	}
	likes, blocks := make(map[int64]cache.Wanted[[]PostID]), make(map[int64]cache.Wanted[[]identity.UserID])
	for _, p := range posts {
		wantBucket(w, own.Likes, p.ID, w.h.fragments.likes, likes)
		wantBucket(w, own.Blocked, p.Author.ID, w.h.fragments.blocks, blocks)
	}
	for _, wanted := range likes {
		ids, err := wanted.Get()
		if err != nil {
			return own, err
		}
		own.likes = append(own.likes, ids...)
	}
	for _, wanted := range blocks {
		ids, err := wanted.Get()
		if err != nil {
			return own, err
		}
		own.blocks = append(own.blocks, ids...)
	}
	return own, nil
}

// wantBucket names the bucket of an id, if the reader's fragment does not tell.
func wantBucket[ID ~int64](w wantedReader, kept numbers[ID], id ID, from *cache.Fragments[bucketKey, []ID], wanted map[int64]cache.Wanted[[]ID]) {
	if _, known := kept.has(id); known {
		return
	}
	bucket := bucketOf(id)
	if _, named := wanted[bucket]; !named {
		wanted[bucket] = from.Want(w.p.Composition, bucketKey{w.p.Caller().User(), bucket})
	}
}

// A personalView is what one reader adds to the posts of a page.
type personalView struct {
	Reader
	likes  []PostID // of buckets
	blocks []identity.UserID
}

// shows returns posts as the reader sees them in their locale. Posts of authors that the
// reader has blocked are left out, so a page may be shorter than its limit, even empty, and
// still not be the last.
func (v personalView) shows(posts []SharedPost, locale string) []Post {
	seen := make([]Post, 0, len(posts))
	for _, p := range posts {
		if blocked, _ := v.Blocked.has(p.Author.ID); blocked || slices.Contains(v.blocks, p.Author.ID) {
			continue
		}
		seen = append(seen, v.show(p, locale))
	}
	return seen
}

// show returns one post as the reader sees it.
func (v personalView) show(p SharedPost, locale string) Post {
	post := p.in(locale)
	liked, _ := v.Likes.has(p.ID)
	post.LikedByMe = liked || slices.Contains(v.likes, p.ID)
	for _, act := range v.Acts {
		if act.Post == p.ID && act.Seq > p.LikesSeq {
			post.Likes = act.Likes
		}
	}
	return post
}
