package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgconn"

	"florin/internal/platform/database"
	"florin/internal/reporting"
)

type reportingCommand struct {
	Role reportingRoleCommand `cmd:"" help:"Make the database role of the SQL console, or bring it up to date: it reads the schema reporting and nothing else."`
}

type reportingRoleCommand struct {
	databaseFlags
	Name string `arg:"" help:"Name of the role."`
}

// Run makes the role with a new password, which it shows this once. A second run gives
// it another one.
func (c *reportingRoleCommand) Run(ctx context.Context) error {
	log := newLogger(logText)
	databaseURL, done, err := c.resolve(ctx, log)
	if err != nil {
		return err
	}
	defer done()
	db, err := openMigrated(ctx, databaseURL, "florin reporting")
	if err != nil {
		return err
	}
	defer db.Close()
	password := reporting.NewPassword()
	made, err := reporting.EnsureRole(ctx, db, c.Name, password)
	if err != nil {
		return err
	}
	for _, warning := range made.Warnings {
		fmt.Fprintln(os.Stderr, "florin:", warning)
	}
	if !made.HasPassword {
		password = ""
	}
	consoleURL, err := asRole(databaseURL, c.Name, password)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "The role %s reads the schema reporting on %s. ", c.Name, db.Version)
	if made.HasPassword {
		fmt.Fprintln(os.Stderr, "Its password is shown this once. For the servers:")
	} else {
		fmt.Fprintln(os.Stderr, "It has no password: this database was started with --insecure. For the servers:")
	}
	fmt.Println("FLORIN_REPORTING_URL=" + consoleURL)
	return nil
}

// openMigrated connects to a database that is up to date.
func openMigrated(ctx context.Context, databaseURL, application string) (*database.DB, error) {
	db, err := database.Open(ctx, databaseURL, database.Options{ApplicationName: application, MaxConns: 4})
	if err != nil {
		return nil, err
	}
	isMigrated, err := database.Migrated(ctx, db)
	if err == nil && !isMigrated {
		err = errors.New("the database is not up to date: run florin migrate")
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// asRole is a database's URL by another role. Its errors repeat no secret.
func asRole(databaseURL, name, password string) (string, error) {
	u, err := url.Parse(databaseURL)
	if err != nil || u.Host == "" {
		return "", errors.New("the role is made; its URL can't be written, because the database's own is not like postgres://USER:PASSWORD@HOST:PORT/NAME")
	}
	u.User = url.User(name)
	if password != "" {
		u.User = url.UserPassword(name, password)
	}
	query := u.Query()
	for _, parameter := range []string{"user", "password", "sslcert", "sslkey"} { // of the role that the URL was for
		query.Del(parameter)
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// checkReportingURL finds mistakes before anything is started. Nothing of the URL is
// repeated: it holds a password.
func checkReportingURL(reportingURL string) error {
	if reportingURL == "" {
		return nil
	}
	if _, err := pgconn.ParseConfig(reportingURL); err != nil {
		return errors.New("--reporting-url can't be read: write one like postgres://ROLE:PASSWORD@HOST:PORT/NAME")
	}
	return nil
}

// devRole is the console's role in a data folder's database.
const devRole = "florin_reporting"

// keepReportingRole makes the console's role in the data folder's database, with a
// password that is kept there, and switches the console on, unless another URL is
// given. The schema is there. databaseURL is that of db.
func (c *devCommand) keepReportingRole(ctx context.Context, db *database.DB, databaseURL string, log *slog.Logger) error {
	if c.ReportingURL != "" {
		return nil
	}
	password, err := kept(filepath.Join(c.DataDir, "reporting-password"), reporting.NewPassword)
	if err != nil {
		return err
	}
	made, err := reporting.EnsureRole(ctx, db, devRole, password)
	if err != nil {
		return err
	}
	for _, warning := range made.Warnings {
		log.Warn("the console's role", "warning", warning)
	}
	if made.HasPassword {
		c.rolePassword = password
	}
	c.hasOwnRole = true
	c.ReportingURL, err = asRole(databaseURL, devRole, c.rolePassword)
	return err
}
