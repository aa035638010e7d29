package api

import (
	"context"
	"time"

	"florin/internal/export"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
)

// Export is an export of the ledger in an answer.
type Export struct {
	ExportID    string     `json:"exportId" example:"exp_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
	Destination string     `json:"destination" doc:"Where it goes, without credentials and parameters." example:"s3://books/ledger"`
	Kind        string     `json:"kind" enum:"FOLDER,CHANGEFEED" doc:"FOLDER: florin export run writes files that hold each posting exactly once. CHANGEFEED: a job of CockroachDB delivers each posting at least once."`
	Format      string     `json:"format" enum:"ndjson,csv,parquet" doc:"ndjson is lines of JSON in files, and messages of JSON elsewhere."`
	Status      string     `json:"status" enum:"RUNNING,PAUSED,FAILED,CANCELLED" doc:"RUNNING is what a FOLDER is meant to be, and what the job of a CHANGEFEED is."`
	LagSeconds  *float64   `json:"lagSeconds" nullable:"true" doc:"Age of resolvedAt, or of the export before it has one. null when it is CANCELLED." example:"12.5"`
	ResolvedAt  *time.Time `json:"resolvedAt,omitempty" doc:"Everything that was committed before this time has been delivered. Absent before the first."`
	Rows        *int64     `json:"rows,omitempty" doc:"Postings in the files of a FOLDER. Absent for a CHANGEFEED, whose rows the database does not count."`
	Error       string     `json:"error,omitempty" doc:"Why it FAILED; of a running CHANGEFEED the trouble that it met last, which may be over."`
	CreatedAt   time.Time  `json:"createdAt"`
	UpdatedAt   time.Time  `json:"updatedAt" doc:"When its record last changed."`
}

// ExportOf is an export as the API tells it, with its lag at the time of the call.
func ExportOf(e export.Export) Export {
	out := Export{
		ExportID: e.ID, Destination: e.Destination, Kind: string(e.Kind), Format: string(e.Format), Status: string(e.Status),
		Error: e.Error, CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt,
	}
	if e.Status != export.Finished {
		lag := e.Lag(clock.System()).Seconds()
		out.LagSeconds = &lag
	}
	if !e.ResolvedAt.IsZero() {
		out.ResolvedAt = &e.ResolvedAt
	}
	if e.Kind == export.Folder {
		out.Rows = &e.Rows
	}
	return out
}

// CreateExportRequest asks for an export.
type CreateExportRequest struct {
	Destination string `json:"destination" doc:"A URL that the operator allows: s3://BUCKET/PATH, gs://BUCKET/PATH, kafka://HOST:PORT, webhook-https://HOST/PATH, or external://NAME, an external connection of CockroachDB. Credentials may be among its parameters; they go to the database alone. A folder is written by florin export run instead." example:"s3://books/ledger"`
	Format      string `json:"format,omitempty" enum:"ndjson,parquet" default:"ndjson" doc:"parquet for s3 and gs only."`
}

var createExportMembers = []member[CreateExportRequest]{
	{"destination", true, func(d *decoder, r *CreateExportRequest) { d.readText(&r.Destination) }},
	{"format", false, func(d *decoder, r *CreateExportRequest) { d.readText(&r.Format) }},
}

func (CreateExportRequest) members() []member[CreateExportRequest] { return createExportMembers }

// ExportPath names an export.
type ExportPath struct {
	ExportID ID `path:"exportId" doc:"The export's id." example:"exp_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
}

type createExportInput struct {
	Payload jsonBody[CreateExportRequest]
}

type listExportsInput struct {
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most rows of the page."`
	Cursor string `query:"cursor" maxLength:"300" doc:"The nextCursor of the page before; absent for the first."`
}

type exportOutput struct{ Body Export }

type createdExportOutput struct {
	Location string `header:"Location" doc:"Path of the export."`
	Body     Export
}

type exportsOutput struct{ Body ExportList }

// ExportList is a page of exports.
type ExportList struct {
	Data       []Export `json:"data" nullable:"false"`
	NextCursor string   `json:"nextCursor,omitempty" doc:"Absent on the last page."`
}

func (a *api) routeExports() {
	route(a, createExportEndpoint, a.createExport)
	route(a, listExportsEndpoint, a.listExports)
	route(a, getExportEndpoint, exportAction(a.exports.ByID))
	route(a, pauseExportEndpoint, exportAction(a.exports.Pause))
	route(a, resumeExportEndpoint, exportAction(a.exports.Resume))
	route(a, cancelExportEndpoint, exportAction(a.exports.Cancel))
}

func (a *api) createExport(ctx context.Context, in *createExportInput) (*createdExportOutput, error) {
	r := &in.Payload.Value
	format := export.NDJSON
	if r.Format != "" {
		format = export.Format(r.Format)
	}
	created, err := a.exports.Create(ctx, r.Destination, format)
	if err != nil {
		return nil, err
	}
	return &createdExportOutput{Location: "/api/v1/exports/" + created.ID, Body: ExportOf(created)}, nil
}

func (a *api) listExports(ctx context.Context, in *listExportsInput) (*exportsOutput, error) {
	page := Page{Cursor: in.Cursor}
	_, row, err := page.parts("exports", 1)
	if err != nil {
		return nil, err
	}
	after := ""
	if row != nil {
		if after, err = checkedID(row[0]); err != nil {
			return nil, err
		}
	}
	rows, err := a.exports.List(ctx, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	rows, more := cut(rows, in.Limit)
	list := ExportList{Data: make([]Export, len(rows))}
	for i, e := range rows {
		list.Data[i] = ExportOf(e)
	}
	if more {
		list.NextCursor = exportsCursor(rows[len(rows)-1].ID)
	}
	return &exportsOutput{list}, nil
}

func exportsCursor(last string) string { return newCursor("exports", database.Timestamp{}, last) }

// exportAction answers an export that something was done with.
func exportAction(do func(context.Context, string) (export.Export, error)) func(context.Context, *ExportPath) (*exportOutput, error) {
	return func(ctx context.Context, in *ExportPath) (*exportOutput, error) {
		e, err := do(ctx, string(in.ExportID))
		if err != nil {
			return nil, err
		}
		return &exportOutput{ExportOf(e)}, nil
	}
}
