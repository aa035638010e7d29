package identity

import (
	"context"
	"fmt"

	"florin/internal/identity/internal/identitydb"
)

// resealPage is how many rows are read at once.
const resealPage = 200

// Reseal seals all linked accounts with the first key, and gives them its
// fingerprints, after which the other keys aren't needed for them. Each row is a
// transaction of its own. Returns how many it changed; a second call finds none.
// Returns seal.ErrUnknownKey, wrapped, when a key is missing.
func (l *LinkedAccounts) Reseal(ctx context.Context) (changed int, err error) {
	for after := ""; ; {
		rows, err := l.queries.LinkedAccountsSealedOtherwise(ctx, identitydb.LinkedAccountsSealedOtherwiseParams{
			After: after, CurrentPrefix: l.sealer.CurrentPrefix(), MaxAccounts: resealPage,
		})
		if err != nil {
			return changed, fmt.Errorf("read linked accounts: %w", err)
		}
		for _, row := range rows {
			after = row.LinkedAccountID
			n, err := l.reseal(ctx, row)
			if err != nil {
				return changed, err
			}
			changed += n
		}
		if len(rows) < resealPage {
			return changed, nil
		}
	}
}

func (l *LinkedAccounts) reseal(ctx context.Context, row identitydb.LinkedAccountsSealedOtherwiseRow) (int, error) {
	details, err := l.open(row.LinkedAccountID, row.Sealed)
	if err != nil {
		return 0, err
	}
	resealed, _, err := l.sealer.Reseal(linkedPlace(row.LinkedAccountID), row.Sealed)
	if err != nil {
		return 0, fmt.Errorf("linked account %s: %w", row.LinkedAccountID, err)
	}
	n, err := l.queries.ResealLinkedAccount(ctx, identitydb.ResealLinkedAccountParams{
		LinkedAccountID: row.LinkedAccountID, Sealed: row.Sealed, Resealed: resealed,
		Fingerprint: l.sealer.Fingerprint(fingerprintPurpose, details.identity()),
	})
	if err != nil {
		return 0, fmt.Errorf("store linked account: %w", err)
	}
	return int(n), nil
}
