package admin

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/shopspring/decimal"

	"florin/internal/api"
)

// fill reads a report into a table: of its lines the first, of its sums all. all, if
// it is not nil, sees every line that was read.
func fill[Line, Total any](table *reportTable, answer []byte, line func(Line) []templ.Component, total func(Total) []templ.Component, all func(Line)) error {
	var read struct {
		api.ReportHead
		Data   []Line  `json:"data"`
		Totals []Total `json:"totals"`
	}
	if err := json.Unmarshal(answer, &read); err != nil {
		return err
	}
	table.ReportHead, table.isCut = read.ReportHead, read.IsTruncated || len(read.Data) > reportRowsMax
	for i, one := range read.Data {
		if all != nil {
			all(one)
		}
		if i < reportRowsMax {
			table.rows = append(table.rows, line(one))
		}
	}
	for _, one := range read.Totals {
		table.totals = append(table.totals, total(one))
	}
	return nil
}

// columnsOf are columns by their titles; those of numbers begin with #.
func columnsOf(titles ...string) []reportColumn {
	columns := make([]reportColumn, len(titles))
	for i, title := range titles {
		columns[i].title, columns[i].isNumber = strings.CutPrefix(title, "#")
	}
	return columns
}

func readTrialBalance(answer []byte, _ url.Values) (reportTable, error) {
	table := reportTable{
		columns:      columnsOf("Account", "Type", "#Opening", "#Debits", "#Credits", "#Closing"),
		totalColumns: columnsOf("Currency", "#Opening", "#Debits", "#Credits", "#Closing"),
	}
	off := []string{} // currencies that don't sum up to zero
	err := fill(&table, answer, func(l api.TrialBalanceLine) []templ.Component {
		return append([]templ.Component{idLink(l.AccountID, pagePath("accounts", l.AccountID)), words(spoken(l.AccountType))}, balances(l.TrialBalanceTotal)...)
	}, func(t api.TrialBalanceTotal) []templ.Component {
		if !isZero(t.Opening) || !isZero(t.Closing) {
			off = append(off, t.Currency)
		}
		return append([]templ.Component{words(t.Currency)}, balances(t)...)
	}, nil)
	switch {
	case len(table.totals) == 0:
	case len(off) == 0:
		table.verdict, table.isGood = "Balanced: every currency sums up to zero, before and after.", true
	default:
		table.verdict = "Not balanced: " + strings.Join(off, ", ") + " do not sum up to zero. Run florin verify."
	}
	return table, err
}

func balances(t api.TrialBalanceTotal) []templ.Component {
	return []templ.Component{money(t.Opening, t.Currency), money(t.Debits, t.Currency), money(t.Credits, t.Currency), money(t.Closing, t.Currency)}
}

func isZero(amount api.Money) bool {
	value, err := decimal.NewFromString(string(amount))
	return err == nil && value.IsZero()
}

func readProfitAndLoss(answer []byte, _ url.Values) (reportTable, error) {
	table := reportTable{
		columns:      columnsOf("Account", "Type", "#Debits", "#Credits", "#Adds to the profit"),
		totalColumns: columnsOf("Currency", "#Income", "#Expenses", "#Profit"),
	}
	err := fill(&table, answer, func(l api.ProfitAndLossLine) []templ.Component {
		return []templ.Component{
			idLink(l.AccountID, pagePath("accounts", l.AccountID)), words(spoken(l.AccountType)),
			money(l.Debits, l.Currency), money(l.Credits, l.Currency), money(l.Result, l.Currency),
		}
	}, func(t api.ProfitAndLossTotal) []templ.Component {
		return []templ.Component{words(t.Currency), money(t.Income, t.Currency), money(t.Expenses, t.Currency), money(t.Profit, t.Currency)}
	}, nil)
	return table, err
}

func readDailyVolumes(answer []byte, _ url.Values) (reportTable, error) {
	table := reportTable{
		columns:      columnsOf("Day (UTC)", "Kind", "#Completed", "#Volume", "#Failed", "#Unfinished"),
		totalColumns: columnsOf("Currency", "#Completed", "#Volume", "#Failed", "#Unfinished"),
	}
	days := volumesByDay{}
	err := fill(&table, answer, func(l api.DailyVolumesLine) []templ.Component {
		return append([]templ.Component{words(l.Day), words(spoken(l.Kind))}, volumes(l.DailyVolumesTotal)...)
	}, func(t api.DailyVolumesTotal) []templ.Component {
		currency := t.Currency
		if currency == "" {
			currency = "Unknown"
		}
		return append([]templ.Component{words(currency)}, volumes(t)...)
	}, days.add)
	if !table.IsTruncated {
		table.charts = days.charts(table.ReportHead)
	}
	return table, err
}

func volumes(t api.DailyVolumesTotal) []templ.Component {
	return []templ.Component{words(number(t.Completed)), money(t.Volume, t.Currency), words(number(t.Failed)), words(number(t.Unfinished))}
}

const (
	// chartDaysMax is how many days are drawn.
	chartDaysMax = 366
	// chartCurrenciesMax is of how many currencies there are pictures.
	chartCurrenciesMax = 4
)

// volumesByDay are sums over the kinds, by currency and day.
type volumesByDay map[string]map[string]decimal.Decimal

func (v volumesByDay) add(l api.DailyVolumesLine) {
	volume, err := decimal.NewFromString(string(l.Volume))
	if err != nil || l.Currency == "" {
		return
	}
	if v[l.Currency] == nil {
		v[l.Currency] = map[string]decimal.Decimal{}
	}
	v[l.Currency][l.Day] = v[l.Currency][l.Day].Add(volume)
}

// charts are pictures of the currencies, in the order of their codes.
func (v volumesByDay) charts(head api.ReportHead) (charts []chart) {
	from, to := head.From.Truncate(24*time.Hour), head.To.Add(-time.Microsecond).Truncate(24*time.Hour)
	if days := to.Sub(from) / (24 * time.Hour); days >= chartDaysMax {
		return nil
	}
	for _, currency := range slices.Sorted(maps.Keys(v)) {
		if len(charts) == chartCurrenciesMax {
			break
		}
		c := chart{
			name: "volume-" + currency, title: currency + " by day", unit: currency, isBars: true, isOfDays: true,
			about: "What was moved in " + currency + " on each day of UTC.", series: []chartSeries{{name: "Volume"}},
		}
		for day := from; !day.After(to); day = day.AddDate(0, 0, 1) {
			c.times = append(c.times, day)
			volume := v[currency][day.Format(time.DateOnly)]
			c.series[0].values = append(c.series[0].values, volume.StringFixed(max(0, -volume.Exponent())))
		}
		charts = append(charts, c)
	}
	return charts
}

func readCustomerLiabilities(answer []byte, _ url.Values) (reportTable, error) {
	table := reportTable{
		columns:      columnsOf("Type", "#Accounts", "#Opening", "#Closing", "#Owed to customers", "#Owed by customers"),
		totalColumns: columnsOf("Currency", "#Accounts", "#Opening", "#Closing", "#Owed to customers", "#Owed by customers"),
	}
	err := fill(&table, answer, func(l api.CustomerLiabilitiesLine) []templ.Component {
		return append([]templ.Component{words(spoken(l.AccountType))}, liabilities(l.CustomerLiabilitiesTotal)...)
	}, func(t api.CustomerLiabilitiesTotal) []templ.Component {
		return append([]templ.Component{words(t.Currency)}, liabilities(t)...)
	}, nil)
	return table, err
}

func liabilities(t api.CustomerLiabilitiesTotal) []templ.Component {
	return []templ.Component{
		words(number(t.Accounts)), money(t.Opening, t.Currency), money(t.Closing, t.Currency), money(t.OwedToCustomers, t.Currency), money(t.OwedByCustomers, t.Currency),
	}
}

// readStatement leaves out the account where there is one alone.
func readStatement(answer []byte, asked url.Values) (reportTable, error) {
	isOfOwner := asked.Get("ownerId") != ""
	table := reportTable{
		columns:      columnsOf("Time", "Transaction", "Counterparty", "#Amount", "#Balance", "Kind", "Description"),
		totalColumns: columnsOf("Account", "#Opening", "#Debits", "#Credits", "#Closing"),
	}
	if isOfOwner {
		table.columns = slices.Insert(table.columns, 1, columnsOf("Account")...)
	}
	err := fill(&table, answer, func(l api.StatementReportLine) []templ.Component {
		cells := []templ.Component{
			timeAt(l.At), idLink(l.TransactionID, pagePath("transactions", l.TransactionID)), idLink(l.Counterparty, pagePath("accounts", l.Counterparty)),
			money(l.Amount, l.Currency), money(l.Balance, l.Currency), words(spoken(l.Kind)), words(l.Description),
		}
		if isOfOwner {
			cells = slices.Insert(cells, 1, idLink(l.AccountID, pagePath("accounts", l.AccountID)))
		}
		return cells
	}, func(t api.StatementReportTotal) []templ.Component {
		return append([]templ.Component{idLink(t.AccountID, pagePath("accounts", t.AccountID))}, balances(t.TrialBalanceTotal)...)
	}, nil)
	return table, err
}
