package feed

import (
	"context"
	"fmt"

	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/internal/problem"
)

// Like makes the caller like a post that they may see. Liking twice is liking
// once.
func (s *Store) Like(ctx context.Context, who identity.Caller, id PostID) error {
	return s.countLike(ctx, who, id, +1, PostLiked{Post: id, User: who.User()}, `
		INSERT INTO likes (user_id, post_id) VALUES ($1, $2)
		ON CONFLICT ON CONSTRAINT likes_pkey DO NOTHING`)
}

// Unlike takes a Like back, if there is one.
func (s *Store) Unlike(ctx context.Context, who identity.Caller, id PostID) error {
	return s.countLike(ctx, who, id, -1, PostUnliked{Post: id, User: who.User()}, `
		DELETE FROM likes WHERE user_id = $1 AND post_id = $2`)
}

// countLike runs sql for the user $1 and the post $2, and counts and emits what
// it has changed. It holds the post, so however many like it at once, the count
// equals the rows.
func (s *Store) countLike(ctx context.Context, who identity.Caller, id PostID, by int, event any, sql string) error {
	return s.outbox.Write(ctx, func(tx *events.Tx) error {
		if _, err := s.hold(ctx, tx, id, who); err != nil {
			return err
		}
		done, err := tx.Exec(ctx, sql, who.User(), id)
		if postgres.Violates(err, "likes_user_fk") {
			return unknownCaller(who.User())
		}
		if err != nil {
			return fmt.Errorf("changing a like of post %d: %w", id, err)
		}
		if done.RowsAffected() == 0 {
			return nil
		}
		if _, err := tx.Exec(ctx, `UPDATE posts SET likes = likes + $2 WHERE id = $1`, id, by); err != nil {
			return fmt.Errorf("counting the likes of post %d: %w", id, err)
		}
		tx.Emit(event)
		return nil
	})
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
