package feed

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/identity"
)

// readerRows is how many rows of a kind are kept of a reader: 8 KB of numbers.
const readerRows = 1000

// Reader is what the pages of all communities need to know of one who reads them. It
// is cached once for each user, so what they like, block or join costs one query,
// however many pages show it, and a new post in a community costs its readers none.
//
// The zero Reader is nobody: who likes nothing, blocks nobody and is a member nowhere.
type Reader struct {
	Member  numbers[CommunityID]     `json:"member"`
	Blocked numbers[identity.UserID] `json:"blocked"`
	Likes   numbers[PostID]          `json:"likes"`
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

// liking is what a reader becomes who likes a post, and notLiking who no longer does: what
// readerSQL would return of them by then. The reader given stays as it is.
func (r Reader) liking(a Act) Reader {
	r.Likes = r.Likes.with(a.Post, readerRows)
	return r
}

func (r Reader) notLiking(a Act) Reader {
	r.Likes = r.Likes.without(a.Post)
	return r
}

// One more than is kept tells whether there are others.
const readerSQL = `
	SELECT ARRAY (SELECT community_id FROM members WHERE user_id = $1 ORDER BY community_id DESC LIMIT $2),
	       ARRAY (SELECT blocked_id FROM blocks WHERE blocker_id = $1 ORDER BY blocked_id DESC LIMIT $2),
	       ARRAY (SELECT post_id FROM likes WHERE user_id = $1 ORDER BY post_id DESC LIMIT $2)`

// Reader reads what is kept of a user. Of one who does not exist there is nothing.
func (s *Store) Reader(ctx context.Context, user identity.UserID) (Reader, error) {
	var (
		member  []CommunityID
		blocked []identity.UserID
		likes   []PostID
	)
	if err := s.read.QueryRow(ctx, readerSQL, user, readerRows+1).Scan(&member, &blocked, &likes); err != nil {
		return Reader{}, fmt.Errorf("reading what is kept of user %d: %w", user, err)
	}
	return Reader{
		Member: newNumbers(member, readerRows), Blocked: newNumbers(blocked, readerRows), Likes: newNumbers(likes, readerRows),
	}, nil
}

// loadReader is the load behind readerPart.
func (s *Store) loadReader(ctx context.Context, k cache.Key) (Reader, error) {
	user, err := identity.ParseUserID(k.Get("user"))
	if err != nil {
		return Reader{}, fmt.Errorf("user of key %s: %w", k, err)
	}
	return s.Reader(ctx, user)
}

// Personal is what one reader adds to a shared page of a community.
type Personal struct {
	Member  bool              // of the community; of a public one it may be left out
	Likes   []PostID          // of the page's posts
	Blocked []identity.UserID // of the page's authors
}

// adds returns what the reader adds to a page of a community. It reports false if more
// would have to be known of them than is kept.
func (r Reader) adds(id CommunityID, page SharedPage) (own Personal, known bool) {
	if page.Private {
		if own.Member, known = r.Member.has(id); !known {
			return Personal{}, false
		}
	}
	for _, p := range page.Posts {
		likes, known := r.Likes.has(p.ID)
		blocks, knownToo := r.Blocked.has(p.Author.ID)
		if !known || !knownToo {
			return Personal{}, false
		}
		if likes {
			own.Likes = append(own.Likes, p.ID)
		}
		if blocks {
			own.Blocked = append(own.Blocked, p.Author.ID)
		}
	}
	return own, true
}

// personalSQL looks up each post and each author of a page by itself. OFFSET 0 keeps the
// planner from making a join of that: for the usual reader it would read all that they
// like and throw most of it away, and so it then would for who likes a million posts.
const personalSQL = `
	SELECT EXISTS (SELECT FROM members WHERE community_id = $1 AND user_id = $2),
	       ARRAY (SELECT shown.id FROM unnest($3::bigint[]) AS shown (id)
	              WHERE EXISTS (SELECT FROM likes WHERE user_id = $2 AND post_id = shown.id OFFSET 0)),
	       ARRAY (SELECT author.id FROM unnest($4::bigint[]) AS author (id)
	              WHERE EXISTS (SELECT FROM blocks WHERE blocker_id = $2 AND blocked_id = author.id OFFSET 0))`

// Personal reads what a user adds to a page of these posts, however much there is of
// them.
func (s *Store) Personal(ctx context.Context, id CommunityID, user identity.UserID, posts []SharedPost) (Personal, error) {
	ids := make([]PostID, len(posts))
	authors := make([]identity.UserID, len(posts))
	for i, p := range posts {
		ids[i], authors[i] = p.ID, p.Author.ID
	}
	var own Personal
	if err := s.read.QueryRow(ctx, personalSQL, id, user, ids, authors).Scan(&own.Member, &own.Likes, &own.Blocked); err != nil {
		return Personal{}, fmt.Errorf("reading what user %d adds to community %d: %w", user, id, err)
	}
	return own, nil
}

// compose shows a shared page of a community to one reader, in their locale. To who may
// not see the community it does not exist. Posts of authors whom the reader has blocked
// are left out, so a page may be shorter than its limit, even empty, and still not be the
// last. The page given is shared with readers of all languages and stays as it is.
func compose(id CommunityID, page SharedPage, locale string, own Personal) ([]Post, error) {
	if page.Private && !own.Member {
		return nil, communityNotFound(id)
	}
	seen := make([]Post, 0, len(page.Posts))
	for _, p := range page.Posts {
		if slices.Contains(own.Blocked, p.Author.ID) {
			continue
		}
		post := p.in(locale)
		post.LikedByMe = slices.Contains(own.Likes, p.ID)
		seen = append(seen, post)
	}
	return seen, nil
}
