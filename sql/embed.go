// Package sql holds the schema: goose migrations in one history. Files directly
// in schema run on both engines; those in schema/cockroach and schema/postgres
// on that engine alone, where the two have the same version number when one is
// the other's counterpart.
package sql

import "embed"

// Schema is the folder schema.
//
//go:embed schema
var Schema embed.FS

// CockroachBaseline is what the migrations make of an empty CockroachDB database,
// as statements that make it at once, those in the table of versions among them. It
// may be older than the newest migrations, which are then run after it. A test
// writes it and holds it true (database.TestBaselineIsWhatTheMigrationsMake).
//
//go:embed baseline/cockroach.sql
var CockroachBaseline string
