package risk

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"florin/internal/risk/internal/riskdb"
)

// builtIn are the rules that a database begins with, as their version 1. They can
// be changed and disabled like any other; a later program that brings others
// changes none that are there. Currencies without a threshold of their own have
// that of the dollar's number, which is a small amount in most of them.
var builtIn = []Rule{
	{ID: "attempts_excessive", Terms: Terms{
		Name:       "Far more payments than a person makes",
		Expression: `attempts_hour > (role == "merchant" ? 900 : 100)`,
		Outcome:    Decline, Priority: 900, Enabled: true,
	}},
	{ID: "velocity_hour", Terms: Terms{
		Name:       "Many payments within an hour",
		Expression: `role == "merchant" ? attempts_hour > 500 : attempts_hour > 20 || count_hour >= 20`,
		Outcome:    Review, Priority: 500, Enabled: true,
	}},
	{ID: "velocity_day", Terms: Terms{
		Name:       "Many payments within a day",
		Expression: `role != "merchant" && (attempts_day > 100 || count_day >= 100)`,
		Outcome:    Review, Priority: 400, Enabled: true,
	}},
	{ID: "new_payee", Terms: Terms{
		Name:       "Much to somebody never paid before",
		Expression: `is_new_payee && (operation == "withdrawal" ? amount + sum_day : amount) > (currency == "JPY" ? 150000 : 1000)`,
		Outcome:    Review, Priority: 300, Enabled: true,
	}},
	{ID: "young_account", Terms: Terms{
		Name:       "Much from an account opened today",
		Expression: `account_age_hours < 24 && amount + sum_day > (currency == "JPY" ? 75000 : 500)`,
		Outcome:    Review, Priority: 200, Enabled: true,
	}},
	{ID: "withdrawal_without_second_factor", Terms: Terms{
		Name:       "Much withdrawn with a password alone",
		Expression: `operation == "withdrawal" && !has_second_factor && amount + sum_day > (currency == "JPY" ? 300000 : 2000)`,
		Outcome:    Review, Priority: 100, Enabled: true,
	}},
}

// storeBuiltIn stores the rules that come with the program, once a process. Of
// several replicas one does; nothing that is there is changed.
func (r *Rules) storeBuiltIn(ctx context.Context) error {
	if r.hasBuiltIn.Load() {
		return nil
	}
	err := r.db.InTx(ctx, "risk.builtin", func(ctx context.Context, tx pgx.Tx) error {
		queries := riskdb.New(tx)
		for _, rule := range builtIn {
			rule.Version, rule.CreatedBy, rule.CreatedAt = 1, systemActor, r.clock()
			inserted, err := queries.InsertRuleIfNew(ctx, riskdb.InsertRuleIfNewParams(rule.row()))
			if err != nil {
				return err
			}
			if inserted == 0 {
				continue
			}
			event := ruleEvent(nil, rule)
			event.Origin.ActorKind = systemActor // not whoever happens to pay first
			if err := r.log.AppendTx(ctx, tx, event); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store the rules that come with the program: %w", err)
	}
	r.hasBuiltIn.Store(true)
	return nil
}
