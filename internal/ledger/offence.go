package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Offence is something that breaks an invariant.
type Offence struct {
	Rule    string `json:"rule"`    // stable name of the broken invariant
	Subject string `json:"subject"` // the account, posting, transfer, hold or currency; of other modules what is theirs
	Detail  string `json:"detail"`  // what was found and what was expected
}

// Invariant is a rule about data, and a query that returns what breaks it: a row of
// a subject and a detail for each offence.
type Invariant struct{ Rule, SQL string }

// offencesMax bounds the offenders listed for each rule, and with it the memory.
const offencesMax = 1000

// Offences asks one invariant after the other, of this module or of one above it,
// in the transaction of a snapshot. parameters are what the queries name, like @at. progress, if
// not nil, is called before each. isTruncated says that a rule had more offenders
// than are listed.
func Offences(
	ctx context.Context, tx pgx.Tx, invariants []Invariant, parameters pgx.NamedArgs, progress func(step, steps int, rule string),
) (found []Offence, isTruncated bool, err error) {
	found = []Offence{}
	for i, invariant := range invariants {
		if progress != nil {
			progress(i+1, len(invariants), invariant.Rule)
		}
		rows, err := tx.Query(ctx, fmt.Sprintf("%s\nLIMIT %d", invariant.SQL, offencesMax+1), parameters)
		if err != nil {
			return found, isTruncated, fmt.Errorf("check %s: %w", invariant.Rule, err)
		}
		offence, n := Offence{Rule: invariant.Rule}, 0
		_, err = pgx.ForEachRow(rows, []any{&offence.Subject, &offence.Detail}, func() error {
			if n++; n > offencesMax {
				isTruncated = true
				return nil
			}
			found = append(found, offence)
			return nil
		})
		if err != nil {
			return found, isTruncated, fmt.Errorf("check %s: %w", invariant.Rule, err)
		}
	}
	return found, isTruncated, nil
}
