package identity_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"florin/internal/audit"
	"florin/internal/identity"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/dbtest/secrets"
)

const week = 7 * 24 * time.Hour

// noOwners says that nobody has an account.
func noOwners(context.Context, []string) ([]string, error) { return nil, nil }

// signUp signs up without following the mail, and returns the user's id.
func (w *world) signUp(email string) (userID string) {
	w.t.Helper()
	err := w.SignUp(w.t.Context(), identity.SignUp{Email: email, Password: goodPassword, Name: "Una Unverified"})
	if err != nil {
		w.t.Fatal(err)
	}
	secrets.Register(w.t, "mail token", w.tokenOf(email))
	if err := w.db.QueryRow(w.t.Context(), "SELECT user_id FROM users WHERE email = $1", email).Scan(&userID); err != nil {
		w.t.Fatal(err)
	}
	return userID
}

func (w *world) sweepSignUps() {
	w.t.Helper()
	if err := w.SweepSignUps(w.t.Context(), noOwners); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) isThere(userID string) bool {
	w.t.Helper()
	_, err := w.Profile(w.t.Context(), userID)
	if err != nil && !errors.Is(err, identity.ErrUserNotFound) {
		w.t.Fatal(err)
	}
	return err == nil
}

func eachFreshWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		fresh := dbtest.Fresh(t, url)
		dbtest.Migrate(t, fresh)
		test(t, newWorld(t, fresh))
	})
}

func TestASignUpThatNobodyVerifiesIsForgotten(t *testing.T) {
	eachFreshWorld(t, func(t *testing.T, w *world) {
		email := someEmail()
		userID, verified := w.signUp(email), w.newPerson()
		token := w.tokenOf(email)
		w.time.pass(week)
		w.sweepSignUps()
		if !w.isThere(userID) {
			t.Fatal("a sign-up was deleted before its week was over")
		}
		w.time.pass(time.Second)
		w.sweepSignUps()
		if w.isThere(userID) || !w.isThere(verified.UserID) {
			t.Fatalf("the unverified user is there: %t; the verified one: %t", w.isThere(userID), w.isThere(verified.UserID))
		}
		var left int
		err := w.db.QueryRow(t.Context(), `
			SELECT (SELECT count(*) FROM user_tokens WHERE user_id = $1) + (SELECT count(*) FROM sessions WHERE user_id = $1)`, userID).Scan(&left)
		if err != nil || left != 0 {
			t.Errorf("%d tokens and sessions are left, %v", left, err)
		}
		mustBe(t, w.VerifyEmail(t.Context(), token), identity.ErrInvalidToken)
		event := w.events(userID)[0]
		if event.Action != "user.sign_up_expired" || event.Result != audit.OK || event.Origin != (audit.Origin{ActorKind: audit.SystemActor}) ||
			string(event.Before) != `{"status":"ACTIVE"}` || string(event.After) != `{"status":"DELETED"}` {
			t.Errorf("the event is %+v: %s, %s", event, event.Before, event.After)
		}
		events := len(w.events(userID))
		w.sweepSignUps()
		if again := len(w.events(userID)); again != events {
			t.Errorf("a second sweep made %d events", again-events)
		}

		// The address is anybody's again, under another id.
		if another := w.signUp(email); another == userID {
			t.Errorf("the id %s came back", another)
		}
		mustBe(t, w.VerifyEmail(t.Context(), w.tokenOf(email)), nil)
	})
}

func TestASignUpThatSomethingHangsOnIsKept(t *testing.T) {
	eachFreshWorld(t, func(t *testing.T, w *world) {
		keys := identity.NewKeys(w.db, identity.KeysOptions{Clock: w.time.Now, Log: w.log, Environment: "test"})
		admin := identity.Principal{Kind: identity.KeyPrincipal, ID: "key_boot", Role: identity.Admin}
		keep := map[string]string{}
		for _, name := range []string{"again", "resent", "reset", "lock", "key", "revoked key", "link", "account"} {
			keep[name] = someEmail()
		}
		ids := map[string]string{}
		for name, email := range keep {
			ids[name] = w.signUp(email)
		}
		gone := w.signUp(someEmail())
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"key", "revoked key"} {
			key, text, err := keys.Create(t.Context(), &admin, identity.NewKey{Name: name, Role: identity.Customer, OwnerID: ids[name]})
			must(err)
			secrets.Register(t, "API key", text)
			if name == "revoked key" {
				_, err := keys.Revoke(t.Context(), &admin, key.ID)
				must(err)
			}
		}
		linked := identity.NewLinkedAccounts(w.db, identity.LinkedAccountsOptions{Clock: w.time.Now, Log: w.log, Sealer: w.keys})
		_, err := linked.Add(t.Context(), ids["link"], identity.NewLinkedAccount{
			Kind: identity.USAccount, BankName: "Bank of Test", RoutingNumber: "021000021", AccountNumber: "000123456789",
		})
		must(err)
		must(w.Lock(t.Context(), ids["lock"]))
		w.time.pass(week - time.Hour)
		w.signUp(keep["again"])
		must(w.ResendVerification(t.Context(), keep["resent"]))
		must(w.RequestReset(t.Context(), keep["reset"]))
		w.time.pass(time.Hour + time.Second)
		asked := map[string]bool{}
		sweep := func() {
			t.Helper()
			must(w.SweepSignUps(t.Context(), func(_ context.Context, userIDs []string) ([]string, error) {
				for _, userID := range userIDs {
					asked[userID] = true
				}
				return []string{ids["account"]}, nil
			}))
		}
		// A reset's link is good for half an hour only.
		must(w.RequestReset(t.Context(), keep["reset"]))
		sweep()
		for name, userID := range ids {
			if !w.isThere(userID) {
				t.Errorf("the user with %q was deleted", name)
			}
		}
		if w.isThere(gone) || !asked[gone] || asked[ids["again"]] {
			t.Errorf("the user with nothing is there: %t; asked for are %v", w.isThere(gone), asked)
		}

		// Once their links are over too, they go.
		w.time.pass(week + time.Second)
		sweep()
		for name, userID := range ids {
			if kept := !slices.Contains([]string{"again", "resent", "reset"}, name); w.isThere(userID) != kept {
				t.Errorf("the user with %q is there: %t", name, w.isThere(userID))
			}
		}
	})
}

// Several replicas sweep at once while a link is followed: who has verified is kept.
func TestSignUpsAreSweptByManyAtOnce(t *testing.T) {
	eachFreshWorld(t, func(t *testing.T, w *world) {
		late := someEmail()
		lateID := w.signUp(late)
		w.time.pass(week - time.Hour)
		if err := w.ResendVerification(t.Context(), late); err != nil {
			t.Fatal(err)
		}
		w.time.pass(time.Hour)
		// More than one page and many batches; not by SignUp, which hashes a password each.
		_, err := w.db.Exec(t.Context(), `
			INSERT INTO users (user_id, email, password_hash, role, status, name, phone, address, locale, created_at, updated_at)
			SELECT 'bot_' || lpad(i::text, 5, '0'), 'bot' || i || '@example.com', 'x', 'customer', 'ACTIVE', 'Bot', '', '', '', $1, $1
			FROM generate_series(1, 1500) AS i`, w.time.Now().Add(-week))
		if err != nil {
			t.Fatal(err)
		}
		w.time.pass(time.Second)
		var all sync.WaitGroup
		for range 3 {
			replica := w.replica()
			all.Go(func() {
				if err := replica.SweepSignUps(t.Context(), noOwners); err != nil {
					t.Error(err)
				}
			})
		}
		all.Go(func() {
			if err := w.VerifyEmail(t.Context(), w.tokenOf(late)); err != nil {
				t.Error(err)
			}
		})
		all.Wait()
		var users, events, distinct int
		err = w.db.QueryRow(t.Context(), `
			SELECT (SELECT count(*) FROM users),
			       (SELECT count(*) FROM audit_events WHERE action = 'user.sign_up_expired'),
			       (SELECT count(DISTINCT target_id) FROM audit_events WHERE action = 'user.sign_up_expired')`).Scan(&users, &events, &distinct)
		if err != nil || users != 1 || !w.isThere(lateID) || events != 1500 || distinct != 1500 {
			t.Fatalf("%d users are left, %d events are of %d users, %v", users, events, distinct, err)
		}
		trail, err := audit.Verify(t.Context(), w.db, audit.VerifyOptions{})
		if err != nil || len(trail.Offences) > 0 {
			t.Fatalf("the audit trail: %+v, %v", trail, err)
		}
	})
}

func TestASweepOfSignUpsEndsWhereNobodyKnowsOwners(t *testing.T) {
	eachFreshWorld(t, func(t *testing.T, w *world) {
		userID := w.signUp(someEmail())
		w.time.pass(week + time.Second)
		unknown := errors.New("no books")
		err := w.SweepSignUps(t.Context(), func(context.Context, []string) ([]string, error) { return nil, unknown })
		mustBe(t, err, unknown)
		if !w.isThere(userID) {
			t.Error("he was deleted")
		}
	})
}
