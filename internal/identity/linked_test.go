package identity_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"florin/internal/identity"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/dbtest/secrets"
	"florin/internal/platform/seal"
)

func (w *keysWorld) linked(t *testing.T, configured ...string) *identity.LinkedAccounts {
	t.Helper()
	secrets.Register(t, "encryption key", configured...)
	secrets.Register(t, "account number", german.IBAN, american.AccountNumber)
	ring, err := seal.Parse(strings.Join(configured, ","))
	if err != nil {
		t.Fatal(err)
	}
	return identity.NewLinkedAccounts(w.db, identity.LinkedAccountsOptions{Clock: w.time, Log: w.log, Sealer: ring})
}

var (
	german   = identity.NewLinkedAccount{Kind: identity.IBANAccount, BankName: "Commerzbank", IBAN: "DE89 3704 0044 0532 0130 00"}
	american = identity.NewLinkedAccount{Kind: identity.USAccount, BankName: "Chase", RoutingNumber: "021000021", AccountNumber: "987654321"}
)

func TestLinkedAccountsShowFourDigitsAndKeepTheRestSealed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		linked := w.linked(t, seal.NewKey("a"))
		user := w.owner(t, identity.Customer)
		added, err := linked.Add(t.Context(), user, german)
		if err != nil || added.LastFour != "3000" || added.UserID != user || added.BankName != "Commerzbank" {
			t.Fatalf("%+v, %v", added, err)
		}
		got, err := linked.Get(t.Context(), user, added.ID)
		if err != nil || got != added {
			t.Errorf("%+v, %v", got, err)
		}
		w.pass(time.Millisecond)
		second, err := linked.Add(t.Context(), user, american)
		if err != nil {
			t.Fatal(err)
		}
		all, err := linked.List(t.Context(), user)
		if err != nil || !slices.Equal(all, []identity.LinkedAccount{added, second}) {
			t.Errorf("%+v, %v", all, err)
		}
		details, err := linked.Details(t.Context(), user, second.ID)
		if err != nil || details.RoutingNumber != "021000021" || details.AccountNumber != "987654321" || details.IBAN != "" {
			t.Errorf("%v", err)
		}
		for _, table := range []string{"linked_accounts", "audit_events"} {
			for _, number := range []string{"DE89370400440532013000", "0532013", "987654321"} {
				var n int
				if err := w.db.QueryRow(t.Context(), "SELECT count(*) FROM "+table+" AS r WHERE r::text LIKE '%' || $1 || '%'", number).Scan(&n); err != nil || n != 0 {
					t.Errorf("%s shows %s: %d, %v", table, number, n, err)
				}
			}
		}
		if err := linked.Remove(t.Context(), user, added.ID); err != nil {
			t.Fatal(err)
		}
		if err := linked.Remove(t.Context(), user, added.ID); !errors.Is(err, identity.ErrLinkedAccountNotFound) {
			t.Errorf("a second time: %v", err)
		}
		if _, err := linked.Add(t.Context(), user, german); err != nil {
			t.Errorf("linked again: %v", err)
		}
		if actions := w.actions(t, added.ID); !slices.Equal(actions, []string{"linked_account.added", "linked_account.removed"}) {
			t.Error(actions)
		}
	})
}

func TestAnothersLinkedAccountIsNotThere(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		linked := w.linked(t, seal.NewKey("a"))
		user, stranger := w.owner(t, identity.Customer), w.owner(t, identity.Customer)
		added, err := linked.Add(t.Context(), user, german)
		if err != nil {
			t.Fatal(err)
		}
		for _, who := range []string{stranger, "", "user_none", "\x00", "\xff"} {
			_, getErr := linked.Get(t.Context(), who, added.ID)
			_, detailsErr := linked.Details(t.Context(), who, added.ID)
			for _, err := range []error{getErr, detailsErr, linked.Remove(t.Context(), who, added.ID)} {
				if !errors.Is(err, identity.ErrLinkedAccountNotFound) {
					t.Errorf("%q: %v", who, err)
				}
			}
			if all, err := linked.List(t.Context(), who); err != nil || len(all) != 0 {
				t.Errorf("%q: %v, %v", who, all, err)
			}
		}
		// The same account may be two people's, as a couple's is.
		if _, err := linked.Add(t.Context(), stranger, german); err != nil {
			t.Error(err)
		}
		if _, err := linked.Add(t.Context(), "user_none", german); !errors.Is(err, identity.ErrUserNotFound) {
			t.Error(err)
		}
		w.setUser(t, stranger, "status", "LOCKED")
		if _, err := linked.Add(t.Context(), stranger, american); !errors.Is(err, identity.ErrUserNotActive) {
			t.Error(err)
		}
		// A row that was given to somebody else in the database doesn't open in
		// another row.
		if _, err := w.db.Exec(t.Context(), `
			UPDATE linked_accounts AS l SET sealed = o.sealed FROM linked_accounts AS o
			WHERE l.user_id = $1 AND o.linked_account_id = $2`, stranger, added.ID); err != nil {
			t.Fatal(err)
		}
		moved, err := linked.List(t.Context(), stranger)
		if err != nil || len(moved) != 1 {
			t.Fatal(moved, err)
		}
		if _, err := linked.Details(t.Context(), stranger, moved[0].ID); !errors.Is(err, seal.ErrNotGenuine) {
			t.Error(err)
		}
	})
}

func TestAnAccountIsLinkedOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		linked := w.linked(t, seal.NewKey("a"))
		user := w.owner(t, identity.Customer)
		results := make(chan error, 5)
		for range 5 {
			go func() {
				_, err := linked.Add(context.WithoutCancel(t.Context()), user, german)
				results <- err
			}()
		}
		done := 0
		for range 5 {
			if err := <-results; err == nil {
				done++
			} else if !errors.Is(err, identity.ErrLinkedAccountExists) {
				t.Error(err)
			}
		}
		typed := german
		typed.IBAN = "de89370400440532013000"
		if _, err := linked.Add(t.Context(), user, typed); !errors.Is(err, identity.ErrLinkedAccountExists) || done != 1 {
			t.Errorf("%d times, then %v", done, err)
		}
	})
}

func TestNobodyLinksMoreThanThereIsRoomFor(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		linked := w.linked(t, seal.NewKey("a"))
		user := w.owner(t, identity.Customer)
		results := make(chan error, identity.LinkedAccountsMax+5)
		for i := range cap(results) {
			n := american
			n.AccountNumber = fmt.Sprintf("%09d", i+1)
			go func() {
				_, err := linked.Add(context.WithoutCancel(t.Context()), user, n)
				results <- err
			}()
		}
		refused := 0
		for range cap(results) {
			if err := <-results; errors.Is(err, identity.ErrTooManyLinkedAccounts) {
				refused++
			} else if err != nil {
				t.Error(err)
			}
		}
		all, err := linked.List(t.Context(), user)
		if err != nil || len(all) != identity.LinkedAccountsMax || refused != 5 {
			t.Errorf("%d linked, %d refused, %v", len(all), refused, err)
		}
	})
}

func TestLinkedAccountsAreSealedAgainWithANewKey(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := emptyKeys(t, url)
		older, newer := seal.NewKey("2025"), seal.NewKey("2026")
		before, during, after := w.linked(t, older), w.linked(t, newer, older), w.linked(t, newer)
		user := w.owner(t, identity.Customer)
		added, err := before.Add(t.Context(), user, german)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := after.Details(t.Context(), user, added.ID); !errors.Is(err, seal.ErrUnknownKey) {
			t.Errorf("without its key: %v", err)
		}
		if _, err := after.Reseal(t.Context()); !errors.Is(err, seal.ErrUnknownKey) {
			t.Errorf("without its key: %v", err)
		}
		// Before it is sealed again, it is recognised already.
		if _, err := during.Add(t.Context(), user, german); !errors.Is(err, identity.ErrLinkedAccountExists) {
			t.Error(err)
		}
		if n, err := during.Reseal(t.Context()); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if n, err := during.Reseal(t.Context()); err != nil || n != 0 {
			t.Error("again:", n, err)
		}
		details, err := after.Details(t.Context(), user, added.ID)
		if err != nil || details.IBAN != "DE89370400440532013000" {
			t.Error(err)
		}
		if _, err := after.Add(t.Context(), user, german); !errors.Is(err, identity.ErrLinkedAccountExists) {
			t.Error(err)
		}
	})
}

func TestMoreLinkedAccountsThanAPageAreSealedAgain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := emptyKeys(t, url)
		older, newer := seal.NewKey("a"), seal.NewKey("b")
		ring, err := seal.Parse(older)
		if err != nil {
			t.Fatal(err)
		}
		const rows = 401
		var ids, sealed []string
		var fingerprints [][]byte
		for i := range rows {
			rowID := fmt.Sprintf("linked_%03d", i)
			ids = append(ids, rowID)
			sealed = append(sealed, ring.Seal(seal.Place{Table: "linked_accounts", Row: rowID, Column: "sealed"}, []byte(`{"kind":"US","routingNumber":"021000021","accountNumber":"1234"}`)))
			fingerprints = append(fingerprints, []byte(rowID))
		}
		if _, err := w.db.Exec(t.Context(), `
			INSERT INTO linked_accounts (linked_account_id, user_id, kind, bank_name, last_four, sealed, fingerprint, created_at)
			SELECT u.id, u.id, 'US', 'x', '1234', u.sealed, u.fingerprint, now()
			FROM (SELECT unnest($1::text[]) AS id, unnest($2::text[]) AS sealed, unnest($3::bytea[]) AS fingerprint) AS u`, ids, sealed, fingerprints); err != nil {
			t.Fatal(err)
		}
		// Two at once: each row is done once.
		counts := make(chan int, 2)
		for range 2 {
			go func() {
				n, err := w.linked(t, newer, older).Reseal(context.WithoutCancel(t.Context()))
				if err != nil {
					t.Error(err)
				}
				counts <- n
			}()
		}
		if n := <-counts + <-counts; n != rows {
			t.Errorf("%d rows were sealed again, want %d", n, rows)
		}
		if n, err := w.linked(t, newer).Reseal(t.Context()); err != nil || n != 0 {
			t.Errorf("%d left, %v", n, err)
		}
	})
}
