package feed

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5"

	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
)

// postSQL shows a post to the viewer $3 in the locale $2; $4 tells that the viewer's right to
// see it is not in question.
const postSQL = `
	SELECT p.community_id, p.id, coalesce(t.title, p.title), coalesce(t.body, p.body),
	       coalesce(t.locale, p.locale), u.id, u.name, p.likes,
	       EXISTS (SELECT FROM likes l WHERE l.user_id = $3 AND l.post_id = p.id),
	       p.created_at, p.version
	FROM posts p
	JOIN communities c ON c.id = p.community_id
	JOIN users u ON u.id = p.author_id
	LEFT JOIN post_translations t ON t.post_id = p.id AND t.locale = $2
	WHERE p.id = $1 AND p.deleted_at IS NULL AND ($4 OR c.visibility = 'public' OR EXISTS (
		SELECT FROM members m WHERE m.community_id = c.id AND m.user_id = $3))`

func scanPost(row pgx.Row, id PostID) (SinglePost, error) {
	var p SinglePost
	err := row.Scan(&p.Community, &p.ID, &p.Title, &p.Body, &p.Locale,
		&p.Author.ID, &p.Author.Name, &p.Likes, &p.LikedByMe, &p.CreatedAt, &p.Version)
	if errors.Is(err, pgx.ErrNoRows) {
		return SinglePost{}, postNotFound(id)
	}
	if err != nil {
		return SinglePost{}, fmt.Errorf("reading post %d: %w", id, err)
	}
	return p, nil
}

// insertPostSQL posts for a member, and returns what is not known of the post yet.
const insertPostSQL = `
	INSERT INTO posts (community_id, author_id, locale, title, body)
	SELECT community_id, user_id, $3, $4, $5 FROM members WHERE community_id = $1 AND user_id = $2
	RETURNING id, (SELECT name FROM users WHERE id = author_id), created_at, version`

// CreatePost posts to a community, which only its members may.
func (s *Store) CreatePost(ctx context.Context, who identity.Caller, id CommunityID, locale string, t Text) (SinglePost, error) {
	p := SinglePost{Community: id, Post: Post{Title: t.Title, Body: t.Body, Locale: locale, Author: Person{ID: who.User()}}}
	err := s.outbox.Write(ctx, func(tx *events.Tx) error {
		var b pgx.Batch
		b.Queue(standingSQL, id, who.User()).QueryRow(func(row pgx.Row) error {
			st, err := scanStanding(row, id, who)
			if err == nil && !st.member {
				err = notMember()
			}
			return err
		})
		b.Queue(insertPostSQL, id, who.User(), locale, t.Title, t.Body).QueryRow(func(row pgx.Row) error {
			err := row.Scan(&p.ID, &p.Author.Name, &p.CreatedAt, &p.Version)
			switch {
			case errors.Is(err, pgx.ErrNoRows):
				return notMember() // any more
			case err != nil:
				return fmt.Errorf("inserting a post of community %d: %w", id, err)
			}
			tx.Emit(PostCreated{Community: id, Post: p.ID, Author: who.User()})
			return nil
		})
		return tx.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		return SinglePost{}, err
	}
	return p, nil
}

func notMember() error {
	return problem.Forbidden("only members post to a community: join it first")
}

// held is a post whose row the transaction has locked.
type held struct {
	id        PostID
	community CommunityID
	author    identity.UserID
	locale    string
	version   int64
	text      Text
}

// heldSQL finds a post $1 for a write of the user $2, who sees all if $3 is true. Whoever
// changes a post, or counts its likes, holds its row, so that they follow one after
// the other.
const heldSQL = `
	FROM posts p JOIN communities c ON c.id = p.community_id
	WHERE p.id = $1 AND p.deleted_at IS NULL AND ($3 OR c.visibility = 'public' OR EXISTS (
		SELECT FROM members m WHERE m.community_id = c.id AND m.user_id = $2))`

func heldError(id PostID, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return postNotFound(id)
	}
	if err != nil {
		return fmt.Errorf("locking post %d: %w", id, err)
	}
	return nil
}

// holdOwn locks the row of a post for what only its author or an administrator may do.
func (s *Store) holdOwn(ctx context.Context, tx *events.Tx, id PostID, who identity.Caller) (held, error) {
	h := held{id: id}
	err := tx.QueryRow(ctx, `
		SELECT p.community_id, p.author_id, p.locale, p.version, p.title, p.body`+heldSQL+` FOR NO KEY UPDATE OF p`,
		id, who.User(), who.Admin()).
		Scan(&h.community, &h.author, &h.locale, &h.version, &h.text.Title, &h.text.Body)
	if err := heldError(id, err); err != nil {
		return held{}, err
	}
	if h.author != who.User() && !who.Admin() {
		return held{}, problem.Forbidden("only its author or an administrator changes a post")
	}
	return h, nil
}

// saved reads the version of a post that was written, if it was, and emits that it was
// updated.
func (h held) saved(tx *events.Tx) func(pgx.Row) error {
	return func(row pgx.Row) error {
		e := PostUpdated{Community: h.community, Post: h.id}
		err := row.Scan(&e.Version)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil
		case err != nil:
			return fmt.Errorf("saving post %d: %w", h.id, err)
		}
		tx.Emit(e)
		return nil
	}
}

// Edited is a post in the language in which it has just been edited.
type Edited struct {
	SinglePost
	AsRead bool // who edited it would now read just this: not if another language is theirs
}

// edited runs what writes a post, and shows what that has made of it.
func (s *Store) edited(ctx context.Context, tx *events.Tx, write *pgx.Batch, id PostID, locale string, who identity.Caller) (Edited, error) {
	var e Edited
	write.Queue(postSQL, id, locale, who.User(), true).QueryRow(func(row pgx.Row) (err error) {
		e.SinglePost, err = scanPost(row, id)
		return err
	})
	write.Queue(postSQL, id, who.Locale(), who.User(), false).QueryRow(func(row pgx.Row) error {
		read, err := scanPost(row, id)
		if status, ok := errors.AsType[*problem.Problem](err); ok && status.Status == http.StatusNotFound {
			return nil // administrators edit what they do not read
		}
		e.AsRead = read == e.SinglePost
		return err
	})
	err := tx.SendBatch(ctx, write).Close()
	return e, err
}

// UpdatePost edits the original text of a post that fulfils the preconditions, and
// returns the post in the original's language. Translations stay as they are until
// somebody translates anew.
func (s *Store) UpdatePost(ctx context.Context, who identity.Caller, id PostID, edit TextEdit, want cachehttp.Preconditions) (Edited, error) {
	var updated Edited
	err := s.outbox.Write(ctx, func(tx *events.Tx) error {
		h, err := s.holdOwn(ctx, tx, id, who)
		if err != nil {
			return err
		}
		if err := want.Check(h.version); err != nil {
			return err
		}
		var b pgx.Batch
		if text := edit.apply(h.text); text != h.text {
			b.Queue(`
				UPDATE posts SET title = $2, body = $3, version = version + 1, updated_at = now()
				WHERE id = $1 RETURNING version`, id, text.Title, text.Body).QueryRow(h.saved(tx))
		}
		updated, err = s.edited(ctx, tx, &b, id, h.locale, who)
		return err
	})
	return updated, err
}

// Translate adds or replaces the text in a language other than its own of a post
// that fulfils the preconditions, and returns the post in that language. The version
// is the post's: it counts translations, too.
func (s *Store) Translate(ctx context.Context, who identity.Caller, id PostID, locale string, t Text, want cachehttp.Preconditions) (Edited, error) {
	var translated Edited
	err := s.outbox.Write(ctx, func(tx *events.Tx) error {
		h, err := s.holdOwn(ctx, tx, id, who)
		if err != nil {
			return err
		}
		if locale == h.locale {
			return problem.Conflict(fmt.Sprintf("the post is written in %q: edit the post itself", locale))
		}
		if err := want.Check(h.version); err != nil {
			return err
		}
		var b pgx.Batch
		b.Queue(`
			WITH changed AS (
				INSERT INTO post_translations AS t (post_id, locale, title, body) VALUES ($1, $2, $3, $4)
				ON CONFLICT ON CONSTRAINT post_translations_pkey DO UPDATE
				SET title = excluded.title, body = excluded.body
				WHERE (t.title, t.body) <> (excluded.title, excluded.body)
				RETURNING 1)
			UPDATE posts SET version = version + 1, updated_at = now()
			WHERE id = $1 AND EXISTS (SELECT FROM changed) RETURNING version`, id, locale, t.Title, t.Body).QueryRow(h.saved(tx))
		translated, err = s.edited(ctx, tx, &b, id, locale, who)
		return err
	})
	return translated, err
}

// DeletePost withdraws a post that fulfils the preconditions. Its row stays, out of
// every reader's sight.
func (s *Store) DeletePost(ctx context.Context, who identity.Caller, id PostID, want cachehttp.Preconditions) error {
	return s.outbox.Write(ctx, func(tx *events.Tx) error {
		h, err := s.holdOwn(ctx, tx, id, who)
		if err != nil {
			return err
		}
		if err := want.Check(h.version); err != nil {
			return err
		}
		tx.Queue(`UPDATE posts SET deleted_at = now(), version = version + 1 WHERE id = $1`, id)
		tx.Emit(PostDeleted{Community: h.community, Post: id})
		return nil
	})
}
