package reporting

import (
	"context"

	"florin/internal/platform/database"
)

// MissingSteps are the statements that EnsureRole would run for a role that there is,
// but for its password.
func MissingSteps(ctx context.Context, db *database.DB, name string) (statements []string, err error) {
	m := &roleMaker{db: db, name: name}
	steps, err := m.missing(ctx, m.steps())
	for _, step := range steps {
		statements = append(statements, step.statement)
	}
	return statements, err
}
