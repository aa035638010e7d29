package admin

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"florin/internal/api"
	"florin/internal/identity"
)

const reportsPath = Root + "/reports"

func (p *Pages) reportRoutes() []route {
	return []route{
		{pattern: "GET " + reportsPath, handler: p.showReports, nav: "Reports", group: groupFinance, needs: []identity.Permission{identity.ReportsRead}},
		{pattern: "GET " + reportsPath + "/{name}", handler: p.showReport},
	}
}

const (
	// reportRowsMax is how many lines of a report a page shows.
	reportRowsMax = 500
	// volumeRowsMax is how many of the daily volumes are read: all of them are drawn.
	volumeRowsMax = 5000
)

// report is one of the API's reports, and how it is shown.
type report struct {
	name     string // the API's
	title    string
	question string // that it answers
	totals   string // what its sums are of
	hasPDF   bool
	isOfOne  bool // of an account, or an owner
	limit    int  // of the lines that are read
	read     func(answer []byte, asked url.Values) (reportTable, error)
}

var reports = []report{
	{name: "trial-balance", title: "Trial balance", question: "Do the books balance, and what stands on each account?", totals: "Sums by currency", limit: reportRowsMax, read: readTrialBalance},
	{name: "profit-and-loss", title: "Profit and loss", question: "What did the house earn and spend?", totals: "Profit by currency", limit: reportRowsMax, read: readProfitAndLoss},
	{name: "daily-volumes", title: "Daily volumes", question: "How much was moved on each day, and how much of it failed?", totals: "Sums by currency", limit: volumeRowsMax, read: readDailyVolumes},
	{name: "customer-liabilities", title: "Customer liabilities", question: "What does the house owe to its customers and merchants?", totals: "Owed by currency", limit: reportRowsMax, read: readCustomerLiabilities},
	{name: "statement", title: "Statement", question: "What happened on an account, or on all accounts of an owner?", totals: "Sums by account", hasPDF: true, isOfOne: true, limit: reportRowsMax, read: readStatement},
}

func (rep *report) path() string { return reportsPath + "/" + rep.name }

// reportColumn is a column of a report's table.
type reportColumn struct {
	title    string
	isNumber bool
}

// reportTable is a report as a page shows it.
type reportTable struct {
	api.ReportHead

	columns, totalColumns []reportColumn
	rows, totals          [][]templ.Component
	isCut                 bool // there are more rows than are shown
	verdict               string
	isGood                bool // the verdict is
	charts                []chart
}

func (p *Pages) showReports(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, r, page{title: "Reports"}, reportsView())
}

// reportShown is a report's page.
type reportShown struct {
	report

	query   url.Values // as it was asked for, or of this month
	periods []reportPeriod
	table   *reportTable // nil when there is none
	problem *problem
}

// reportPeriod is a choice of days, both of them in it.
type reportPeriod struct{ title, from, to string }

// reportPeriodsAt are the choices on a day.
func reportPeriodsAt(now time.Time) []reportPeriod {
	now = now.UTC()
	months := func(title string, first time.Month, count int) reportPeriod {
		from := time.Date(now.Year(), first, 1, 0, 0, 0, 0, time.UTC)
		return reportPeriod{title, from.Format(time.DateOnly), from.AddDate(0, count, -1).Format(time.DateOnly)}
	}
	quarter := now.Month() - (now.Month()-1)%3
	return []reportPeriod{
		months("This month", now.Month(), 1), months("Last month", now.Month()-1, 1), months("This quarter", quarter, 3), months("This year", time.January, 12),
	}
}

func (s *reportShown) isAt(period reportPeriod) bool {
	return s.query.Get("from") == period.from && s.query.Get("to") == period.to
}

// at is the page for other days.
func (s *reportShown) at(period reportPeriod) string {
	query := url.Values{"from": {period.from}, "to": {period.to}}
	for _, name := range reportSubjects {
		if given := s.query.Get(name); given != "" {
			query.Set(name, given)
		}
	}
	return s.path() + "?" + query.Encode()
}

// file is the whole report as the API answers it: of the period that was read, or
// that was asked for when nothing was read in time.
func (s *reportShown) file(format string) string {
	query := maps.Clone(s.query)
	query.Set("format", format)
	if s.table != nil {
		query.Set("from", s.table.From.Format(time.RFC3339Nano))
		query.Set("to", s.table.To.Format(time.RFC3339Nano))
	}
	return s.asked(query, "format")
}

// asked is the report in the API, with others of query's parameters beside those of
// its period and subject.
func (s *reportShown) asked(query url.Values, others ...string) string {
	if s.isOfOne {
		others = append(others, reportSubjects...)
	}
	return apiPath("reports", s.name) + periodQuery(query, others...)
}

// reportSubjects are the parameters that say what a statement is of.
var reportSubjects = []string{"accountId", "ownerId"}

func (p *Pages) showReport(w http.ResponseWriter, r *http.Request) error {
	i := slices.IndexFunc(reports, func(one report) bool { return one.name == r.PathValue("name") })
	if i < 0 {
		return p.notFound(w, r)
	}
	shown := reportShown{report: reports[i], query: r.URL.Query(), periods: reportPeriodsAt(p.now())}
	if !shown.query.Has("from") && !shown.query.Has("to") {
		shown.query.Set("from", shown.periods[0].from)
		shown.query.Set("to", shown.periods[0].to)
	}
	if !shown.isOfOne || shown.query.Get("accountId")+shown.query.Get("ownerId") != "" {
		if err := p.readReport(r, &shown); err != nil {
			return err
		}
	}
	return p.render(w, r, page{title: shown.title, status: shown.problem.status()}, reportView(&shown))
}

// readReport reads the report that is shown, or why there is none.
func (p *Pages) readReport(r *http.Request, shown *reportShown) error {
	query := maps.Clone(shown.query)
	query.Set("limit", strconv.Itoa(shown.limit))
	var answer json.RawMessage
	err := p.get(r, shown.asked(query, "limit"), &answer)
	if shown.problem = inPlace(err); shown.problem != nil && shown.problem.Status != http.StatusForbidden {
		return nil
	}
	if err != nil {
		return err
	}
	table, err := shown.read(answer, shown.query)
	if err != nil {
		return fmt.Errorf("read the report %s: %w", shown.name, err)
	}
	shown.table = &table
	return nil
}
