package identity_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"florin/internal/audit"
	"florin/internal/identity"
)

func TestASignUpCountsOnceItsAddressIsVerified(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := &person{email: someEmail(), address: someAddress()}
		typed := "  " + strings.ToUpper(p.email) + " "
		if err := w.SignUp(t.Context(), identity.SignUp{Email: typed, Password: goodPassword, Name: " Ada   Lovelace "}); err != nil {
			t.Fatal(err)
		}
		_, err := w.trySignIn(p, identity.SignIn{})
		mustBe(t, err, identity.ErrEmailNotVerified)
		_, err = w.trySignIn(p, identity.SignIn{Password: otherPassword})
		mustBe(t, err, identity.ErrInvalidCredentials)
		if _, err := w.FindUserByEmail(t.Context(), p.email); err == nil {
			t.Error("a user who is not verified can be paid")
		}

		token := w.tokenOf(p.email)
		if err := w.VerifyEmail(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		mustBe(t, w.VerifyEmail(t.Context(), token), identity.ErrInvalidToken)
		_, principal := w.signIn(p, identity.SignIn{Email: typed})
		if principal.Name != "Ada Lovelace" || principal.Role != identity.Customer || principal.OwnerID != principal.UserID ||
			principal.ID != principal.UserID || principal.SessionID == "" || principal.Kind != identity.UserPrincipal {
			t.Errorf("%+v", principal)
		}
		user, err := w.FindUserByEmail(t.Context(), typed)
		if err != nil || user.ID != principal.UserID || !user.IsActive() || user.Email != p.email {
			t.Errorf("%+v, %v", user, err)
		}
		for _, action := range []string{"user.signed_up", "user.email_verified"} {
			if !w.hasEvent(user.ID, action) {
				t.Errorf("%s is not in the audit trail", action)
			}
		}
	})
}

func TestSigningUpAgainChangesNothingOfAUser(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		err := w.SignUp(t.Context(), identity.SignUp{Email: p.email, Password: otherPassword, Name: "Mallory"})
		if err != nil {
			t.Fatalf("the answer tells that the address is known: %v", err)
		}
		messages := w.mails.to(p.email)
		if last := messages[len(messages)-1]; !strings.Contains(last.Subject, "already") || strings.Contains(last.Text, "florin_") {
			t.Errorf("the user was sent %q", last.Text)
		}
		_, err = w.trySignIn(p, identity.SignIn{Password: otherPassword})
		mustBe(t, err, identity.ErrInvalidCredentials)
		if _, principal := w.signIn(p, identity.SignIn{}); principal.Name != "Ada Lovelace" {
			t.Errorf("the name is %q", principal.Name)
		}
	})
}

// Whoever signs up somebody else's address, before him or after him, gains nothing: each
// mail's link stands for its own sign-up.
func TestTheSignUpWhoseMailIsFollowedCounts(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		for name, followed := range map[string]int{"the first": 0, "the second": 1} {
			p := &person{email: someEmail(), address: someAddress()}
			signUps := []identity.SignUp{
				{Email: p.email, Password: goodPassword, Name: "Ada"}, {Email: p.email, Password: otherPassword, Name: "Mallory"},
			}
			var tokens []string
			for _, s := range signUps {
				if err := w.SignUp(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				tokens = append(tokens, w.tokenOf(p.email))
			}
			mine, others := signUps[followed], signUps[1-followed]
			_, err := w.trySignIn(p, identity.SignIn{Password: mine.Password})
			mustBe(t, err, identity.ErrInvalidCredentials) // whose it is nobody knows yet
			if err := w.VerifyEmail(t.Context(), tokens[followed]); err != nil {
				t.Fatal(err)
			}
			mustBe(t, w.VerifyEmail(t.Context(), tokens[1-followed]), identity.ErrInvalidToken)
			_, err = w.trySignIn(p, identity.SignIn{Password: others.Password})
			mustBe(t, err, identity.ErrInvalidCredentials)
			if _, principal := w.signIn(p, identity.SignIn{Password: mine.Password}); principal.Name != mine.Name {
				t.Errorf("%s: the name is %q", name, principal.Name)
			}
		}
	})
}

// Of several sign-ups none is sent again: who reads the mail chooses the password.
func TestResendingForAnAddressThatSeveralSignedUpSetsAPassword(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := &person{email: someEmail(), address: someAddress()}
		for range 2 {
			if err := w.SignUp(t.Context(), identity.SignUp{Email: p.email, Password: otherPassword, Name: "Mallory"}); err != nil {
				t.Fatal(err)
			}
		}
		theirs := w.tokenOf(p.email)
		if err := w.ResendVerification(t.Context(), p.email); err != nil {
			t.Fatal(err)
		}
		if err := w.ResetPassword(t.Context(), w.tokenOf(p.email), goodPassword); err != nil {
			t.Fatal(err)
		}
		mustBe(t, w.VerifyEmail(t.Context(), theirs), identity.ErrInvalidToken)
		_, err := w.trySignIn(p, identity.SignIn{Password: otherPassword})
		mustBe(t, err, identity.ErrInvalidCredentials)
		w.signIn(p, identity.SignIn{})
	})
}

func TestOfManyLinksFollowedAtOnceOneCounts(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		email := someEmail()
		var tokens []string
		for range 3 {
			if err := w.SignUp(t.Context(), identity.SignUp{Email: email, Password: goodPassword, Name: "Ada"}); err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, w.tokenOf(email))
		}
		var group sync.WaitGroup
		var verified atomic.Int32
		for _, token := range tokens {
			group.Go(func() {
				err := w.VerifyEmail(t.Context(), token)
				if err == nil {
					verified.Add(1)
				} else if !errors.Is(err, identity.ErrInvalidToken) {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if n := verified.Load(); n != 1 {
			t.Errorf("%d links counted", n)
		}
	})
}

// Who is not verified may be anybody.
func TestNobodyUnverifiedIsGivenARole(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		email := someEmail()
		if err := w.SignUp(t.Context(), identity.SignUp{Email: email, Password: goodPassword, Name: "Ada"}); err != nil {
			t.Fatal(err)
		}
		users, err := w.ListUsers(t.Context(), identity.UserFilter{Email: email}, "", 1)
		if err != nil || len(users) != 1 {
			t.Fatal(users, err)
		}
		mustBe(t, w.SetRole(t.Context(), users[0].ID, identity.Admin), identity.ErrUserNotActive)
		events := w.events(users[0].ID)
		if e := events[len(events)-1]; e.Action != "user.signed_up" || e.Origin.ActorKind != "anonymous" || e.Origin.ActorID != "" {
			t.Errorf("the sign-up is recorded as %+v", e)
		}
	})
}

func TestResendingEndsTheEarlierLink(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		email := someEmail()
		if err := w.SignUp(t.Context(), identity.SignUp{Email: email, Password: goodPassword, Name: "Ada"}); err != nil {
			t.Fatal(err)
		}
		first := w.tokenOf(email)
		if err := w.ResendVerification(t.Context(), email); err != nil {
			t.Fatal(err)
		}
		mustBe(t, w.VerifyEmail(t.Context(), first), identity.ErrInvalidToken)
		second := w.tokenOf(email)
		w.time.pass(24 * time.Hour)
		mustBe(t, w.VerifyEmail(t.Context(), second), identity.ErrInvalidToken)
		if err := w.ResendVerification(t.Context(), email); err != nil {
			t.Fatal(err)
		}
		if err := w.VerifyEmail(t.Context(), w.tokenOf(email)); err != nil {
			t.Fatal(err)
		}
		sent := len(w.mails.to(email))
		for _, known := range []string{email, someEmail()} {
			if err := w.ResendVerification(t.Context(), known); err != nil {
				t.Errorf("the answer tells whether the address waits to be verified: %v", err)
			}
		}
		if n := len(w.mails.to(email)); n != sent {
			t.Errorf("a verified user was sent %d mails", n-sent)
		}
	})
}

func TestMailsThatAnybodyMayAskForAreFew(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		before := len(w.mails.to(p.email))
		for range 30 {
			if err := w.RequestReset(t.Context(), p.email); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(w.mails.to(p.email)) - before; n < 1 || n > 3 {
			t.Errorf("%d mails were sent for 30 requests", n)
		}
		w.time.pass(15 * time.Minute)
		before = len(w.mails.to(p.email))
		if err := w.RequestReset(t.Context(), p.email); err != nil || len(w.mails.to(p.email)) != before+1 {
			t.Errorf("after the wait no mail was sent: %v", err)
		}
	})
}

// What nobody can be sent, or something else, keeps a user from no mail.
func TestOtherRequestsKeepNobodyFromAReset(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		for range 30 {
			if err := w.SignUp(t.Context(), identity.SignUp{Email: p.email, Password: otherPassword, Name: "Mallory"}); err != nil {
				t.Fatal(err)
			}
			if err := w.ResendVerification(t.Context(), p.email); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.RequestReset(t.Context(), p.email); err != nil {
			t.Fatal(err)
		}
		if err := w.ResetPassword(t.Context(), w.tokenOf(p.email), otherPassword); err != nil {
			t.Fatal(err)
		}
		// Nor does asking for an address before anybody has it.
		later := someEmail()
		for range 30 {
			if err := w.RequestReset(t.Context(), later); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.SignUp(t.Context(), identity.SignUp{Email: later, Password: goodPassword, Name: "Ada"}); err != nil {
			t.Fatal(err)
		}
		before := len(w.mails.to(later))
		if err := w.RequestReset(t.Context(), later); err != nil || len(w.mails.to(later)) != before+1 {
			t.Errorf("no mail was sent: %v", err)
		}
	})
}

// Requests for mails take their time whether there is such a user or not.
func TestRequestsForMailsTakeTheSameTime(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		const answerTime = 300 * time.Millisecond
		slow := identity.NewUsers(w.db, identity.UsersOptions{
			Clock: w.time.Now, Log: w.log, Mail: w.mails, Sealer: w.keys, AnswerTime: answerTime,
		})
		for name, email := range map[string]string{"known": p.email, "unknown": someEmail()} {
			start := time.Now()
			if err := slow.RequestReset(t.Context(), email); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took < answerTime {
				t.Errorf("%s: answered after %s", name, took)
			}
		}
	})
}

func TestAProfileIsChangedFieldByField(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		text := func(s string) *string { return &s }
		user, err := w.UpdateProfile(t.Context(), p.UserID, identity.ProfilePatch{
			Phone: text("+49 (30) 123-456"), Address: text("Unter den Linden 1\r\n 10117  Berlin "), Locale: text("de-de"),
		})
		if err != nil {
			t.Fatal(err)
		}
		if user.Name != "Ada Lovelace" || user.Phone != "+4930123456" || user.Address != "Unter den Linden 1\n10117 Berlin" || user.Locale != "de-DE" {
			t.Errorf("%+v", user)
		}
		stored, err := w.Profile(t.Context(), p.UserID)
		if err != nil || stored.Name != user.Name || stored.Phone != user.Phone || stored.Address != user.Address ||
			stored.Locale != user.Locale || !stored.UpdatedAt.Equal(user.UpdatedAt) {
			t.Errorf("stored %+v, %v; answered %+v", stored, err, user)
		}
		for field, patch := range map[string]identity.ProfilePatch{
			"name":    {Name: text(" ")},
			"phone":   {Phone: text("030 123")},
			"address": {Address: text("a\x00b")},
			"locale":  {Locale: text("no locale")},
		} {
			_, err := w.UpdateProfile(t.Context(), p.UserID, patch)
			mustBeInvalid(t, err, field)
		}
		_, err = w.UpdateProfile(t.Context(), "user_nobody", identity.ProfilePatch{Name: text("X")})
		mustBe(t, err, identity.ErrUserNotFound)
		// What changed is named, what it is does not stand in the audit trail.
		events := w.events(p.UserID)
		if events[0].Action != "user.updated" || string(events[0].After) != `{"fields":["phone","address","locale"]}` {
			t.Errorf("%s %s", events[0].Action, events[0].After)
		}
	})
}

func TestUsersAreListedByTheirIDs(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		made := map[string]bool{}
		for range 3 {
			made[w.newPerson().UserID] = true
		}
		if _, err := w.ListUsers(t.Context(), identity.UserFilter{}, "", 0); err != nil {
			t.Error(err)
		}
		after, found := "", 0
		for {
			page, err := w.ListUsers(t.Context(), identity.UserFilter{Role: identity.Customer, Status: identity.UserActive}, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, user := range page {
				if user.ID <= after {
					t.Fatal("the pages are not in order")
				}
				after = user.ID
				if made[user.ID] {
					found++
				}
			}
		}
		if found != len(made) {
			t.Errorf("found %d of %d", found, len(made))
		}
	})
}

func TestCreatedUsersCanSignIn(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := &person{email: someEmail(), address: someAddress()}
		user, err := w.Create(t.Context(), identity.NewUser{Email: p.email, Name: "Grace Hopper", Password: goodPassword, Role: identity.Admin})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Create(t.Context(), identity.NewUser{Email: strings.ToUpper(p.email), Name: "Grace", Password: goodPassword, Role: identity.Admin})
		mustBe(t, err, identity.ErrEmailTaken)
		_, err = w.Create(t.Context(), identity.NewUser{Email: someEmail(), Name: "Grace", Password: goodPassword, Role: "root"})
		mustBeInvalid(t, err, "role")
		_, principal := w.signIn(p, identity.SignIn{})
		if principal.UserID != user.ID || principal.Role != identity.Admin || principal.OwnerID != "" || !principal.May(identity.RolesWrite) {
			t.Errorf("%+v", principal)
		}
	})
}

func TestARoleIsChangedByOthersAndEndsSessions(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		asHimself := audit.With(t.Context(), audit.Origin{ActorKind: "user", ActorID: p.UserID})
		mustBe(t, w.SetRole(asHimself, p.UserID, identity.Admin), identity.ErrOwnRole)
		mustBe(t, w.Unlock(asHimself, p.UserID), identity.ErrOwnRole)
		if err := w.SetRole(t.Context(), p.UserID, identity.Customer); err != nil {
			t.Fatal(err)
		}
		w.authenticate(p.token) // the same role: nothing has changed
		if err := w.SetRole(t.Context(), p.UserID, identity.Support); err != nil {
			t.Fatal(err)
		}
		_, err := w.Authenticate(t.Context(), p.token)
		mustBe(t, err, identity.ErrUnauthenticated)
		if _, principal := w.signIn(p, identity.SignIn{}); principal.Role != identity.Support || principal.OwnerID != "" {
			t.Errorf("%+v", principal)
		}
		mustBe(t, w.SetRole(t.Context(), "user_nobody", identity.Support), identity.ErrUserNotFound)
		mustBeInvalid(t, w.SetRole(t.Context(), p.UserID, "root"), "role")
		for _, e := range w.events(p.UserID) {
			if e.Action == "user.role_changed" && string(e.Before) == `{"role":"customer"}` && string(e.After) == `{"role":"support"}` {
				return
			}
		}
		t.Error("the change is not in the audit trail")
	})
}

func TestALockedUserIsOutUntilUnlocked(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		if err := w.RequestReset(t.Context(), p.email); err != nil {
			t.Fatal(err)
		}
		reset := w.tokenOf(p.email)
		for range 2 {
			if err := w.Lock(t.Context(), p.UserID); err != nil {
				t.Fatal(err)
			}
		}
		_, err := w.Authenticate(t.Context(), p.token)
		mustBe(t, err, identity.ErrUnauthenticated)
		_, err = w.trySignIn(p, identity.SignIn{})
		mustBe(t, err, identity.ErrUserLocked)
		_, err = w.trySignIn(p, identity.SignIn{Password: otherPassword})
		mustBe(t, err, identity.ErrInvalidCredentials)
		mustBe(t, w.ResetPassword(t.Context(), reset, otherPassword), identity.ErrInvalidToken)
		mails := len(w.mails.to(p.email))
		if err := w.RequestReset(t.Context(), p.email); err != nil || len(w.mails.to(p.email)) != mails {
			t.Errorf("a locked user was sent a mail: %v", err)
		}
		_, err = w.UserByID(t.Context(), p.UserID)
		mustBe(t, err, identity.ErrUserNotFound)
		if err := w.Unlock(t.Context(), p.UserID); err != nil {
			t.Fatal(err)
		}
		w.signIn(p, identity.SignIn{})
	})
}

func TestADeletedUserIsAnIDAlone(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		w.enrol(p)
		phone, address := "+4930123456", "Unter den Linden 1"
		if _, err := w.UpdateProfile(t.Context(), p.UserID, identity.ProfilePatch{Phone: &phone, Address: &address}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := w.Delete(t.Context(), p.UserID); err != nil {
				t.Fatal(err)
			}
		}
		mustBe(t, w.Delete(t.Context(), "user_nobody"), identity.ErrUserNotFound)
		_, err := w.Authenticate(t.Context(), p.token)
		mustBe(t, err, identity.ErrUnauthenticated)
		_, err = w.trySignIn(p, identity.SignIn{})
		mustBe(t, err, identity.ErrInvalidCredentials)
		user, err := w.Profile(t.Context(), p.UserID)
		if err != nil || user.Status != identity.UserDeleted || user.Email+user.Name+user.Phone+user.Address != "" || user.EmailVerifiedAt != nil {
			t.Errorf("%+v, %v", user, err)
		}
		for _, table := range []string{"sessions", "user_tokens", "second_factors", "recovery_codes", "linked_accounts"} {
			var n int
			if err := w.db.QueryRow(t.Context(), "SELECT count(*) FROM "+table+" WHERE user_id = $1", p.UserID).Scan(&n); err != nil || n != 0 {
				t.Errorf("%s has %d rows of him, %v", table, n, err)
			}
		}
		mustBe(t, w.Lock(t.Context(), p.UserID), identity.ErrUserNotFound)
		// The address is free again, for somebody else.
		if err := w.SignUp(t.Context(), identity.SignUp{Email: p.email, Password: otherPassword, Name: "Grace"}); err != nil {
			t.Fatal(err)
		}
		if err := w.VerifyEmail(t.Context(), w.tokenOf(p.email)); err != nil {
			t.Fatal(err)
		}
		if _, again := w.signIn(p, identity.SignIn{Password: otherPassword}); again.UserID == p.UserID {
			t.Error("the deleted user is back")
		}
	})
}
