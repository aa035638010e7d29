package identity

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/identity/internal/identitydb"
	"florin/internal/mail"
)

// Links carry their token behind '#': browsers don't send it to the server that
// shows the page, so that it stands in no log and in no Referer.
const (
	verifyPath = "/verify-email#token="
	resetPath  = "/reset-password#token="
)

func (u *Users) verificationMail(to, token string) mail.Message {
	return mail.Message{To: to, Subject: "Verify your email address", Text: fmt.Sprintf(`Somebody signed up at %s with this email address.

If that was you, follow this link within 24 hours:

%s%s%s

If it was not you, or you did not sign up just now, do not follow the link: nothing
will happen then.
`, u.options.Issuer, u.options.PublicURL, verifyPath, token)}
}

func (u *Users) alreadyUserMail(to string) mail.Message {
	return mail.Message{To: to, Subject: "You have an account already", Text: fmt.Sprintf(`Somebody signed up at %s with this email address, which has an account already.

If that was you: sign in, or reset your password if you forgot it. Nothing has changed.
If it was not you, you need not do anything.
`, u.options.Issuer)}
}

func (u *Users) resetMail(to, token string) mail.Message {
	return mail.Message{To: to, Subject: "Reset your password", Text: fmt.Sprintf(`Somebody asked to reset the password of your account at %s.

If that was you, follow this link within 30 minutes:

%s%s%s

If it was not you, you need not do anything: your password has not changed.
`, u.options.Issuer, u.options.PublicURL, resetPath, token)}
}

// notify tells a user by mail that what he signs in with has changed.
func (u *Users) notify(ctx context.Context, tx pgx.Tx, row identitydb.User, what string) error {
	return notify(ctx, tx, u.mail, row.Email, u.options.Issuer, what, u.clock())
}

// notify writes to an address, if there is one.
func notify(ctx context.Context, tx pgx.Tx, mailer Mailer, to *string, issuer, what string, at time.Time) error {
	if to == nil {
		return nil
	}
	subject := strings.ToUpper(what[:1]) + what[1:]
	return mailer.EnqueueTx(ctx, tx, mail.Message{To: *to, Subject: subject, Text: fmt.Sprintf(`%s at %s, at %s.

If that was not you, reset your password at once and tell us.
`, subject, issuer, at.Format("2006-01-02 15:04 MST"))})
}
