package mail

import (
	"context"
	"fmt"

	"florin/internal/mail/internal/maildb"
)

// resealPage is how many mails are read at once.
const resealPage = 200

// Reseal seals what waits in the outbox with the first key, after which the other
// keys aren't needed for it. Returns how many it changed; a second call finds
// none. Each mail is a transaction of its own. Returns seal.ErrUnknownKey,
// wrapped, when a key is missing.
func (o *Outbox) Reseal(ctx context.Context) (changed int, err error) {
	for after := ""; ; {
		rows, err := o.queries.MailsSealedOtherwise(ctx, maildb.MailsSealedOtherwiseParams{
			After: after, CurrentPrefix: o.options.Sealer.CurrentPrefix(), MaxMails: resealPage,
		})
		if err != nil {
			return changed, fmt.Errorf("read mails: %w", err)
		}
		for _, row := range rows {
			after = row.MailID
			resealed, _, err := o.options.Sealer.Reseal(place(row.MailID), row.Sealed)
			if err != nil {
				return changed, fmt.Errorf("mail %s: %w", row.MailID, err)
			}
			n, err := o.queries.ResealMail(ctx, maildb.ResealMailParams{MailID: row.MailID, Sealed: row.Sealed, Resealed: resealed})
			if err != nil {
				return changed, fmt.Errorf("store mail: %w", err)
			}
			changed += int(n)
		}
		if len(rows) < resealPage {
			return changed, nil
		}
	}
}
