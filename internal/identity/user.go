package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/audit"
	"florin/internal/identity/internal/identitydb"
	"florin/internal/mail"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/seal"
)

// Mailer puts a message into the outbox in the caller's transaction.
type Mailer interface {
	EnqueueTx(ctx context.Context, tx pgx.Tx, m mail.Message) error
}

// UsersOptions configure Users. Log, Mail and Sealer are needed; what else is
// not set has a default.
type UsersOptions struct {
	Clock  clock.Clock
	Log    *audit.Log
	Mail   Mailer
	Sealer *seal.Keyring // of second factors' secrets
	// PublicURL is what links in mails begin with, as in https://pay.example.com.
	PublicURL string
	// Issuer is what authenticator apps show; "Florin".
	Issuer string
	// SessionIdle is how long a session lives unused, 30 minutes; SessionMax at
	// all, 12 hours.
	SessionIdle, SessionMax time.Duration
	// ProofMax is how old a proof may be for sensitive steps; 10 minutes.
	ProofMax time.Duration
	// HashConcurrency is how many passwords are hashed at once, 19 MiB each; the
	// number of processors.
	HashConcurrency int
	// AnswerTime is how long requests for mails take at least, so that nobody
	// learns from the time whether there is such a user; 500 ms.
	AnswerTime time.Duration
}

// Users are the people in a database: who they are, how they prove it, and their
// sessions. Safe for concurrent use.
//
// Answers to strangers never say whether an address of mail is known, neither by
// what they say nor by the time they take.
type Users struct {
	db       *database.DB
	queries  *identitydb.Queries
	clock    clock.Clock
	log      *audit.Log
	mail     Mailer
	sealer   *seal.Keyring
	options  UsersOptions
	hasher   *hasher
	throttle *throttle
	sessions *sessionCache
}

// issuer is who mails and authenticator apps name when nothing else is configured.
const issuer = "Florin"

// NewUsers makes Users. It starts nothing.
func NewUsers(db *database.DB, o UsersOptions) *Users {
	if o.Clock == nil {
		o.Clock = clock.System
	}
	if o.Issuer == "" {
		o.Issuer = issuer
	}
	o.PublicURL = strings.TrimRight(o.PublicURL, "/")
	for value, usual := range map[*time.Duration]time.Duration{
		&o.SessionIdle: 30 * time.Minute, &o.SessionMax: 12 * time.Hour,
		&o.ProofMax: 10 * time.Minute, &o.AnswerTime: 500 * time.Millisecond,
	} {
		if *value <= 0 {
			*value = usual
		}
	}
	queries := identitydb.New(db)
	return &Users{
		db: db, queries: queries, clock: o.Clock, log: o.Log, mail: o.Mail, sealer: o.Sealer, options: o,
		hasher:   newHasher(o.HashConcurrency),
		throttle: &throttle{queries: queries, clock: o.Clock},
		sessions: newSessionCache(),
	}
}

// UserStatus says what a user may do.
type UserStatus string

// The statuses. A deleted user is an id without a person.
const (
	UserActive   UserStatus = "ACTIVE"
	UserIsLocked UserStatus = "LOCKED"
	UserDeleted  UserStatus = "DELETED"
)

var userStatuses = []UserStatus{UserActive, UserIsLocked, UserDeleted}

// isID says whether an id of a request can be one: others are not looked up.
func isID(id string) bool {
	return id != "" && len(id) <= 64 && !strings.ContainsFunc(id, func(r rune) bool { return r != '_' && isNotBase32(r) })
}

// User is a person.
type User struct {
	ID              string
	Email           string     // in lower case; "" once deleted
	EmailVerifiedAt *time.Time // nil: the address is not known to be his
	Role            Role
	Status          UserStatus
	Name            string
	Phone           string // E.164: +4930123456; "" for none
	Address         string // lines of text; "" for none
	Locale          string // BCP 47: de-DE; "" for none
	HasSecondFactor bool
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// IsActive says that the user can sign in: his address is verified, and he is
// neither locked nor deleted.
func (u User) IsActive() bool { return u.Status == UserActive && u.EmailVerifiedAt != nil }

func userOf(row identitydb.User) User {
	email := ""
	if row.Email != nil {
		email = *row.Email
	}
	return User{
		ID: row.UserID, Email: email, EmailVerifiedAt: row.EmailVerifiedAt, Role: Role(row.Role), Status: UserStatus(row.Status),
		Name: row.Name, Phone: row.Phone, Address: row.Address, Locale: row.Locale, HasSecondFactor: row.SecondFactorAt != nil,
		CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
	}
}

// Profile returns a user, whatever his status, for himself and for staff. Returns
// ErrUserNotFound.
func (u *Users) Profile(ctx context.Context, userID string) (User, error) {
	if !isID(userID) {
		return User{}, ErrUserNotFound
	}
	row, err := u.queries.FindUser(ctx, userID)
	if database.NotFound(err) {
		return User{}, ErrUserNotFound
	}
	if err != nil {
		return User{}, fmt.Errorf("read user: %w", err)
	}
	return userOf(row), nil
}

// UserByID returns an active user, as the counterparty of a transfer. Returns
// ErrUserNotFound for all others.
func (u *Users) UserByID(ctx context.Context, userID string) (User, error) {
	user, err := u.Profile(ctx, userID)
	if err == nil && !user.IsActive() {
		return User{}, ErrUserNotFound
	}
	return user, err
}

// FindUserByEmail returns the active user with this address, as the counterparty
// of a transfer. Returns ErrUserNotFound for all others and for what is no address.
func (u *Users) FindUserByEmail(ctx context.Context, email string) (User, error) {
	email, err := normalEmail(email)
	if err != nil {
		return User{}, ErrUserNotFound
	}
	row, err := u.queries.FindUserByEmail(ctx, email)
	if database.NotFound(err) {
		return User{}, ErrUserNotFound
	}
	if err != nil {
		return User{}, fmt.Errorf("read user: %w", err)
	}
	if user := userOf(row); user.IsActive() {
		return user, nil
	}
	return User{}, ErrUserNotFound
}

// UserFilter selects users; what is empty selects all.
type UserFilter struct {
	Email  string // the whole address
	Role   Role
	Status UserStatus
}

// userPageMax bounds one page of a list.
const userPageMax = 1000

// ListUsers lists up to limit users in the order of their ids, those after the id
// given. For staff. Returns InvalidInput.
func (u *Users) ListUsers(ctx context.Context, f UserFilter, after string, limit int) ([]User, error) {
	if f.Email != "" {
		var err error
		if f.Email, err = normalEmail(f.Email); err != nil {
			return nil, err
		}
	}
	if f.Role != "" && !f.Role.IsKnown() {
		return nil, invalid("role", "must be one of "+roleNames())
	}
	if f.Status != "" && !slices.Contains(userStatuses, f.Status) {
		return nil, invalid("status", "must be ACTIVE, LOCKED or DELETED")
	}
	if after != "" && !isID(after) {
		return nil, invalid("after", "must be a user's id")
	}
	rows, err := u.queries.ListUsers(ctx, identitydb.ListUsersParams{
		After: after, Role: string(f.Role), Status: string(f.Status), Email: f.Email,
		RowLimit: int32(min(max(limit, 1), userPageMax)),
	})
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	users := make([]User, len(rows))
	for i, row := range rows {
		users[i] = userOf(row)
	}
	return users, nil
}

// ProfilePatch changes what is not nil. "" clears a field, but for the name.
type ProfilePatch struct {
	Name, Phone, Address, Locale *string
}

// UpdateProfile changes a user's own data and returns what it is then. Returns
// InvalidInput, ErrUserNotFound, or ErrUserNotActive.
func (u *Users) UpdateProfile(ctx context.Context, userID string, p ProfilePatch) (User, error) {
	if err := p.normalise(); err != nil {
		return User{}, err
	}
	var user User
	err := u.change(ctx, "identity.update_profile", userID, func(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
		changed := p.apply(&row)
		if len(changed) == 0 {
			user = userOf(row)
			return nil
		}
		row.UpdatedAt = u.clock()
		user = userOf(row)
		err := identitydb.New(tx).UpdateProfile(ctx, identitydb.UpdateProfileParams{
			UserID: userID, Name: row.Name, Phone: row.Phone, Address: row.Address, Locale: row.Locale, Now: row.UpdatedAt,
		})
		if err != nil {
			return err
		}
		return u.log.AppendTx(ctx, tx, userEvent("user.updated", userID, nil, fields(changed...)))
	})
	return user, err
}

func (p ProfilePatch) apply(row *identitydb.User) (changed []string) {
	for _, field := range []struct {
		name string
		to   *string
		in   *string
	}{{"name", p.Name, &row.Name}, {"phone", p.Phone, &row.Phone}, {"address", p.Address, &row.Address}, {"locale", p.Locale, &row.Locale}} {
		if field.to != nil && *field.to != *field.in {
			*field.in = *field.to
			changed = append(changed, field.name)
		}
	}
	return changed
}

// change runs fn in a transaction with the user's row locked. Returns
// ErrUserNotFound, or ErrUserNotActive for users that are not ACTIVE.
func (u *Users) change(ctx context.Context, name, userID string, fn func(context.Context, pgx.Tx, identitydb.User) error) error {
	return u.changeAny(ctx, name, userID, func(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
		if UserStatus(row.Status) != UserActive {
			return ErrUserNotActive
		}
		return fn(ctx, tx, row)
	})
}

// changeAny is change for users of any status but DELETED, who are not found.
func (u *Users) changeAny(ctx context.Context, name, userID string, fn func(context.Context, pgx.Tx, identitydb.User) error) error {
	if !isID(userID) {
		return ErrUserNotFound
	}
	return u.db.InTx(ctx, name, func(ctx context.Context, tx pgx.Tx) error {
		row, err := identitydb.New(tx).LockUser(ctx, userID)
		if database.NotFound(err) || err == nil && UserStatus(row.Status) == UserDeleted {
			return ErrUserNotFound
		}
		if err != nil {
			return err
		}
		return fn(ctx, tx, row)
	})
}

// userEvent is a change of a user that was done by whoever acts under the context.
func userEvent(action, userID string, before, after json.RawMessage) audit.Event {
	return audit.Event{Action: action, TargetKind: "user", TargetID: userID, Before: before, After: after, Result: audit.OK}
}

// fields stand in the audit trail for personal data that changed.
func fields(names ...string) json.RawMessage { return object("fields", names) }

// object is a JSON object of one member.
func object(name string, value any) json.RawMessage {
	text, err := json.Marshal(map[string]any{name: value})
	if err != nil {
		panic(err) // of names and numbers
	}
	return text
}

// himself is the origin of what a user does without a session, from wherever the
// request under ctx comes.
func himself(ctx context.Context, row identitydb.User) audit.Origin {
	origin, _ := audit.From(ctx)
	origin.ActorKind, origin.ActorID, origin.Role = string(UserPrincipal), row.UserID, row.Role
	return origin
}

func isCode(err error, code Code) bool {
	return errors.Is(err, &Failure{Code: code})
}
