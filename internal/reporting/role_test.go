package reporting_test

import (
	"context"
	"testing"

	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/reporting"
)

func TestARoleThatIsThereGetsWhatItLacks(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r := w.makeRole()
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), dbtest.Timeout)
			defer cancel()
			if err := dropRole(ctx, w.db, r.name); err != nil {
				t.Error(err)
			}
		})
		missing := func() []string {
			t.Helper()
			statements, err := reporting.MissingSteps(t.Context(), w.db, r.name)
			if err != nil {
				t.Fatal(err)
			}
			return statements
		}
		if left := missing(); len(left) > 0 {
			t.Fatalf("a second call does again: %q", left)
		}
		here := "ALTER ROLE " + r.name + " IN DATABASE " + database.QuoteIdentifier(w.db.Config().ConnConfig.Database)
		for _, statement := range []string{
			"REVOKE USAGE ON SCHEMA reporting FROM " + r.name,
			"REVOKE SELECT ON reporting.accounts FROM " + r.name,
			"ALTER DEFAULT PRIVILEGES IN SCHEMA reporting REVOKE SELECT ON TABLES FROM " + r.name,
			here + " SET statement_timeout = '1000'",
		} {
			if _, err := w.db.Exec(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		if left := missing(); len(left) != 4 {
			t.Errorf("missing are %q", left)
		}
		if _, err := reporting.EnsureRole(t.Context(), w.db, r.name, r.password); err != nil {
			t.Fatal(err)
		}
		if left := missing(); len(left) > 0 {
			t.Errorf("still missing: %q", left)
		}
	})
}
