package ledger_test

import (
	"log/slog"
	"testing"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

// Whatever the command, its rows live where their account does: the account is
// read, or, for what is only accepted, asked for.
func TestRowsLiveInTheHomeRegionOfTheirAccount(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = dbtest.Fresh(t, url)
		dbtest.Migrate(t, url)
		db := dbtest.Open(t, url, database.Options{MaxConns: 4})
		if db.Engine != database.Cockroach {
			t.Skip("only CockroachDB has regions")
		}
		var region string
		if err := db.QueryRow(t.Context(), "SELECT coalesce(min(region), '') FROM [SHOW REGIONS FROM CLUSTER]").Scan(&region); err != nil {
			t.Fatal(err)
		}
		if region == "" {
			t.Skip("the cluster's nodes name no region as their locality")
		}
		before := start(t, url, ledger.Options{})
		if _, err := before.OpenAccount(t.Context(), ledger.OpenAccount{ID: "from-before", Type: ledger.Asset}); err != nil {
			t.Fatal(err)
		}
		if err := database.Localize(t.Context(), db, database.Regions{Names: []string{region}}, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}

		l := start(t, url, ledger.Options{})
		useEverything(t, l, "from-before") // its rows have no region of their own
		opened, err := l.OpenAccount(t.Context(), ledger.OpenAccount{Balance: usd("100")})
		if err != nil || opened.HomeRegion != region {
			t.Fatalf("%+v, %v", opened, err)
		}
		named, err := l.OpenAccount(t.Context(), ledger.OpenAccount{HomeRegion: region})
		if err != nil || named.HomeRegion != region {
			t.Fatalf("%+v, %v", named, err)
		}
		_, err = l.OpenAccount(t.Context(), ledger.OpenAccount{HomeRegion: "atlantis"})
		wantInvalid(t, err, "homeRegion")
		useEverything(t, l, opened.ID)
		lost := start(t, url, ledger.Options{HomeRegion: "atlantis"})
		_, err = lost.OpenAccount(t.Context(), ledger.OpenAccount{})
		wantInvalid(t, err, "homeRegion") // and not somewhere else for good

		for table, sql := range map[string]string{
			"accounts": `
				SELECT count(*), count(*) FILTER (WHERE home_region <> $1 AND account_id <> 'from-before')
				FROM accounts WHERE account_id NOT LIKE 'house:%'`,
			"transfers": "SELECT count(*), count(*) FILTER (WHERE t.home_region <> a.home_region) FROM transfers AS t JOIN accounts AS a ON a.account_id = t.source_account_id",
			"postings":  "SELECT count(*), count(*) FILTER (WHERE p.home_region <> a.home_region) FROM postings AS p JOIN accounts AS a ON a.account_id = p.account_id",
			"holds":     "SELECT count(*), count(*) FILTER (WHERE h.home_region <> a.home_region) FROM holds AS h JOIN accounts AS a ON a.account_id = h.source_account_id",
		} {
			var rows, elsewhere int
			args := []any{region}
			if table != "accounts" {
				args = nil
			}
			if err := db.QueryRow(t.Context(), sql, args...).Scan(&rows, &elsewhere); err != nil || rows == 0 || elsewhere != 0 {
				t.Errorf("%s: %d rows, %d of them elsewhere, %v", table, rows, elsewhere, err)
			}
		}
		wantSoundBooks(t, url)
	})
}
