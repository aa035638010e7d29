package database

import (
	"context"
	"log/slog"
)

// MigrateStepByStep is Migrate without the baseline.
func MigrateStepByStep(ctx context.Context, db *DB) (int, error) {
	provider, err := newProvider(db)
	if err != nil {
		return 0, err
	}
	defer provider.Close()
	return migrateStepByStep(ctx, provider, slog.New(slog.DiscardHandler))
}
