package identity_test

import (
	"errors"
	"testing"
	"time"

	"florin/internal/audit"
	"florin/internal/identity"
	"florin/internal/platform/dbtest"
)

// by is a user who makes keys.
func byUser(userID string, role identity.Role) *identity.Principal {
	return &identity.Principal{Kind: identity.UserPrincipal, ID: userID, UserID: userID, Role: role}
}

// Whoever made a key is not let in by it once he himself is out.
func TestAKeyIsWorthWhatThePersonBehindItIs(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		maker := w.owner(t, identity.Admin)
		made, text, err := w.Create(t.Context(), byUser(maker, identity.Admin), identity.NewKey{Name: "made", Role: identity.Admin})
		if err != nil {
			t.Fatal(err)
		}
		byKey := &identity.Principal{Kind: identity.KeyPrincipal, ID: made.ID, Role: identity.Admin}
		audits, auditText, err := w.Create(t.Context(), byKey, identity.NewKey{
			Name: "made by a key", Role: identity.Finance, Scopes: []identity.Permission{identity.AuditRead},
		})
		if err != nil {
			t.Fatal(err)
		}
		operates, operateText, err := w.Create(t.Context(), byKey, identity.NewKey{Name: "operates", Role: identity.Operator})
		if err != nil {
			t.Fatal(err)
		}
		for _, keyID := range []string{made.ID, audits.ID, operates.ID} {
			if person, err := w.PersonBehind(t.Context(), keyID); err != nil || person != maker {
				t.Errorf("%q stands behind the key, %v", person, err)
			}
		}
		check := func(when string, want map[string]bool) {
			t.Helper()
			w.pass(5 * time.Second)
			for text, isGood := range want {
				if _, err := w.Authenticate(t.Context(), text, here); isGood != (err == nil) {
					t.Errorf("%s: %v", when, err)
				}
			}
		}
		check("at first", map[string]bool{text: true, auditText: true, operateText: true})
		w.setUser(t, maker, "status", "LOCKED")
		check("locked", map[string]bool{text: false, auditText: false, operateText: false})
		w.setUser(t, maker, "status", "ACTIVE")
		check("unlocked", map[string]bool{text: true, auditText: true, operateText: true})
		w.setUser(t, maker, "role", "operator") // who reads no audit trail
		check("demoted", map[string]bool{text: false, auditText: false, operateText: true})
		w.setUser(t, maker, "role", "customer")
		check("demoted further", map[string]bool{text: false, auditText: false, operateText: false})
	})
}

// A key that another rotates is the other's.
func TestWhoRotatesAKeyAnswersForIt(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newKeys(t, url)
		leaves, stays := w.owner(t, identity.Admin), w.owner(t, identity.Admin)
		made, _, err := w.Create(t.Context(), byUser(leaves, identity.Admin), identity.NewKey{Name: "made", Role: identity.Operator})
		if err != nil {
			t.Fatal(err)
		}
		w.setUser(t, leaves, "status", "LOCKED")
		_, text, err := w.Rotate(t.Context(), byUser(stays, identity.Admin), made.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Authenticate(t.Context(), text, here); err != nil {
			t.Error(err)
		}
	})
}

func TestNobodyUnlocksHimselfByAKey(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		if err := w.SetRole(t.Context(), p.UserID, identity.Admin); err != nil {
			t.Fatal(err)
		}
		keys := identity.NewKeys(w.db, identity.KeysOptions{Clock: w.time.Now, Log: w.log, Environment: identity.Test})
		made, _, err := keys.Create(t.Context(), byUser(p.UserID, identity.Admin), identity.NewKey{Name: "mine", Role: identity.Admin})
		if err != nil {
			t.Fatal(err)
		}
		byKey := audit.With(t.Context(), audit.Origin{ActorKind: "key", ActorID: made.ID})
		for name, err := range map[string]error{
			"unlock": w.Unlock(byKey, p.UserID), "lock": w.Lock(byKey, p.UserID), "role": w.SetRole(byKey, p.UserID, identity.Operator),
		} {
			if !errors.Is(err, identity.ErrOwnRole) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := w.Lock(audit.With(t.Context(), audit.Origin{ActorKind: "key", ActorID: "key_unknown"}), p.UserID); err != nil {
			t.Error(err)
		}
	})
}

func TestAUserIsToldOfAKeyMadeForHim(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		keys := identity.NewKeys(w.db, identity.KeysOptions{Clock: w.time.Now, Log: w.log, Environment: identity.Test, Mail: w.mails})
		made, _, err := keys.Create(t.Context(), admin, identity.NewKey{Name: "shop", Role: identity.Customer, OwnerID: p.UserID})
		if err != nil {
			t.Fatal(err)
		}
		messages := w.mails.to(p.email)
		if last := messages[len(messages)-1]; last.Subject != "An API key was made for your account" {
			t.Errorf("he was told %q", last.Subject)
		}
		if person, err := keys.PersonBehind(t.Context(), made.ID); err != nil || person != p.UserID {
			t.Errorf("%q stands behind the key, %v", person, err)
		}
	})
}
