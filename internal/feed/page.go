package feed

import (
	"context"
	"fmt"
	"time"
)

// SharedPage is what every reader of a page has in common, whatever their language. It is
// cached and handed to many at a time, so it must not be changed.
type SharedPage struct {
	Posts []SharedPost `json:"posts"`
	Next  string       `json:"next"` // payload of the cursor to the next page; empty on the last one
}

// SharedPost is a post as it was written, with every translation of it by its locale.
type SharedPost struct {
	ID PostID `json:"id"`
	Text
	Locale       string          `json:"locale"`
	Translations map[string]Text `json:"translations,omitempty"`
	Author       Person          `json:"author"`
	Likes        int             `json:"likes"`
	LikesSeq     int64           `json:"likesSeq"` // how many likes and unlikes there were
	CreatedAt    time.Time       `json:"createdAt"`
	Version      int64           `json:"version"`
}

// in returns the post in a locale if there is a translation, else as it was written.
func (p SharedPost) in(locale string) Post {
	text, translated := p.Translations[locale]
	if !translated {
		text, locale = p.Text, p.Locale
	}
	return Post{ID: p.ID, Title: text.Title, Body: text.Body, Locale: locale,
		Author: p.Author, Likes: p.Likes, CreatedAt: p.CreatedAt, Version: p.Version}
}

// byLocale makes rows of a locale, a title and a body the translations of a post: nil if
// there are none, as of most posts.
func byLocale(rows [][]string) map[string]Text {
	if len(rows) == 0 {
		return nil
	}
	translations := make(map[string]Text, len(rows))
	for _, row := range rows {
		translations[row[0]] = Text{Title: row[1], Body: row[2]}
	}
	return translations
}

// The posts are picked first and joined afterwards, so that however the planner
// joins, it does so for one page of posts. $3 and $4 are the position after which
// the page begins; rows are compared as the indexes are ordered. Each translation of a
// post comes as three texts, since that is cheaper to read than JSON.
const (
	pageSQL = `
		SELECT p.id, p.title, p.body, p.locale,
		       ARRAY (SELECT ARRAY [locale, title, body] FROM post_translations WHERE post_id = p.id),
		       u.id, u.name, p.likes, p.likes_seq, p.created_at, p.version, p.hot
		FROM (SELECT id, author_id, locale, title, body, likes, likes_seq, created_at, version, hot
		      FROM posts WHERE community_id = $1 AND deleted_at IS NULL AND `

	pageJoins = `) p
		JOIN users u ON u.id = p.author_id
		ORDER BY `

	newestSQL = pageSQL + `(created_at, id) < ($3, $4) ORDER BY created_at DESC, id DESC LIMIT $2` +
		pageJoins + `p.created_at DESC, p.id DESC`

	rankedSQL = pageSQL + `(hot, id) < ($3, $4) ORDER BY hot DESC, id DESC LIMIT $2` +
		pageJoins + `p.hot DESC, p.id DESC`
)

// Shared reads what of a page does not depend on its reader: the posts after a position in
// an order, in all languages. Whether there is such a community, and whether the reader may
// see it, is not its question.
func (s *Store) Shared(ctx context.Context, id CommunityID, o Order, after position, limit int) (SharedPage, error) {
	// One more than is shown tells whether another page follows.
	sql, from := newestSQL, any(after.created)
	if o == Ranked {
		sql, from = rankedSQL, after.hot
	}
	rows, err := s.read.Query(ctx, sql, id, limit+1, from, after.id)
	if err != nil {
		return SharedPage{}, fmt.Errorf("reading posts of community %d: %w", id, err)
	}
	var last position
	page := SharedPage{Posts: make([]SharedPost, 0, limit)}
	for rows.Next() {
		if len(page.Posts) == limit {
			page.Next = last.text(o)
			break
		}
		var p SharedPost
		var translations [][]string
		if err := rows.Scan(&p.ID, &p.Title, &p.Body, &p.Locale, &translations, &p.Author.ID, &p.Author.Name,
			&p.Likes, &p.LikesSeq, &p.CreatedAt, &p.Version, &last.hot); err != nil {
			rows.Close()
			return SharedPage{}, fmt.Errorf("reading posts of community %d: %w", id, err)
		}
		p.Translations = byLocale(translations)
		last.created, last.id = p.CreatedAt, p.ID
		page.Posts = append(page.Posts, p)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return SharedPage{}, fmt.Errorf("reading posts of community %d: %w", id, err)
	}
	return page, nil
}
