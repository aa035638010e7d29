package admin_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"florin/internal/identity"
	"florin/internal/platform/dbtest/secrets"
)

var shownKey = regexp.MustCompile(`florin_test_[a-z2-7]+_[a-z2-7]+`)

// madeKey is the key on the page of a new one, and its id.
func (w *world) madeKey(page shown) *person {
	w.t.Helper()
	text := shownKey.FindString(page.body)
	if text == "" {
		w.t.Fatalf("the page shows no key: %s", page.body)
	}
	secrets.Register(w.t, "API key", text)
	who := &person{w: w, token: text}
	who.id = who.get("/api/v1/auth/caller")["id"].(string)
	return who
}

func TestAKeyIsMadeRotatedAndRevoked(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		v := w.visitor(t, w.staff(identity.Admin))
		v.get("/admin/keys/new").shows(t, 200, "accounts:read", `<option value="admin"`)
		sent := fields("name", "shop backend "+scriptText, "role", "support", "scopes", "accounts:read", "scopes", "holds:read", "networks", "127.0.0.0/8\n::1", "expiresAt", "2999-01-31")
		sent.Set("_key", some("form"))
		page := v.post("/admin/keys", sent).shows(t, 201, "shown this once", "shop backend &lt;script&gt;")
		if cached := page.header.Get("Cache-Control"); cached != "no-store" {
			t.Errorf("a page with a key is kept by browsers: %q", cached)
		}
		first := w.madeKey(page)
		v.post("/admin/keys", sent).shows(t, 409, "The API key was made before", first.id, `name="_key"`).hides(t, first.token, sent.Get("_key"))
		path := "/admin/keys/" + first.id
		v.get(path).shows(t, 200, "accounts:read holds:read", "127.0.0.0/8 ::1/128", "2999-01-31", "Revoke the key", "Active").hides(t, first.token)
		v.get("/admin/keys?prefix="+first.token).shows(t, 200, first.id).hides(t, first.token)

		second := w.madeKey(v.post(path+"/rotate", fields("overlapSeconds", "3600")).shows(t, 201, "The old key goes on"))
		first.get("/api/v1/accounts?limit=1")
		v.post(path+"/rotate", fields("overlapSeconds", "3600")).shows(t, 409, "The API key is over")
		v.get(path).shows(t, 200, "Replaced by", second.id).hides(t, "Make the new key")
		for range 2 {
			v.post("/admin/keys/"+second.id+"/revoke", fields()).leads(t, "/admin/keys/"+second.id)
		}
		v.get("/admin/keys/"+second.id).shows(t, 200, "Revoked").hides(t, "Revoke the key")
		if status, _ := second.try(http.MethodGet, "/api/v1/accounts?limit=1", nil); status != http.StatusUnauthorized {
			t.Errorf("a revoked key works: %d", status)
		}
	})
}

func TestAKeyIsRefusedInItsForm(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		v := w.visitor(t, w.staff(identity.Admin))
		v.post("/admin/keys", fields("name", "shop", "role", "merchant", "networks", "nowhere", "scopes", "accounts:read", "expiresAt", "2001-01-01")).
			shows(t, 400, `value="shop"`, `<option value="merchant" selected`, `id="f-ownerId-error"`, `id="f-expiresAt-error"`, `value="accounts:read" checked`)
		v.get("/admin/keys?ownerId=user_nobody").shows(t, 200, "No key fits")
		v.get("/admin/keys/key_nobody").shows(t, 404, "key_not_found")
	})
}

func TestKeysAreForThoseWhoMay(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		victim := w.key(identity.Support)
		for _, role := range []identity.Role{identity.Support, identity.Finance, identity.Operator} {
			v := w.visitor(t, w.key(role))
			page := v.get("/admin/keys/" + victim.id)
			if role.May(identity.KeysRead) {
				page.shows(t, 200).hides(t, "Revoke the key", "Make the new key")
			} else {
				page.shows(t, 403, "forbidden").hides(t, `href="/admin/keys"`)
			}
			v.post("/admin/keys", fields("name", "mine", "role", "support")).shows(t, 403, "keys:write is missing")
			v.get("/admin/keys/new").shows(t, 403, "keys:write is missing")
			v.post("/admin/keys/"+victim.id+"/rotate", fields()).shows(t, 403, "is missing")
			v.post("/admin/keys/"+victim.id+"/revoke", fields()).shows(t, 403, "is missing")
		}
		victim.get("/api/v1/accounts?limit=1")
	})
}

func TestAKeyIsMadeInTheBrowser(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true}, func(t *testing.T, w *world) {
		b := w.browser(t, w.staff(identity.Admin))
		b.visit("/admin/keys?ownerId=user_nobody")
		b.screenshot("keys-none")
		b.visit("/admin/keys")
		b.wants("some admin")
		b.screenshot("keys")
		b.click(`a[href="/admin/keys/new"]`)
		b.wants("New API key")
		b.screenshot("key-new")
		b.fill("#f-name", "shop backend")
		b.choose("#f-role", "operator")
		b.click(`input[value="accounts:read"]`)
		b.click(`main form button[type=submit]`)
		b.wants("shown this once")
		b.check()
		var text string
		b.evaluate(`document.querySelector(".key code").textContent`, &text)
		secrets.Register(t, "API key", text)
		made := &person{w: w, token: text}
		caller := made.get("/api/v1/auth/caller")
		if caller["role"] != "operator" || len(caller["permissions"].([]any)) != 1 {
			t.Errorf("the new key is %v", caller)
		}
		b.click("main .button.primary")
		b.wants("Last used")
		if strings.Contains(b.shownText(), text) {
			t.Error("the key's page shows the key")
		}
		b.screenshot("key")
		b.click(".ask > summary.danger")
		b.wants("Revoke this key?")
		b.picture("key-revoke")
		b.click(".ask[open] button[type=submit]")
		b.wants("The key is revoked.")
		if status, _ := made.try(http.MethodGet, "/api/v1/accounts?limit=1", nil); status != http.StatusUnauthorized {
			t.Errorf("a revoked key works: %d", status)
		}
	})
}
