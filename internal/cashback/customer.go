package cashback

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"florin/internal/audit"
	"florin/internal/cashback/internal/cashbackdb"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

// Limits of customers. They are part of the API.
const (
	MaxSegments      = 100 // that a customer is on the lists of
	MaxCountryLength = 60  // characters
)

// ErrOtherOwner says that a customer's rewards would be paid to somebody else.
var ErrOtherOwner = errors.New("the customer is paid to an account that is not of the same owner")

// PutCustomer enters a customer, or changes where he is paid, his country and the
// lists he is on. What he bought before he was entered is evaluated then, in the order
// of its time, and what he returned without naming a purchase is taken off that: when
// PutCustomer returns, or, after a failure, by a later sweep. Rewards on their way are
// paid to the account that he has when they are. A second call changes nothing.
// Returns InvalidInput, also for an account that is not a customer's or a merchant's,
// or is closed.
func (c *Cashback) PutCustomer(ctx context.Context, r CustomerRequest) (Customer, error) {
	return c.putCustomer(ctx, r, true)
}

// PutCustomerOfOwner is PutCustomer for who may not have a customer's rewards paid to
// somebody else: it enters any customer, and returns ErrOtherOwner for a change to
// another account unless both have one owner.
func (c *Cashback) PutCustomerOfOwner(ctx context.Context, r CustomerRequest) (Customer, error) {
	return c.putCustomer(ctx, r, false)
}

func (c *Cashback) putCustomer(ctx context.Context, r CustomerRequest, mayChangeOwner bool) (Customer, error) {
	if err := r.validate(); err != nil {
		return Customer{}, err
	}
	segments := append([]string{}, r.Segments...) // not nil, which SQL would take for unknown
	slices.Sort(segments)
	r.Segments = slices.Compact(segments)
	for {
		paidTo, err := c.paidTo(ctx, r.ID)
		if err != nil {
			return Customer{}, err
		}
		if err := c.checkPaidTo(ctx, paidTo, r.AccountID, mayChangeOwner); err != nil {
			return Customer{}, err
		}
		err = c.saveCustomer(ctx, r, paidTo)
		if err == nil {
			break
		}
		if !errors.Is(err, errPaidElsewhere) {
			return Customer{}, fmt.Errorf("save customer: %w", err)
		}
	}
	// Not of a new one alone: a purchase may have come while he was being entered.
	if err := c.intake.release(ctx, r.ID); err != nil {
		c.log.Warn("what waits of a customer is left to the sweep", "customer", r.ID, "err", err)
	}
	return c.Customer(ctx, r.ID)
}

// paidTo is the account that a customer is paid to; empty when there is none.
func (c *Cashback) paidTo(ctx context.Context, customerID string) (string, error) {
	row, err := c.queries.GetCustomer(ctx, customerID)
	if err != nil && !database.NotFound(err) {
		return "", fmt.Errorf("read customer: %w", err)
	}
	return row.AccountID, nil
}

// checkPaidTo refuses an account that a customer who is paid to another one, or is new,
// can't be paid to. One that is on record already may be closed meanwhile: the rest of
// the customer can still be changed.
func (c *Cashback) checkPaidTo(ctx context.Context, from, to string, mayChangeOwner bool) error {
	if from == to {
		return nil
	}
	if err := c.checkAccount(ctx, "accountId", to, ""); err != nil || from == "" || mayChangeOwner {
		return err
	}
	var owners [2]string
	for i, accountID := range []string{from, to} {
		account, err := c.books.Account(ctx, accountID)
		if err != nil {
			return fmt.Errorf("look up account: %w", err)
		}
		owners[i] = account.OwnerID
	}
	if owners[0] == "" || owners[0] != owners[1] { // of two without an owner nobody knows whose they are
		return ErrOtherOwner
	}
	return nil
}

// errPaidElsewhere says that a customer's account was changed since it was checked what
// it may be changed to.
var errPaidElsewhere = errors.New("the customer's account was changed meanwhile")

// saveCustomer writes a customer who is paid to an account, empty for a new one.
// Returns errPaidElsewhere, and has written nothing, when he is paid to another.
func (c *Cashback) saveCustomer(ctx context.Context, r CustomerRequest, paidTo string) error {
	return c.db.InTx(ctx, "cashback.customer", func(ctx context.Context, tx pgx.Tx) error {
		queries := cashbackdb.New(tx)
		row, err := queries.GetCustomer(ctx, r.ID)
		isNew := database.NotFound(err)
		if err != nil && !isNew {
			return err
		}
		before := customerFromRow(row)
		if before.AccountID != paidTo {
			return errPaidElsewhere
		}
		changed := changesOf(before.CustomerRequest, r)
		if !isNew && len(changed) == 0 {
			return nil
		}
		now := c.clock()
		saved := Customer{CustomerRequest: r, Tier: before.Tier, Purchases: before.Purchases, CreatedAt: before.CreatedAt, UpdatedAt: now}
		if isNew {
			saved.CreatedAt = now
		}
		if err := writeCustomer(ctx, queries, saved, isNew); err != nil {
			return err
		}
		return c.audit.AppendTx(ctx, tx, customerEvent(before, saved, isNew, changed))
	})
}

func (r *CustomerRequest) validate() error {
	var p problems
	p.id("customerId", r.ID)
	p.id("accountId", r.AccountID)
	p.text("country", r.Country, MaxCountryLength)
	if len(r.Segments) > MaxSegments {
		p.add("segments", "must be at most %d, not %d", MaxSegments, len(r.Segments))
		return p.err()
	}
	for i, segment := range r.Segments {
		p.id(fmt.Sprintf("segments[%d]", i), segment)
	}
	return p.err()
}

// changesOf names the fields that differ, as the API calls them.
func changesOf(before, after CustomerRequest) []string {
	var changed []string
	if before.AccountID != after.AccountID {
		changed = append(changed, "accountId")
	}
	if before.Country != after.Country {
		changed = append(changed, "country")
	}
	if !slices.Equal(before.Segments, after.Segments) {
		changed = append(changed, "segments")
	}
	return changed
}

func writeCustomer(ctx context.Context, queries *cashbackdb.Queries, saved Customer, isNew bool) error {
	if isNew {
		err := queries.InsertCustomer(ctx, cashbackdb.InsertCustomerParams{
			CustomerID: saved.ID, AccountID: saved.AccountID, Country: saved.Country, CreatedAt: saved.CreatedAt,
		})
		if database.UniqueViolation(err) == "cashback_customers_pkey" {
			return database.Retry(err) // change what the other one has entered
		}
		if err != nil {
			return err
		}
	} else {
		err := queries.UpdateCustomer(ctx, cashbackdb.UpdateCustomerParams{
			CustomerID: saved.ID, AccountID: saved.AccountID, Country: saved.Country, UpdatedAt: saved.UpdatedAt,
		})
		if err != nil {
			return err
		}
		if err := queries.LeaveSegments(ctx, cashbackdb.LeaveSegmentsParams{CustomerID: saved.ID, StaysIn: saved.Segments}); err != nil {
			return err
		}
	}
	return queries.JoinSegments(ctx, cashbackdb.JoinSegmentsParams{CustomerID: saved.ID, Segments: saved.Segments})
}

// customerEvent shows the account, and of what is personal the names of the fields.
func customerEvent(before, after Customer, isNew bool, changed []string) audit.Event {
	type shown struct {
		AccountID string   `json:"accountId"`
		Changed   []string `json:"changed,omitempty"`
	}
	event := audit.Event{
		Action: "cashback_customer.entered", TargetKind: "cashback_customer", TargetID: after.ID,
		After: object(shown{AccountID: after.AccountID}), Result: audit.OK,
	}
	if !isNew {
		event.Action = "cashback_customer.changed"
		event.Before, event.After = object(shown{AccountID: before.AccountID}), object(shown{after.AccountID, changed})
	}
	return event
}

// Customer returns a customer. Returns CustomerNotFound.
func (c *Cashback) Customer(ctx context.Context, customerID string) (Customer, error) {
	if !id.IsPossible(customerID) {
		return Customer{}, customerNotFound(customerID)
	}
	row, err := c.queries.GetCustomer(ctx, customerID)
	if database.NotFound(err) {
		return Customer{}, customerNotFound(customerID)
	}
	if err != nil {
		return Customer{}, fmt.Errorf("read customer: %w", err)
	}
	return customerFromRow(row), nil
}

// TierChanges returns up to limit steps of a customer's history, the newest first.
// Returns CustomerNotFound.
func (c *Cashback) TierChanges(ctx context.Context, customerID string, limit int) ([]TierChange, error) {
	if _, err := c.Customer(ctx, customerID); err != nil {
		return nil, err
	}
	rows, err := c.queries.ListTierChanges(ctx, cashbackdb.ListTierChangesParams{CustomerID: customerID, MaxRows: pageSize(limit)})
	if err != nil {
		return nil, fmt.Errorf("list tier changes: %w", err)
	}
	changes := make([]TierChange, len(rows))
	for i, row := range rows {
		changes[i] = TierChange{At: row.At.UTC(), Tier: row.Tier, Spend: row.Spend}
	}
	return changes, nil
}

func customerNotFound(customerID string) error {
	return CustomerNotFound.Failure("there is no customer %q", customerID)
}

func customerFromRow(row cashbackdb.GetCustomerRow) Customer {
	return Customer{
		CustomerRequest: CustomerRequest{ID: row.CustomerID, AccountID: row.AccountID, Country: row.Country, Segments: row.Segments},
		Tier:            row.Tier, Purchases: row.Purchases, CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
	}
}
