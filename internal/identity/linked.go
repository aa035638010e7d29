package identity

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/audit"
	"florin/internal/identity/internal/identitydb"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
	"florin/internal/platform/seal"
)

// LinkedAccountsMax is how many a user may have.
const LinkedAccountsMax = 20

// What is refused about linked accounts.
const (
	LinkedAccountNotFound Code = "linked_account_not_found" // unknown, or another user's
	LinkedAccountExists   Code = "linked_account_exists"    // the user has linked it before
	TooManyLinkedAccounts Code = "too_many_linked_accounts" // LinkedAccountsMax
)

// Refusals about linked accounts that say the same each time. Compare with
// errors.Is.
var (
	ErrLinkedAccountNotFound = &Failure{Code: LinkedAccountNotFound, Message: "there is no such linked account"}
	ErrLinkedAccountExists   = &Failure{Code: LinkedAccountExists, Message: "the account is linked already"}
	ErrTooManyLinkedAccounts = &Failure{Code: TooManyLinkedAccounts, Message: fmt.Sprintf("a user may link %d accounts at most", LinkedAccountsMax)}
)

// LinkedAccountKind says which numbers name a linked account.
type LinkedAccountKind string

// The kinds.
const (
	USAccount   LinkedAccountKind = "US"   // routing and account number
	IBANAccount LinkedAccountKind = "IBAN" // an IBAN alone
)

// LinkedAccount is a user's account at a bank, as it may be shown.
type LinkedAccount struct {
	ID        string
	UserID    string
	Kind      LinkedAccountKind
	BankName  string
	LastFour  string // of the account number or the IBAN; fewer of a short one
	CreatedAt time.Time
}

// BankDetails are the numbers of an account at a bank, for the bank alone. They
// print as nothing.
type BankDetails struct {
	Kind          LinkedAccountKind `json:"kind"`
	RoutingNumber string            `json:"routingNumber,omitempty"`
	AccountNumber string            `json:"accountNumber,omitempty"`
	IBAN          string            `json:"iban,omitempty"`
}

// String hides the numbers.
func (b BankDetails) String() string { return "details of a bank account (" + string(b.Kind) + ")" }

// GoString is String.
func (b BankDetails) GoString() string { return b.String() }

// LogValue is String.
func (b BankDetails) LogValue() slog.Value { return slog.StringValue(b.String()) }

// LinkedAccounts are the bank accounts elsewhere that users pay in from and out
// to. Their numbers are sealed in the database. Safe for concurrent use. Changes
// are audit events of the same transaction.
type LinkedAccounts struct {
	db      *database.DB
	queries *identitydb.Queries
	sealer  *seal.Keyring
	clock   clock.Clock
	log     *audit.Log
}

// LinkedAccountsOptions configure LinkedAccounts. All must be given.
type LinkedAccountsOptions struct {
	Clock  clock.Clock
	Log    *audit.Log
	Sealer *seal.Keyring
}

// NewLinkedAccounts makes LinkedAccounts.
func NewLinkedAccounts(db *database.DB, o LinkedAccountsOptions) *LinkedAccounts {
	return &LinkedAccounts{db: db, queries: identitydb.New(db), sealer: o.Sealer, clock: o.Clock, log: o.Log}
}

const fingerprintPurpose = "linked account"

func linkedPlace(linkedAccountID string) seal.Place {
	return seal.Place{Table: "linked_accounts", Row: linkedAccountID, Column: "sealed"}
}

// Add links an account to a user. It opens its own transaction. Returns
// InvalidInput, or Failures: UserNotFound, UserNotActive, TooManyLinkedAccounts,
// and LinkedAccountExists, which a second call gets too.
func (l *LinkedAccounts) Add(ctx context.Context, userID string, n NewLinkedAccount) (LinkedAccount, error) {
	n, err := n.validated()
	if err != nil {
		return LinkedAccount{}, err
	}
	details := n.details()
	plain, err := json.Marshal(details)
	if err != nil {
		return LinkedAccount{}, fmt.Errorf("encode linked account: %w", err)
	}
	added := LinkedAccount{
		ID: id.New("linked"), UserID: userID, Kind: n.Kind, BankName: n.BankName, LastFour: details.lastFour(), CreatedAt: l.clock(),
	}
	err = l.db.InTx(ctx, "linked_accounts.add", func(ctx context.Context, tx pgx.Tx) error {
		if err := l.checkRoom(ctx, tx, userID, details); err != nil {
			return err
		}
		err := l.queries.WithTx(tx).InsertLinkedAccount(ctx, identitydb.InsertLinkedAccountParams{
			LinkedAccountID: added.ID, UserID: userID, Kind: string(n.Kind), BankName: n.BankName, LastFour: added.LastFour,
			Sealed: l.sealer.Seal(linkedPlace(added.ID), plain), Fingerprint: l.sealer.Fingerprint(fingerprintPurpose, details.identity()),
			CreatedAt: added.CreatedAt,
		})
		if err != nil {
			return fmt.Errorf("store linked account: %w", err)
		}
		event := linkedEvent("linked_account.added", added.ID)
		event.After = object("kind", n.Kind)
		return l.log.AppendTx(ctx, tx, event)
	})
	if database.UniqueViolation(err) == "linked_accounts_once_a_user" {
		return LinkedAccount{}, ErrLinkedAccountExists
	}
	if err != nil {
		return LinkedAccount{}, err
	}
	return added, nil
}

// checkRoom refuses an account more than a user may have, and one that he has. The
// user's row is locked, so that two at once don't both find room.
func (l *LinkedAccounts) checkRoom(ctx context.Context, tx pgx.Tx, userID string, details BankDetails) error {
	if !isID(userID) {
		return ErrUserNotFound
	}
	queries := l.queries.WithTx(tx)
	user, err := queries.LockUser(ctx, userID)
	switch {
	case database.NotFound(err):
		return ErrUserNotFound
	case err != nil:
		return fmt.Errorf("read user: %w", err)
	case user.Status != string(UserActive):
		return ErrUserNotActive
	}
	linked, err := queries.ListLinkedAccounts(ctx, userID)
	if err != nil {
		return fmt.Errorf("list linked accounts: %w", err)
	}
	// Also by the keys before the first: those rows may not be sealed again yet.
	known := l.sealer.Fingerprints(fingerprintPurpose, details.identity())
	for _, row := range linked {
		for _, fingerprint := range known {
			if hmac.Equal(row.Fingerprint, fingerprint) {
				return ErrLinkedAccountExists
			}
		}
	}
	if len(linked) >= LinkedAccountsMax {
		return ErrTooManyLinkedAccounts
	}
	return nil
}

// List returns a user's linked accounts, the oldest first.
func (l *LinkedAccounts) List(ctx context.Context, userID string) ([]LinkedAccount, error) {
	if !isID(userID) {
		return nil, nil
	}
	rows, err := l.queries.ListLinkedAccounts(ctx, userID)
	if err != nil {
		return nil, fmt.Errorf("list linked accounts: %w", err)
	}
	linked := make([]LinkedAccount, len(rows))
	for i, row := range rows {
		linked[i] = LinkedAccount{
			ID: row.LinkedAccountID, UserID: row.UserID, Kind: LinkedAccountKind(row.Kind), BankName: row.BankName,
			LastFour: row.LastFour, CreatedAt: row.CreatedAt.UTC(),
		}
	}
	return linked, nil
}

// Get returns one of a user's linked accounts. Returns the Failure
// LinkedAccountNotFound, also for another user's.
func (l *LinkedAccounts) Get(ctx context.Context, userID, linkedAccountID string) (LinkedAccount, error) {
	row, err := l.find(ctx, userID, linkedAccountID)
	if err != nil {
		return LinkedAccount{}, err
	}
	return LinkedAccount{
		ID: row.LinkedAccountID, UserID: row.UserID, Kind: LinkedAccountKind(row.Kind), BankName: row.BankName,
		LastFour: row.LastFour, CreatedAt: row.CreatedAt.UTC(),
	}, nil
}

// Details opens the numbers of one of a user's linked accounts, for an order to
// the bank. Its errors are Get's, and those of seal.Keyring.Open.
func (l *LinkedAccounts) Details(ctx context.Context, userID, linkedAccountID string) (BankDetails, error) {
	row, err := l.find(ctx, userID, linkedAccountID)
	if err != nil {
		return BankDetails{}, err
	}
	return l.open(row.LinkedAccountID, row.Sealed)
}

func (l *LinkedAccounts) find(ctx context.Context, userID, linkedAccountID string) (identitydb.GetLinkedAccountRow, error) {
	if !isID(userID) || !isID(linkedAccountID) {
		return identitydb.GetLinkedAccountRow{}, ErrLinkedAccountNotFound
	}
	row, err := l.queries.GetLinkedAccount(ctx, identitydb.GetLinkedAccountParams{UserID: userID, LinkedAccountID: linkedAccountID})
	if database.NotFound(err) {
		return row, ErrLinkedAccountNotFound
	}
	if err != nil {
		return row, fmt.Errorf("read linked account: %w", err)
	}
	return row, nil
}

func (l *LinkedAccounts) open(linkedAccountID, sealed string) (BankDetails, error) {
	plain, err := l.sealer.Open(linkedPlace(linkedAccountID), sealed)
	if err != nil {
		return BankDetails{}, fmt.Errorf("linked account %s: %w", linkedAccountID, err)
	}
	var details BankDetails
	if err := json.Unmarshal(plain, &details); err != nil {
		return BankDetails{}, fmt.Errorf("linked account %s: %w", linkedAccountID, errors.New("can't be read")) // the cause would show some of it
	}
	return details, nil
}

// Remove deletes one of a user's linked accounts with its numbers. It opens its own
// transaction. Returns the Failure LinkedAccountNotFound, also the second time.
func (l *LinkedAccounts) Remove(ctx context.Context, userID, linkedAccountID string) error {
	if !isID(userID) || !isID(linkedAccountID) {
		return ErrLinkedAccountNotFound
	}
	return l.db.InTx(ctx, "linked_accounts.remove", func(ctx context.Context, tx pgx.Tx) error {
		kind, err := l.queries.WithTx(tx).DeleteLinkedAccount(ctx, identitydb.DeleteLinkedAccountParams{
			UserID: userID, LinkedAccountID: linkedAccountID,
		})
		if database.NotFound(err) {
			return ErrLinkedAccountNotFound
		}
		if err != nil {
			return fmt.Errorf("remove linked account: %w", err)
		}
		return l.log.AppendTx(ctx, tx, removedEvent(linkedAccountID, kind))
	})
}

func removedEvent(linkedAccountID, kind string) audit.Event {
	event := linkedEvent("linked_account.removed", linkedAccountID)
	event.Before = object("kind", kind)
	return event
}

func linkedEvent(action, linkedAccountID string) audit.Event {
	return audit.Event{Action: action, TargetKind: "linked_account", TargetID: linkedAccountID, Result: audit.OK}
}
