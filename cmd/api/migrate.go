package main

import (
	"context"
	"errors"
	"fmt"

	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/migrations"
)

type migrateCmd struct {
	Up      migrateUp      `cmd:"" help:"Apply every migration that the database does not have yet."`
	Down    migrateDown    `cmd:"" help:"Take back the last migrations, and with them the data in what they made."`
	Version migrateVersion `cmd:"" help:"Print the number of the last migration."`
	Force   migrateForce   `cmd:"" help:"Record that the schema is at a version, after mending by hand a migration that stopped half way."`
}

type migrateUp struct{ database }

// Run migrates.
func (c *migrateUp) Run(ctx context.Context, out streams) error {
	return c.migrate(out, func(m *postgres.Migrator) error { return m.Up(ctx) })
}

type migrateDown struct {
	database
	Steps int `arg:"" optional:"" default:"1" help:"How many."`
}

// Validate is called by kong.
func (c *migrateDown) Validate() error {
	if c.Steps < 1 {
		return errors.New("steps must be at least 1")
	}
	return c.database.Validate()
}

// Run migrates.
func (c *migrateDown) Run(ctx context.Context, out streams) error {
	return c.migrate(out, func(m *postgres.Migrator) error { return m.Down(ctx, c.Steps) })
}

type migrateVersion struct{ database }

// Run prints the version.
func (c *migrateVersion) Run(out streams) error {
	return c.migrate(out, func(*postgres.Migrator) error { return nil })
}

type migrateForce struct {
	database
	To int `arg:"" name:"version" help:"The version that the schema is at now; 0 is before the first."`
}

// Validate is called by kong.
func (c *migrateForce) Validate() error {
	if c.To < 0 {
		return errors.New("version must not be negative")
	}
	return c.database.Validate()
}

// Run records the version.
func (c *migrateForce) Run(out streams) error {
	return c.migrate(out, func(m *postgres.Migrator) error { return m.Force(c.To) })
}

// migrate calls do and prints the version at which the schema is then.
func (d database) migrate(out streams, do func(*postgres.Migrator) error) error {
	return d.migrator(func(m *postgres.Migrator) error {
		if err := do(m); err != nil {
			return err
		}
		version, dirty, err := m.Version()
		if err != nil {
			return err
		}
		note := ""
		if dirty {
			note = " (dirty: this migration stopped half way)"
		}
		_, err = fmt.Fprintf(out.Out, "%d%s\n", version, note)
		return err
	})
}

// migrator lends a migrator to do.
func (d database) migrator(do func(*postgres.Migrator) error) (err error) {
	m, err := postgres.NewMigrator(d.URL, migrations.FS)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	return do(m)
}

// migrateUp is `migrate up` on behalf of another command.
func (d database) migrateUp(ctx context.Context) error {
	return d.migrator(func(m *postgres.Migrator) error { return m.Up(ctx) })
}
