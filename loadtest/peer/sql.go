package main

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/communityfeed/internal/identity"
)

type person struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

type post struct {
	ID        int64     `json:"id"`
	Title     string    `json:"title"`
	Body      string    `json:"body"`
	Locale    string    `json:"locale"`
	Author    person    `json:"author"`
	Likes     int       `json:"likes"`
	LikedByMe bool      `json:"likedByMe"`
	CreatedAt time.Time `json:"createdAt"`
	Version   int64     `json:"version"`
}

type page struct {
	Viewer    *identity.UserID `json:"viewer"`
	Community int64            `json:"community"`
	Locale    string           `json:"locale"`
	Order     string           `json:"order"`
	Items     []post           `json:"items"`
	Next      *string          `json:"next"`
}

type newPost struct {
	Title  string `json:"title"`
	Body   string `json:"body"`
	Locale string `json:"locale"`
}

type created struct {
	Community int64 `json:"community"`
	post
}

// readable is whether user $2 may see community $1.
const readable = `EXISTS (SELECT FROM communities c WHERE c.id = $1 AND (c.visibility = 'public' OR
	EXISTS (SELECT FROM members m WHERE m.community_id = c.id AND m.user_id = $2)))`

// pageSQL is one reader's page in an order: its columns, as the feed's indexes have them.
func pageSQL(column string) string {
	return strings.ReplaceAll(`
		SELECT p.id, coalesce(t.title, p.title), coalesce(t.body, p.body), coalesce(t.locale, p.locale),
		       u.id, u.name, p.likes, p.created_at, p.version, p.hot,
		       EXISTS (SELECT FROM likes l WHERE l.user_id = $2 AND l.post_id = p.id),
		       EXISTS (SELECT FROM blocks b WHERE b.blocker_id = $2 AND b.blocked_id = p.author_id)
		FROM (SELECT id, author_id, locale, title, body, likes, created_at, version, hot
		      FROM posts WHERE community_id = $1 AND deleted_at IS NULL AND ({by}, id) < ($5, $6) AND `+readable+`
		      ORDER BY {by} DESC, id DESC LIMIT $4) p
		JOIN users u ON u.id = p.author_id
		LEFT JOIN post_translations t ON t.post_id = p.id AND t.locale = $3
		ORDER BY p.{by} DESC, p.id DESC`, "{by}", column)
}

var newestSQL, rankedSQL = pageSQL("created_at"), pageSQL("hot")

// load reads a page. One post more than it shows tells whether another page follows.
func (h *handler) load(ctx context.Context, q question) (page, error) {
	result := page{Community: q.community, Locale: q.locale, Order: "newest", Items: make([]post, 0, q.limit)}
	sql := newestSQL
	if q.ranked {
		result.Order, sql = "ranked", rankedSQL
	}
	if q.user != 0 {
		result.Viewer = &q.user
	}
	from, id, err := h.cursors.open(q.after, q.ranked)
	if err != nil {
		return page{}, err
	}
	rows, err := h.read.Query(ctx, sql, q.community, q.user, q.locale, q.limit+1, from, id)
	if err != nil {
		return page{}, err
	}
	defer rows.Close()
	last, n := "", 0
	for ; rows.Next(); n++ {
		if n == q.limit {
			next := h.cursors.seal(last)
			result.Next = &next
			break
		}
		var p post
		var hot float64
		var blocked bool
		if err := rows.Scan(&p.ID, &p.Title, &p.Body, &p.Locale, &p.Author.ID, &p.Author.Name, &p.Likes,
			&p.CreatedAt, &p.Version, &hot, &p.LikedByMe, &blocked); err != nil {
			return page{}, err
		}
		p.CreatedAt = p.CreatedAt.UTC()
		last = fmt.Sprintf("newest,%d,%d", p.CreatedAt.UnixMicro(), p.ID)
		if q.ranked {
			last = fmt.Sprintf("ranked,%s,%d", strconv.FormatFloat(hot, 'g', -1, 64), p.ID)
		}
		if !blocked {
			result.Items = append(result.Items, p)
		}
	}
	rows.Close()
	if err := rows.Err(); err != nil || n > 0 {
		return result, err
	}
	return result, h.needReadable(ctx, q)
}

func (h *handler) needReadable(ctx context.Context, q question) (err error) {
	var yes bool
	if err = h.read.QueryRow(ctx, `SELECT `+readable, q.community, q.user).Scan(&yes); err == nil && !yes {
		return errUnknown
	}
	return err
}

// insert adds a post of a member and shows it.
func (h *handler) insert(ctx context.Context, q question, in newPost) ([]byte, error) {
	c := created{Community: q.community, post: post{Title: in.Title, Body: in.Body, Locale: in.Locale}}
	err := h.write.QueryRow(ctx, `
		WITH added AS (
			INSERT INTO posts (community_id, author_id, locale, title, body)
			SELECT $1, $2, $3, $4, $5 WHERE EXISTS (SELECT FROM members WHERE community_id = $1 AND user_id = $2)
			RETURNING id, author_id, likes, created_at, version)
		SELECT a.id, a.likes, a.created_at, a.version, u.id, u.name FROM added a JOIN users u ON u.id = a.author_id`,
		q.community, q.user, in.Locale, in.Title, in.Body).
		Scan(&c.ID, &c.Likes, &c.CreatedAt, &c.Version, &c.Author.ID, &c.Author.Name)
	c.CreatedAt = c.CreatedAt.UTC()
	switch {
	case err == nil:
		return encode(c)
	case !errors.Is(err, pgx.ErrNoRows):
		return nil, err
	}
	return nil, cmp.Or(h.needReadable(ctx, q), error(errForbidden))
}

// cursors is the key of their MACs. A cursor is the last post's place in its order.
type cursors []byte

func newCursors(secret string) cursors {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("communityfeed cursor v1"))
	return mac.Sum(nil)
}

const macBytes = 12

func (c cursors) seal(place string) string {
	mac := hmac.New(sha256.New, c)
	mac.Write([]byte(place))
	return base64.RawURLEncoding.EncodeToString(append(mac.Sum(nil)[:macBytes], place...))
}

// open returns where a page in an order begins; without a cursor, before the first post.
func (c cursors) open(cursor string, ranked bool) (from any, id int64, err error) {
	switch {
	case cursor == "" && ranked:
		return math.Inf(1), math.MaxInt64, nil
	case cursor == "":
		return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), math.MaxInt64, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(text) < macBytes || !hmac.Equal([]byte(c.seal(string(text[macBytes:]))), []byte(cursor)) {
		return nil, 0, errRequest
	}
	var hot float64
	var micros int64
	if ranked {
		_, err = fmt.Sscanf(string(text[macBytes:]), "ranked,%g,%d", &hot, &id)
		from = hot
	} else {
		_, err = fmt.Sscanf(string(text[macBytes:]), "newest,%d,%d", &micros, &id)
		from = time.UnixMicro(micros).UTC()
	}
	if err != nil {
		return nil, 0, errRequest
	}
	return from, id, nil
}
