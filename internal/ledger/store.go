package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/shopspring/decimal"

	"florin/internal/audit"
	"florin/internal/ledger/internal/ledgerdb"
	"florin/internal/money"
	"florin/internal/platform/database"
)

// keys are what a batch needs to know.
type keys struct {
	accounts         map[string]int // how many commands need each
	transfers, holds map[string]struct{}
	reversals        []string
	loads            []func(*pgx.Batch) // of works
	commands         int
	// first is an account to lock before the others; nil for none.
	first *crowdedAccount
	// reach is the owner that the unit at hand is for.
	reach string
	// wantsNewIDs says that ids which are probably new are looked up too.
	wantsNewIDs bool
}

func (k *keys) account(id string)  { k.accounts[id]++ }
func (k *keys) transfer(id string) { k.transfers[id] = struct{}{} }
func (k *keys) hold(id string)     { k.holds[id] = struct{}{} }

// newTransfer is an id that is probably new: its own insert finds out for less.
func (k *keys) newTransfer(id string) {
	if k.wantsNewIDs {
		k.transfer(id)
	}
}

// reversal asks for a transfer and for whether it was reversed.
func (k *keys) reversal(targetID string) {
	k.transfer(targetID)
	k.reversals = append(k.reversals, targetID)
}

func keysOf(units []*unit, wantsNewIDs bool) *keys {
	k := &keys{
		wantsNewIDs: wantsNewIDs,
		accounts:    make(map[string]int, 2*len(units)),
		transfers:   make(map[string]struct{}, len(units)),
		holds:       map[string]struct{}{},
	}
	for _, u := range units {
		k.commands += len(u.commands)
		k.reach = u.reach
		for _, c := range u.commands {
			c.keys(k)
		}
	}
	return k
}

func sorted[V any](set map[string]V) []string {
	ids := make([]string, 0, len(set))
	for id := range set {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// load is the batch's first round trip: it locks the accounts and reads the rest.
func load(ctx context.Context, tx pgx.Tx, k *keys) (*book, error) {
	b := &book{
		accounts:  make(map[string]*accountEntry, len(k.accounts)),
		transfers: make(map[string]*transferEntry, len(k.transfers)),
		holds:     make(map[string]*holdEntry, len(k.holds)),
		reversals: map[string]string{},
		knowsIDs:  k.wantsNewIDs,
	}
	var batch pgx.Batch
	if k.first != nil {
		batch.Queue(ledgerdb.LockFirst, k.first.id, k.first.homeRegion)
	}
	// The locks come first: what is read after them can't change any more.
	if len(k.accounts) > 0 {
		queue(&batch, ledgerdb.LockAccounts, sorted(k.accounts), accountColumns, func(row ledgerdb.Account) {
			b.accounts[row.AccountID] = &accountEntry{Account: accountFromRow(row), openingHash: row.OpeningHash}
		})
	}
	if len(k.transfers) > 0 {
		queue(&batch, ledgerdb.FindTransfers, sorted(k.transfers), transferColumns, func(row ledgerdb.FindTransfersRow) {
			b.transfers[row.TransferID] = &transferEntry{Transfer: transferFromRow(row), hash: row.RequestHash}
		})
	}
	if len(k.reversals) > 0 {
		queue(&batch, ledgerdb.FindReversals, k.reversals, reversalColumns, func(row ledgerdb.FindReversalsRow) {
			b.reversals[row.ReversesID] = row.TransferID
		})
	}
	if len(k.holds) > 0 {
		queue(&batch, ledgerdb.FindHolds, sorted(k.holds), holdColumns, func(row ledgerdb.Hold) {
			b.holds[row.HoldID] = &holdEntry{Hold: holdFromRow(row), hash: row.RequestHash}
		})
	}
	for _, load := range k.loads {
		load(&batch)
	}
	return b, tx.SendBatch(ctx, &batch).Close()
}

// queue adds a query over a list of ids to the batch. columns are a row's fields
// in the query's order.
func queue[Row any](batch *pgx.Batch, sql string, ids []string, columns func(*Row) []any, each func(Row)) {
	batch.Queue(sql, ids).Query(func(rows pgx.Rows) error {
		var row, blank Row
		_, err := pgx.ForEachRow(rows, columns(&row), func() error {
			each(row)
			row = blank // what it points to is now the book's
			return nil
		})
		return err
	})
}

// pgx would find the fields by reflection, for each row of a thousand again.

func accountColumns(a *ledgerdb.Account) []any {
	return []any{
		&a.AccountID, &a.AccountType, &a.Currency, &a.Status, &a.Posted, &a.Held, &a.OverdraftLimit,
		&a.Shortfall, &a.LastSeq, &a.Version, &a.Metadata, &a.OpeningHash, &a.CreatedAt, &a.UpdatedAt, &a.HomeRegion,
		&a.OwnerID, &a.TransferLimit, &a.DailyLimit, &a.SpentSince, &a.Spent,
	}
}

func transferColumns(t *ledgerdb.FindTransfersRow) []any {
	return []any{
		&t.TransferID, &t.Kind, &t.SourceAccountID, &t.DestinationAccountID, &t.Amount, &t.Currency,
		&t.Status, &t.FailureCode, &t.FailureMessage, &t.Description, &t.Metadata, &t.HoldID, &t.ReversesID,
		&t.SourceSeq, &t.DestinationSeq, &t.RequestHash, &t.EffectiveAt, &t.CreatedAt, &t.FinishedAt,
	}
}

func reversalColumns(r *ledgerdb.FindReversalsRow) []any { return []any{&r.ReversesID, &r.TransferID} }

func holdColumns(h *ledgerdb.Hold) []any {
	return []any{
		&h.HoldID, &h.SourceAccountID, &h.DestinationAccountID, &h.Amount, &h.Currency, &h.Status,
		&h.CapturedAmount, &h.CaptureID, &h.Description, &h.Metadata, &h.RequestHash, &h.ExpiresAt,
		&h.CreatedAt, &h.UpdatedAt, &h.HomeRegion,
	}
}

// save is the batch's second round trip: everything that changed, and what the
// audit trail says of it.
func (b *book) save(ctx context.Context, tx pgx.Tx, journal *audit.Journal) (audit.Pending, error) {
	var p pipeline
	q := ledgerdb.New(&p)
	err := errors.Join(
		b.saveAccounts(ctx, q),
		b.saveTransfers(ctx, q),
		b.savePostings(ctx, q),
		b.saveHolds(ctx, q),
	)
	for _, save := range b.saves {
		err = errors.Join(err, save(&p.batch))
	}
	events := journal.Queue(&p.batch, b.now, b.events)
	if err != nil || p.batch.Len() == 0 {
		return events, err
	}
	err = tx.SendBatch(ctx, &p.batch).Close()
	switch constraint := database.UniqueViolation(err); {
	case constraint == "transfers_pkey" && !b.knowsIDs:
		return events, errNotNew
	case constraint == "audit_events_pkey":
		// The journal is not where it was thought to be: it goes on under another name.
		events.Unknown()
		return audit.Pending{}, database.Retry(err)
	case constraint != "":
		// Another replica was first with one of these ids. The next run sees its row.
		return events, database.Retry(err)
	}
	return events, err
}

// errNotNew says that an id taken for new may not be: the batch has to be run
// again with its ids looked up first.
var errNotNew = errors.New("an id is not new")

// homeOf is where the rows of an account live; nowhere in particular when there
// is no such account, as in a failed transfer.
func (b *book) homeOf(accountID string) string {
	if account := b.accounts[accountID]; account != nil {
		return account.HomeRegion
	}
	return ""
}

func (b *book) saveAccounts(ctx context.Context, q *ledgerdb.Queries) error {
	var opened ledgerdb.InsertAccountsParams
	var changed ledgerdb.UpdateBalancesParams
	for _, a := range b.changedAccounts {
		if a.isNew {
			opened.AccountIds = append(opened.AccountIds, a.ID)
			opened.AccountTypes = append(opened.AccountTypes, string(a.Type))
			opened.Currencies = append(opened.Currencies, string(a.Currency))
			opened.Statuses = append(opened.Statuses, string(a.Status))
			opened.Posted = append(opened.Posted, a.Posted)
			opened.Held = append(opened.Held, a.Held)
			opened.OverdraftLimits = append(opened.OverdraftLimits, orNone(a.OverdraftLimit))
			opened.Shortfalls = append(opened.Shortfalls, a.Shortfall)
			opened.LastSeqs = append(opened.LastSeqs, a.Postings)
			opened.Versions = append(opened.Versions, a.Version)
			opened.Metadata = append(opened.Metadata, string(a.Metadata))
			opened.OpeningHashes = append(opened.OpeningHashes, a.openingHash)
			opened.CreatedAt = append(opened.CreatedAt, a.CreatedAt)
			opened.UpdatedAt = append(opened.UpdatedAt, a.UpdatedAt)
			opened.HomeRegions = append(opened.HomeRegions, a.HomeRegion)
			opened.OwnerIds = append(opened.OwnerIds, a.OwnerID)
			opened.SpentSince = append(opened.SpentSince, a.SpentSince)
			opened.Spent = append(opened.Spent, a.Spent)
			continue
		}
		changed.AccountIds = append(changed.AccountIds, a.ID)
		changed.Posted = append(changed.Posted, a.Posted)
		changed.Held = append(changed.Held, a.Held)
		changed.Shortfalls = append(changed.Shortfalls, a.Shortfall)
		changed.LastSeqs = append(changed.LastSeqs, a.Postings)
		changed.Versions = append(changed.Versions, a.Version)
		changed.UpdatedAt = append(changed.UpdatedAt, a.UpdatedAt)
		changed.SpentSince = append(changed.SpentSince, a.SpentSince)
		changed.Spent = append(changed.Spent, a.Spent)
		changed.HomeRegions = append(changed.HomeRegions, a.HomeRegion)
	}
	if len(opened.AccountIds) > 0 {
		if err := q.InsertAccounts(ctx, opened); err != nil {
			return err
		}
	}
	for _, a := range b.changedAccounts {
		if !a.hasNewTerms {
			continue
		}
		err := q.UpdateAccountTerms(ctx, ledgerdb.UpdateAccountTermsParams{
			AccountID: a.ID, Status: string(a.Status), OverdraftLimit: a.OverdraftLimit, Metadata: a.Metadata,
			TransferLimit: a.TransferLimit, DailyLimit: a.DailyLimit,
		})
		if err != nil {
			return err
		}
	}
	if len(changed.AccountIds) > 0 {
		return q.UpdateBalances(ctx, changed)
	}
	return nil
}

// orNone is a limit as an element of an array, where -1 stands for NULL.
func orNone(limit decimal.NullDecimal) decimal.Decimal {
	if !limit.Valid {
		return noLimit
	}
	return limit.Decimal
}

var noLimit = decimal.NewFromInt(-1)

func (b *book) saveTransfers(ctx context.Context, q *ledgerdb.Queries) error {
	var created ledgerdb.InsertTransfersParams
	var finished ledgerdb.FinishTransfersParams
	var limited ledgerdb.SetRoleLimitsParams
	for _, t := range b.changedTransfers {
		var code, message string
		if t.Failure != nil {
			code, message = string(t.Failure.Code), t.Failure.Message
		}
		if !t.isNew {
			finished.TransferIds = append(finished.TransferIds, t.ID)
			finished.Statuses = append(finished.Statuses, string(t.Status))
			finished.Currencies = append(finished.Currencies, string(t.Currency))
			finished.FailureCodes = append(finished.FailureCodes, code)
			finished.FailureMessages = append(finished.FailureMessages, message)
			finished.SourceSeqs = append(finished.SourceSeqs, t.SourceSeq)
			finished.DestinationSeqs = append(finished.DestinationSeqs, t.DestinationSeq)
			finished.FinishedAt = append(finished.FinishedAt, orZero(t.FinishedAt))
			continue
		}
		created.TransferIds = append(created.TransferIds, t.ID)
		created.Kinds = append(created.Kinds, string(t.Kind))
		created.SourceAccountIds = append(created.SourceAccountIds, t.SourceAccountID)
		created.DestinationAccountIds = append(created.DestinationAccountIds, t.DestinationAccountID)
		created.Amounts = append(created.Amounts, t.Amount)
		created.Currencies = append(created.Currencies, string(t.Currency))
		created.Statuses = append(created.Statuses, string(t.Status))
		created.FailureCodes = append(created.FailureCodes, code)
		created.FailureMessages = append(created.FailureMessages, message)
		created.Descriptions = append(created.Descriptions, t.Description)
		created.Metadata = append(created.Metadata, string(t.Metadata))
		created.HoldIds = append(created.HoldIds, t.HoldID)
		created.ReversesIds = append(created.ReversesIds, t.ReversesID)
		created.SourceSeqs = append(created.SourceSeqs, t.SourceSeq)
		created.DestinationSeqs = append(created.DestinationSeqs, t.DestinationSeq)
		created.RequestHashes = append(created.RequestHashes, t.hash)
		created.EffectiveAt = append(created.EffectiveAt, orZero(t.EffectiveAt))
		created.CreatedAt = append(created.CreatedAt, t.CreatedAt)
		created.FinishedAt = append(created.FinishedAt, orZero(t.FinishedAt))
		created.HomeRegions = append(created.HomeRegions, cmp.Or(t.homeRegion, b.homeOf(t.SourceAccountID)))
		if t.roleLimits != nil {
			limited.TransferIds = append(limited.TransferIds, t.ID)
			limited.TransferLimits = append(limited.TransferLimits, orNone(t.roleLimits.PerTransfer))
			limited.DailyLimits = append(limited.DailyLimits, orNone(t.roleLimits.Daily))
		}
	}
	if len(created.TransferIds) > 0 {
		if err := q.InsertTransfers(ctx, created); err != nil {
			return err
		}
	}
	if len(limited.TransferIds) > 0 {
		if err := q.SetRoleLimits(ctx, limited); err != nil {
			return err
		}
	}
	if len(finished.TransferIds) > 0 {
		return q.FinishTransfers(ctx, finished)
	}
	return nil
}

func (b *book) savePostings(ctx context.Context, q *ledgerdb.Queries) error {
	if len(b.postings) == 0 {
		return nil
	}
	var p ledgerdb.InsertPostingsParams
	for _, posting := range b.postings {
		p.AccountIds = append(p.AccountIds, posting.AccountID)
		p.Seqs = append(p.Seqs, posting.Seq)
		p.TransferIds = append(p.TransferIds, posting.TransferID)
		p.Amounts = append(p.Amounts, posting.Amount)
		p.Balances = append(p.Balances, posting.Balance)
		p.Currencies = append(p.Currencies, string(posting.Currency))
		p.CreatedAt = append(p.CreatedAt, posting.CreatedAt)
		p.HomeRegions = append(p.HomeRegions, b.homeOf(posting.AccountID))
	}
	return q.InsertPostings(ctx, p)
}

func (b *book) saveHolds(ctx context.Context, q *ledgerdb.Queries) error {
	var placed ledgerdb.InsertHoldsParams
	var changed ledgerdb.UpdateHoldsParams
	for _, h := range b.changedHolds {
		if !h.isNew {
			changed.HoldIds = append(changed.HoldIds, h.ID)
			changed.Statuses = append(changed.Statuses, string(h.Status))
			changed.CapturedAmounts = append(changed.CapturedAmounts, h.CapturedAmount)
			changed.CaptureIds = append(changed.CaptureIds, h.CaptureID)
			changed.UpdatedAt = append(changed.UpdatedAt, h.UpdatedAt)
			continue
		}
		placed.HoldIds = append(placed.HoldIds, h.ID)
		placed.SourceAccountIds = append(placed.SourceAccountIds, h.SourceAccountID)
		placed.DestinationAccountIds = append(placed.DestinationAccountIds, h.DestinationAccountID)
		placed.Amounts = append(placed.Amounts, h.Amount)
		placed.Currencies = append(placed.Currencies, string(h.Currency))
		placed.Statuses = append(placed.Statuses, string(h.Status))
		placed.CapturedAmounts = append(placed.CapturedAmounts, h.CapturedAmount)
		placed.CaptureIds = append(placed.CaptureIds, h.CaptureID)
		placed.Descriptions = append(placed.Descriptions, h.Description)
		placed.Metadata = append(placed.Metadata, string(h.Metadata))
		placed.RequestHashes = append(placed.RequestHashes, h.hash)
		placed.ExpiresAt = append(placed.ExpiresAt, orZero(h.ExpiresAt))
		placed.CreatedAt = append(placed.CreatedAt, h.CreatedAt)
		placed.UpdatedAt = append(placed.UpdatedAt, h.UpdatedAt)
		placed.HomeRegions = append(placed.HomeRegions, b.homeOf(h.SourceAccountID))
	}
	if len(placed.HoldIds) > 0 {
		if err := q.InsertHolds(ctx, placed); err != nil {
			return err
		}
	}
	if len(changed.HoldIds) > 0 {
		return q.UpdateHolds(ctx, changed)
	}
	return nil
}

// pipeline lets sqlc's typed statements be sent together: it takes each one down
// instead of sending it.
type pipeline struct{ batch pgx.Batch }

func (p *pipeline) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	p.batch.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

func (p *pipeline) Query(context.Context, string, ...any) (pgx.Rows, error) {
	return nil, errors.New("ledger: a pipeline takes no queries")
}

func (p *pipeline) QueryRow(context.Context, string, ...any) pgx.Row {
	return noRow{}
}

type noRow struct{}

func (noRow) Scan(...any) error { return errors.New("ledger: a pipeline takes no queries") }

// accountFromRow leaves the metadata as the engine wrote it: a batch of transfers
// reads a thousand accounts and looks at none's. See fromJSONB.
func accountFromRow(row ledgerdb.Account) Account {
	return Account{
		ID: row.AccountID, Type: AccountType(row.AccountType), Currency: money.Currency(row.Currency),
		Status: AccountStatus(row.Status), Posted: row.Posted, Held: row.Held,
		OverdraftLimit: row.OverdraftLimit, Shortfall: row.Shortfall,
		Postings: row.LastSeq, Version: row.Version, Metadata: row.Metadata, HomeRegion: row.HomeRegion,
		OwnerID: row.OwnerID, TransferLimit: row.TransferLimit, DailyLimit: row.DailyLimit,
		SpentSince: orZero(row.SpentSince).UTC(), Spent: row.Spent,
		CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
	}
}

func transferFromRow(row ledgerdb.FindTransfersRow) Transfer {
	return Transfer{
		ID: row.TransferID, Kind: Kind(row.Kind),
		SourceAccountID: row.SourceAccountID, DestinationAccountID: row.DestinationAccountID,
		Amount: row.Amount, Currency: money.Currency(row.Currency),
		Status: TransferStatus(row.Status), Failure: failureFromRow(row.FailureCode, row.FailureMessage),
		Description: row.Description, Metadata: fromJSONB(row.Metadata),
		HoldID: orZero(row.HoldID), ReversesID: orZero(row.ReversesID),
		SourceSeq: orZero(row.SourceSeq), DestinationSeq: orZero(row.DestinationSeq),
		EffectiveAt: utc(row.EffectiveAt), CreatedAt: row.CreatedAt.UTC(), FinishedAt: utc(row.FinishedAt),
	}
}

func failureFromRow(code, message *string) *Failure {
	if code == nil {
		return nil
	}
	return &Failure{Code: Code(*code), Message: orZero(message)}
}

func postingFromRow(row ledgerdb.Posting) Posting {
	return Posting{
		AccountID: row.AccountID, Seq: row.Seq, TransferID: row.TransferID,
		Amount: row.Amount, Balance: row.Balance, Currency: money.Currency(row.Currency),
		CreatedAt: row.CreatedAt.UTC(),
	}
}

func holdFromRow(row ledgerdb.Hold) Hold {
	return Hold{
		ID: row.HoldID, SourceAccountID: row.SourceAccountID, DestinationAccountID: row.DestinationAccountID,
		Amount: row.Amount, Currency: money.Currency(row.Currency), Status: HoldStatus(row.Status),
		CapturedAmount: row.CapturedAmount, CaptureID: orZero(row.CaptureID),
		Description: row.Description, Metadata: fromJSONB(row.Metadata),
		ExpiresAt: utc(row.ExpiresAt), CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
	}
}

// fromJSONB writes metadata in this program's own order of keys, so that an
// answer from the database equals the first one from memory.
func fromJSONB(data json.RawMessage) json.RawMessage {
	if len(data) <= len(emptyObject) {
		return data
	}
	canonical, err := canonicalObject(data)
	if err != nil {
		return data
	}
	return canonical
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	in := t.UTC()
	return &in
}

func orZero[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
