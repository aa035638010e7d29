package api

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"florin/internal/audit"
)

// AuditEvent is one change, as it was recorded.
type AuditEvent struct {
	At         time.Time       `json:"at"`
	Action     string          `json:"action" doc:"Noun and past tense." example:"account.updated"`
	TargetKind string          `json:"targetKind,omitempty" example:"account"`
	TargetID   string          `json:"targetId,omitempty" example:"alice"`
	Before     json.RawMessage `json:"before,omitempty" doc:"What was there. Of personal data and secrets the names of the fields alone."`
	After      json.RawMessage `json:"after,omitempty"`
	Result     string          `json:"result" doc:"ok, or the code of the refusal." example:"ok"`
	ActorKind  string          `json:"actorKind" enum:"user,key,gateway,system,anonymous"`
	ActorID    string          `json:"actorId,omitempty"`
	Role       string          `json:"role,omitempty" doc:"That he had then."`
	Address    string          `json:"address,omitempty" example:"203.0.113.7"`
	RequestID  string          `json:"requestId,omitempty"`
	Day        string          `json:"day" doc:"With journal and seq where it stands in the chain, as florin verify names it." example:"2026-01-31"`
	Journal    string          `json:"journal"`
	Seq        int64           `json:"seq"`
}

func auditEventOf(r audit.Record) AuditEvent {
	return AuditEvent{
		At: r.At, Action: r.Action, TargetKind: r.TargetKind, TargetID: r.TargetID, Before: r.Before, After: r.After, Result: r.Result,
		ActorKind: r.Origin.ActorKind, ActorID: r.Origin.ActorID, Role: r.Origin.Role, Address: r.Origin.Address, RequestID: r.Origin.RequestID,
		Day: r.Day, Journal: r.Journal, Seq: r.Seq,
	}
}

// AuditEventList is a page of the audit trail.
type AuditEventList struct {
	Data       []AuditEvent `json:"data" nullable:"false"`
	NextCursor string       `json:"nextCursor,omitempty" doc:"Where the search goes on; absent at its end. A page may be shorter than asked for, even empty, and have a next one."`
}

type listAuditEventsInput struct {
	Limit      int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most rows of the page."`
	Cursor     string `query:"cursor" maxLength:"300" doc:"The nextCursor of the page before; absent for the first."`
	ActorKind  string `query:"actorKind" enum:"user,key,gateway,system,anonymous" doc:"What acted."`
	ActorID    string `query:"actorId" maxLength:"100" doc:"Id of the user or the key."`
	Action     string `query:"action" maxLength:"100" doc:"What was done." example:"account.updated"`
	TargetKind string `query:"targetKind" maxLength:"100" doc:"What it was done to." example:"account"`
	TargetID   string `query:"targetId" maxLength:"100" doc:"Its id." example:"alice"`
	RequestID  string `query:"requestId" maxLength:"100" doc:"That of an answer, or of a line of the log."`
	Result     string `query:"result" maxLength:"100" doc:"ok, or the code of the refusal."`
	Period
}

type auditEventsOutput struct{ Body AuditEventList }

func (a *api) routeAudit() {
	route(a, listAuditEventsEndpoint, a.listAuditEvents)
}

func (a *api) listAuditEvents(ctx context.Context, in *listAuditEventsInput) (*auditEventsOutput, error) {
	after, err := auditAfter(in.Cursor)
	if err != nil {
		return nil, err
	}
	found, err := a.audit.Search(ctx, audit.Filter{
		ActorKind: in.ActorKind, ActorID: in.ActorID, Action: in.Action, TargetKind: in.TargetKind, TargetID: in.TargetID,
		RequestID: in.RequestID, Result: in.Result, From: in.From, To: in.To,
	}, after, in.Limit)
	if err != nil {
		return nil, err
	}
	list := AuditEventList{Data: make([]AuditEvent, len(found.Records))}
	for i, record := range found.Records {
		list.Data[i] = auditEventOf(record)
	}
	if next := found.Next; next != nil {
		list.NextCursor = newCursor("audit", noSnapshot, strconv.FormatInt(next.At.UnixMicro(), 10), next.Journal, strconv.FormatInt(next.Seq, 10))
	}
	return &auditEventsOutput{list}, nil
}

// auditAfter is the place that a page of the audit trail begins after.
func auditAfter(cursor string) (audit.Position, error) {
	page := Page{Cursor: cursor}
	_, row, err := page.parts("audit", 3)
	if row == nil {
		return audit.Position{}, err
	}
	at, err := cursorTime(row[0])
	if err != nil {
		return audit.Position{}, err
	}
	journal, err := checkedID(row[1])
	if err != nil {
		return audit.Position{}, err
	}
	seq, err := strconv.ParseInt(row[2], 10, 64)
	if err != nil || seq < 0 {
		return audit.Position{}, badCursor()
	}
	return audit.Position{At: at, Journal: journal, Seq: seq}, nil
}
