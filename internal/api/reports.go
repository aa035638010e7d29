package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"florin/internal/platform/clock"
	"florin/internal/reporting"
)

// Reports as they are documented; they are written as they are read, by
// reporting.NewJSON, and a test holds the two together.

// ReportHead is what each report says of itself.
type ReportHead struct {
	Report string    `json:"report" enum:"trial-balance,profit-and-loss,daily-volumes,customer-liabilities,statement"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to" doc:"Exclusive."`
	ReadAt time.Time `json:"readAt" doc:"The one moment that all of the report shows, by the database's clock. What was under way then is not in it: a period that ended less than half a minute before may still grow."`

	IsTruncated bool `json:"isTruncated" doc:"There are more rows than limit. The totals are of all of them."`
}

// TrialBalanceReport is what stood on each account, and what moved.
type TrialBalanceReport struct {
	ReportHead
	Data   []TrialBalanceLine  `json:"data" nullable:"false"`
	Totals []TrialBalanceTotal `json:"totals" nullable:"false" doc:"By currency. Opening and closing are zero: every amount has two sides."`
}

// TrialBalanceLine is an account.
type TrialBalanceLine struct {
	AccountID   string `json:"accountId"`
	AccountType string `json:"accountType"`
	TrialBalanceTotal
}

// TrialBalanceTotal are the figures of an account, or the sums of a currency.
type TrialBalanceTotal struct {
	Currency string `json:"currency"`
	Opening  Money  `json:"opening" doc:"Before from."`
	Debits   Money  `json:"debits" doc:"What left, above zero."`
	Credits  Money  `json:"credits" doc:"What came, above zero."`
	Closing  Money  `json:"closing" doc:"Before to: opening - debits + credits."`
}

// ProfitAndLossReport is what the house earned and spent.
type ProfitAndLossReport struct {
	ReportHead
	Data   []ProfitAndLossLine  `json:"data" nullable:"false"`
	Totals []ProfitAndLossTotal `json:"totals" nullable:"false" doc:"By currency."`
}

// ProfitAndLossLine is an account of type REVENUE or EXPENSE.
type ProfitAndLossLine struct {
	AccountID   string `json:"accountId"`
	AccountType string `json:"accountType" enum:"REVENUE,EXPENSE"`
	Currency    string `json:"currency"`
	Debits      Money  `json:"debits"`
	Credits     Money  `json:"credits"`
	Result      Money  `json:"result" doc:"credits - debits: what it adds to the profit."`
}

// ProfitAndLossTotal is a currency.
type ProfitAndLossTotal struct {
	Currency string `json:"currency"`
	Income   Money  `json:"income"`
	Expenses Money  `json:"expenses"`
	Profit   Money  `json:"profit" doc:"income - expenses."`
}

// DailyVolumesReport is what was moved on each day.
type DailyVolumesReport struct {
	ReportHead
	Data   []DailyVolumesLine  `json:"data" nullable:"false"`
	Totals []DailyVolumesTotal `json:"totals" nullable:"false" doc:"By currency."`
}

// DailyVolumesLine is a day's transactions of a kind.
type DailyVolumesLine struct {
	Day  string `json:"day" format:"date" doc:"Of UTC, by createdAt."`
	Kind string `json:"kind" enum:"TRANSFER,OPENING,CAPTURE,REVERSAL"`
	DailyVolumesTotal
}

// DailyVolumesTotal counts transactions.
type DailyVolumesTotal struct {
	Currency   string `json:"currency" doc:"Empty for what failed before one was known."`
	Completed  int64  `json:"completed"`
	Volume     Money  `json:"volume" doc:"Of what completed."`
	Failed     int64  `json:"failed"`
	Unfinished int64  `json:"unfinished"`
}

// CustomerLiabilitiesReport is what the house owes to its customers, and they to it.
type CustomerLiabilitiesReport struct {
	ReportHead
	Data   []CustomerLiabilitiesLine  `json:"data" nullable:"false"`
	Totals []CustomerLiabilitiesTotal `json:"totals" nullable:"false" doc:"By currency."`
}

// CustomerLiabilitiesLine are the customers' accounts of a type and currency.
type CustomerLiabilitiesLine struct {
	AccountType string `json:"accountType"`
	CustomerLiabilitiesTotal
}

// CustomerLiabilitiesTotal are the figures.
type CustomerLiabilitiesTotal struct {
	Currency        string `json:"currency"`
	Accounts        int64  `json:"accounts"`
	Opening         Money  `json:"opening" doc:"Sum of their balances before from."`
	Closing         Money  `json:"closing" doc:"Before to."`
	OwedToCustomers Money  `json:"owedToCustomers" doc:"Of closing, the balances above zero."`
	OwedByCustomers Money  `json:"owedByCustomers" doc:"Of closing, the overdrawn ones, above zero."`
}

// StatementReport is what happened on an account, or on all accounts of a user.
type StatementReport struct {
	ReportHead
	Data   []StatementReportLine  `json:"data" nullable:"false"`
	Totals []StatementReportTotal `json:"totals" nullable:"false" doc:"By account."`
}

// StatementReportLine is a posting.
type StatementReportLine struct {
	AccountID     string    `json:"accountId"`
	Seq           int64     `json:"seq" doc:"Number of the posting in its account."`
	At            time.Time `json:"time"`
	TransactionID string    `json:"transactionId"`
	Kind          string    `json:"kind" enum:"TRANSFER,OPENING,CAPTURE,REVERSAL"`
	Counterparty  string    `json:"counterparty" doc:"The account at the other end."`
	Description   string    `json:"description"`
	Amount        Money     `json:"amount" doc:"What came is positive, what went negative."`
	Balance       Money     `json:"balance" doc:"After it."`
	Currency      string    `json:"currency"`
}

// StatementReportTotal is an account.
type StatementReportTotal struct {
	AccountID string `json:"accountId"`
	TrialBalanceTotal
}

type reportInput struct {
	From   time.Time `query:"from" doc:"Not before this time (RFC 3339); absent for the beginning of the month (UTC) that to is in." example:"2026-01-01T00:00:00Z"`
	To     time.Time `query:"to" doc:"Before this time (RFC 3339); absent for now." example:"2026-02-01T00:00:00Z"`
	Format string    `query:"format" enum:"json,csv" doc:"By the header Accept when absent, and json when that names neither."`
	Accept string    `header:"Accept" doc:"text/csv for CSV."`
	ReportLimit
}

// ReportLimit bounds the rows of an answer.
type ReportLimit struct {
	Limit int `query:"limit" minimum:"0" maximum:"10000" doc:"Most rows of the answer, which is of JSON then. The totals are of all of them. All rows when absent or 0."`
}

type statementReportInput struct {
	AccountID ID        `query:"accountId" doc:"The account; or ownerId." example:"alice"`
	OwnerID   ID        `query:"ownerId" doc:"The user all of whose accounts it is about; or accountId."`
	From      time.Time `query:"from" doc:"Not before this time (RFC 3339); absent for the beginning of the month (UTC) that to is in." example:"2026-01-01T00:00:00Z"`
	To        time.Time `query:"to" doc:"Before this time (RFC 3339); absent for now." example:"2026-02-01T00:00:00Z"`
	Format    string    `query:"format" enum:"json,csv,pdf" doc:"By the header Accept when absent, and json when that names none."`
	Accept    string    `header:"Accept" doc:"text/csv for CSV, application/pdf for PDF."`
	ReportLimit
}

func (a *api) routeReports() {
	a.routeReport(trialBalanceEndpoint, reporting.TrialBalance)
	a.routeReport(profitAndLossEndpoint, reporting.ProfitAndLoss)
	a.routeReport(dailyVolumesEndpoint, reporting.DailyVolumes)
	a.routeReport(customerLiabilitiesEndpoint, reporting.CustomerLiabilities)
	route(a, statementReportEndpoint, a.statementReport)
}

// routeReport serves a report that is about all accounts.
func (a *api) routeReport(e endpoint, name reporting.Name) {
	route(a, e, func(ctx context.Context, in *reportInput) (*huma.StreamResponse, error) {
		return a.report(ctx, reporting.Query{Report: name, From: in.From, To: in.To}, formatOf(in.Format, in.Accept, "csv"), in.Limit)
	})
}

func (a *api) statementReport(ctx context.Context, in *statementReportInput) (*huma.StreamResponse, error) {
	return a.report(ctx, reporting.Query{
		Report: reporting.Statement, From: in.From, To: in.To, AccountID: string(in.AccountID), OwnerID: string(in.OwnerID),
	}, formatOf(in.Format, in.Accept, "csv", "pdf"), in.Limit)
}

// mediaTypes are what a caller can ask for beside JSON.
var mediaTypes = map[string]string{"json": "application/json", "csv": "text/csv", "pdf": "application/pdf"}

// formatOf is the format that is asked for by name, or else by the header Accept.
func formatOf(name, accept string, others ...string) string {
	if name != "" {
		return name
	}
	for _, other := range others {
		if strings.Contains(accept, mediaTypes[other]) {
			return other
		}
	}
	return "json"
}

func newReportWriter(format string, out io.Writer) reporting.Writer {
	switch format {
	case "csv":
		return reporting.NewCSV(out)
	case "pdf":
		return reporting.NewPDF(out)
	}
	return reporting.NewJSON(out, 0)
}

// report answers a report as it is read, or the first limit rows of it when that is
// not 0.
func (a *api) report(ctx context.Context, q reporting.Query, format string, limit int) (*huma.StreamResponse, error) {
	switch {
	case limit == 0:
	case format != "json":
		return nil, invalidField("limit", "is for JSON alone: other formats have all rows")
	default:
		return a.reportBeginning(ctx, q, limit), nil
	}
	name := string(q.Report) + "-" + a.now().Format("2006-01-02T150405Z") + "." + format
	return stream(ctx, format, name, func(out io.Writer) error {
		ctx, cancel := lasting(ctx)
		defer cancel()
		return a.reports.Write(ctx, q, newReportWriter(format, out))
	}), nil
}

// reportBeginning answers rows that somebody waits for: within the time of a request,
// and at once, so that whatever fails is answered as a problem.
func (a *api) reportBeginning(ctx context.Context, q reporting.Query, limit int) *huma.StreamResponse {
	return stream(ctx, "json", "", func(out io.Writer) error {
		var answer bytes.Buffer
		if err := a.reports.Write(ctx, q, reporting.NewJSON(&answer, limit)); err != nil {
			return err
		}
		_, err := answer.WriteTo(out)
		return err
	})
}

// lasting is a request's context without its time limit: it ends when the caller goes
// away, however late that is, or with cancel.
func lasting(ctx context.Context) (lasting context.Context, cancel context.CancelFunc) {
	r := requestFrom(ctx)
	// The server's time to read a request would end it as a caller who goes away does.
	// A server without deadlines, as in a test without a network, has no need of this.
	_ = http.NewResponseController(r.answer).SetReadDeadline(time.Time{})
	lasting, end := context.WithCancel(context.WithoutCancel(ctx))
	leave := context.AfterFunc(r.caller, end)
	return lasting, func() { leave(); end() }
}

const (
	// streamBuffer is how much is written before anything is sent: until then a
	// failure can be answered as one.
	streamBuffer = 32 << 10
	// streamStall is how long a caller may take to read what was sent.
	streamStall = 30 * time.Second
)

// stream answers what write writes, as it is written, however long that takes: the
// time of a request does not bound it, a caller who stops reading ends it. What fails
// after something was sent cuts the connection, or it would seem to be all.
func stream(ctx context.Context, format, name string, write func(io.Writer) error) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(h huma.Context) {
		h.SetHeader("Content-Type", mediaTypes[format]+map[string]string{"csv": "; charset=utf-8; header=present"}[format])
		if format != "json" {
			h.SetHeader("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
		}
		answer := &answerWriter{h: h, control: http.NewResponseController(humagin.Unwrap(h).Writer)}
		out := bufio.NewWriterSize(answer, streamBuffer)
		err := write(out)
		if err == nil {
			err = out.Flush()
		}
		if err == nil {
			return
		}
		if !answer.hasBegun {
			answerStreamProblem(h, problemFor(ctx, err))
			return
		}
		requestFrom(ctx).err = fmt.Errorf("answer cut off: %w", err)
		panic(http.ErrAbortHandler)
	}}
}

// answerStreamProblem is for what fails before anything was sent.
func answerStreamProblem(h huma.Context, problem *Problem) {
	h.SetHeader("Content-Type", problemJSON)
	h.SetHeader("Content-Disposition", "inline")
	for name, values := range problem.GetHeaders() {
		h.SetHeader(name, values[0])
	}
	h.SetStatus(problem.Status)
	_ = json.NewEncoder(h.BodyWriter()).Encode(problem) // nobody is left to tell
}

// answerWriter gives the caller time for each piece.
type answerWriter struct {
	h        huma.Context
	control  *http.ResponseController
	hasBegun bool
}

func (w *answerWriter) Write(p []byte) (int, error) {
	w.hasBegun = true
	// A server without deadlines, as in a test without a network, has no need of one.
	_ = w.control.SetWriteDeadline(clock.System().Add(streamStall))
	n, err := w.h.BodyWriter().Write(p)
	if err == nil {
		_ = w.control.Flush()
	}
	return n, err
}
