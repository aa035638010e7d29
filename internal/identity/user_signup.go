package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"florin/internal/audit"
	"florin/internal/identity/internal/identitydb"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

const usersEmailKey = "users_email_key"

// SignUp is what a person signs up with. It prints as nothing.
type SignUp struct{ Email, Password, Name string }

// String hides who signs up, and with what.
func (s SignUp) String() string { return "sign-up" }

// GoString is String.
func (s SignUp) GoString() string { return s.String() }

// LogValue is String.
func (s SignUp) LogValue() slog.Value { return slog.StringValue(s.String()) }

// SignUp makes a customer who can sign in once his address is verified by the mail
// that he is sent. A user who has the address already is told so by mail; nothing
// of his changes. The answer and the work are the same for both.
//
// Until an address is verified anybody may sign it up. Each mail's link stands for the
// name and the password of its own sign-up; the first that is followed makes them the
// user's and ends the others. After a few mails to one address the next ones wait: then
// nothing is done, and the answer is the same. Returns InvalidInput or ErrBusy.
func (u *Users) SignUp(ctx context.Context, s SignUp) error {
	email, name, hash, err := u.newCredentials(ctx, s.Email, s.Name, s.Password)
	if err != nil {
		return err
	}
	if attempt, err := u.mayMail(ctx, signUpMails, email); err != nil || attempt == nil {
		return err
	}
	newID, token, noticeToken := id.New("user"), newToken(verifyPrefix), newToken(verifyPrefix)
	return u.db.InTx(ctx, "identity.sign_up", func(ctx context.Context, tx pgx.Tx) error {
		row, err := identitydb.New(tx).PutSignUp(ctx, identitydb.PutSignUpParams{
			UserID: newID, Email: email, PasswordHash: hash, Role: string(Customer), Name: name, Now: u.clock(),
			ContestedHash: nobodysHash,
		})
		if err != nil {
			return fmt.Errorf("store a sign-up: %w", err)
		}
		event := userEvent("user.signed_up", row.UserID, nil, nil)
		event.Origin = stranger(ctx) // it is not known yet whose the address is
		message, sent := u.verificationMail(email, token), token
		if row.EmailVerifiedAt != nil {
			// A token that nobody gets: the work is the same.
			message, sent = u.alreadyUserMail(email), noticeToken
			event.Action = "user.sign_up_repeated"
		}
		if err := u.putVerifyToken(ctx, tx, row.UserID, sent, hash, name); err != nil {
			return fmt.Errorf("store a token: %w", err)
		}
		if err := u.mail.EnqueueTx(ctx, tx, message); err != nil {
			return fmt.Errorf("send mail: %w", err)
		}
		return u.log.AppendTx(ctx, tx, event)
	})
}

// newCredentials checks what a new user brings, and hashes the password.
func (u *Users) newCredentials(ctx context.Context, email, name, password string) (normalisedEmail, normalisedName, hash string, err error) {
	if normalisedEmail, err = normalEmail(email); err != nil {
		return "", "", "", err
	}
	if normalisedName, err = normalName(name); err != nil {
		return "", "", "", err
	}
	if err = checkPassword("password", password, normalisedEmail, normalisedName); err != nil {
		return "", "", "", err
	}
	hash, err = u.hasher.hash(ctx, password)
	return normalisedEmail, normalisedName, hash, err
}

// stranger is the origin of what somebody asks for who has not proved who he is.
func stranger(ctx context.Context) audit.Origin {
	origin, _ := audit.From(ctx)
	origin.ActorKind, origin.ActorID, origin.Role = anonymous, "", ""
	return origin
}

// anonymous is the actor's kind of those.
const anonymous = "anonymous"

// VerifyEmail takes the token of a verification mail: the address is the user's, with
// the name and the password of the sign-up that the mail was sent for. All other
// sign-ups of the address end. A token works once, for 24 hours. Returns ErrInvalidToken.
func (u *Users) VerifyEmail(ctx context.Context, token string) error {
	hash, isToken := hashToken(verifyPrefix, token)
	if !isToken {
		return ErrInvalidToken
	}
	found, err := u.userOfToken(ctx, purposeVerify, hash)
	if err != nil {
		return err
	}
	// The user's row first, as all do who end his tokens.
	err = u.change(ctx, "identity.verify_email", found.UserID, func(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
		taken, err := u.takeToken(ctx, tx, purposeVerify, hash)
		if err != nil {
			return err
		}
		return u.verify(ctx, tx, row, taken)
	})
	if isCode(err, UserNotFound) || isCode(err, UserNotActive) {
		return ErrInvalidToken
	}
	return err
}

// verify makes the user's what he signed up with. Of a user who is verified nothing
// changes: a token that was made while he became it is good for nothing.
func (u *Users) verify(ctx context.Context, tx pgx.Tx, row identitydb.User, taken identitydb.TakeUserTokenRow) error {
	queries := identitydb.New(tx)
	n, err := queries.VerifySignUp(ctx, identitydb.VerifySignUpParams{
		UserID: row.UserID, PasswordHash: taken.PasswordHash, Name: taken.Name, Now: u.clock(),
	})
	if err != nil {
		return fmt.Errorf("store a verified user: %w", err)
	}
	if n == 0 || taken.UserID != row.UserID {
		return ErrInvalidToken
	}
	if err := queries.DeleteUserTokens(ctx, row.UserID); err != nil {
		return err
	}
	event := userEvent("user.email_verified", row.UserID, nil, nil)
	event.Origin = himself(ctx, row)
	return u.log.AppendTx(ctx, tx, event)
}

// ResendVerification sends another verification mail to a user who has not verified
// his address; the earlier link ends. Where several have signed up one address it can't
// tell whose name and password to send: the mail is then one to set a password by, which
// verifies the address as well. For all other addresses nothing is sent, and the answer
// is the same, after the same time. Returns InvalidInput.
func (u *Users) ResendVerification(ctx context.Context, email string) error {
	return u.sendToken(ctx, verificationMails, email, func(ctx context.Context, tx pgx.Tx, row identitydb.User) (bool, error) {
		switch {
		case row.EmailVerifiedAt != nil:
			return false, nil
		case row.PasswordHash == nobodysHash:
			return true, u.sendReset(ctx, tx, row)
		}
		err := identitydb.New(tx).DeleteUserTokensFor(ctx, identitydb.DeleteUserTokensForParams{UserID: row.UserID, Purpose: purposeVerify})
		if err != nil {
			return false, err
		}
		token := newToken(verifyPrefix)
		if err := u.putVerifyToken(ctx, tx, row.UserID, token, row.PasswordHash, row.Name); err != nil {
			return false, err
		}
		if err := u.mail.EnqueueTx(ctx, tx, u.verificationMail(*row.Email, token)); err != nil {
			return false, err
		}
		event := userEvent("user.verification_sent", row.UserID, nil, nil)
		event.Origin = stranger(ctx)
		return true, u.log.AppendTx(ctx, tx, event)
	})
}

// sendToken runs send for the user with this address, if there is one who is not locked,
// and takes its time in any case. What sends nothing doesn't count: nobody keeps a user
// from his mail by asking for one before there is any.
func (u *Users) sendToken(ctx context.Context, kind mailKind, email string, send func(context.Context, pgx.Tx, identitydb.User) (isSent bool, err error)) error {
	email, err := normalEmail(email)
	if err != nil {
		return err
	}
	defer u.takeTime(ctx)()
	attempt, err := u.mayMail(ctx, kind, email)
	if err != nil || attempt == nil {
		return err
	}
	isSent := false
	defer func() {
		if !isSent {
			attempt.forgive(ctx)
		}
	}()
	row, err := u.queries.FindUserByEmail(ctx, email)
	if database.NotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read user: %w", err)
	}
	wouldSend := false
	err = u.change(ctx, "identity.send_token", row.UserID, func(ctx context.Context, tx pgx.Tx, row identitydb.User) error {
		if wouldSend = false; row.Email == nil || *row.Email != email {
			return nil
		}
		var err error
		wouldSend, err = send(ctx, tx, row)
		return err
	})
	isSent = wouldSend && err == nil
	if isCode(err, UserNotFound) || isCode(err, UserNotActive) {
		return nil
	}
	return err
}

// NewUser is a user that staff makes. It prints as his role.
type NewUser struct {
	Email, Name, Password string
	Role                  Role
}

// String hides who it is, and his password.
func (n NewUser) String() string { return "new user (" + string(n.Role) + ")" }

// GoString is String.
func (n NewUser) GoString() string { return n.String() }

// LogValue is String.
func (n NewUser) LogValue() slog.Value { return slog.StringValue(n.String()) }

// Create makes a user whose address counts as verified: for the command line.
// Returns InvalidInput, or ErrEmailTaken, also when it was this call's first try
// that took it.
func (u *Users) Create(ctx context.Context, n NewUser) (User, error) {
	if !n.Role.IsKnown() {
		return User{}, invalid("role", "must be one of "+roleNames())
	}
	email, name, hash, err := u.newCredentials(ctx, n.Email, n.Name, n.Password)
	if err != nil {
		return User{}, err
	}
	userID := id.New("user")
	err = u.db.InTx(ctx, "identity.create_user", func(ctx context.Context, tx pgx.Tx) error {
		err := identitydb.New(tx).InsertUser(ctx, identitydb.InsertUserParams{
			UserID: userID, Email: email, PasswordHash: hash, Role: string(n.Role), Name: name, Now: u.clock(),
		})
		if database.UniqueViolation(err) == usersEmailKey {
			return ErrEmailTaken
		}
		if err != nil {
			return fmt.Errorf("store a user: %w", err)
		}
		return u.log.AppendTx(ctx, tx, userEvent("user.created", userID, nil, roleObject(n.Role)))
	})
	if err != nil {
		return User{}, err
	}
	return u.Profile(ctx, userID)
}

func roleObject(r Role) json.RawMessage { return object("role", r) }
