package reporting

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"florin/internal/audit"
	"florin/internal/platform/database"
	"florin/internal/platform/failure"
	"florin/internal/platform/id"
	"florin/internal/reporting/internal/reportingdb"
)

// Limits of saved queries.
const (
	NameMax        = 100 // characters
	DescriptionMax = 500 // characters
	SavedMax       = 200 // of one owner
)

// SavedQuery is a query that somebody keeps.
type SavedQuery struct {
	ID          string
	Version     int64 // 1, 2, 3, ...; the earlier ones are on the audit trail
	Name        string
	Description string
	Query       string
	OwnerID     string // the user or the API key that made it, and alone changes it
	IsShared    bool   // everybody who may use the console sees it
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

func savedQueryOf(row reportingdb.SavedQuery) SavedQuery {
	return SavedQuery{
		ID: row.QueryID, Version: row.Version, Name: row.Name, Description: row.Description, Query: row.Query,
		OwnerID: row.OwnerID, IsShared: row.IsShared, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
	}
}

// shown is a saved query as it stands on the audit trail.
func (q SavedQuery) shown() json.RawMessage {
	text, _ := json.Marshal(map[string]any{ // of texts and numbers
		"version": q.Version, "name": q.Name, "description": q.Description, "query": q.Query, "isShared": q.IsShared,
	})
	return text
}

func (q SavedQuery) validate() error {
	length := func(field, text string, least, most int) error {
		if n := utf8.RuneCountInString(text); n < least || n > most || !utf8.ValidString(text) {
			return failure.Invalidf(field, "must have %d to %d characters", least, most)
		}
		return nil
	}
	if err := length("name", q.Name, 1, NameMax); err != nil {
		return err
	}
	if err := length("description", q.Description, 0, DescriptionMax); err != nil {
		return err
	}
	return checkText(q.Query)
}

// Save keeps a new query of q.OwnerID's. Its version and times are made here, and its
// id when that is empty: a second call then saves a second one. With an id, a second
// call with the same content returns the query that is there. Returns failure.Invalid,
// TooManyQueries, and QueryExists when the query of that id is another's, or reads
// otherwise.
func (c *Console) Save(ctx context.Context, q SavedQuery) (SavedQuery, error) {
	if err := q.validate(); err != nil {
		return SavedQuery{}, err
	}
	if q.ID == "" {
		q.ID = id.New("sq")
	}
	q.Version = 1
	var saved SavedQuery
	err := c.db.InTx(ctx, "reporting.save_query", func(ctx context.Context, tx pgx.Tx) error {
		queries := reportingdb.New(tx)
		row, err := queries.LockSavedQuery(ctx, q.ID)
		if err == nil {
			saved = savedQueryOf(row)
			return q.repeats(saved)
		}
		if !database.NotFound(err) {
			return fmt.Errorf("read saved query: %w", err)
		}
		saved = q
		saved.CreatedAt = c.clock()
		saved.UpdatedAt = saved.CreatedAt
		count, err := queries.CountSavedQueries(ctx, q.OwnerID)
		if err != nil {
			return fmt.Errorf("count saved queries: %w", err)
		}
		if count >= SavedMax {
			return TooManyQueries.Failure("you have %d saved queries, the most: delete one", count)
		}
		err = queries.InsertSavedQuery(ctx, reportingdb.InsertSavedQueryParams{
			QueryID: q.ID, Name: q.Name, Description: q.Description, Query: q.Query, OwnerID: q.OwnerID, IsShared: q.IsShared, Now: saved.CreatedAt,
		})
		if err != nil {
			return fmt.Errorf("save query: %w", err)
		}
		return c.log.AppendTx(ctx, tx, audit.Event{Action: "saved_query.created", TargetKind: "saved_query", TargetID: q.ID, After: q.shown(), Result: audit.OK})
	})
	if err != nil {
		return SavedQuery{}, err
	}
	return saved, nil
}

// repeats is nil when a query that is there is the one that is to be saved.
func (q SavedQuery) repeats(saved SavedQuery) error {
	same := saved
	same.Name, same.Description, same.Query, same.OwnerID, same.IsShared = q.Name, q.Description, q.Query, q.OwnerID, q.IsShared
	if same != saved {
		return QueryExists.Failure("there is a query %s, which reads otherwise", q.ID)
	}
	return nil
}

// ChangeSaved makes the next version of q.OwnerID's query q.ID. q.Version is the one
// that the change is of. What changes nothing makes no version. Returns
// failure.Invalid, QueryNotFound, also for another's, and QueryChanged when there is
// a newer version.
func (c *Console) ChangeSaved(ctx context.Context, q SavedQuery) (changed SavedQuery, err error) {
	if err := q.validate(); err != nil {
		return SavedQuery{}, err
	}
	err = c.db.InTx(ctx, "reporting.change_query", func(ctx context.Context, tx pgx.Tx) error {
		before, err := lockOwn(ctx, tx, q.ID, q.OwnerID)
		if err != nil {
			return err
		}
		changed = before
		changed.Name, changed.Description, changed.Query, changed.IsShared = q.Name, q.Description, q.Query, q.IsShared
		if changed == before {
			return nil
		}
		if q.Version != before.Version {
			return QueryChanged.Failure("the query has version %d, the change is of version %d", before.Version, q.Version)
		}
		changed.Version, changed.UpdatedAt = before.Version+1, c.clock()
		err = reportingdb.New(tx).UpdateSavedQuery(ctx, reportingdb.UpdateSavedQueryParams{
			QueryID: q.ID, Name: q.Name, Description: q.Description, Query: q.Query, IsShared: q.IsShared, Now: changed.UpdatedAt,
		})
		if err != nil {
			return fmt.Errorf("change saved query: %w", err)
		}
		return c.log.AppendTx(ctx, tx, audit.Event{
			Action: "saved_query.changed", TargetKind: "saved_query", TargetID: q.ID, Before: before.shown(), After: changed.shown(), Result: audit.OK,
		})
	})
	return changed, err
}

// DeleteSaved deletes ownerID's query. Returns QueryNotFound, also for another's and
// when it was deleted before.
func (c *Console) DeleteSaved(ctx context.Context, ownerID, queryID string) error {
	return c.db.InTx(ctx, "reporting.delete_query", func(ctx context.Context, tx pgx.Tx) error {
		before, err := lockOwn(ctx, tx, queryID, ownerID)
		if err != nil {
			return err
		}
		if err := reportingdb.New(tx).DeleteSavedQuery(ctx, queryID); err != nil {
			return fmt.Errorf("delete saved query: %w", err)
		}
		return c.log.AppendTx(ctx, tx, audit.Event{Action: "saved_query.deleted", TargetKind: "saved_query", TargetID: queryID, Before: before.shown(), Result: audit.OK})
	})
}

func lockOwn(ctx context.Context, tx pgx.Tx, queryID, ownerID string) (SavedQuery, error) {
	if !id.IsPossible(queryID) {
		return SavedQuery{}, QueryNotFound.Failure("there is no saved query %q", queryID)
	}
	row, err := reportingdb.New(tx).LockSavedQuery(ctx, queryID)
	if database.NotFound(err) || err == nil && row.OwnerID != ownerID {
		return SavedQuery{}, QueryNotFound.Failure("you have no saved query %s", queryID)
	}
	if err != nil {
		return SavedQuery{}, fmt.Errorf("read saved query: %w", err)
	}
	return savedQueryOf(row), nil
}

// GetSaved returns ownerID's query, or a shared one. Returns QueryNotFound, also for
// another's that is not shared.
func (c *Console) GetSaved(ctx context.Context, ownerID, queryID string) (SavedQuery, error) {
	if !id.IsPossible(queryID) {
		return SavedQuery{}, QueryNotFound.Failure("there is no saved query %q", queryID)
	}
	row, err := c.queries.GetSavedQuery(ctx, reportingdb.GetSavedQueryParams{QueryID: queryID, OwnerID: ownerID})
	if database.NotFound(err) {
		return SavedQuery{}, QueryNotFound.Failure("there is no saved query %s, or it is not shared", queryID)
	}
	if err != nil {
		return SavedQuery{}, fmt.Errorf("read saved query: %w", err)
	}
	return savedQueryOf(row), nil
}

// Saved lists ownerID's queries and the shared ones in the order of their ids,
// beginning after the id after, at most limit of them.
func (c *Console) Saved(ctx context.Context, ownerID, after string, limit int) ([]SavedQuery, error) {
	rows, err := c.queries.ListSavedQueries(ctx, reportingdb.ListSavedQueriesParams{OwnerID: ownerID, AfterQueryID: after, MaxRows: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("list saved queries: %w", err)
	}
	list := make([]SavedQuery, len(rows))
	for i, row := range rows {
		list[i] = savedQueryOf(row)
	}
	return list, nil
}
