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
