package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"florin/internal/platform/database/embedded"
)

// engineFlags say which engine a data folder's embedded database uses.
type engineFlags struct {
	DataDir        string   `help:"Folder of the embedded database engine." default:".florin" env:"FLORIN_DATA_DIR" type:"path"`
	Engine         string   `help:"Engine of the embedded database: auto, postgres or cockroach." default:"auto" enum:"auto,postgres,cockroach" env:"FLORIN_ENGINE"`
	ClusterSetting []string `help:"NAME=VALUE, applied to an embedded CockroachDB before anything else; repeatable." placeholder:"NAME=VALUE" env:"FLORIN_DEV_CLUSTER_SETTINGS"`
}

// start runs the data folder's engine, or joins the one that runs when o says so.
// The caller stops it.
func (f *engineFlags) start(ctx context.Context, o embedded.Options) (*embedded.Server, error) {
	o.DataDir, o.Engine, o.ClusterSettings = f.DataDir, f.Engine, f.ClusterSetting
	return embedded.Start(ctx, o)
}

// databaseFlags name the database that a tool works on: the one at a URL, or the
// embedded one of a data folder, whether `florin dev` runs there or not.
type databaseFlags struct {
	DatabaseURL string `help:"Database to use instead of the data folder's." env:"FLORIN_DATABASE_URL" placeholder:"URL"`
	engineFlags
}

// resolve returns the database's URL and the function that ends what it started.
func (f *databaseFlags) resolve(ctx context.Context, log *slog.Logger) (url string, done func(), err error) {
	if f.DatabaseURL != "" {
		return f.DatabaseURL, func() {}, nil
	}
	server, err := f.start(ctx, embedded.Options{Attach: true, Log: log})
	if err != nil {
		return "", nil, fmt.Errorf("database: %w", err)
	}
	return server.URL(), func() { stopEngine(ctx, server, log) }, nil
}

func stopEngine(ctx context.Context, server *embedded.Server, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := server.Stop(ctx); err != nil {
		log.Error("stopping the database engine", "error", err)
	}
}
