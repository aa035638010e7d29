package admin_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"

	"florin/internal/identity"
	"florin/internal/platform/dbtest/secrets"
)

func TestAPersonSignsInWithBothFactorsAndOut(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		who := w.staff(identity.Support)
		alice := w.account("alice", "1.00", nil)
		b := w.browser(t, nil)
		b.visit("/admin/accounts/" + alice)
		b.wants("Sign in")
		b.screenshot("sign-in")
		b.fill("#f-email", who.email)
		b.fill("#f-password", "wrong horse battery")
		b.click("button.primary")
		b.wants("The credentials are not right")
		b.screenshot("sign-in-refused")
		b.fill("#f-password", goodPassword)
		b.click("button.primary")
		b.wants("the code of your second factor")
		b.screenshot("sign-in-code")
		b.fill("#f-password", goodPassword)
		b.fill("#f-code", who.code())
		b.click("button.primary")
		b.wants(alice) // where he wanted to go
		b.check()

		b.click("details.who summary")
		b.wants("Sign out")
		b.check()
		b.click("details.who form button")
		b.wants("Sign in with an API key")
		goneBack := false
		b.evaluate(`setTimeout(() => history.back()) > 0`, &goneBack)
		for began := time.Now(); !strings.Contains(b.at(), "next="); time.Sleep(50 * time.Millisecond) {
			if time.Since(began) > pageMax/2 {
				b.fail("after going back the browser shows what it kept, at %s", b.at())
			}
		}
		b.visit("/admin/accounts/" + alice)
		b.wants("Sign in with an API key")
	})
}

func TestANewPersonSetsUpHisSecondFactor(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		b := w.browser(t, w.user(identity.Finance).signIn())
		b.visit("/admin/accounts")
		b.wants("Set up the second factor")
		b.screenshot("second-factor")
		b.click("main button[type=submit]")
		b.wants("Read this with your authenticator app")
		var secret string
		b.evaluate(`document.querySelector("[data-secret]").innerText`, &secret)
		secrets.Register(t, "second factor", secret)
		code, err := totp.GenerateCode(secret, w.time.Now())
		if err != nil {
			t.Fatal(err)
		}
		b.check()
		b.fill("#f-code", code)
		b.click("main button[type=submit]")
		b.wants("shown this once")
		b.check()
		var recovery []string
		b.evaluate(`[...document.querySelectorAll(".codes code")].map((c) => c.innerText)`, &recovery)
		secrets.Register(t, "recovery code", recovery...)
		b.visit("/admin/accounts")
		b.wants("Places for money")
	})
}

func TestAKeySignsInAndWhatIsNoKeyDoesNot(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		stranger := w.visitor(t, nil)
		for _, key := range []string{"", "florin_test_nonsense", "two words", "a;b"} {
			if page := stranger.post("/admin/sign-in", url.Values{"key": {key}}); page.status != http.StatusUnauthorized || page.header.Get("Set-Cookie") != "" {
				t.Errorf("the key %q: %d %s", key, page.status, page.header.Get("Set-Cookie"))
			}
		}
		page := stranger.post("/admin/sign-in", url.Values{"key": {w.key(identity.Support).token}, "next": {"/admin/accounts?status=ACTIVE"}})
		if page.status != http.StatusSeeOther || page.header.Get("Location") != "/admin/accounts?status=ACTIVE" {
			t.Fatalf("a key signs in: %d %s", page.status, page.header.Get("Location"))
		}
		if cookie := page.header.Get("Set-Cookie"); !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") {
			t.Error("the cookie with the key is open to scripts or to other sites")
		}
		if page := stranger.get("/admin/accounts"); page.status != http.StatusOK {
			t.Errorf("then the pages answer %d", page.status)
		}
		stranger.post("/admin/sign-out", nil)
		if page := stranger.get("/admin/accounts"); page.status != http.StatusSeeOther {
			t.Errorf("signed out the pages answer %d", page.status)
		}
	})
}

func TestNobodyIsLedAwayFromThePages(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		key := w.key(identity.Support).token
		for _, next := range []string{"https://evil.example", "//evil.example", "/\\evil.example", "/admin/../docs", "/admin//evil", "/docs", "javascript:alert(1)", "/administrator", "/admin\\x", "/admin/%2e%2e/docs", "/admin/%2E./docs", "/admin/\t/evil"} {
			page := w.visitor(t, nil).post("/admin/sign-in", url.Values{"key": {key}, "next": {next}})
			if got := page.header.Get("Location"); got != "/admin" {
				t.Errorf("next=%q leads to %q", next, got)
			}
		}
	})
}

func TestWhatCantBeReadIsTheSendersFault(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		stranger := w.visitor(t, nil)
		for _, path := range []string{"/admin/sign-in?next=%zz", "/admin/accounts?status=ACTIVE;limit=1"} {
			stranger.get(path).shows(t, http.StatusBadRequest, "The request makes no sense")
		}
	})
}

func TestFormsOfOtherPagesAreRefused(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		alice := w.account("alice", "1.00", nil)
		v := w.visitor(t, w.key(identity.Operator))
		form := url.Values{"status": {"FROZEN"}}
		for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
			if page := v.send(http.MethodPost, "/admin/accounts/"+alice+"/status", form, headers...); page.status != http.StatusForbidden || !strings.Contains(page.body, "cross_origin") {
				t.Errorf("%v: %d", headers, page.status)
			}
		}
		if got := w.root.get("/api/v1/accounts/" + alice)["status"]; got != "ACTIVE" {
			t.Fatalf("the account is %v", got)
		}
	})
}

func TestCustomersAndMerchantsAreToldThatThePagesAreForStaff(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		for _, who := range []*person{w.user(identity.Customer).signIn(), w.key(identity.Merchant)} {
			for _, path := range []string{"/admin", "/admin/accounts", "/admin/search?q=x", "/admin/nonsense"} {
				page := w.visitor(t, who).get(path)
				if page.status != http.StatusForbidden || !strings.Contains(page.body, "These pages are for staff") {
					t.Errorf("%s: %d", path, page.status)
				}
			}
		}
		b := w.browser(t, w.user(identity.Customer).signIn())
		b.visit("/admin")
		b.wants("These pages are for staff")
		b.screenshot("not-staff")
	})
}

func TestEveryAnswerHasThePagesHeaders(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		check := func(what, path string, header http.Header, caching string) {
			policy := header.Get("Content-Security-Policy")
			if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(policy, "unsafe") {
				t.Errorf("%s, %s: policy %q", path, what, policy)
			}
			if header.Get("Cache-Control") != caching || header.Get("X-Content-Type-Options") != "nosniff" || header.Get("X-Request-Id") == "" {
				t.Errorf("%s, %s: %v", path, what, header)
			}
		}
		support := w.visitor(t, w.key(identity.Support))
		for who, v := range map[string]*visitor{"a stranger": w.visitor(t, nil), "support": support} {
			for _, path := range []string{"/admin", "/admin/sign-in", "/admin/accounts", "/admin/accounts/nobody", "/admin/audit", "/admin/nonsense", "/admin/assets/", "/admin/assets/0/nothing.css"} {
				check(who, path, v.get(path).header, "no-store")
			}
			check(who+" posts", "/admin/accounts", v.post("/admin/accounts", nil).header, "no-store")
			check(who+" from elsewhere", "/admin/sign-in", v.send(http.MethodPost, "/admin/sign-in", nil, "Origin", "https://evil.example").header, "no-store")
		}
		style := regexp.MustCompile(`href="(/admin/assets/[^"]*\.css)"`).FindStringSubmatch(support.get("/admin/sign-in").body)[1]
		check("style", style, w.visitor(t, nil).get(style).header, "public, max-age=31536000, immutable")
		// A replica of another version is asked for what this one's page names.
		page := support.get("/admin/assets/0123456789abcdef/admin.css")
		page.shows(t, http.StatusOK, ":root")
		check("style of another version", style, page.header, "no-store")
	})
}

func TestHtmxIsLedToTheSignIn(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		page := w.visitor(t, nil).get("/admin/accounts?status=FROZEN", "HX-Request", "true")
		if got := page.header.Get("HX-Redirect"); page.status != http.StatusOK || got != "/admin/sign-in?next="+url.QueryEscape("/admin/accounts?status=FROZEN") {
			t.Errorf("%d, to %q", page.status, got)
		}
	})
}

func TestSearchFindsAnyID(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		alice, bob := w.account("alice", "10.00", nil), w.account("bob", "0", nil)
		paid := w.pay(alice, bob, "1.00")
		hold := some("hold")
		w.root.post("/api/v1/holds", object{"holdId": hold, "sourceAccountId": alice, "destinationAccountId": bob, "amount": "1.00", "currency": "USD"})
		user := w.user(identity.Customer)
		both := some("both")
		w.account("", "0", object{"accountId": both})
		w.root.post("/api/v1/transfers", object{"transactionId": both, "sourceAccountId": alice, "destinationAccountId": bob, "amount": "1.00"})

		v := w.visitor(t, w.root)
		for query, want := range map[string]string{
			alice: "/admin/accounts/" + alice, paid: "/admin/transactions/" + paid, hold: "/admin/holds/" + hold, user.id: "/admin/users/" + user.id, " " + alice + " ": "/admin/accounts/" + alice,
		} {
			if page := v.get("/admin/search?q=" + url.QueryEscape(query)); page.status != http.StatusSeeOther || page.header.Get("Location") != want {
				t.Errorf("%q: %d, to %q, want %q", query, page.status, page.header.Get("Location"), want)
			}
		}
		for _, query := range []string{some("nobody"), scriptText, "a b", strings.Repeat("x", 60)} {
			if page := v.get("/admin/search?q=" + url.QueryEscape(query)); page.status != http.StatusNotFound || strings.Contains(page.body, "<script>alert") {
				t.Errorf("%q: %d", query, page.status)
			}
		}
		stated := w.visitor(t, w.key(identity.Admin)).get("/admin/search?q=" + w.root.id)
		if got := stated.header.Get("Location"); got != "/admin/keys/"+w.root.id {
			t.Errorf("a key's id leads to %q", got)
		}
		// He may not see users, so none is found.
		if page := w.visitor(t, w.key(identity.Support, identity.AccountsRead)).get("/admin/search?q=" + user.id); page.status != http.StatusNotFound {
			t.Errorf("who may not see users finds one: %d", page.status)
		}

		b := w.browser(t, w.root)
		b.visit("/admin/search?q=" + both)
		b.wants("2 things have the id")
		b.screenshot("search-several")
		b.visit("/admin/search?q=nobody-has-this")
		b.wants("Nothing has the id nobody-has-this")
		b.screenshot("search-nothing")
		b.visit("/admin/accounts")
		var hasFocus bool
		b.evaluate(`document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "/", bubbles: true, cancelable: true})) === false && document.activeElement.id === "search"`, &hasFocus)
		if !hasFocus {
			t.Error("the key / does not lead to the search")
		}
		b.do("type", chromedp.KeyEvent(alice+"\r"))
		b.wants("Balance over time")
		if !strings.HasSuffix(b.at(), "/admin/accounts/"+alice) {
			t.Errorf("the search leads to %s", b.at())
		}
	})
}

func TestThePagesCanBeReadWithoutScripts(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		alice := w.account("alice", "10.00", nil)
		b := w.browser(t, w.key(identity.Support))
		b.withoutScripts()
		b.visit("/admin/accounts?ownerId=&status=ACTIVE")
		b.visit("/admin/accounts/" + alice)
		b.wants("10.00")
		b.click("details.ask > summary")
		b.click("details.ask button[type=submit]")
		b.wants("The account is frozen")
		b.phone()
		b.click("details.menu > summary")
		b.wants("Accounts")
		b.picture("menu-phone-without-scripts")
	})
}

func TestTimesAreOfTheViewersZoneAndTheThemeIsKept(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		alice := w.account("alice", "10.00", nil)
		b := w.browser(t, w.key(identity.Support))
		b.zone("Asia/Tokyo")
		b.visit("/admin/accounts/" + alice)
		at, err := time.Parse(time.RFC3339, w.root.get("/api/v1/accounts/" + alice)["createdAt"].(string))
		if err != nil {
			t.Fatal(err)
		}
		b.wants(at.In(time.FixedZone("Tokyo", 9*60*60)).Format("2006-01-02 15:04:05"))
		var title string
		b.evaluate(`document.querySelector("time").title`, &title)
		if want := at.UTC().Format("2006-01-02 15:04:05.000000") + " UTC"; title != want {
			t.Errorf("the title is %q, want %q", title, want)
		}
		b.click("details.who summary")
		b.click(`[data-theme-set="dark"]`)
		b.visit("/admin/accounts/" + alice)
		var ground string
		b.evaluate(`getComputedStyle(document.body).backgroundColor`, &ground)
		if ground != "rgb(15, 18, 24)" {
			t.Errorf("the dark theme is not kept: %s", ground)
		}
	})
}
