package feed

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
)

// Store is the domain's SQL. Reads go to the read pool, each as one query on one
// connection; writes run as one transaction each, together with the rows of
// their events. A write that finds nothing to change emits nothing.
//
// Errors that a client may know are problem errors; every other one is internal.
type Store struct {
	read   *pgxpool.Pool
	outbox *events.Outbox
}

// NewStore returns a store that reads from the pool and writes through the outbox.
func NewStore(read *pgxpool.Pool, outbox *events.Outbox) *Store {
	return &Store{read: read, outbox: outbox}
}

// standing is how a caller stands to a community that they may see.
type standing struct {
	owner  identity.UserID
	member bool
}

const standingSQL = `
	SELECT c.owner_id, c.visibility = 'private', EXISTS (
		SELECT FROM members m WHERE m.community_id = c.id AND m.user_id = $2)
	FROM communities c
	WHERE c.id = $1`

// standing looks a community up for a write. It is not found for whoever may not
// see it; administrators see all.
func (s *Store) standing(ctx context.Context, tx *events.Tx, id CommunityID, who identity.Caller) (standing, error) {
	return scanStanding(tx.QueryRow(ctx, standingSQL, id, who.User()), id, who)
}

func scanStanding(row pgx.Row, id CommunityID, who identity.Caller) (standing, error) {
	var st standing
	var private bool
	err := row.Scan(&st.owner, &private, &st.member)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && private && !st.member && !who.Admin() {
		return standing{}, communityNotFound(id)
	}
	if err != nil {
		return standing{}, fmt.Errorf("looking up community %d: %w", id, err)
	}
	return st, nil
}

func communityNotFound(id CommunityID) error {
	return problem.NotFound(fmt.Sprintf("community %d", id))
}

func postNotFound(id PostID) error { return problem.NotFound(fmt.Sprintf("post %d", id)) }

func userNotFound(id identity.UserID) error { return problem.NotFound(fmt.Sprintf("user %d", id)) }

// needUser fails with "not found" unless there is such a user.
func needUser(ctx context.Context, tx *events.Tx, id identity.UserID) error {
	var known bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM users WHERE id = $1)`, id).Scan(&known); err != nil {
		return fmt.Errorf("looking up user %d: %w", id, err)
	}
	if !known {
		return userNotFound(id)
	}
	return nil
}

// unknownCaller answers a good token whose subject has no row: one that was
// signed for a user of another database.
func unknownCaller(who identity.UserID) error {
	return problem.Forbidden(fmt.Sprintf("user %d of the token is not known here", who))
}
