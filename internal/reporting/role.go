package reporting

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"florin/internal/platform/database"
	"florin/internal/platform/failure"
)

// roleName is a name that needs no quoting anywhere.
var roleName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// The role's settings. They are what it begins with, in every program; what it may do
// is decided by its grants.
const (
	roleStatementMax = 5 * time.Minute
	roleIdleMax      = 10 * time.Minute
	roleConnections  = 20      // PostgreSQL
	roleTempFileMax  = "10GB"  // PostgreSQL, of one session
	clientLookEvery  = "10000" // ms; PostgreSQL ends a statement whose client is gone
)

// Made says what EnsureRole did.
type Made struct {
	// HasPassword says that the password counts: on a CockroachDB without
	// certificates nobody has one.
	HasPassword bool
	// Warnings name what it could not do, and what that means.
	Warnings []string
}

// EnsureRole makes the role, or brings it up to date: it may read the schema
// `reporting` of db and nothing else, signs in with the password, and begins
// every session with settings for long reads. Nobody else's rights in the database
// get more; those that everybody has (PUBLIC) to make temporary tables, tables in the
// schema public, and large objects are taken away. A second call does the same again.
//
// db is connected as the owner of the views, who may make roles. Of the password the
// server sees a verifier alone. Returns failure.Invalid for a name that is no plain
// one, is the connection's own, or is that of a role that can do more.
func EnsureRole(ctx context.Context, db *database.DB, name, password string) (Made, error) {
	if !roleName.MatchString(name) {
		return Made{}, failure.Invalidf("role", "must be 1 to 63 characters of a-z 0-9 _, not beginning with a digit")
	}
	exists, err := checkRole(ctx, db, name)
	if err != nil {
		return Made{}, err
	}
	m := &roleMaker{ctx: ctx, db: db, name: name}
	if !exists {
		m.must("CREATE ROLE " + name + " LOGIN")
	}
	hasPassword := m.setPassword(password)
	m.grant()
	if db.Engine == database.Cockroach {
		m.tuneCockroach()
	} else {
		m.tunePostgres()
	}
	if m.err != nil {
		return Made{}, fmt.Errorf("make role %s: %w", name, m.err)
	}
	return Made{HasPassword: hasPassword, Warnings: m.warnings}, nil
}

// checkRole says whether the role is there, and refuses one that can do more than
// read reports.
func checkRole(ctx context.Context, db *database.DB, name string) (exists bool, err error) {
	var self string
	var canMore bool
	err = db.QueryRow(ctx, "SELECT current_user::text").Scan(&self)
	if err != nil {
		return false, fmt.Errorf("look at the role: %w", err)
	}
	if self == name {
		return false, failure.Invalidf("role", "must not be %s, whom Florin itself connects as", self)
	}
	err = db.QueryRow(ctx, `
		SELECT r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR EXISTS (SELECT 1 FROM pg_catalog.pg_auth_members AS m WHERE m.member = r.oid)
		       OR EXISTS (SELECT 1 FROM pg_catalog.pg_class AS c WHERE c.relowner = r.oid)
		FROM pg_catalog.pg_roles AS r
		WHERE r.rolname = $1`, name).Scan(&canMore)
	switch {
	case database.NotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look at the role: %w", err)
	case canMore:
		return true, failure.Invalidf("role", "must not be %s, which there is and which can do more than read: choose another name", name)
	}
	return true, nil
}

// roleMaker runs statements until one fails.
type roleMaker struct {
	ctx      context.Context
	db       *database.DB
	name     string
	warnings []string
	err      error
}

func (m *roleMaker) try(statement string) error {
	_, err := m.db.Exec(m.ctx, statement, pgx.QueryExecModeSimpleProtocol)
	return err
}

func (m *roleMaker) must(statements ...string) {
	for _, statement := range statements {
		if m.err == nil {
			m.err = m.try(statement)
		}
	}
}

// may is for what takes a superuser.
func (m *roleMaker) may(warning string, statements ...string) {
	for _, statement := range statements {
		if m.err != nil {
			return
		}
		err := m.try(statement)
		if isSQLState(err, "42501") { // insufficient_privilege
			m.warnings = append(m.warnings, warning)
			return
		}
		m.err = err
	}
}

func isSQLState(err error, state string) bool {
	e, is := errors.AsType[*pgconn.PgError](err)
	return is && e.Code == state
}

// setPassword returns false where there are no passwords.
func (m *roleMaker) setPassword(password string) bool {
	if m.err != nil {
		return false
	}
	verifier, err := scramVerifier(password)
	if err == nil {
		err = m.try("ALTER ROLE " + m.name + " LOGIN PASSWORD '" + verifier + "'")
	}
	if m.db.Engine == database.Cockroach && isSQLState(err, "28P01") { // started with --insecure
		return false
	}
	m.err = err
	return true
}

// grant gives the role the schema, and takes from everybody what a reader has no use
// for.
func (m *roleMaker) grant() {
	base := m.databaseName()
	m.must(
		"GRANT CONNECT ON DATABASE "+base+" TO "+m.name,
		"GRANT USAGE ON SCHEMA "+schemaName+" TO "+m.name,
		"GRANT SELECT ON ALL TABLES IN SCHEMA "+schemaName+" TO "+m.name,
		// Views that later versions bring.
		"ALTER DEFAULT PRIVILEGES IN SCHEMA "+schemaName+" GRANT SELECT ON TABLES TO "+m.name,
	)
	m.may("PUBLIC may still make tables in the schema public: its owner runs REVOKE CREATE ON SCHEMA public FROM PUBLIC",
		"REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	if m.db.Engine == database.Postgres {
		m.may("PUBLIC may still make temporary tables: the database's owner runs REVOKE TEMPORARY ON DATABASE "+base+" FROM PUBLIC",
			"REVOKE TEMPORARY ON DATABASE "+base+" FROM PUBLIC")
	}
}

func (m *roleMaker) databaseName() string {
	return database.QuoteIdentifier(m.db.Config().ConnConfig.Database)
}

func (m *roleMaker) tuneCockroach() {
	m.must(
		m.set("default_transaction_read_only", "on"),
		m.set("default_transaction_use_follower_reads", "on"),
		m.set("statement_timeout", strconv.FormatInt(roleStatementMax.Milliseconds(), 10)),
		m.set("idle_in_transaction_session_timeout", strconv.FormatInt(roleIdleMax.Milliseconds(), 10)),
		m.set("search_path", schemaName),
	)
}

func (m *roleMaker) tunePostgres() {
	m.must(
		fmt.Sprintf("ALTER ROLE %s CONNECTION LIMIT %d", m.name, roleConnections),
		m.set("default_transaction_read_only", "on"),
		m.set("statement_timeout", strconv.FormatInt(roleStatementMax.Milliseconds(), 10)),
		m.set("idle_in_transaction_session_timeout", strconv.FormatInt(roleIdleMax.Milliseconds(), 10)),
		m.set("client_connection_check_interval", clientLookEvery),
		m.set("search_path", schemaName),
	)
	m.may("temporary files of a query have no limit: a superuser runs "+m.set("temp_file_limit", roleTempFileMax),
		m.set("temp_file_limit", roleTempFileMax))
	// Everybody may call these. They write, also in a transaction that is read-only or
	// never committed.
	message := "pg_catalog.pg_logical_emit_message(boolean, text, %s)"
	if m.version() >= 170000 {
		message = "pg_catalog.pg_logical_emit_message(boolean, text, %s, boolean)"
	}
	writers := "FUNCTION pg_catalog.lo_creat(integer), pg_catalog.lo_create(oid), pg_catalog.lo_from_bytea(oid, bytea), " +
		fmt.Sprintf(message+", "+message, "text", "bytea")
	m.may("PUBLIC may still make large objects and write messages to the WAL: a superuser runs REVOKE EXECUTE ON "+writers+" FROM PUBLIC",
		"REVOKE EXECUTE ON "+writers+" FROM PUBLIC")
}

func (m *roleMaker) version() (number int) {
	if m.err == nil {
		m.err = m.db.QueryRow(m.ctx, "SELECT current_setting('server_version_num')::int").Scan(&number)
	}
	return number
}

// set is the statement that makes a setting the role's, in this database.
func (m *roleMaker) set(setting, value string) string {
	return fmt.Sprintf("ALTER ROLE %s IN DATABASE %s SET %s = '%s'", m.name, m.databaseName(), setting, value)
}

// NewPassword is one that nobody guesses and no URL has to escape.
func NewPassword() string { return rand.Text() }

// scramVerifier is what a server keeps of a password (RFC 5803), so that the password
// itself is in no statement and in no server's log.
func scramVerifier(password string) (string, error) {
	const iterations = 4096
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	mac := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, encode(salt), encode(stored[:]), encode(mac("Server Key"))), nil
}
