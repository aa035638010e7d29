package main

import (
	"context"
	"fmt"

	"florin/internal/platform/database"
)

type migrateCommand struct {
	databaseFlags
	regionFlags
}

// regionFlags say how a CockroachDB database is spread.
type regionFlags struct {
	Regions []string `help:"Regions of a CockroachDB database, the primary first; they are localities of the cluster's nodes." env:"FLORIN_REGIONS" placeholder:"NAME"`
	Survive string   `help:"What the database outlives: zone or region (of three or more); as it is when absent." enum:",zone,region" default:"" env:"FLORIN_SURVIVE"`
}

func (f regionFlags) layout() database.Regions {
	return database.Regions{Names: f.Regions, Survival: f.Survive}
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
	if err := database.Localize(ctx, db, c.layout(), log); err != nil {
		return err
	}
	fmt.Printf("The schema on %s is up to date; %d migrations applied.\n", db.Version, applied)
	return nil
}
