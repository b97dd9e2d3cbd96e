package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	_ "github.com/golang-migrate/migrate/v4/database/pgx/v5" // the scheme pgx5
	"github.com/golang-migrate/migrate/v4/source"
	"github.com/golang-migrate/migrate/v4/source/iofs"
)

// migrationLock is how long a migrator waits for another one that is at work
// on the same database: an index on a large table takes minutes.
const migrationLock = 15 * time.Minute

// Migrator moves a database's schema through numbered files. Any number of
// processes may migrate one database at a time: they take turns on an advisory
// lock, and the later ones find nothing left to do.
//
// It connects by URL and in no other way, because the lock's number derives
// from how the connection was given.
type Migrator struct {
	m    *migrate.Migrate
	last uint // number of the newest file
}

// NewMigrator connects to the database at rawURL (postgres://…) and reads
// files, which holds NNNNNN_name.up.sql and NNNNNN_name.down.sql.
func NewMigrator(rawURL string, files fs.FS) (*Migrator, error) {
	target, err := migrateURL(rawURL)
	if err != nil {
		return nil, err
	}
	src, err := iofs.New(files, ".")
	if err != nil {
		return nil, fmt.Errorf("migrate: reading the migration files: %w", err)
	}
	last, err := newest(src)
	if err != nil {
		return nil, fmt.Errorf("migrate: reading the migration files: %w", err)
	}
	m, err := migrate.NewWithSourceInstance("iofs", src, target)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", errors.Join(err, src.Close()))
	}
	m.LockTimeout = migrationLock
	return &Migrator{m: m, last: last}, nil
}

// Up applies every file that the database does not have yet. A database that
// is ahead of the files is left as it is: during a rolling deploy an older
// process must be able to start. When ctx ends, Up stops after the file under
// way.
func (m *Migrator) Up(ctx context.Context) error {
	if current, dirty, err := m.Version(); err == nil && !dirty && current > m.last {
		return nil
	}
	return m.run(ctx, "up", m.m.Up)
}

// Down takes back the last steps files, or all of them where there are fewer.
func (m *Migrator) Down(ctx context.Context, steps int) error {
	if steps < 1 {
		return fmt.Errorf("migrate down: %d steps; give at least 1", steps)
	}
	return m.run(ctx, "down", func() error {
		err := m.m.Steps(-steps)
		if _, fewer := errors.AsType[migrate.ErrShortLimit](err); fewer || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	})
}

// Version returns the number of the last applied file, 0 before the first, and
// whether that file stopped half way.
func (m *Migrator) Version() (version uint, dirty bool, err error) {
	version, dirty, err = m.m.Version()
	if errors.Is(err, migrate.ErrNilVersion) {
		return 0, false, nil
	}
	return version, dirty, m.explain("version", err)
}

// Force records that the schema is at version, without running any file. It is
// for after a human has mended a migration that stopped half way. 0 means
// before the first file.
func (m *Migrator) Force(version int) error {
	if version == 0 {
		version = database.NilVersion
	}
	return m.explain("force", m.m.Force(version))
}

// Close ends the connection.
func (m *Migrator) Close() error {
	sourceErr, databaseErr := m.m.Close()
	return errors.Join(sourceErr, databaseErr)
}

// run calls fn, which stops after the file under way when ctx ends.
func (m *Migrator) run(ctx context.Context, what string, fn func() error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("migrate %s: %w", what, err)
	}
	stop := context.AfterFunc(ctx, func() {
		select {
		case m.m.GracefulStop <- true:
		default: // told already
		}
	})
	defer stop()
	if err := m.explain(what, fn()); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("migrate %s: stopped between two files: %w", what, err)
	}
	return nil
}

// explain turns what golang-migrate returns into one line that says what to do.
func (m *Migrator) explain(what string, err error) error {
	switch {
	case err == nil, errors.Is(err, migrate.ErrNoChange):
		return nil
	case errors.Is(err, migrate.ErrLockTimeout), errors.Is(err, database.ErrLocked):
		return fmt.Errorf("migrate %s: another process has been migrating this database for %s: %w", what, m.m.LockTimeout, err)
	}
	if dirty, ok := errors.AsType[migrate.ErrDirty](err); ok {
		return fmt.Errorf("migrate %s: %w", what, halfWay(uint(dirty.Version), err))
	}
	err = brief(err)
	if version, dirty, versionErr := m.m.Version(); versionErr == nil && dirty {
		err = halfWay(version, err)
	}
	return fmt.Errorf("migrate %s: %w", what, err)
}

func halfWay(version uint, err error) error {
	return fmt.Errorf("migration %d stopped half way and the schema is marked dirty; "+
		"mend the schema by hand, then run `migrate force VERSION` with the version that it is at now: %w", version, err)
}

// brief leaves the whole file's text out of golang-migrate's error, which also
// has no Unwrap.
func brief(err error) error {
	e, ok := errors.AsType[database.Error](err)
	if p, isPointer := errors.AsType[*database.Error](err); isPointer {
		e, ok = *p, true
	}
	switch {
	case !ok || e.OrigErr == nil:
		return err
	case e.Line > 0:
		return fmt.Errorf("line %d: %w", e.Line, e.OrigErr)
	default:
		return e.OrigErr
	}
}

// migrateURL rewrites a database URL for golang-migrate's pgx driver. Errors
// never show the URL, which holds a password.
func migrateURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return "", errors.New("migrate: the database must be given as a postgres:// URL")
	}
	u.Scheme = "pgx5"
	q := u.Query()
	if !q.Has("connect_timeout") {
		q.Set("connect_timeout", fmt.Sprint(connectTimeout.Seconds()))
	}
	if !q.Has("application_name") {
		q.Set("application_name", "communityfeed-migrate")
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// newest returns the highest number among the files.
func newest(src source.Driver) (uint, error) {
	version, err := src.First()
	if err != nil {
		return 0, err
	}
	for {
		next, err := src.Next(version)
		if errors.Is(err, os.ErrNotExist) {
			return version, nil
		}
		if err != nil {
			return 0, err
		}
		version = next
	}
}
