package main

import (
	"log/slog"
	"os"
)

type logFormat string

const (
	logText logFormat = "text" // for people at a terminal
	logJSON logFormat = "json" // for machines
)

// newLogger writes to standard error; the level is FLORIN_LOG_LEVEL (debug,
// info, warn, error), info by default.
func newLogger(format logFormat) *slog.Logger {
	var level slog.LevelVar
	_ = level.UnmarshalText([]byte(os.Getenv("FLORIN_LOG_LEVEL"))) // unset or unknown: info
	options := &slog.HandlerOptions{Level: &level}
	if format == logJSON {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}
