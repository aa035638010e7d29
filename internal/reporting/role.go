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
	"strings"
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
// schema public, and large objects are taken away. A second call does what is missing, and sets the password again.
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
	m := &roleMaker{db: db, name: name}
	if !exists {
		if err := m.exec(ctx, "CREATE ROLE "+name+" LOGIN"); err != nil {
			return Made{}, fmt.Errorf("make role %s: %w", name, err)
		}
	}
	hasPassword, err := m.setPassword(ctx, password)
	if err != nil {
		return Made{}, fmt.Errorf("set the password of role %s: %w", name, err)
	}
	warnings, err := m.grant(ctx)
	if err != nil {
		return Made{}, fmt.Errorf("make role %s: %w", name, err)
	}
	return Made{HasPassword: hasPassword, Warnings: warnings}, nil
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

type roleMaker struct {
	db   *database.DB
	name string
}

func (m *roleMaker) exec(ctx context.Context, statement string) error {
	_, err := m.db.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol)
	return err
}

const codeInsufficientPrivilege = "42501"

func isSQLState(err error, state string) bool {
	e, is := errors.AsType[*pgconn.PgError](err)
	return is && e.Code == state
}

// setPassword returns false where there are no passwords.
func (m *roleMaker) setPassword(ctx context.Context, password string) (bool, error) {
	verifier, err := scramVerifier(password)
	if err != nil {
		return false, err
	}
	err = m.exec(ctx, "ALTER ROLE "+m.name+" LOGIN PASSWORD '"+verifier+"'")
	if m.db.Engine == database.Cockroach && isSQLState(err, "28P01") { // started with --insecure
		return false, nil
	}
	return err == nil, err
}

// roleStep is one thing that makes the role what it is.
type roleStep struct {
	isDone    string // a condition, which the database answers
	statement string
	// warning is what it means when the connection may not do it; "" for what the
	// owner of the views may.
	warning string
}

// grant does what is missing. A step that is done is left alone, because each is a
// change of the schema to CockroachDB, and `florin dev` asks at every start.
func (m *roleMaker) grant(ctx context.Context) (warnings []string, err error) {
	steps, err := m.missing(ctx, m.steps())
	if err != nil || len(steps) == 0 {
		return nil, err
	}
	for _, step := range steps {
		err := m.exec(ctx, step.statement)
		if err != nil && (step.warning == "" || !isSQLState(err, codeInsufficientPrivilege)) {
			return nil, err
		}
	}
	// A REVOKE that may not take anything away only notes that.
	steps, err = m.missing(ctx, steps)
	for _, step := range steps {
		if step.warning == "" {
			return nil, fmt.Errorf("without effect: %s", step.statement)
		}
		warnings = append(warnings, step.warning)
	}
	return warnings, err
}

// missing are the steps that are not done.
func (m *roleMaker) missing(ctx context.Context, steps []roleStep) (left []roleStep, err error) {
	conditions := make([]string, len(steps))
	for i, step := range steps {
		conditions[i] = "coalesce(" + step.isDone + ", false)"
	}
	var isDone []bool
	err = m.db.QueryRow(ctx, "SELECT ARRAY["+strings.Join(conditions, ", ")+"]", pgx.QueryExecModeSimpleProtocol).Scan(&isDone)
	if err != nil {
		return nil, fmt.Errorf("look at the role: %w", err)
	}
	for i, step := range steps {
		if !isDone[i] {
			left = append(left, step)
		}
	}
	return left, nil
}

// steps give the role the schema and its settings, and take from everybody what a
// reader has no use for.
func (m *roleMaker) steps() []roleStep {
	base := m.databaseName()
	steps := []roleStep{
		{isDone: "has_database_privilege('" + m.name + "', current_database(), 'CONNECT')", statement: "GRANT CONNECT ON DATABASE " + base + " TO " + m.name},
		{isDone: "has_schema_privilege('" + m.name + "', '" + schemaName + "', 'USAGE')", statement: "GRANT USAGE ON SCHEMA " + schemaName + " TO " + m.name},
		{
			isDone: `NOT EXISTS (
				SELECT 1
				FROM pg_catalog.pg_class AS c
				JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
				WHERE n.nspname = '` + schemaName + `' AND c.relkind = 'v' AND NOT has_table_privilege('` + m.name + `', c.oid, 'SELECT'))`,
			statement: "GRANT SELECT ON ALL TABLES IN SCHEMA " + schemaName + " TO " + m.name,
		},
		{ // views that later versions bring
			isDone: `EXISTS (
				SELECT 1
				FROM pg_catalog.pg_default_acl AS d
				JOIN pg_catalog.pg_namespace AS n ON n.oid = d.defaclnamespace
				JOIN pg_catalog.pg_roles AS r ON r.oid = d.defaclrole,
				     unnest(d.defaclacl) AS a (entry)
				WHERE n.nspname = '` + schemaName + `' AND r.rolname = current_user AND d.defaclobjtype = 'r'
				  AND split_part(a.entry::text, '/', 1) = '` + m.name + `=r')`,
			statement: "ALTER DEFAULT PRIVILEGES IN SCHEMA " + schemaName + " GRANT SELECT ON TABLES TO " + m.name,
		},
		{
			isDone:    "NOT has_schema_privilege('public', 'public', 'CREATE')",
			statement: "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
			warning:   "PUBLIC may still make tables in the schema public: its owner runs REVOKE CREATE ON SCHEMA public FROM PUBLIC",
		},
		m.set("default_transaction_read_only", "on"),
		m.set("statement_timeout", strconv.FormatInt(roleStatementMax.Milliseconds(), 10)),
		m.set("idle_in_transaction_session_timeout", strconv.FormatInt(roleIdleMax.Milliseconds(), 10)),
		m.set("search_path", schemaName),
	}
	if m.db.Engine == database.Cockroach {
		return append(steps, m.set("default_transaction_use_follower_reads", "on"))
	}
	limit := m.set("temp_file_limit", roleTempFileMax)
	limit.warning = "temporary files of a query have no limit: a superuser runs " + limit.statement
	return append(steps, limit, m.set("client_connection_check_interval", clientLookEvery),
		roleStep{
			isDone:    fmt.Sprintf("EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = '%s' AND rolconnlimit = %d)", m.name, roleConnections),
			statement: fmt.Sprintf("ALTER ROLE %s CONNECTION LIMIT %d", m.name, roleConnections),
		},
		roleStep{
			isDone:    "NOT has_database_privilege('public', current_database(), 'TEMPORARY')",
			statement: "REVOKE TEMPORARY ON DATABASE " + base + " FROM PUBLIC",
			warning:   "PUBLIC may still make temporary tables: the database's owner runs REVOKE TEMPORARY ON DATABASE " + base + " FROM PUBLIC",
		},
		revokeWriters())
}

// revokeWriters takes from everybody the functions of PostgreSQL that write, also in a
// transaction that is read-only or never committed. Which of them there are depends
// on its version.
func revokeWriters() roleStep {
	const named = `p.pronamespace = 'pg_catalog'::regnamespace AND p.proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'pg_logical_emit_message')`
	return roleStep{
		isDone: `NOT EXISTS (SELECT 1 FROM pg_catalog.pg_proc AS p WHERE ` + named + ` AND has_function_privilege('public', p.oid, 'EXECUTE'))`,
		statement: `DO $$
			DECLARE writer regprocedure;
			BEGIN
				FOR writer IN SELECT p.oid FROM pg_catalog.pg_proc AS p WHERE ` + named + ` LOOP
					EXECUTE 'REVOKE EXECUTE ON FUNCTION ' || writer || ' FROM PUBLIC';
				END LOOP;
			END $$`,
		warning: "PUBLIC may still make large objects and write messages to the WAL: a superuser revokes EXECUTE on lo_creat, lo_create, lo_from_bytea and pg_logical_emit_message from PUBLIC",
	}
}

func (m *roleMaker) databaseName() string {
	return database.QuoteIdentifier(m.db.Config().ConnConfig.Database)
}

// set makes a setting the role's, in this database.
func (m *roleMaker) set(setting, value string) roleStep {
	return roleStep{
		isDone: `EXISTS (
			SELECT 1
			FROM pg_catalog.pg_db_role_setting AS s
			JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
			JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
			WHERE r.rolname = '` + m.name + `' AND d.datname = current_database() AND '` + setting + `=` + value + `' = ANY(s.setconfig))`,
		statement: fmt.Sprintf("ALTER ROLE %s IN DATABASE %s SET %s = '%s'", m.name, m.databaseName(), setting, value),
	}
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
