package api

import (
	"context"
	"strings"

	"florin/internal/ledger"
	"florin/internal/platform/id"
	"florin/internal/wallet"
)

// reservedPrefixes begin the ids of what the server makes of users' payments: a
// transaction of somebody's own under such an id would be taken for one of them.
var reservedPrefixes = []string{"house:", "txn_", "dep_", "wdr_"}

// checkID refuses ids that only the server gives, to callers who reach what is their
// owner's alone.
func checkID(ctx context.Context, field, given string) error {
	if principalOf(ctx).OwnerID == "" {
		return nil
	}
	for _, prefix := range reservedPrefixes {
		if strings.HasPrefix(given, prefix) {
			return invalidField(field, "must not begin with "+prefix)
		}
	}
	return nil
}

// admitPayment has a payment of an owner's judged as one by /users/me/transfers is, and does
// it when it may be done. Those of callers who reach all accounts are done as they are.
func (a *api) admitPayment(ctx context.Context, p wallet.AccountPayment, do func(context.Context) error) error {
	principal := principalOf(ctx)
	if principal.OwnerID == "" || a.wallets == nil {
		return do(ctx)
	}
	return a.wallets.Admit(ctx, *principal, p, do)
}

// admitTransfer is admitPayment for a transfer. One that is there was judged before,
// and is answered by the ledger.
func (a *api) admitTransfer(ctx context.Context, r *ledger.TransferRequest, do func(context.Context) error) error {
	if err := checkID(ctx, "transactionId", r.ID); err != nil {
		return err
	}
	if principalOf(ctx).OwnerID == "" {
		return do(ctx)
	}
	if err := r.Check(); err != nil {
		return err
	}
	if _, err := a.booksFor(ctx).TransferByID(ctx, r.ID); err == nil {
		return do(ctx)
	} else if !isRefusal(err) {
		return err
	}
	return a.admitPayment(ctx, wallet.AccountPayment{
		ID: r.ID, From: r.SourceAccountID, To: r.DestinationAccountID, Amount: r.Amount, Currency: r.Currency,
	}, do)
}

// admitHold is admitPayment for a hold. A refused hold leaves nothing behind, so each
// try is judged anew.
func (a *api) admitHold(ctx context.Context, r *ledger.HoldRequest, do func(context.Context) error) error {
	if r.ID != "" {
		if _, err := a.booksFor(ctx).HoldByID(ctx, r.ID); err == nil {
			return do(ctx)
		} else if !isRefusal(err) {
			return err
		}
	}
	return a.admitPayment(ctx, wallet.AccountPayment{
		ID: id.New("hold"), From: r.SourceAccountID, To: r.DestinationAccountID, Amount: r.Amount, Currency: r.Currency,
	}, do)
}

// checkHold refuses to end what the server holds for payments under way: they would
// be done or given up behind its back.
func checkHold(holdID ID) error {
	if strings.HasPrefix(string(holdID), "house:") {
		return codeHoldReserved.problem("the hold %s belongs to a payment under way", holdID)
	}
	return nil
}
