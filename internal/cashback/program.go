package cashback

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"florin/internal/audit"
	"florin/internal/cashback/internal/cashbackdb"
	"florin/internal/cashback/rules"
	"florin/internal/platform/database"
)

// programID is what the audit trail calls the one program.
const programID = "program"

// Program returns the newest version of what campaigns share. Before the first
// change it is version 0: no tiers, no segments by rule, and in every group the best
// campaign alone.
func (c *Cashback) Program(ctx context.Context) (Program, error) {
	program, err := currentProgram(ctx, c.queries)
	if err != nil {
		return Program{}, fmt.Errorf("read program: %w", err)
	}
	return program, nil
}

// ChangeProgram records the next version of the program, made of the version given;
// 0 for the first. Purchases are evaluated under it at once here, and by other
// replicas within CacheTime; those evaluated before keep what they got, and a
// customer's tier changes with his next purchase. What stands in p.Version is not
// looked at. A second call returns what the first did; a program that is there
// already makes no version. Returns ProgramChanged when the newest version is
// another, and InvalidInput.
func (c *Cashback) ChangeProgram(ctx context.Context, version int64, p rules.Program) (Program, error) {
	if err := p.Validate(); err != nil {
		return Program{}, err
	}
	var saved Program
	err := c.db.InTx(ctx, "cashback.program", func(ctx context.Context, tx pgx.Tx) error {
		queries := cashbackdb.New(tx)
		current, err := currentProgram(ctx, queries)
		if err != nil {
			return err
		}
		p.Version = current.Version
		switch {
		case isSame(current.Program, p) && (current.Version == version || current.Version-1 == version):
			saved = current
			return nil
		case current.Version != version:
			return ProgramChanged.Failure("the program has version %d, the change is of version %d: read it again", current.Version, version)
		}
		p.Version = version + 1
		saved = Program{Program: p, CreatedBy: actor(ctx), CreatedAt: c.clock()}
		err = queries.InsertProgram(ctx, cashbackdb.InsertProgramParams{
			Version: p.Version, Terms: object(p), CreatedBy: saved.CreatedBy, CreatedAt: saved.CreatedAt,
		})
		if database.UniqueViolation(err) == "cashback_programs_pkey" {
			return database.Retry(err) // read what the other one made of it
		}
		if err != nil {
			return err
		}
		return c.audit.AppendTx(ctx, tx, programEvent(current, saved))
	})
	c.set.Forget()
	if err != nil {
		return Program{}, fmt.Errorf("save program: %w", err)
	}
	return saved, nil
}

func programEvent(before, after Program) audit.Event {
	event := audit.Event{
		Action: "cashback_program.changed", TargetKind: "cashback_program", TargetID: programID,
		After: object(after.Program), Result: audit.OK,
	}
	if before.Version > 0 {
		event.Before = object(before.Program)
	}
	return event
}

func currentProgram(ctx context.Context, queries *cashbackdb.Queries) (Program, error) {
	row, err := queries.CurrentProgram(ctx)
	if database.NotFound(err) {
		return Program{}, nil
	}
	if err != nil {
		return Program{}, err
	}
	program := Program{CreatedBy: row.CreatedBy, CreatedAt: row.CreatedAt.UTC()}
	if err := json.Unmarshal(row.Terms, &program.Program); err != nil {
		return Program{}, fmt.Errorf("version %d: %w", row.Version, err)
	}
	program.Version = row.Version
	return program, nil
}
