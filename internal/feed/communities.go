package feed

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/internal/problem"
)

// communitySQL shows communities to the viewer $1, who sees the public ones and
// those that they are a member of.
const communitySQL = `
	SELECT c.id, c.name, c.visibility, u.id, u.name, c.created_at, m.user_id IS NOT NULL
	FROM communities c
	JOIN users u ON u.id = c.owner_id
	LEFT JOIN members m ON m.community_id = c.id AND m.user_id = $1
	WHERE (c.visibility = 'public' OR m.user_id IS NOT NULL) AND `

func scanCommunity(row pgx.CollectableRow) (Community, error) {
	var c Community
	err := row.Scan(&c.ID, &c.Name, &c.Visibility, &c.Owner.ID, &c.Owner.Name, &c.CreatedAt, &c.Member)
	return c, err
}

// Communities lists what the viewer sees, oldest first, after a community; more
// tells whether others follow.
func (s *Store) Communities(ctx context.Context, viewer identity.UserID, after CommunityID, limit int) (list []Community, more bool, err error) {
	rows, err := s.read.Query(ctx, communitySQL+`c.id > $2 ORDER BY c.id LIMIT $3`, viewer, after, limit+1)
	if err != nil {
		return nil, false, fmt.Errorf("listing communities: %w", err)
	}
	list, err = pgx.CollectRows(rows, scanCommunity)
	if err != nil {
		return nil, false, fmt.Errorf("listing communities: %w", err)
	}
	return list[:min(limit, len(list))], len(list) > limit, nil
}

// CreateCommunity begins a community that the caller owns and is a member of.
func (s *Store) CreateCommunity(ctx context.Context, who identity.Caller, name string, v Visibility) (Community, error) {
	c := Community{Name: name, Visibility: v, Owner: Person{ID: who.User()}, Member: true}
	err := s.outbox.Write(ctx, func(tx *events.Tx) error {
		err := tx.QueryRow(ctx, `
			WITH created AS (
				INSERT INTO communities (name, visibility, owner_id) VALUES ($1, $2, $3)
				RETURNING id, owner_id, created_at),
			joined AS (
				INSERT INTO members (community_id, user_id) SELECT id, owner_id FROM created)
			SELECT c.id, u.name, c.created_at FROM created c JOIN users u ON u.id = c.owner_id`, name, v, who.User()).
			Scan(&c.ID, &c.Owner.Name, &c.CreatedAt)
		if postgres.Violates(err, "communities_owner_fk") || postgres.Violates(err, "members_user_fk") {
			return unknownCaller(who.User())
		}
		if err != nil {
			return fmt.Errorf("inserting a community: %w", err)
		}
		tx.Emit(CommunityCreated{Community: c.ID, Owner: who.User(), Visibility: v})
		return nil
	})
	if err != nil {
		return Community{}, err
	}
	return c, nil
}

// Join makes the caller a member of a community that they may see. Who is one
// already stays one.
func (s *Store) Join(ctx context.Context, who identity.Caller, id CommunityID) error {
	return s.outbox.Write(ctx, func(tx *events.Tx) error {
		if _, err := s.standing(ctx, tx, id, who); err != nil {
			return err
		}
		err := addMember(ctx, tx, id, who.User())
		if postgres.Violates(err, "members_user_fk") {
			return unknownCaller(who.User())
		}
		return err
	})
}

// Leave ends the caller's membership, which an owner cannot.
func (s *Store) Leave(ctx context.Context, who identity.Caller, id CommunityID) error {
	return s.outbox.Write(ctx, func(tx *events.Tx) error {
		st, err := s.standing(ctx, tx, id, who)
		if err != nil {
			return err
		}
		_, err = st.remove(ctx, tx, id, who.User())
		return err
	})
}

// AddMember lets a user in on behalf of the owner, or of an administrator.
func (s *Store) AddMember(ctx context.Context, who identity.Caller, id CommunityID, user identity.UserID) error {
	return s.outbox.Write(ctx, func(tx *events.Tx) error {
		if _, err := s.owned(ctx, tx, id, who); err != nil {
			return err
		}
		err := addMember(ctx, tx, id, user)
		if postgres.Violates(err, "members_user_fk") {
			return userNotFound(user)
		}
		return err
	})
}

// RemoveMember puts a user out on behalf of the owner, or of an administrator.
func (s *Store) RemoveMember(ctx context.Context, who identity.Caller, id CommunityID, user identity.UserID) error {
	return s.outbox.Write(ctx, func(tx *events.Tx) error {
		st, err := s.owned(ctx, tx, id, who)
		if err != nil {
			return err
		}
		removed, err := st.remove(ctx, tx, id, user)
		if err != nil || removed {
			return err
		}
		return needUser(ctx, tx, user)
	})
}

// owned is standing for what only the owner or an administrator may do.
func (s *Store) owned(ctx context.Context, tx *events.Tx, id CommunityID, who identity.Caller) (standing, error) {
	st, err := s.standing(ctx, tx, id, who)
	if err == nil && st.owner != who.User() && !who.Admin() {
		return standing{}, problem.Forbidden("only the owner of a community adds and removes others")
	}
	return st, err
}

func addMember(ctx context.Context, tx *events.Tx, id CommunityID, user identity.UserID) error {
	done, err := tx.Exec(ctx, `
		INSERT INTO members (community_id, user_id) VALUES ($1, $2)
		ON CONFLICT ON CONSTRAINT members_pkey DO NOTHING`, id, user)
	if err != nil {
		return fmt.Errorf("adding user %d to community %d: %w", user, id, err)
	}
	if done.RowsAffected() > 0 {
		tx.Emit(MemberJoined{Community: id, User: user})
	}
	return nil
}

// remove ends a membership, if there is one: the owner's stays.
func (st standing) remove(ctx context.Context, tx *events.Tx, id CommunityID, user identity.UserID) (removed bool, err error) {
	if user == st.owner {
		return false, problem.Conflict("the owner of a community stays its member")
	}
	done, err := tx.Exec(ctx, `
		DELETE FROM members WHERE community_id = $1 AND user_id = $2`, id, user)
	if err != nil {
		return false, fmt.Errorf("removing user %d from community %d: %w", user, id, err)
	}
	if done.RowsAffected() == 0 {
		return false, nil
	}
	tx.Emit(MemberLeft{Community: id, User: user})
	return true, nil
}
