package main

import (
	"context"
	"fmt"

	"florin/internal/platform/database"
)

type migrateCommand struct {
	databaseFlags
}

// Run migrates; a second run finds nothing to do.
func (c *migrateCommand) Run(ctx context.Context) error {
	log := newLogger(logText)
	url, done, err := c.resolve(ctx, log)
	if err != nil {
		return err
	}
	defer done()
	db, err := database.Open(ctx, url, database.Options{ApplicationName: "florin migrate", MaxConns: 4})
	if err != nil {
		return err
	}
	defer db.Close()
	applied, err := database.Migrate(ctx, db, log)
	if err != nil {
		return err
	}
	fmt.Printf("The schema on %s is up to date; %d migrations applied.\n", db.Version, applied)
	return nil
}
