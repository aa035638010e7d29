package identity_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"florin/internal/identity"
	"florin/internal/platform/dbtest/secrets"
)

// Whatever carries a secret may be logged by mistake, and shows none.
func TestWhatCarriesSecretsPrintsNone(t *testing.T) {
	t.Parallel()
	const (
		secret  = "hunter2 and hunter3"
		account = "987654321012"
	)
	for _, value := range []any{
		identity.SignIn{Email: "ada@example.com", Password: secret, Code: secret, RecoveryCode: secret, Address: netip.MustParseAddr("203.0.113.7"), Agent: secret},
		identity.SignUp{Email: "ada@example.com", Password: secret, Name: "Ada"},
		identity.NewUser{Email: "ada@example.com", Password: secret, Name: "Ada", Role: identity.Support},
		identity.Proof{Password: secret, Code: secret, RecoveryCode: secret},
		identity.NewLinkedAccount{Kind: identity.USAccount, AccountNumber: account, IBAN: account, RoutingNumber: account},
		identity.BankDetails{Kind: identity.USAccount, AccountNumber: account, IBAN: account, RoutingNumber: account},
	} {
		secrets.Register(t, "password", secret)
		secrets.Register(t, "account number", account)
		log := secrets.NewLog(t)
		for _, handler := range []slog.Handler{slog.NewJSONHandler(log, nil), slog.NewTextHandler(log, nil)} {
			slog.New(handler).Info("it", "value", value, slog.Group("in", "value", value))
		}
		fmt.Fprintf(log, "%v %+v %#v %s %q %x\n", value, value, value, value, value, value)
		fmt.Fprintf(log, "%v %+v\n", struct{ Held any }{value}, []any{value})
		fmt.Fprintln(log, fmt.Errorf("about %v", value))
		if strings.Contains(log.String(), "ada@example.com") {
			t.Errorf("%T shows an address:\n%s", value, log)
		}
	}
}

// What says who somebody is holds no secret that it could print.
func TestSessionsAndKeysHoldNoSecret(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		sessions, err := w.Sessions(t.Context(), p.UserID)
		if err != nil {
			t.Fatal(err)
		}
		keys := newKeys(t, w.url)
		asked := identity.NewKey{Name: "shop", Role: identity.Operator, ExpiresAt: keys.time().Add(time.Hour)}
		made, _ := keys.create(t, asked)
		user, err := w.Profile(t.Context(), p.UserID)
		if err != nil {
			t.Fatal(err)
		}
		slog.New(slog.NewJSONHandler(w.said, nil)).Info("all", "sessions", sessions, "principal", p.Principal, "asked", asked, "key", made, "user", user)
		fmt.Fprintf(w.said, "%+v %+v %+v %+v %+v\n", sessions, p.Principal, asked, made, user)
		for _, want := range []string{p.SessionID, made.ID, p.UserID} {
			if !strings.Contains(w.said.String(), want) {
				t.Errorf("the log does not show %s", want)
			}
		}
	})
}
