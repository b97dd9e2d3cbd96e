package feed

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// SharedPage is the part of a page that every reader has in common. It is cached
// and handed to many at a time: nobody writes into it.
type SharedPage struct {
	Private bool   `json:"private"` // the community exists for its members only
	Posts   []Post `json:"posts"`
	Next    string `json:"next"` // payload of the cursor to the next page; empty on the last one
}

// The posts are picked first and joined afterwards, so that however the planner
// joins, it does so for one page of posts. $4 and $5 are the position after which
// the page begins; rows are compared as the indexes are ordered.
const (
	pageSQL = `
		SELECT p.id, coalesce(t.title, p.title), coalesce(t.body, p.body), coalesce(t.locale, p.locale),
		       u.id, u.name, p.likes, p.created_at, p.version, p.hot,
		       (SELECT visibility = 'private' FROM communities WHERE id = $1)
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
// exist is not found; whether the reader may see it is a question for compose.
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
			&p.Likes, &p.CreatedAt, &p.Version, &last.hot, &page.Private); err != nil {
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
		page.Private, err = s.private(ctx, id)
		return page, err
	}
	return page, nil
}

// private tells whether a community, which must exist, is private.
func (s *Store) private(ctx context.Context, id CommunityID) (private bool, err error) {
	err = s.read.QueryRow(ctx, `SELECT visibility = 'private' FROM communities WHERE id = $1`, id).Scan(&private)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, communityNotFound(id)
	}
	if err != nil {
		return false, fmt.Errorf("looking up community %d: %w", id, err)
	}
	return private, nil
}
