package ledger_test

import (
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// What the payer has promised is ended by who is to receive it; what the house
// reserves, such as a payment under review, by the house alone.
func TestAnOwnerDoesNotEndWhatHeOrTheHouseHasPromised(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		e := settle(t, l)
		_, err := e.ann.VoidHold(t.Context(), e.hold.ID)
		wantFailure(t, err, ledger.HoldNotFound)
		_, err = e.ann.CaptureHold(t.Context(), ledger.Capture{HoldID: e.hold.ID})
		wantFailure(t, err, ledger.HoldNotFound)

		reviewed, err := l.PlaceHold(t.Context(), ledger.HoldRequest{
			ID: "house:" + e.hold.ID[:30], SourceAccountID: e.annOne.ID, DestinationAccountID: e.bobOne.ID, Amount: usd("4"),
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, books := range []*ledger.Ledger{e.ann, e.bob} {
			_, err = books.VoidHold(t.Context(), reviewed.ID)
			wantFailure(t, err, ledger.HoldNotFound)
			_, err = books.CaptureHold(t.Context(), ledger.Capture{HoldID: reviewed.ID})
			wantFailure(t, err, ledger.HoldNotFound)
		}
		_, err = e.ann.PlaceHold(t.Context(), ledger.HoldRequest{
			ID: "house:mine", SourceAccountID: e.annOne.ID, DestinationAccountID: e.bobOne.ID, Amount: usd("1"),
		})
		wantInvalid(t, err, "holdId")
		wantBalance(t, l, e.annOne.ID, "70", "7")

		if _, err := l.CaptureHold(t.Context(), ledger.Capture{HoldID: reviewed.ID}); err != nil {
			t.Error(err)
		}
		if _, err := e.bob.VoidHold(t.Context(), e.hold.ID); err != nil {
			t.Error(err)
		}
		wantBalance(t, l, e.annOne.ID, "66", "0")
	})
}

// The house books on its own accounts itself: an owner who could would fake a
// withdrawal.
func TestAnOwnerDoesNotPayIntoTheHousesOwnAccounts(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		e := settle(t, l)
		bank, err := l.OpenHouse(t.Context(), ledger.BankAccountID("USD"), ledger.Asset, money.Currency("USD"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.ann.Transfer(t.Context(), pay(e.annOne, bank, "1"))
		wantFailure(t, err, ledger.AccountNotFound)
		_, err = e.ann.Accept(t.Context(), pay(e.annOne, bank, "1"))
		wantFailure(t, err, ledger.AccountNotFound)
		_, err = e.ann.PlaceHold(t.Context(), ledger.HoldRequest{SourceAccountID: e.annOne.ID, DestinationAccountID: bank.ID, Amount: usd("1")})
		wantFailure(t, err, ledger.AccountNotFound)
		wantBalance(t, l, e.annOne.ID, "70", "3")
		// Nor gives a deposit back, which would look like a refund by the bank.
		deposit, err := l.Transfer(t.Context(), pay(bank, e.annOne, "9"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.ann.Reverse(t.Context(), ledger.Reversal{TargetID: deposit.ID})
		wantFailure(t, err, ledger.AccountNotFound)
		wantBalance(t, l, e.annOne.ID, "79", "3")
		if _, err = l.Reverse(t.Context(), ledger.Reversal{TargetID: deposit.ID}); err != nil {
			t.Error(err)
		}
	})
}

// What keeps another's account from being paid is not the payer's to know, nor
// whether there is one, unless he can pay it.
func TestAnOwnerDoesNotLearnWhyAnotherCantBePaid(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		e := settle(t, l)
		frozen, closed := openFor(t, l, e.bobID, "0"), openFor(t, l, e.bobID, "0")
		euros, err := l.OpenAccount(t.Context(), ledger.OpenAccount{ID: id.New("a"), OwnerID: e.bobID, Currency: "EUR"})
		if err != nil {
			t.Fatal(err)
		}
		status := ledger.Frozen
		if _, err := l.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: frozen.ID, Status: &status}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.CloseAccount(t.Context(), closed.ID); err != nil {
			t.Fatal(err)
		}
		reserve := func(r ledger.TransferRequest) error {
			_, err := e.ann.PlaceHold(t.Context(), ledger.HoldRequest{
				ID: r.ID, SourceAccountID: r.SourceAccountID, DestinationAccountID: r.DestinationAccountID, Amount: r.Amount, Limits: r.Limits,
			})
			return err
		}
		transfer := func(r ledger.TransferRequest) error {
			_, err := e.ann.Transfer(t.Context(), r)
			return err
		}
		absent := ledger.Account{ID: id.New("a")}
		limits := &ledger.Limits{PerTransfer: decimal.NewNullDecimal(usd("50"))}
		for name, do := range map[string]func(ledger.TransferRequest) error{"transfer": transfer, "hold": reserve} {
			var words string
			for _, to := range []ledger.Account{absent, frozen, closed, euros} {
				err := do(pay(e.annOne, to, "1"))
				wantFailure(t, err, ledger.AccountNotFound)
				if said := strings.ReplaceAll(err.Error(), to.ID, "ID"); words != "" && said != words {
					t.Errorf("%s: %q tells from %q", name, said, words)
				} else {
					words = said
				}
			}
			for _, to := range []ledger.Account{absent, frozen, closed, euros, e.bobOne} {
				wantFailure(t, do(pay(e.annOne, to, "5000")), ledger.InsufficientFunds)
				tooMuch := pay(e.annOne, to, "51")
				tooMuch.Limits = limits
				wantFailure(t, do(tooMuch), ledger.TransferLimitExceeded)
				wantInvalid(t, do(pay(e.annOne, to, "0.001")), "amount")
			}
		}
		// Of his own he is told.
		if _, err := l.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: e.annTwo.ID, Status: &status}); err != nil {
			t.Fatal(err)
		}
		wantFailure(t, transfer(pay(e.annOne, e.annTwo, "1")), ledger.AccountFrozen)
		wantFailure(t, transfer(pay(e.annTwo, absent, "1")), ledger.AccountFrozen)
	})
}

// Why a payment to him failed tells of the payer's account.
func TestAnOwnerDoesNotSeeWhatOthersFailedToPayHim(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		e := settle(t, l)
		refused := pay(e.annOne, e.bobOne, "1000")
		_, err := e.ann.Transfer(t.Context(), refused)
		wantFailure(t, err, ledger.InsufficientFunds)
		_, err = e.bob.TransferByID(t.Context(), refused.ID)
		wantFailure(t, err, ledger.TransactionNotFound)
		listed, err := e.bob.Transfers(t.Context(), ledger.TransferFilter{AccountID: e.bobOne.ID, Status: ledger.Failed}, ledger.TransferPosition{}, 10)
		if err != nil || len(listed) != 0 {
			t.Errorf("%+v, %v; want none", listed, err)
		}
		if _, err = e.ann.TransferByID(t.Context(), refused.ID); err != nil {
			t.Error(err)
		}
	})
}
