package feed

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"example.com/communityfeed/internal/identity"
)

// SharedPage is the part of a page that every reader has in common. It is cached
// and handed to many at a time: nobody writes into it.
type SharedPage struct {
	Posts []Post `json:"posts"`
	Next  string `json:"next"` // payload of the cursor to the next page; empty on the last one
}

// The posts are picked first and joined afterwards, so that however the planner
// joins, it does so for one page of posts. $4 and $5 are the position after which
// the page begins; rows are compared as the indexes are ordered.
const (
	pageSQL = `
		SELECT p.id, coalesce(t.title, p.title), coalesce(t.body, p.body), coalesce(t.locale, p.locale),
		       u.id, u.name, p.likes, p.created_at, p.version, p.hot
		FROM (SELECT id, author_id, locale, title, body, likes, created_at, version, hot
		      FROM posts WHERE community_id = $1 AND deleted_at IS NULL AND `

	pageJoins = `) p
		JOIN users u ON u.id = p.author_id
		LEFT JOIN post_translations t ON t.post_id = p.id AND t.locale = $2
		ORDER BY `

	newestSQL = pageSQL + `(created_at, id) < ($4, $5) ORDER BY created_at DESC, id DESC LIMIT $3` +
		pageJoins + `p.created_at DESC, p.id DESC`

	rankedSQL = pageSQL + `(hot, id) < ($4, $5) ORDER BY hot DESC, id DESC LIMIT $3` +
		pageJoins + `p.hot DESC, p.id DESC`
)

// Shared reads the part of a page that does not depend on who reads it: the posts
// after a position in an order, in one language. Only a community that does not
// exist is not found; whether the reader may see it is Personal's question.
func (s *Store) Shared(ctx context.Context, id CommunityID, locale string, o Order, after position, limit int) (SharedPage, error) {
	// One more than is shown tells whether another page follows.
	sql, from := newestSQL, any(after.created)
	if o == Ranked {
		sql, from = rankedSQL, after.hot
	}
	rows, err := s.read.Query(ctx, sql, id, locale, limit+1, from, after.id)
	if err != nil {
		return SharedPage{}, fmt.Errorf("reading posts of community %d: %w", id, err)
	}
	var last position
	page := SharedPage{Posts: make([]Post, 0, limit)}
	for rows.Next() {
		if len(page.Posts) == limit {
			page.Next = last.text(o)
			break
		}
		var p Post
		if err := rows.Scan(&p.ID, &p.Title, &p.Body, &p.Locale, &p.Author.ID, &p.Author.Name,
			&p.Likes, &p.CreatedAt, &p.Version, &last.hot); err != nil {
			rows.Close()
			return SharedPage{}, fmt.Errorf("reading posts of community %d: %w", id, err)
		}
		last.created, last.id = p.CreatedAt, p.ID
		page.Posts = append(page.Posts, p)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return SharedPage{}, fmt.Errorf("reading posts of community %d: %w", id, err)
	}
	if len(page.Posts) == 0 {
		return page, s.needCommunity(ctx, id)
	}
	return page, nil
}

func (s *Store) needCommunity(ctx context.Context, id CommunityID) error {
	var known bool
	err := s.read.QueryRow(ctx, `SELECT EXISTS (SELECT FROM communities WHERE id = $1)`, id).Scan(&known)
	if err != nil {
		return fmt.Errorf("looking up community %d: %w", id, err)
	}
	if !known {
		return communityNotFound(id)
	}
	return nil
}

// Personal is what one reader adds to a shared page.
type Personal struct {
	Likes   []PostID          // of the page's posts
	Blocked []identity.UserID // of the page's authors
}

const personalSQL = `
	SELECT ARRAY (SELECT post_id FROM likes WHERE user_id = $2 AND post_id = ANY($3)),
	       ARRAY (SELECT blocked_id FROM blocks WHERE blocker_id = $2 AND blocked_id = ANY($4))
	FROM communities c
	WHERE c.id = $1 AND (c.visibility = 'public' OR EXISTS (
		SELECT FROM members m WHERE m.community_id = c.id AND m.user_id = $2))`

// Personal reads, in one query, what a viewer adds to a page of these posts. A
// community that the viewer may not see is not found. The viewer may be nobody.
func (s *Store) Personal(ctx context.Context, id CommunityID, viewer identity.UserID, posts []Post) (Personal, error) {
	ids := make([]PostID, len(posts))
	authors := make([]identity.UserID, len(posts))
	for i, p := range posts {
		ids[i], authors[i] = p.ID, p.Author.ID
	}
	var own Personal
	err := s.read.QueryRow(ctx, personalSQL, id, viewer, ids, authors).Scan(&own.Likes, &own.Blocked)
	if errors.Is(err, pgx.ErrNoRows) {
		return Personal{}, communityNotFound(id)
	}
	if err != nil {
		return Personal{}, fmt.Errorf("reading what user %s adds to community %d: %w", viewer, id, err)
	}
	return own, nil
}

// compose shows shared posts to one reader. Posts of authors whom the reader has
// blocked are left out, so a page may be shorter than its limit, even empty, and
// still not be the last. The posts given are shared with other readers and stay
// as they are.
func compose(posts []Post, own Personal) []Post {
	seen := make([]Post, 0, len(posts))
	for _, p := range posts {
		if slices.Contains(own.Blocked, p.Author.ID) {
			continue
		}
		p.LikedByMe = slices.Contains(own.Likes, p.ID)
		seen = append(seen, p)
	}
	return seen
}
