// Package migrations holds the schema as numbered SQL files, NNNNNN_name.up.sql
// and NNNNNN_name.down.sql, built into the program so that a binary never meets
// a schema other than the one that it was written for.
//
// Each down file undoes all that its up file did. A file that has been released
// is not edited again: what it should have said goes into the next number. The
// SQL runs on Postgres 15 to 18.
package migrations

import "embed"

// FS holds the migration files at its root.
//
//go:embed *.sql
var FS embed.FS
