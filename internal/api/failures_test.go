package api

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"florin/internal/approval"
	"florin/internal/export"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/risk"
	"florin/internal/wallet"
)

func TestARefusalOfAnyModuleBecomesItsProblem(t *testing.T) {
	recorded := ledger.Transfer{ID: "txn_1", Status: ledger.Failed}
	for _, c := range []struct {
		err        error
		status     int
		detail     string
		retryAfter string
		recorded   string
	}{
		{ledger.AccountFrozen.Failure("account %s is frozen", "alice"), http.StatusConflict, "account alice is frozen", "", ""},
		{recordedFailure{ledger.AccountFrozen.Failure("x"), recorded}, http.StatusConflict, "x", "", "txn_1"},
		{recordedFailure{wallet.BankRefused.Failure("x"), recorded}, http.StatusUnprocessableEntity, "x", "", "txn_1"},
		{&wallet.Failure{Code: wallet.TooManyLookups, Message: "x", RetryAfter: 90 * time.Second}, http.StatusTooManyRequests, "x", "90", ""},
		{&identity.Failure{Code: identity.TooManyAttempts, Message: "x", RetryAfter: time.Minute}, http.StatusTooManyRequests, "x", "60", ""},
		{identity.ErrKeyNotFound, http.StatusNotFound, identity.ErrKeyNotFound.Message, "", ""},
		{export.NotFound.Failure("x"), http.StatusNotFound, "x", "", ""},
		{risk.RuleNotFound.Failure("x"), http.StatusNotFound, "x", "", ""},
		{approval.ErrNotFound, http.StatusNotFound, "there is no such approval", "", ""},
	} {
		got := failureOf(fmt.Errorf("in vain: %w", c.err))
		if got == nil {
			t.Errorf("%v became no problem", c.err)
			continue
		}
		if got.Status != c.status || got.Detail != c.detail || got.TransactionID != c.recorded || got.GetHeaders().Get("Retry-After") != c.retryAfter {
			t.Errorf("%v became %+v, Retry-After %q; want %+v", c.err, got, got.GetHeaders().Get("Retry-After"), c)
		}
	}
	if got := failureOf(fmt.Errorf("insufficient_funds: x")); got != nil {
		t.Errorf("what is no refusal became %+v", got)
	}
}
