package feed

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// SeedSize is how many rows of demo data there are to be. The other tables follow
// from these: a post has about two likes, and every third post is translated into
// a language or two.
type SeedSize struct {
	Users       int64 // at least 50
	Communities int64 // at least 13
	Posts       int64
}

func (s SeedSize) validate() error {
	if s.Users < 50 || s.Communities < 13 || s.Posts < 0 {
		return fmt.Errorf("demo data needs at least 50 users and 13 communities, not %d and %d, and no negative number of posts (%d)",
			s.Users, s.Communities, s.Posts)
	}
	return nil
}

// tables is every table of the domain, in an order in which they can be filled.
const tables = `users, blocks, communities, members, posts, post_translations, likes`

// Empty tells whether the domain holds no data. Every row of it belongs to a user.
func Empty(ctx context.Context, pool *pgxpool.Pool) (bool, error) {
	var empty bool
	if err := pool.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM users)`).Scan(&empty); err != nil {
		return false, fmt.Errorf("looking for users: %w", err)
	}
	return empty, nil
}

// Wipe deletes all data of the domain. It tells no cache.
func Wipe(ctx context.Context, pool *pgxpool.Pool) error {
	if _, err := pool.Exec(ctx, `TRUNCATE `+tables+` RESTART IDENTITY`); err != nil {
		return fmt.Errorf("emptying %s: %w", tables, err)
	}
	return nil
}

// Seed fills an empty domain with demo data, all of it or none. The same size and
// the same now give the same rows. It streams them, so its memory does not grow
// with their number. progress, which may be nil, hears from time to time how many
// rows of a table have been sent, and at its end how many there are.
//
// In every size, user 42 is a member of community 12, which is public, and of 13,
// which is private, no member; and has blocked user 43, another member of 12.
func Seed(ctx context.Context, pool *pgxpool.Pool, size SeedSize, now time.Time, progress func(table string, rows int64)) error {
	if err := size.validate(); err != nil {
		return err
	}
	if progress == nil {
		progress = func(string, int64) {}
	}
	w := world{SeedSize: size, now: now.UTC().Truncate(time.Second)}
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// Filling a large table is not what the limit for statements is for.
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0`); err != nil {
			return fmt.Errorf("lifting the statement timeout: %w", err)
		}
		for _, t := range w.tables() {
			if err := t.copy(ctx, tx, progress); err != nil {
				return err
			}
		}
		return w.moveSequences(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("seeding the feed: %w", err)
	}
	// Without it, the first readers would meet plans made for empty tables. Workers
	// would need more shared memory than a container has by default.
	if _, err := pool.Exec(ctx, `VACUUM (ANALYZE, PARALLEL 0) `+tables); err != nil {
		return fmt.Errorf("analyzing what was seeded: %w", err)
	}
	return nil
}

// table is the rows of one table, made one by one as they are sent.
type table struct {
	name    string
	columns []string
	rows    iter.Seq[[]any]
}

func (w world) tables() []table {
	return []table{
		{"users", []string{"id", "name", "created_at"}, w.users},
		{"blocks", []string{"blocker_id", "blocked_id", "created_at"}, w.blocks},
		{"communities", []string{"id", "name", "visibility", "owner_id", "created_at"}, w.communities},
		{"members", []string{"community_id", "user_id", "created_at"}, w.members},
		{"posts", []string{"id", "community_id", "author_id", "locale", "title", "body", "likes", "created_at", "updated_at", "deleted_at"}, w.posts},
		{"post_translations", []string{"post_id", "locale", "title", "body"}, w.translations},
		{"likes", []string{"user_id", "post_id", "created_at"}, w.likes},
	}
}

// copy sends the rows through COPY.
func (t table) copy(ctx context.Context, tx pgx.Tx, progress func(string, int64)) error {
	const often = 10_000
	next, stop := iter.Pull(t.rows)
	defer stop()
	var sent int64
	rows, err := tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromFunc(func() ([]any, error) {
		row, ok := next()
		if !ok {
			return nil, nil
		}
		if sent++; sent%often == 0 {
			progress(t.name, sent)
		}
		return row, nil
	}))
	if err != nil {
		return fmt.Errorf("copying into %s: %w", t.name, err)
	}
	progress(t.name, rows)
	return nil
}

// moveSequences makes the next ids follow those that were seeded.
func (w world) moveSequences(ctx context.Context, tx pgx.Tx) error {
	for name, last := range map[string]int64{"users": w.Users, "communities": w.Communities, "posts": w.Posts} {
		if last == 0 {
			continue
		}
		if _, err := tx.Exec(ctx, `SELECT setval(pg_get_serial_sequence($1, 'id'), $2)`, name, last); err != nil {
			return fmt.Errorf("moving the sequence of %s: %w", name, err)
		}
	}
	return nil
}
