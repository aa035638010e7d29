package api

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"florin/internal/platform/spreadsheet"
	"florin/internal/reporting"
)

const (
	// consoleRowsMax is the most rows of a result as JSON.
	consoleRowsMax = 10_000
	// consoleBytesMax is how much of a result is kept in memory.
	consoleBytesMax = 8 << 20
	// cellCost is what a cell takes beside its text.
	cellCost = 32
	// downloadBytesMax and downloadMax bound a result as CSV, which is not kept.
	downloadBytesMax = 1 << 30
	downloadMax      = 5 * time.Minute
)

// ConsoleQuery is a query of the console.
type ConsoleQuery struct {
	Query  string `json:"query" maxLength:"20000" doc:"One query: SELECT, WITH, VALUES or TABLE. It runs by a role that can read the views of the schema reporting and nothing else, in a read-only transaction that is never committed." example:"SELECT currency, sum(posted) FROM reporting.balances GROUP BY currency"`
	Limit  int    `json:"limit,omitempty" minimum:"1" maximum:"10000" default:"1000" doc:"Most rows of an answer in JSON. A table has no limit of rows."`
	Format string `json:"format,omitempty" enum:"json,csv" doc:"By the header Accept when absent."`
}

var consoleQueryMembers = []member[ConsoleQuery]{
	{"query", true, func(d *decoder, q *ConsoleQuery) { d.readText(&q.Query) }},
	{"limit", false, func(d *decoder, q *ConsoleQuery) {
		if d.readInt(&q.Limit); q.Limit < 1 || q.Limit > consoleRowsMax {
			d.problem("must be 1 to %d", consoleRowsMax)
		}
	}},
	{"format", false, func(d *decoder, q *ConsoleQuery) {
		if d.readText(&q.Format); mediaTypes[q.Format] == "" || q.Format == "pdf" {
			d.problem("must be json or csv")
		}
	}},
}

func (ConsoleQuery) members() []member[ConsoleQuery] { return consoleQueryMembers }

// ConsoleExplain is a query of which the plan is asked.
type ConsoleExplain struct {
	Query string `json:"query" maxLength:"20000" doc:"One query: SELECT, WITH, VALUES or TABLE."`
}

var consoleExplainMembers = []member[ConsoleExplain]{
	{"query", true, func(d *decoder, q *ConsoleExplain) { d.readText(&q.Query) }},
}

func (ConsoleExplain) members() []member[ConsoleExplain] { return consoleExplainMembers }

// ConsoleColumn is a column of a result or a view.
type ConsoleColumn struct {
	Name string `json:"name" example:"currency"`
	Type string `json:"type" doc:"As the database calls it." example:"text"`
}

// ConsoleResult is what a query found.
type ConsoleResult struct {
	QueryID     string          `json:"queryId" doc:"Its id on the audit trail."`
	Columns     []ConsoleColumn `json:"columns" nullable:"false"`
	Rows        [][]*string     `json:"rows" nullable:"false" doc:"Each value as the database writes it, exact; null for NULL."`
	IsTruncated bool            `json:"isTruncated" doc:"There is more than limit, or than 8 MiB. As CSV it is whole."`
	DurationMs  int64           `json:"durationMs"`
	ReadAt      time.Time       `json:"readAt" doc:"The moment that it shows: on CockroachDB some seconds ago."`
}

// ConsoleSchema describes what can be asked for.
type ConsoleSchema struct {
	IsOn   bool          `json:"isOn" doc:"Queries can be run."`
	WhyOff string        `json:"whyOff,omitempty" doc:"What its operator does to switch it on."`
	Views  []ConsoleView `json:"views" nullable:"false"`
}

// ConsoleView is a view of the schema reporting.
type ConsoleView struct {
	Name    string          `json:"name" example:"balances"`
	Columns []ConsoleColumn `json:"columns" nullable:"false"`
}

// ConsoleLibrary are the queries that come with the program.
type ConsoleLibrary struct {
	Data []ReadyQuery `json:"data" nullable:"false"`
}

// ReadyQuery is one of them.
type ReadyQuery struct {
	Name        string `json:"name" example:"trial-balance"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Query       string `json:"query"`
}

// SavedQueryTerms are what a caller says about a query that he keeps.
type SavedQueryTerms struct {
	Version     int    `json:"version,omitempty" doc:"The version that is changed; absent for a new one."`
	Name        string `json:"name" maxLength:"100"`
	Description string `json:"description,omitempty" maxLength:"500"`
	Query       string `json:"query" maxLength:"20000"`
	IsShared    bool   `json:"isShared,omitempty" doc:"Everybody who may use the console sees it."`
}

var savedQueryMembers = []member[SavedQueryTerms]{
	{"version", false, func(d *decoder, q *SavedQueryTerms) { d.readInt(&q.Version) }},
	{"name", true, func(d *decoder, q *SavedQueryTerms) { d.readText(&q.Name) }},
	{"description", false, func(d *decoder, q *SavedQueryTerms) { d.readText(&q.Description) }},
	{"query", true, func(d *decoder, q *SavedQueryTerms) { d.readText(&q.Query) }},
	{"isShared", false, func(d *decoder, q *SavedQueryTerms) { d.readFlag(&q.IsShared) }},
}

func (SavedQueryTerms) members() []member[SavedQueryTerms] { return savedQueryMembers }

// SavedQuery is a query that somebody keeps.
type SavedQuery struct {
	QueryID     string    `json:"queryId"`
	Version     int64     `json:"version" doc:"1, 2, 3, ...; the earlier ones are on the audit trail."`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Query       string    `json:"query"`
	OwnerID     string    `json:"ownerId" doc:"Who made it, and alone changes it: a user or an API key."`
	IsOwn       bool      `json:"isOwn" doc:"It is the caller's."`
	IsShared    bool      `json:"isShared"`
	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
}

// SavedQueryList is a page of saved queries.
type SavedQueryList struct {
	Data       []SavedQuery `json:"data" nullable:"false"`
	NextCursor string       `json:"nextCursor,omitempty" doc:"Absent on the last page."`
}

type runQueryInput struct {
	Accept  string `header:"Accept" doc:"text/csv for CSV."`
	Payload jsonBody[ConsoleQuery]
}

type explainQueryInput struct {
	Payload jsonBody[ConsoleExplain]
}

type saveQueryInput struct {
	IdempotencyKey
	Payload jsonBody[SavedQueryTerms]
}

// SavedQueryPath names a saved query.
type SavedQueryPath struct {
	QueryID ID `path:"queryId" doc:"The saved query's id." example:"sq_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
}

type changeQueryInput struct {
	SavedQueryPath
	Payload jsonBody[SavedQueryTerms]
}

type listSavedInput struct {
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most rows of the page."`
	Cursor string `query:"cursor" maxLength:"300" doc:"The nextCursor of the page before; absent for the first."`
}

type consoleResultOutput struct{ Body ConsoleResult }

type consoleSchemaOutput struct{ Body ConsoleSchema }

type consoleLibraryOutput struct{ Body ConsoleLibrary }

type savedQueryOutput struct{ Body SavedQuery }

type savedQueriesOutput struct{ Body SavedQueryList }

func (a *api) routeConsole() {
	route(a, runQueryEndpoint, a.runQuery)
	route(a, explainQueryEndpoint, a.explainQuery)
	route(a, consoleSchemaEndpoint, a.consoleSchema)
	route(a, consoleLibraryEndpoint, consoleLibrary)
	route(a, listSavedQueriesEndpoint, a.listSavedQueries)
	route(a, saveQueryEndpoint, a.saveQuery)
	route(a, getSavedQueryEndpoint, a.getSavedQuery)
	route(a, changeSavedQueryEndpoint, a.changeSavedQuery)
	route(a, deleteSavedQueryEndpoint, a.deleteSavedQuery)
}

func (a *api) runQuery(ctx context.Context, in *runQueryInput) (*huma.StreamResponse, error) {
	q := &in.Payload.Value
	if formatOf(q.Format, in.Accept, "csv") == "csv" {
		return a.downloadResult(ctx, q.Query)
	}
	limit := q.Limit
	if limit == 0 {
		limit = 1000
	}
	found, err := a.result(ctx, reporting.Run, q.Query, limit)
	if err != nil {
		return nil, err
	}
	return stream(ctx, "json", "", func(out io.Writer) error { return json.NewEncoder(out).Encode(found) }), nil
}

func (a *api) explainQuery(ctx context.Context, in *explainQueryInput) (*consoleResultOutput, error) {
	found, err := a.result(ctx, reporting.Explain, in.Payload.Value.Query, consoleRowsMax)
	if err != nil {
		return nil, err
	}
	return &consoleResultOutput{found}, nil
}

// result is a query's result as a whole, as far as there is memory for it.
func (a *api) result(ctx context.Context, use reporting.Use, query string, limit int) (found ConsoleResult, err error) {
	r, err := a.console.Open(ctx, principalOf(ctx).ID, use, query, reporting.Limits{Rows: limit, Bytes: consoleBytesMax})
	if err != nil {
		return found, err
	}
	found = ConsoleResult{QueryID: r.ID, Columns: consoleColumns(r.Columns), Rows: [][]*string{}, ReadAt: r.ReadAt}
	cost := 0
	for row := r.Next(); row != nil; row = r.Next() {
		for _, cell := range row {
			cost += cellCost + len(cell)
		}
		if cost > consoleBytesMax {
			found.IsTruncated = true
			break
		}
		found.Rows = append(found.Rows, textsOf(row))
	}
	found.IsTruncated, found.DurationMs = found.IsTruncated || r.IsTruncated, r.Duration().Milliseconds()
	err = r.Err()
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	return found, err
}

func textsOf(row [][]byte) []*string {
	texts := make([]*string, len(row))
	for i, cell := range row {
		if cell != nil {
			text := string(cell)
			texts[i] = &text
		}
	}
	return texts
}

func consoleColumns(columns []reporting.ResultColumn) []ConsoleColumn {
	list := make([]ConsoleColumn, len(columns))
	for i, column := range columns {
		list[i] = ConsoleColumn(column)
	}
	return list
}

// downloadResult answers a result as CSV, as it is read. A result that is cut off by
// a limit ends without the end of its connection, so that it does not seem whole.
func (a *api) downloadResult(ctx context.Context, query string) (*huma.StreamResponse, error) {
	running, cancel := lasting(ctx)
	r, err := a.console.Open(running, principalOf(ctx).ID, reporting.Download, query, reporting.Limits{Bytes: downloadBytesMax, Time: downloadMax})
	if err != nil {
		cancel()
		return nil, err
	}
	return stream(ctx, "csv", r.ID+".csv", func(out io.Writer) (err error) {
		defer cancel()
		defer func() {
			if closeErr := r.Close(); err == nil {
				err = closeErr
			}
		}()
		return writeResult(r, out)
	}), nil
}

func writeResult(r *reporting.Result, out io.Writer) error {
	table := csv.NewWriter(out)
	table.UseCRLF = true
	line := make([]string, len(r.Columns))
	for i, column := range r.Columns {
		line[i] = spreadsheet.Safe(column.Name)
	}
	if err := table.Write(line); err != nil {
		return err
	}
	for row := r.Next(); row != nil; row = r.Next() {
		for i, cell := range row {
			if line[i] = string(cell); !isNumber(cell) {
				line[i] = spreadsheet.Safe(line[i])
			}
		}
		if err := table.Write(line); err != nil {
			return err
		}
	}
	table.Flush()
	switch {
	case r.Err() != nil:
		return r.Err()
	case r.IsTruncated:
		return reporting.ResultTooLarge.Failure("the result has more than %d MiB", downloadBytesMax>>20)
	}
	return table.Error()
}

// isNumber says that a text, however it begins, is no formula.
func isNumber(cell []byte) bool {
	for i, c := range cell {
		if (c < '0' || c > '9') && c != '.' && (c != '-' || i > 0) {
			return false
		}
	}
	return true
}

func (a *api) consoleSchema(ctx context.Context, _ *struct{}) (*consoleSchemaOutput, error) {
	views, err := a.console.Views(ctx)
	if err != nil {
		return nil, err
	}
	out := ConsoleSchema{WhyOff: a.console.WhyOff(), Views: make([]ConsoleView, len(views))}
	out.IsOn = out.WhyOff == ""
	for i, view := range views {
		out.Views[i] = ConsoleView{Name: view.Name, Columns: consoleColumns(view.Columns)}
	}
	return &consoleSchemaOutput{out}, nil
}

func consoleLibrary(context.Context, *struct{}) (*consoleLibraryOutput, error) {
	list := ConsoleLibrary{}
	for _, ready := range reporting.Library() {
		list.Data = append(list.Data, ReadyQuery(ready))
	}
	return &consoleLibraryOutput{list}, nil
}

func savedQueryOf(ctx context.Context, q reporting.SavedQuery) SavedQuery {
	return SavedQuery{
		QueryID: q.ID, Version: q.Version, Name: q.Name, Description: q.Description, Query: q.Query, OwnerID: q.OwnerID,
		IsOwn: q.OwnerID == principalOf(ctx).ID, IsShared: q.IsShared, CreatedAt: q.CreatedAt, UpdatedAt: q.UpdatedAt,
	}
}

func (a *api) listSavedQueries(ctx context.Context, in *listSavedInput) (*savedQueriesOutput, error) {
	const kind = "saved-queries"
	after, err := idAfter(in.Cursor, kind)
	if err != nil {
		return nil, err
	}
	rows, err := a.console.Saved(ctx, principalOf(ctx).ID, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	rows, more := cut(rows, in.Limit)
	list := SavedQueryList{Data: make([]SavedQuery, len(rows))}
	for i, row := range rows {
		list.Data[i] = savedQueryOf(ctx, row)
	}
	if more {
		list.NextCursor = newCursor(kind, noSnapshot, rows[len(rows)-1].ID)
	}
	return &savedQueriesOutput{list}, nil
}

func (t *SavedQueryTerms) of(ctx context.Context, queryID string) reporting.SavedQuery {
	return reporting.SavedQuery{
		ID: queryID, Version: int64(t.Version), Name: t.Name, Description: t.Description, Query: t.Query, IsShared: t.IsShared, OwnerID: principalOf(ctx).ID,
	}
}

func (a *api) saveQuery(ctx context.Context, in *saveQueryInput) (*savedQueryOutput, error) {
	saved, err := a.console.Save(ctx, in.Payload.Value.of(ctx, in.id(ctx, "sq", "")))
	if err != nil {
		return nil, err
	}
	return &savedQueryOutput{savedQueryOf(ctx, saved)}, nil
}

func (a *api) getSavedQuery(ctx context.Context, in *SavedQueryPath) (*savedQueryOutput, error) {
	saved, err := a.console.GetSaved(ctx, principalOf(ctx).ID, string(in.QueryID))
	if err != nil {
		return nil, err
	}
	return &savedQueryOutput{savedQueryOf(ctx, saved)}, nil
}

func (a *api) changeSavedQuery(ctx context.Context, in *changeQueryInput) (*savedQueryOutput, error) {
	changed, err := a.console.ChangeSaved(ctx, in.Payload.Value.of(ctx, string(in.QueryID)))
	if err != nil {
		return nil, err
	}
	return &savedQueryOutput{savedQueryOf(ctx, changed)}, nil
}

func (a *api) deleteSavedQuery(ctx context.Context, in *SavedQueryPath) (*messageOutput, error) {
	if err := a.console.DeleteSaved(ctx, principalOf(ctx).ID, string(in.QueryID)); err != nil {
		return nil, err
	}
	return &messageOutput{Message{"Query deleted."}}, nil
}
