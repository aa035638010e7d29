package reporting

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/reporting/internal/reportingdb"
)

// definitions are all reports.
var definitions = map[Name]definition{
	TrialBalance: {
		columns: []Column{{"accountId", Text}, {"accountType", Text}, {"currency", Text}, {"opening", Amount}, {"debits", Amount}, {"credits", Amount}, {"closing", Amount}},
		totals:  []Column{{"currency", Text}, {"opening", Amount}, {"debits", Amount}, {"credits", Amount}, {"closing", Amount}},
		write:   writeTrialBalance,
	},
	ProfitAndLoss: {
		columns: []Column{{"accountId", Text}, {"accountType", Text}, {"currency", Text}, {"debits", Amount}, {"credits", Amount}, {"result", Amount}},
		totals:  []Column{{"currency", Text}, {"income", Amount}, {"expenses", Amount}, {"profit", Amount}},
		write:   writeProfitAndLoss,
	},
	DailyVolumes: {
		columns: []Column{{"day", Text}, {"currency", Text}, {"kind", Text}, {"completed", Count}, {"volume", Amount}, {"failed", Count}, {"unfinished", Count}},
		totals:  []Column{{"currency", Text}, {"completed", Count}, {"volume", Amount}, {"failed", Count}, {"unfinished", Count}},
		write:   writeDailyVolumes,
	},
	CustomerLiabilities: {
		columns: []Column{{"accountType", Text}, {"currency", Text}, {"accounts", Count}, {"opening", Amount}, {"closing", Amount}, {"owedToCustomers", Amount}, {"owedByCustomers", Amount}},
		totals:  []Column{{"currency", Text}, {"accounts", Count}, {"opening", Amount}, {"closing", Amount}, {"owedToCustomers", Amount}, {"owedByCustomers", Amount}},
		write:   writeCustomerLiabilities,
	},
	Statement: {
		columns: []Column{
			{"accountId", Text}, {"seq", Count}, {"time", Time}, {"transactionId", Text}, {"kind", Text}, {"counterparty", Text}, {"description", Text},
			{"amount", Amount}, {"balance", Amount}, {"currency", Text},
		},
		totals: []Column{{"accountId", Text}, {"currency", Text}, {"opening", Amount}, {"debits", Amount}, {"credits", Amount}, {"closing", Amount}},
		write:  writeStatement,
	},
}

// sums adds up a report's figures by currency.
type sums map[string][]decimal.Decimal

func (s sums) add(currency string, figures ...decimal.Decimal) {
	if s[currency] == nil {
		s[currency] = make([]decimal.Decimal, len(figures))
	}
	for i, figure := range figures {
		s[currency][i] = s[currency][i].Add(figure)
	}
}

// write passes the sums on in the order of currencies, as columns from the second
// one on say what they are.
func (s sums) write(r *reading) error {
	for _, currency := range slices.Sorted(maps.Keys(s)) {
		cells := []string{currency}
		for i, sum := range s[currency] {
			if r.Totals[i+1].Kind == Count {
				cells = append(cells, sum.String())
			} else {
				cells = append(cells, amount(sum, currency))
			}
		}
		if err := r.out.Total(cells); err != nil {
			return err
		}
	}
	return nil
}

func writeTrialBalance(ctx context.Context, r *reading) error {
	if err := r.out.Begin(r.Head); err != nil {
		return err
	}
	totals := sums{}
	err := each(ctx, r, reportingdb.TrialBalance, func(row *reportingdb.TrialBalanceRow) error {
		totals.add(row.Currency, row.Opening, row.Debits, row.Credits, row.Closing)
		return r.out.Row([]string{
			row.AccountID, row.AccountType, row.Currency,
			amount(row.Opening, row.Currency), amount(row.Debits, row.Currency), amount(row.Credits, row.Currency), amount(row.Closing, row.Currency),
		})
	}, r.Head.To, r.Head.From)
	if err != nil {
		return err
	}
	return totals.write(r)
}

func writeProfitAndLoss(ctx context.Context, r *reading) error {
	if err := r.out.Begin(r.Head); err != nil {
		return err
	}
	totals := sums{}
	err := each(ctx, r, reportingdb.ProfitAndLoss, func(row *reportingdb.ProfitAndLossRow) error {
		if row.AccountType == "REVENUE" {
			totals.add(row.Currency, row.Result, decimal.Zero, row.Result)
		} else {
			totals.add(row.Currency, decimal.Zero, row.Result.Neg(), row.Result)
		}
		return r.out.Row([]string{
			row.AccountID, row.AccountType, row.Currency,
			amount(row.Debits, row.Currency), amount(row.Credits, row.Currency), amount(row.Result, row.Currency),
		})
	}, r.Head.From, r.Head.To)
	if err != nil {
		return err
	}
	return totals.write(r)
}

func writeDailyVolumes(ctx context.Context, r *reading) error {
	if err := r.out.Begin(r.Head); err != nil {
		return err
	}
	totals := sums{}
	err := each(ctx, r, reportingdb.DailyVolumes, func(row *reportingdb.DailyVolumesRow) error {
		totals.add(row.Currency, decimal.NewFromInt(row.Completed), row.Volume, decimal.NewFromInt(row.Failed), decimal.NewFromInt(row.Unfinished))
		return r.out.Row([]string{
			row.Day.Time.Format(time.DateOnly), row.Currency, row.Kind,
			count(row.Completed), amount(row.Volume, row.Currency), count(row.Failed), count(row.Unfinished),
		})
	}, r.Head.From, r.Head.To)
	if err != nil {
		return err
	}
	return totals.write(r)
}

func writeCustomerLiabilities(ctx context.Context, r *reading) error {
	if err := r.out.Begin(r.Head); err != nil {
		return err
	}
	totals := sums{}
	err := each(ctx, r, reportingdb.CustomerLiabilities, func(row *reportingdb.CustomerLiabilitiesRow) error {
		totals.add(row.Currency, decimal.NewFromInt(row.Accounts), row.Opening, row.Closing, row.OwedToCustomers, row.OwedByCustomers)
		return r.out.Row([]string{
			row.AccountType, row.Currency, count(row.Accounts), amount(row.Opening, row.Currency), amount(row.Closing, row.Currency),
			amount(row.OwedToCustomers, row.Currency), amount(row.OwedByCustomers, row.Currency),
		})
	}, r.Head.To, r.Head.From)
	if err != nil {
		return err
	}
	return totals.write(r)
}

func count(n int64) string { return strconv.FormatInt(n, 10) }
