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

// Post reads one post as the viewer sees it in a locale. Blocked authors are left
// out of pages, not out of reach: who has the post's number sees it.
func (s *Store) Post(ctx context.Context, id PostID, locale string, viewer identity.UserID) (SinglePost, error) {
	return s.post(ctx, s.read, id, locale, viewer, false)
}

// post shows a post; anywhere tells that the viewer's right to see it is not in
// question.
func (s *Store) post(ctx context.Context, q querier, id PostID, locale string, viewer identity.UserID, anywhere bool) (SinglePost, error) {
	var p SinglePost
	err := q.QueryRow(ctx, `
		SELECT p.community_id, p.id, coalesce(t.title, p.title), coalesce(t.body, p.body),
		       coalesce(t.locale, p.locale), u.id, u.name, p.likes,
		       EXISTS (SELECT FROM likes l WHERE l.user_id = $3 AND l.post_id = p.id),
		       p.created_at, p.version
		FROM posts p
		JOIN communities c ON c.id = p.community_id
		JOIN users u ON u.id = p.author_id
		LEFT JOIN post_translations t ON t.post_id = p.id AND t.locale = $2
		WHERE p.id = $1 AND p.deleted_at IS NULL AND ($4 OR c.visibility = 'public' OR EXISTS (
			SELECT FROM members m WHERE m.community_id = c.id AND m.user_id = $3))`,
		id, locale, viewer, anywhere).Scan(&p.Community, &p.ID, &p.Title, &p.Body, &p.Locale,
		&p.Author.ID, &p.Author.Name, &p.Likes, &p.LikedByMe, &p.CreatedAt, &p.Version)
	if errors.Is(err, pgx.ErrNoRows) {
		return SinglePost{}, postNotFound(id)
	}
	if err != nil {
		return SinglePost{}, fmt.Errorf("reading post %d: %w", id, err)
	}
	return p, nil
}

// CreatePost posts to a community, which only its members may.
func (s *Store) CreatePost(ctx context.Context, who identity.Caller, id CommunityID, locale string, t Text) (SinglePost, error) {
	var created SinglePost
	err := s.outbox.Write(ctx, func(tx *events.Tx) error {
		st, err := s.standing(ctx, tx, id, who)
		if err != nil {
			return err
		}
		if !st.member {
			return problem.Forbidden("only members post to a community: join it first")
		}
		var post PostID
		if err := tx.QueryRow(ctx, `
			INSERT INTO posts (community_id, author_id, locale, title, body)
			VALUES ($1, $2, $3, $4, $5)
			RETURNING id`, id, who.User(), locale, t.Title, t.Body).Scan(&post); err != nil {
			return fmt.Errorf("inserting a post of community %d: %w", id, err)
		}
		tx.Emit(PostCreated{Community: id, Post: post, Author: who.User()})
		created, err = s.post(ctx, tx, post, locale, who.User(), true)
		return err
	})
	return created, err
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

// hold locks the row of a post that the caller may see. Whoever changes a post,
// or counts its likes, holds it, so that they follow one after the other.
func (s *Store) hold(ctx context.Context, tx *events.Tx, id PostID, who identity.Caller) (held, error) {
	h := held{id: id}
	err := tx.QueryRow(ctx, `
		SELECT p.community_id, p.author_id, p.locale, p.version, p.title, p.body
		FROM posts p JOIN communities c ON c.id = p.community_id
		WHERE p.id = $1 AND p.deleted_at IS NULL AND ($3 OR c.visibility = 'public' OR EXISTS (
			SELECT FROM members m WHERE m.community_id = c.id AND m.user_id = $2))
		FOR NO KEY UPDATE OF p`, id, who.User(), who.Admin()).
		Scan(&h.community, &h.author, &h.locale, &h.version, &h.text.Title, &h.text.Body)
	if errors.Is(err, pgx.ErrNoRows) {
		return held{}, postNotFound(id)
	}
	if err != nil {
		return held{}, fmt.Errorf("locking post %d: %w", id, err)
	}
	return h, nil
}

// holdOwn is hold for what only the author or an administrator may do.
func (s *Store) holdOwn(ctx context.Context, tx *events.Tx, id PostID, who identity.Caller) (held, error) {
	h, err := s.hold(ctx, tx, id, who)
	if err == nil && h.author != who.User() && !who.Admin() {
		return held{}, problem.Forbidden("only its author or an administrator changes a post")
	}
	return h, err
}

// save writes a held post's text as its next version and emits that it was
// updated.
func (h held) save(ctx context.Context, tx *events.Tx) error {
	e := PostUpdated{Community: h.community, Post: h.id}
	if err := tx.QueryRow(ctx, `
		UPDATE posts SET title = $2, body = $3, version = version + 1, updated_at = now()
		WHERE id = $1 RETURNING version`, h.id, h.text.Title, h.text.Body).Scan(&e.Version); err != nil {
		return fmt.Errorf("saving post %d: %w", h.id, err)
	}
	tx.Emit(e)
	return nil
}

// Edited is a post in the language in which it has just been edited.
type Edited struct {
	SinglePost
	AsRead bool // who edited it would now read just this: not if another language is theirs
}

// edited shows a post that the transaction has written.
func (s *Store) edited(ctx context.Context, tx *events.Tx, id PostID, locale string, who identity.Caller) (e Edited, err error) {
	if e.SinglePost, err = s.post(ctx, tx, id, locale, who.User(), true); err != nil {
		return Edited{}, err
	}
	read, err := s.post(ctx, tx, id, who.Locale(), who.User(), false)
	if status, ok := errors.AsType[*problem.Problem](err); ok && status.Status == http.StatusNotFound {
		return e, nil // administrators edit what they do not read
	}
	e.AsRead = read == e.SinglePost
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
		if text := edit.apply(h.text); text != h.text {
			h.text = text
			if err := h.save(ctx, tx); err != nil {
				return err
			}
		}
		updated, err = s.edited(ctx, tx, id, h.locale, who)
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
		done, err := tx.Exec(ctx, `
			INSERT INTO post_translations AS t (post_id, locale, title, body) VALUES ($1, $2, $3, $4)
			ON CONFLICT ON CONSTRAINT post_translations_pkey DO UPDATE
			SET title = excluded.title, body = excluded.body
			WHERE (t.title, t.body) <> (excluded.title, excluded.body)`, id, locale, t.Title, t.Body)
		if err != nil {
			return fmt.Errorf("translating post %d: %w", id, err)
		}
		if done.RowsAffected() > 0 {
			if err := h.save(ctx, tx); err != nil {
				return err
			}
		}
		translated, err = s.edited(ctx, tx, id, locale, who)
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
		if _, err := tx.Exec(ctx, `
			UPDATE posts SET deleted_at = now(), version = version + 1 WHERE id = $1`, id); err != nil {
			return fmt.Errorf("deleting post %d: %w", id, err)
		}
		tx.Emit(PostDeleted{Community: h.community, Post: id})
		return nil
	})
}
