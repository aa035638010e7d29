package ledger_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// openFor opens a customer's account in USD that belongs to somebody.
func openFor(t *testing.T, l *ledger.Ledger, owner, balance string) ledger.Account {
	t.Helper()
	account, err := l.OpenAccount(t.Context(), ledger.OpenAccount{ID: id.New("a"), OwnerID: owner, Balance: usd(balance)})
	if err != nil {
		t.Fatal(err)
	}
	if account.OwnerID != owner {
		t.Fatalf("account %+v; want owner %s", account, owner)
	}
	return account
}

func pay(from, to ledger.Account, amount string) ledger.TransferRequest {
	return ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd(amount)}
}

// estate is what two people have, who paid each other and a third.
type estate struct {
	all, ann, bob          *ledger.Ledger
	annID, bobID           string
	annOne, annTwo, bobOne ledger.Account
	toBob, within          ledger.Transfer // of ann's
	ofBob                  ledger.Transfer // nothing to ann
	hold, holdOfBob        ledger.Hold
}

func settle(t *testing.T, l *ledger.Ledger) *estate {
	t.Helper()
	e := &estate{all: l, annID: id.New("ann"), bobID: id.New("bob")}
	e.ann, e.bob = l.As(e.annID), l.As(e.bobID)
	e.annOne, e.annTwo = openFor(t, l, e.annID, "100"), openFor(t, l, e.annID, "0")
	e.bobOne = openFor(t, l, e.bobID, "100")
	shop := openWith(t, l, "0")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	e.toBob, err = e.ann.Transfer(t.Context(), pay(e.annOne, e.bobOne, "10"))
	must(err)
	e.within, err = e.ann.Transfer(t.Context(), pay(e.annOne, e.annTwo, "20"))
	must(err)
	e.ofBob, err = e.bob.Transfer(t.Context(), pay(e.bobOne, shop, "5"))
	must(err)
	e.hold, err = e.ann.PlaceHold(t.Context(), ledger.HoldRequest{SourceAccountID: e.annOne.ID, DestinationAccountID: e.bobOne.ID, Amount: usd("3")})
	must(err)
	e.holdOfBob, err = e.bob.PlaceHold(t.Context(), ledger.HoldRequest{SourceAccountID: e.bobOne.ID, DestinationAccountID: shop.ID, Amount: usd("3")})
	must(err)
	return e
}

// What is another's is refused with the very words for what does not exist.
func TestAnOwnerDoesNotSeeOrMoveWhatIsAnothers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		e := settle(t, l)
		frozen, limit, null := ledger.Frozen, usd("1000"), decimal.NullDecimal{}
		attacks := map[string]func(ctx context.Context, l *ledger.Ledger, accountID string) error{
			"read": func(ctx context.Context, l *ledger.Ledger, a string) error { _, err := l.Account(ctx, a); return err },
			"read in the past": func(ctx context.Context, l *ledger.Ledger, a string) error {
				_, err := l.BalanceAt(ctx, a, time.Now().Add(-time.Millisecond))
				return err
			},
			"read long past": func(ctx context.Context, l *ledger.Ledger, a string) error {
				_, err := l.BalanceAt(ctx, a, time.Now().Add(-time.Hour))
				return err
			},
			"statement": func(ctx context.Context, l *ledger.Ledger, a string) error {
				_, err := l.Postings(ctx, a, time.Time{}, time.Time{}, 0, 10)
				return err
			},
			"transfers": func(ctx context.Context, l *ledger.Ledger, a string) error {
				_, err := l.Transfers(ctx, ledger.TransferFilter{AccountID: a}, ledger.TransferPosition{}, 10)
				return err
			},
			"outflow": func(ctx context.Context, l *ledger.Ledger, a string) error {
				_, _, err := l.Outflow(ctx, a, time.Time{})
				return err
			},
			"whom it paid": func(ctx context.Context, l *ledger.Ledger, a string) error {
				_, err := l.HasPaid(ctx, a, e.annOne.ID)
				return err
			},
			"pay": func(ctx context.Context, l *ledger.Ledger, a string) error {
				_, err := l.Transfer(ctx, ledger.TransferRequest{ID: id.New("t"), SourceAccountID: a, DestinationAccountID: e.annOne.ID, Amount: usd("1")})
				return err
			},
			"pay what can't be paid": func(ctx context.Context, l *ledger.Ledger, a string) error {
				_, err := l.Transfer(ctx, ledger.TransferRequest{ID: id.New("t"), SourceAccountID: a, DestinationAccountID: "nobody", Amount: usd("999999"), Currency: "EUR"})
				return err
			},
			"pay itself": func(ctx context.Context, l *ledger.Ledger, a string) error {
				_, err := l.Transfer(ctx, ledger.TransferRequest{ID: id.New("t"), SourceAccountID: a, DestinationAccountID: a, Amount: usd("1")})
				return err
			},
			"pay later": func(ctx context.Context, l *ledger.Ledger, a string) error {
				_, err := l.Accept(ctx, ledger.TransferRequest{ID: id.New("t"), SourceAccountID: a, DestinationAccountID: e.annOne.ID, Amount: usd("1")})
				return err
			},
			"pay with others": func(ctx context.Context, l *ledger.Ledger, a string) error {
				results, err := l.TransferBatch(ctx, []ledger.TransferRequest{
					{ID: id.New("t"), SourceAccountID: a, DestinationAccountID: e.annOne.ID, Amount: usd("1")},
				}, true)
				return errors.Join(err, results[0].Err)
			},
			"reserve": func(ctx context.Context, l *ledger.Ledger, a string) error {
				_, err := l.PlaceHold(ctx, ledger.HoldRequest{SourceAccountID: a, DestinationAccountID: e.annOne.ID, Amount: usd("1")})
				return err
			},
			"name": func(ctx context.Context, l *ledger.Ledger, a string) error {
				_, err := l.UpdateAccount(ctx, ledger.UpdateAccount{ID: a, Metadata: []byte(`{"x":1}`)})
				return err
			},
			"close": func(ctx context.Context, l *ledger.Ledger, a string) error {
				_, err := l.CloseAccount(ctx, a)
				return err
			},
		}
		absent := id.New("a")
		for name, attack := range attacks {
			before, err := l.Account(t.Context(), e.bobOne.ID)
			if err != nil {
				t.Fatal(err)
			}
			failure := attack(t.Context(), e.ann, e.bobOne.ID)
			wantFailure(t, failure, ledger.AccountNotFound)
			of := attack(t.Context(), e.ann, absent)
			if got, want := failure.Error(), strings.ReplaceAll(of.Error(), absent, e.bobOne.ID); got != want {
				t.Errorf("%s: %q; what does not exist is refused with %q", name, got, want)
			}
			if after, _ := l.Account(t.Context(), e.bobOne.ID); after.Version != before.Version {
				t.Errorf("%s: changed %+v to %+v", name, before, after)
			}
		}
		// Nothing of it was recorded under his account.
		all, err := l.Transfers(t.Context(), ledger.TransferFilter{AccountID: e.bobOne.ID}, ledger.TransferPosition{}, 100)
		if err != nil || len(all) != 3 { // opening, toBob, ofBob
			t.Errorf("%d transfers of his account, %v", len(all), err)
		}
		if all, err = l.Transfers(t.Context(), ledger.TransferFilter{AccountID: absent}, ledger.TransferPosition{}, 1); err != nil || len(all) != 0 {
			t.Errorf("recorded %+v, %v", all, err)
		}
		// Terms that bind the owner, and money from nowhere, are not his to decide.
		for name, call := range map[string]func() error{
			"unfreeze": func() error {
				_, err := e.ann.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: e.annOne.ID, Status: &frozen})
				return err
			},
			"overdraft": func() error {
				_, err := e.ann.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: e.annOne.ID, OverdraftLimit: &limit})
				return err
			},
			"transfer limit": func() error {
				_, err := e.ann.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: e.annOne.ID, TransferLimit: &null})
				return err
			},
			"daily limit": func() error {
				_, err := e.ann.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: e.annOne.ID, DailyLimit: &null})
				return err
			},
			"balance": func() error {
				_, err := e.ann.OpenAccount(t.Context(), ledger.OpenAccount{Balance: usd("1")})
				return err
			},
			"house": func() error {
				_, err := e.ann.OpenAccount(t.Context(), ledger.OpenAccount{Type: ledger.Asset})
				return err
			},
			"open overdraft": func() error {
				_, err := e.ann.OpenAccount(t.Context(), ledger.OpenAccount{OverdraftLimit: decimal.NewNullDecimal(limit)})
				return err
			},
			"open house": func() error { _, err := e.ann.OpenHouse(t.Context(), "house:mine", ledger.Asset, "USD"); return err },
			"force": func() error {
				_, err := e.bob.Reverse(t.Context(), ledger.Reversal{TargetID: e.toBob.ID, Force: true})
				return err
			},
			"list all": func() error {
				_, err := e.ann.Transfers(t.Context(), ledger.TransferFilter{}, ledger.TransferPosition{}, 1)
				return err
			},
		} {
			if err := call(); !errors.As(err, new(*ledger.InvalidInput)) {
				t.Errorf("%s: %v; want InvalidInput", name, err)
			}
		}
		// What is his he sees, moves and changes.
		wantBalance(t, e.ann, e.annOne.ID, "70", "3")
		if _, err := e.ann.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: e.annOne.ID, Metadata: []byte(`{"x":1}`)}); err != nil {
			t.Error(err)
		}
		opened, err := e.ann.OpenAccount(t.Context(), ledger.OpenAccount{OwnerID: e.bobID})
		if err != nil || opened.OwnerID != e.annID {
			t.Errorf("%+v, %v; want it to be ann's", opened, err)
		}
		if _, err := e.ann.CloseAccount(t.Context(), opened.ID); err != nil {
			t.Error(err)
		}
	})
}

func TestAnOwnerSeesTransfersAndHoldsOfHisAccountsAlone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		e := settle(t, l)
		for _, transferID := range []string{e.ofBob.ID, "absent"} {
			_, err := e.ann.TransferByID(t.Context(), transferID)
			wantFailure(t, err, ledger.TransactionNotFound)
			if want := "transaction_not_found: there is no transaction " + transferID; err.Error() != want {
				t.Errorf("%q; want %q", err, want)
			}
			_, err = e.ann.Reverse(t.Context(), ledger.Reversal{TargetID: transferID})
			wantFailure(t, err, ledger.TransactionNotFound)
		}
		for _, holdID := range []string{e.holdOfBob.ID, "absent"} {
			for _, call := range []func() error{
				func() error { _, err := e.ann.HoldByID(t.Context(), holdID); return err },
				func() error { _, err := e.ann.VoidHold(t.Context(), holdID); return err },
				func() error { _, err := e.ann.CaptureHold(t.Context(), ledger.Capture{HoldID: holdID}); return err },
			} {
				err := call()
				wantFailure(t, err, ledger.HoldNotFound)
				if want := "hold_not_found: there is no hold " + holdID; err.Error() != want {
					t.Errorf("%q; want %q", err, want)
				}
			}
		}
		// Both sides see what is between them, and each his own leg of it: the other
		// would tell the other's balance.
		for books, own := range map[*ledger.Ledger]ledger.Account{e.ann: e.annOne, e.bob: e.bobOne} {
			transfer, err := books.TransferByID(t.Context(), e.toBob.ID)
			if err != nil {
				t.Fatal(err)
			}
			postings, err := books.PostingsOf(t.Context(), transfer)
			if err != nil || len(postings) != 1 || postings[0].AccountID != own.ID {
				t.Errorf("%+v, %v; want the leg of %s alone", postings, err, own.ID)
			}
			if _, err := books.HoldByID(t.Context(), e.hold.ID); err != nil {
				t.Error(err)
			}
		}
		if postings, err := e.ann.PostingsOf(t.Context(), e.within); err != nil || len(postings) != 2 {
			t.Errorf("%+v, %v; want both legs", postings, err)
		}
		if postings, err := e.ann.PostingsOf(t.Context(), e.ofBob); err != nil || len(postings) != 0 {
			t.Errorf("%+v, %v; want none", postings, err)
		}
		// Who is paid gives back; who paid does not take back.
		_, err := e.ann.Reverse(t.Context(), ledger.Reversal{TargetID: e.toBob.ID})
		wantFailure(t, err, ledger.AccountNotFound)
		if _, err := e.bob.Reverse(t.Context(), ledger.Reversal{TargetID: e.toBob.ID}); err != nil {
			t.Error(err)
		}
		if _, err := e.bob.CaptureHold(t.Context(), ledger.Capture{HoldID: e.hold.ID}); err != nil {
			t.Error(err)
		}
		wantBalance(t, l, e.annOne.ID, "77", "0")
	})
}

func TestAnOwnersListsHoldHisAlone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		e := settle(t, l)
		list := func(books *ledger.Ledger, f ledger.AccountFilter) (ids []string) {
			after := ""
			for {
				page, err := books.Accounts(t.Context(), f, after, 1)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					return ids
				}
				after = page[0].ID
				ids = append(ids, after)
			}
		}
		want := strings.Join([]string{min(e.annOne.ID, e.annTwo.ID), max(e.annOne.ID, e.annTwo.ID)}, " ")
		for name, got := range map[string][]string{
			"owner's view":              list(e.ann, ledger.AccountFilter{}),
			"owner's view of his":       list(e.ann, ledger.AccountFilter{OwnerID: e.annID}),
			"everybody's view of one's": list(l, ledger.AccountFilter{OwnerID: e.annID, Type: ledger.Checking, Status: ledger.Active, Currency: "USD"}),
		} {
			if strings.Join(got, " ") != want {
				t.Errorf("%s: %q; want %q", name, got, want)
			}
		}
		for name, got := range map[string][]string{
			"another's":       list(e.ann, ledger.AccountFilter{OwnerID: e.bobID}),
			"other type":      list(e.ann, ledger.AccountFilter{Type: ledger.Savings}),
			"other metadata":  list(e.ann, ledger.AccountFilter{Metadata: []byte(`{"a":1}`)}),
			"injected quotes": list(l.As("' OR '1'='1"), ledger.AccountFilter{}),
		} {
			if len(got) != 0 {
				t.Errorf("%s: %q", name, got)
			}
		}
		if l.As("") != l {
			t.Error("As nobody is not the ledger itself")
		}
	})
}

// An id is everybody's: who asks under one that another used learns that it is
// taken and no more, even when he knows the other's request to the letter.
func TestAnOwnerIsNotAnsweredAnothersTransfer(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		e := settle(t, l)
		ofBob := pay(e.bobOne, e.annOne, "1")
		if _, err := e.bob.Transfer(t.Context(), ofBob); err != nil {
			t.Fatal(err)
		}
		transfer, err := e.ann.Transfer(t.Context(), ofBob)
		wantFailure(t, err, ledger.AccountNotFound)
		if transfer.ID != "" {
			t.Errorf("answered %+v", transfer)
		}
		own := pay(e.annOne, e.bobOne, "1")
		own.ID = ofBob.ID
		_, err = e.ann.Transfer(t.Context(), own)
		wantFailure(t, err, ledger.DuplicateTransaction)
		// An opening is another's request too.
		opening := ledger.OpenAccount{ID: id.New("a"), IdempotencyKey: "k"}
		if _, err := e.bob.OpenAccount(t.Context(), opening); err != nil {
			t.Fatal(err)
		}
		if _, err := e.bob.OpenAccount(t.Context(), opening); err != nil {
			t.Error(err)
		}
		_, err = e.ann.OpenAccount(t.Context(), opening)
		wantFailure(t, err, ledger.AccountExists)
	})
}

// A group with another's account in it fails, and is recorded as far as it is the
// caller's own.
func TestAGroupDoesNotReachAnothersAccount(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		e := settle(t, l)
		requests := []ledger.TransferRequest{pay(e.annOne, e.annTwo, "1"), pay(e.bobOne, e.annOne, "1"), pay(e.annOne, e.annTwo, "1")}
		results, err := e.ann.TransferBatch(t.Context(), requests, true)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []ledger.Code{ledger.BatchAborted, ledger.AccountNotFound, ledger.BatchAborted} {
			wantFailure(t, results[i].Err, want)
		}
		_, err = l.TransferByID(t.Context(), requests[1].ID)
		wantFailure(t, err, ledger.TransactionNotFound)
		if t0, err := l.TransferByID(t.Context(), requests[0].ID); err != nil || t0.Status != ledger.Failed {
			t.Errorf("%+v, %v", t0, err)
		}
		results, err = e.ann.TransferBatch(t.Context(), []ledger.TransferRequest{pay(e.bobOne, e.annOne, "1"), pay(e.annOne, e.annTwo, "1")}, false)
		if err != nil || results[1].Err != nil {
			t.Fatalf("%+v, %v", results, err)
		}
		wantFailure(t, results[0].Err, ledger.AccountNotFound)
		wantBalance(t, l, e.bobOne.ID, "105", "3")
	})
}

// What failed because an account did not exist is not seen by whoever opens it
// later.
func TestAnOwnerDoesNotSeeWhatFailedBeforeHisAccount(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		e := settle(t, l)
		misspelt := ledger.Account{ID: id.New("a")}
		failed := pay(e.bobOne, misspelt, "1")
		_, err := e.bob.Transfer(t.Context(), failed)
		wantFailure(t, err, ledger.AccountNotFound)
		if _, err := e.ann.OpenAccount(t.Context(), ledger.OpenAccount{ID: misspelt.ID}); err != nil {
			t.Fatal(err)
		}
		_, err = e.ann.TransferByID(t.Context(), failed.ID)
		wantFailure(t, err, ledger.TransactionNotFound)
		refused := pay(misspelt, e.bobOne, "1")
		_, err = e.ann.Transfer(t.Context(), refused)
		wantFailure(t, err, ledger.InsufficientFunds)
		listed, err := e.ann.Transfers(t.Context(), ledger.TransferFilter{AccountID: misspelt.ID}, ledger.TransferPosition{}, 10)
		if err != nil || len(listed) != 1 || listed[0].ID != refused.ID {
			t.Errorf("%+v, %v; want %s alone", listed, err, refused.ID)
		}
		if _, err = e.bob.TransferByID(t.Context(), failed.ID); err != nil {
			t.Error(err)
		}
	})
}

func TestASnapshotKeepsToItsOwner(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		e := settle(t, l)
		check := func(books ledger.View) error {
			if _, err := books.Account(t.Context(), e.bobOne.ID); !errors.Is(err, ledger.AccountNotFound.Failure("")) {
				return errors.New("another's account is shown")
			}
			if _, err := books.TransferByID(t.Context(), e.ofBob.ID); !errors.Is(err, ledger.TransactionNotFound.Failure("")) {
				return errors.New("another's transfer is shown")
			}
			accounts, err := books.Accounts(t.Context(), ledger.AccountFilter{}, "", 500)
			for _, a := range accounts {
				if a.OwnerID != e.annID {
					return errors.New("another's account is listed")
				}
			}
			return err
		}
		statement := func(books *ledger.Ledger, accountID string) error {
			_, _, err := books.PostingsSnapshot(t.Context(), database.Timestamp{}, accountID, time.Time{}, time.Time{}, 0, 10)
			return err
		}
		// On CockroachDB a snapshot is of some seconds ago.
		eventually(t, "a snapshot with all of it", func() bool {
			return statement(e.ann, e.annOne.ID) == nil && statement(l, e.bobOne.ID) == nil
		})
		wantFailure(t, statement(e.ann, e.bobOne.ID), ledger.AccountNotFound)
		if err := e.ann.Snapshot(t.Context(), database.Timestamp{}, func(books ledger.View, _ database.Timestamp) error { return check(books) }); err != nil &&
			!errors.Is(err, database.ErrNoPast) {
			t.Fatal(err)
		}
		if err := check(e.ann.View); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOnlyCustomersAccountsHaveOwners(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		for _, o := range []ledger.OpenAccount{{OwnerID: "ann", Type: ledger.Asset}, {OwnerID: "an n"}, {OwnerID: strings.Repeat("x", 51)}} {
			if _, err := l.OpenAccount(t.Context(), o); !errors.As(err, new(*ledger.InvalidInput)) {
				t.Errorf("%+v: %v", o, err)
			}
		}
	})
}
