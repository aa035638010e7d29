package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/user"

	"florin/internal/audit"
	"florin/internal/identity"
	"florin/internal/mail"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/seal"
)

// peopleFlags are of the tools that work on users and secrets.
type peopleFlags struct {
	databaseFlags
	EncryptionKeys string `help:"Keys that seal secrets, as for florin serve; those of the data folder when it is its database." env:"FLORIN_ENCRYPTION_KEYS" placeholder:"ID:BASE64"`
}

// String hides the keys, and the database's address, which may hold a password.
func (f peopleFlags) String() string { return "flags of a tool" }

// GoString is String.
func (f peopleFlags) GoString() string { return f.String() }

// LogValue is String.
func (f peopleFlags) LogValue() slog.Value { return slog.StringValue(f.String()) }

// tools are the parts of the program that they use, without a server.
type tools struct {
	audit  *audit.Log
	users  *identity.Users
	linked *identity.LinkedAccounts
	outbox *mail.Outbox
	sealer *seal.Keyring
}

// with runs fn on the database, as somebody at the command line.
func (f *peopleFlags) with(ctx context.Context, fn func(ctx context.Context, t tools) error) error {
	log := newLogger(logText)
	sealer, err := f.sealer()
	if err != nil {
		return err
	}
	url, done, err := f.resolve(ctx, log)
	if err != nil {
		return err
	}
	defer done()
	db, err := database.Open(ctx, url, database.Options{ApplicationName: "florin tools", MaxConns: 4})
	if err != nil {
		return err
	}
	defer db.Close()
	isMigrated, err := database.Migrated(ctx, db)
	if err != nil {
		return err
	}
	if !isMigrated {
		return errors.New("the database is not up to date: run florin migrate")
	}
	return fn(audit.With(ctx, commandLine()), newTools(db, sealer, log))
}

func (f *peopleFlags) sealer() (*seal.Keyring, error) {
	configured := f.EncryptionKeys
	if configured == "" && f.DatabaseURL == "" {
		var err error
		if configured, err = keptEncryptionKey(f.DataDir); err != nil {
			return nil, err
		}
	}
	if configured == "" {
		return nil, errors.New("FLORIN_ENCRYPTION_KEYS is not set: the tool needs what the servers have")
	}
	sealer, err := seal.Parse(configured)
	if err != nil {
		return nil, fmt.Errorf("FLORIN_ENCRYPTION_KEYS: %w", err)
	}
	return sealer, nil
}

func newTools(db *database.DB, sealer *seal.Keyring, log *slog.Logger) tools {
	trail := audit.New(db, clock.System)
	// It is never run: the servers send what is written here.
	outbox := mail.New(db, mail.Options{Sealer: sealer, Clock: clock.System, Log: log})
	return tools{
		audit: trail, outbox: outbox, sealer: sealer,
		users:  identity.NewUsers(db, identity.UsersOptions{Clock: clock.System, Log: trail, Mail: outbox, Sealer: sealer}),
		linked: identity.NewLinkedAccounts(db, identity.LinkedAccountsOptions{Clock: clock.System, Log: trail, Sealer: sealer}),
	}
}

// commandLine is who acts: whoever may reach the database, by his name here.
func commandLine() audit.Origin {
	name := ""
	if who, err := user.Current(); err == nil {
		name = who.Username
	}
	return audit.Origin{ActorKind: "system", ActorID: "command line of " + cmp.Or(name, "somebody")}
}
