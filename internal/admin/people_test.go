package admin_test

import (
	"net/http"
	"net/url"
	"testing"

	"florin/internal/approval"
	"florin/internal/identity"
)

// named is a user of a role who is called as he likes.
func (w *world) named(role identity.Role, name string) *person {
	w.t.Helper()
	who := w.user(role).signIn()
	who.call(http.MethodPatch, "/api/v1/users/me", object{"name": name, "address": scripted})
	return who
}

func TestUsersAreFoundAndLocked(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		ada := w.named(identity.Customer, "Ada "+scripted)
		v := w.visitor(t, w.key(identity.Support))
		v.get("/admin/users?role=customer&status=ACTIVE").tells(t, 200, "Second factor")
		v.get("/admin/users?email="+url.QueryEscape(ada.email)).tells(t, 200, "Ada &lt;script&gt;", ada.id)
		v.get("/admin/users?email=nobody@example.com").tells(t, 200, "No user fits")
		v.get("/admin/users?email="+ada.id).leads(t, "/admin/users/"+ada.id)
		v.get("/admin/users?status=SLEEPING").tells(t, 400, "status")
		path := "/admin/users/" + ada.id
		v.get(path).tells(t, 200, "Ada &lt;script&gt;", ada.email, "Lock the user", "End all sessions").tellsNot(t, "Change the role")
		v.get("/admin/users/user_nobody").tells(t, 404, "user_not_found")

		v.post(path+"/sessions", fields()).leads(t, path)
		if status, _ := ada.try(http.MethodGet, "/api/v1/users/me", nil); status != http.StatusUnauthorized {
			t.Errorf("a session goes on after it was ended: %d", status)
		}
		for range 2 {
			v.post(path+"/lock", fields()).leads(t, path)
			v.get(path).tells(t, 200, "Locked", "Unlock the user")
		}
		if status, _ := ada.try(http.MethodPost, "/api/v1/auth/signin", object{"email": ada.email, "password": goodPassword}); status != http.StatusForbidden {
			t.Errorf("a locked user signs in: %d", status)
		}
		v.post(path+"/unlock", fields()).leads(t, path)
		ada.signIn()
	})
}

func TestNobodyManagesWhoMayDoMore(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		boss, self := w.user(identity.Admin), w.staff(identity.Support)
		v := w.visitor(t, self)
		v.get("/admin/users/"+boss.id).tells(t, 200, "He may do more than you").tellsNot(t, "Lock the user", "End all sessions")
		v.post("/admin/users/"+boss.id+"/lock", fields()).tells(t, 403, `role="alert"`)
		v.post("/admin/users/"+boss.id+"/sessions", fields()).tells(t, 403, `role="alert"`)
		v.post("/admin/users/"+boss.id+"/role", fields("role", "customer")).tells(t, 403, "roles:write is missing")
		v.get("/admin/users/"+self.id).tells(t, 200, "This is you").tellsNot(t, "Lock the user")
		v.post("/admin/users/"+self.id+"/lock", fields()).tells(t, 403, "Nobody changes his own role or lock")
		if u := w.root.get("/api/v1/users/" + boss.id); u["status"] != "ACTIVE" || u["role"] != "admin" {
			t.Errorf("the administrator is %v", u)
		}
		w.visitor(t, w.key(identity.Finance)).get("/admin/users/"+self.id).tells(t, 200).tellsNot(t, "Lock the user")
	})
}

func TestChangingARoleWaitsForASecondPerson(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true, secondPerson: []approval.Operation{approval.RoleChange}}, func(t *testing.T, w *world) {
		ada := w.named(identity.Customer, "Ada Adams")
		v := w.visitor(t, w.staff(identity.Admin))
		v.get("/admin/users/"+ada.id).tells(t, 200, "Change the role", `<option value="support"`).tellsNot(t, `<option value="customer"`)
		v.post("/admin/users/"+ada.id+"/role", fields("role", "king")).tells(t, 400, "must be one of the roles")
		v.post("/admin/users/"+ada.id+"/role", fields("role", "support")).tells(t, 202, "Waits for a second person", ada.id)
		if u := w.root.get("/api/v1/users/" + ada.id); u["role"] != "customer" {
			t.Errorf("the role is changed before anybody agreed: %v", u)
		}
	})
}

func TestAUserIsLockedInTheBrowser(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true}, func(t *testing.T, w *world) {
		ada := w.named(identity.Customer, "Ada Adams")
		w.named(identity.Merchant, "Bookshop "+scripted)
		b := w.browser(t, w.staff(identity.Admin))
		b.visit("/admin/users?email=nobody@example.com")
		b.screenshot("users-none")
		b.visit("/admin/users")
		b.wants("Ada Adams")
		b.screenshot("users")
		b.visit("/admin/users/" + ada.id)
		b.screenshot("user")
		b.click(".ask > summary.danger")
		b.wants("Lock this user?")
		b.check()
		b.picture("user-lock")
		b.click(".ask[open] button[type=submit]")
		b.wants("The user is locked.")
		if u := w.root.get("/api/v1/users/" + ada.id); u["status"] != "LOCKED" {
			t.Errorf("the user is %v", u)
		}
		b.click("main .more > summary")
		b.choose("#f-role", "merchant")
		b.screenshot("user-locked")
	})
}
