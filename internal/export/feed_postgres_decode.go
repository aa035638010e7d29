package export

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgtype"
)

const statusCompleted = "COMPLETED"

// decoder makes transactions of what pgoutput writes: Begin, Insert and Update
// messages, Commit, one database transaction after the other.
type decoder struct {
	after     pglogrepl.LSN // transactions up to here are known already
	end       pglogrepl.LSN // where the last transaction ended
	types     *pgtype.Map
	relations map[uint32]*pglogrepl.RelationMessage

	current commit // being read
	commits []commit
	// incomplete are transfers that the WAL does not have in full, by id.
	incomplete map[string]*transfer
}

// commit is what one transaction of the database wrote.
type commit struct {
	at        time.Time
	transfers map[string]*transfer // completed ones
	postings  map[string][]posting // by transfer id
}

func newDecoder(after pglogrepl.LSN) *decoder {
	return &decoder{after: after, relations: map[uint32]*pglogrepl.RelationMessage{}, incomplete: map[string]*transfer{}}
}

// read takes one message.
func (d *decoder) read(data []byte) error {
	message, err := pglogrepl.Parse(data)
	if err != nil {
		return fmt.Errorf("decode the WAL: %w", err)
	}
	switch m := message.(type) {
	case *pglogrepl.RelationMessage:
		d.relations[m.RelationID] = m
	case *pglogrepl.BeginMessage:
		d.current = commit{at: m.CommitTime, transfers: map[string]*transfer{}, postings: map[string][]posting{}}
	case *pglogrepl.InsertMessage:
		return d.write(m.RelationID, m.Tuple, true)
	case *pglogrepl.UpdateMessage:
		return d.write(m.RelationID, m.NewTuple, false)
	case *pglogrepl.CommitMessage:
		if m.TransactionEndLSN > d.after {
			d.end = m.TransactionEndLSN
			if len(d.current.postings) > 0 {
				d.commits = append(d.commits, d.current)
			}
		}
		d.current = commit{}
	}
	return nil
}

func (d *decoder) write(relationID uint32, tuple *pglogrepl.TupleData, isNew bool) error {
	relation, known := d.relations[relationID]
	if !known {
		return fmt.Errorf("decode the WAL: relation %d was not introduced", relationID)
	}
	if relation.RelationName == "postings" {
		if !isNew {
			return nil // nothing that is exported of a posting ever changes
		}
		var p posting
		_, err := d.scan(relation, tuple, map[string]any{
			"account_id": &p.AccountID, "seq": &p.Seq, "transfer_id": &p.TransferID, "amount": &p.Amount,
			"balance": &p.Balance, "currency": &p.Currency, "created_at": &p.CreatedAt,
		})
		d.current.postings[p.TransferID] = append(d.current.postings[p.TransferID], p)
		return err
	}
	t := &transfer{}
	isWhole, err := d.scan(relation, tuple, map[string]any{
		"transfer_id": &t.ID, "kind": &t.Kind, "status": &t.Status, "description": &t.Description,
		"hold_id": &t.HoldID, "reverses_id": &t.ReversesID, "effective_at": &t.EffectiveAt,
	})
	if err != nil || t.Status != statusCompleted {
		return err
	}
	d.current.transfers[t.ID] = t
	if !isWhole {
		d.incomplete[t.ID] = t
	}
	return nil
}

// scan reads a tuple's columns; isWhole is false when some were left out because
// they are stored apart and had not changed.
func (d *decoder) scan(relation *pglogrepl.RelationMessage, tuple *pglogrepl.TupleData, columns map[string]any) (isWhole bool, err error) {
	isWhole = true
	for i, value := range tuple.Columns {
		column := relation.Columns[i]
		to, wanted := columns[column.Name]
		if !wanted {
			continue
		}
		delete(columns, column.Name)
		var format int16
		switch value.DataType {
		case pglogrepl.TupleDataTypeToast:
			isWhole = false
			continue
		case pglogrepl.TupleDataTypeNull:
			value.Data = nil
		case pglogrepl.TupleDataTypeBinary:
			format = pgtype.BinaryFormatCode
		}
		if err := d.types.Scan(column.DataType, format, value.Data, to); err != nil {
			return false, fmt.Errorf("decode the WAL: %s.%s: %w", relation.RelationName, column.Name, err)
		}
	}
	if len(columns) > 0 {
		return false, fmt.Errorf("decode the WAL: %s comes without some of its columns: the publication was changed", relation.RelationName)
	}
	return isWhole, nil
}

// transactions joins what was read. Those of one commit are ordered by their ids.
func (d *decoder) transactions() ([]transaction, error) {
	var all []transaction
	for _, c := range d.commits {
		joined, err := c.join()
		if err != nil {
			return nil, err
		}
		all = append(all, joined...)
	}
	return all, nil
}

// join leaves out transfers without postings here: one that is completed and
// touched again was exported when it was completed.
func (c commit) join() ([]transaction, error) {
	joined := make([]transaction, 0, len(c.postings))
	for id, legs := range c.postings {
		t, found := c.transfers[id]
		if !found {
			return nil, LedgerInconsistent.Failure("postings of transaction %s were committed without their transfer: run florin verify", id)
		}
		tx, err := join(*t, legs, c.at)
		if err != nil {
			return nil, err
		}
		joined = append(joined, tx)
	}
	slices.SortFunc(joined, func(a, b transaction) int { return strings.Compare(a.debit.TransactionID, b.debit.TransactionID) })
	return joined, nil
}
