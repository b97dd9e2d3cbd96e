package feed

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/internal/problem"
)

// Act is what a like or an unlike has left: whether its user likes the post now, and how
// many do. Each like and unlike of a post that changes something gives its count the next
// number, so the larger Seq has the later count.
type Act struct {
	Post  PostID `json:"post"`
	Liked bool   `json:"liked"`
	Likes int    `json:"likes"`
	Seq   int64  `json:"seq"`
}

// like makes the caller like a post that they may see. Liking twice is liking once. It reports
// whether it has changed nothing and repeats what was done a moment ago.
func (s *Store) like(ctx context.Context, who identity.Caller, id PostID) (act Act, repeats bool, err error) {
	return s.act(ctx, who, id, true, PostLiked{Post: id, User: who.User()}, likeSQL)
}

// unlike takes a like back, if there is one. It reports the same.
func (s *Store) unlike(ctx context.Context, who identity.Caller, id PostID) (act Act, repeats bool, err error) {
	return s.act(ctx, who, id, false, PostUnliked{Post: id, User: who.User()}, unlikeSQL)
}

// These run while the post is held, and see what was committed until then. They ask for
// themselves whether the caller may see the post, since they are sent before it is known
// here. Where nothing changes they return no row.
const (
	likeSQL = `
		WITH done AS (
			INSERT INTO likes (user_id, post_id) SELECT $2, p.id` + heldSQL + `
			ON CONFLICT ON CONSTRAINT likes_pkey DO NOTHING RETURNING 1),
		counted AS (
			UPDATE posts SET likes = likes + 1, likes_seq = likes_seq + 1
			WHERE id = $1 AND EXISTS (SELECT FROM done) RETURNING id, likes, likes_seq)` + actedSQL

	unlikeSQL = `
		WITH done AS (
			DELETE FROM likes WHERE user_id = $2 AND post_id = (SELECT p.id` + heldSQL + `) RETURNING 1),
		counted AS (
			UPDATE posts SET likes = likes - 1, likes_seq = likes_seq + 1
			WHERE id = $1 AND EXISTS (SELECT FROM done) RETURNING id, likes, likes_seq)` + actedSQL

	actedSQL = `
		INSERT INTO like_acts (user_id, post_id, liked, likes, seq)
		SELECT $2, id, $4, likes, likes_seq FROM counted
		ON CONFLICT ON CONSTRAINT like_acts_pkey DO UPDATE
		SET liked = excluded.liked, likes = excluded.likes, seq = excluded.seq, acted_at = excluded.acted_at
		RETURNING likes, seq`
)

// forgetSQL leaves out what another act of the same user has locked: two that waited for
// each other's rows would never end.
const forgetSQL = `
	DELETE FROM like_acts WHERE user_id = $1 AND post_id = ANY(ARRAY(
		SELECT post_id FROM like_acts WHERE user_id = $1 AND acted_at < now() - interval '2 hours'
		FOR UPDATE SKIP LOCKED))`

// latelySQL has a snapshot of its own, from when the post is held: it sees the act that was
// waited for.
const latelySQL = `
	SELECT EXISTS (SELECT FROM like_acts WHERE user_id = $1 AND post_id = $2 AND acted_at > now() - interval '10 seconds')`

// act holds the post, so however many like it at once, the count equals the rows and the
// numbers have no gap; then it runs sql, and emits the event if that has changed something.
// If not, the act says what there is, and repeats says whether the same was done a moment
// ago: perhaps by another process, which has not been answered yet.
func (s *Store) act(ctx context.Context, who identity.Caller, id PostID, liked bool, event any, sql string) (act Act, repeats bool, err error) {
	act = Act{Post: id, Liked: liked}
	changed := false
	err = s.outbox.Write(ctx, func(tx *events.Tx) error {
		var b pgx.Batch
		b.Queue(`SELECT p.likes, p.likes_seq`+heldSQL+` FOR NO KEY UPDATE OF p`, id, who.User(), who.Admin()).
			QueryRow(func(row pgx.Row) error { return heldError(id, row.Scan(&act.Likes, &act.Seq)) })
		b.Queue(sql, id, who.User(), who.Admin(), liked).QueryRow(func(row pgx.Row) error {
			err := row.Scan(&act.Likes, &act.Seq)
			switch {
			case errors.Is(err, pgx.ErrNoRows):
				return nil
			case postgres.Violates(err, "likes_user_fk"):
				return unknownCaller(who.User())
			case err != nil:
				return fmt.Errorf("changing a like of post %d: %w", id, err)
			}
			tx.Emit(event)
			changed = true
			return nil
		})
		b.Queue(forgetSQL, who.User())
		b.Queue(latelySQL, who.User(), id).QueryRow(func(row pgx.Row) error { return row.Scan(&repeats) })
		return tx.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		return Act{}, false, err
	}
	return act, repeats && !changed, nil
}

// Block leaves a user's posts out of the caller's pages from now on. Who blocks
// whom is nobody's business but the caller's.
func (s *Store) Block(ctx context.Context, who identity.Caller, user identity.UserID) error {
	return s.outbox.Write(ctx, func(tx *events.Tx) error {
		done, err := tx.Exec(ctx, `
			INSERT INTO blocks (blocker_id, blocked_id) VALUES ($1, $2)
			ON CONFLICT ON CONSTRAINT blocks_pkey DO NOTHING`, who.User(), user)
		switch {
		case postgres.Violates(err, "blocks_not_self"):
			return problem.BadRequest("nobody blocks themselves")
		case postgres.Violates(err, "blocks_blocker_fk"):
			return unknownCaller(who.User())
		case postgres.Violates(err, "blocks_blocked_fk"):
			return userNotFound(user)
		case err != nil:
			return fmt.Errorf("blocking user %d: %w", user, err)
		}
		if done.RowsAffected() > 0 {
			tx.Emit(UserBlocked{User: who.User(), Blocked: user})
		}
		return nil
	})
}

// Unblock takes a Block back, if there is one.
func (s *Store) Unblock(ctx context.Context, who identity.Caller, user identity.UserID) error {
	return s.outbox.Write(ctx, func(tx *events.Tx) error {
		done, err := tx.Exec(ctx, `
			DELETE FROM blocks WHERE blocker_id = $1 AND blocked_id = $2`, who.User(), user)
		if err != nil {
			return fmt.Errorf("unblocking user %d: %w", user, err)
		}
		if done.RowsAffected() == 0 {
			return needUser(ctx, tx, user)
		}
		tx.Emit(UserUnblocked{User: who.User(), Blocked: user})
		return nil
	})
}
