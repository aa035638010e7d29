package admin_test

import (
	"net/http"
	"testing"

	"florin/internal/approval"
	"florin/internal/identity"
)

func TestLimitsOfRolesAreSet(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true, secondPerson: []approval.Operation{approval.LimitRaise}}, func(t *testing.T, w *world) {
		v := w.visitor(t, w.staff(identity.Operator))
		v.get("/admin/limits").tells(t, http.StatusOK, "Customer", "All others", "Set the limits")
		v.post("/admin/limits", fields("role", "customer", "currency", "USD", "perTransfer", "much")).tells(t, http.StatusBadRequest, `id="f-perTransfer-error"`, `value="much"`)
		for range 2 {
			v.post("/admin/limits", fields("role", "customer", "currency", "USD", "perTransfer", "100", "daily", "250.50")).leads(t, "/admin/limits")
		}
		v.get("/admin/limits").tells(t, http.StatusOK, "100.00", "250.50")
		v.get("/admin/limits?role=customer&currency=USD").tells(t, http.StatusOK, `value="250.50"`)
		v.post("/admin/limits", fields("role", "customer", "currency", "USD", "perTransfer", "", "daily", "250.50")).tells(t, http.StatusAccepted, "Waits for a second person")
		v.get("/admin/limits").tells(t, http.StatusOK, "100.00")

		reader := w.visitor(t, w.key(identity.Support))
		reader.get("/admin/limits").tells(t, http.StatusOK, "250.50").tellsNot(t, "Set the limits", "Change the limits")
		reader.post("/admin/limits", fields("role", "customer", "currency", "USD", "perTransfer", "1")).tells(t, http.StatusForbidden, "limits:write is missing")

		b := w.browser(t, w.key(identity.Admin))
		b.visit("/admin/limits")
		b.screenshot("limits")
		b.click(`a[aria-label="Change the limits of customer in USD"]`)
		b.wants("Others")
		b.fill("#f-daily", "20.00")
		b.click("main form button[type=submit]")
		b.wants("The limits are set")
		b.wants("20.00")
	})
}
