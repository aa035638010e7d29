package cashback

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback/rules"
	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

// Compiling a hundred campaigns takes long, and purchases wait for it.
func TestASetIsCompiledAgainOnlyWhenSomethingHasChanged(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		fresh := dbtest.Fresh(t, url)
		dbtest.Migrate(t, fresh)
		db := dbtest.Open(t, fresh, database.Options{})
		now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
		books := ledger.New(db, db, ledger.Options{})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { books.Run(ctx) })
		defer running.Wait()
		defer stop()
		c := New(db, books, Options{Clock: func() time.Time { return now }}) // nobody else asks: it is not run
		current := func() *rules.Set {
			t.Helper()
			set, err := c.currentSet(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return set
		}
		terms := rules.Terms{
			Name: "Five percent", Currency: "USD", From: now, To: now.AddDate(0, 1, 0), Enabled: true,
			Reward: rules.Reward{Kind: rules.Percent, Percent: decimal.NewFromInt(5)}, Budget: decimal.NewFromInt(1000), BudgetEnd: rules.PayRest,
			Funding: rules.Funding{Kind: rules.Platform},
		}
		changes := []struct {
			what string
			do   func() error
			want int // campaigns in the set
		}{
			{"the first campaign", func() error { _, err := c.CreateCampaign(ctx, "a", terms); return err }, 1},
			{"another one", func() error { _, err := c.CreateCampaign(ctx, "b", terms); return err }, 2},
			{"a change of one", func() error {
				changed := terms
				changed.Name = "Five"
				_, err := c.ChangeCampaign(ctx, "b", 1, changed)
				return err
			}, 2},
			{"a pause of one", func() error {
				changed := terms
				changed.Enabled = false
				_, err := c.ChangeCampaign(ctx, "a", 1, changed)
				return err
			}, 1},
			{"a change of the program", func() error {
				_, err := c.ChangeProgram(ctx, 0, rules.Program{Groups: map[string]rules.Policy{"season": rules.Sum}})
				return err
			}, 1},
		}
		last := current()
		for _, change := range changes {
			now = now.Add(CacheTime)
			if current() != last {
				t.Errorf("before %s: the set is another", change.what)
			}
			if err := change.do(); err != nil {
				t.Fatalf("%s: %v", change.what, err)
			}
			set := current()
			if set == last || len(set.All()) != change.want {
				t.Errorf("after %s: the same set is %t, with %d campaigns; want %d", change.what, set == last, len(set.All()), change.want)
			}
			last = set
		}
		// Whatever was ever switched off costs nothing: it is not even read.
		_, err := db.Exec(ctx, `INSERT INTO campaigns (campaign_id, version, terms, created_by, created_at)
			VALUES ('old', 1, '{"enabled": true, "from": "unreadable"}', '', now()), ('old', 2, '{"enabled": false, "from": "unreadable"}', '', now())`)
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(CacheTime)
		if current() != last {
			t.Error("with a campaign that is off: the set is another")
		}
		if got := last.All()[0]; got.ID != "b" || got.Version != 2 || last.Program().Version != 1 {
			t.Errorf("%+v of program %d", got, last.Program().Version)
		}
	})
}
