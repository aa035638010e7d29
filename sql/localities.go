package sql

// Locality is where a table's rows live in a CockroachDB database of several
// regions.
type Locality struct {
	Table string
	// IsByRow says that each row lives in the region that its column home_region
	// names (REGIONAL BY ROW). Otherwise the table is read often and seldom
	// written, and every region keeps a copy that it reads alone (GLOBAL).
	IsByRow bool
	// PrimaryKey, if not empty, replaces the primary key by one that begins with
	// crdb_region: unique within a region, which is enough where one row of
	// another table, locked by every writer, sees to the rest. CockroachDB then
	// need not ask the other regions at every insert. OldKey is the index that
	// CockroachDB makes of the old primary key, not needed any more.
	PrimaryKey, OldKey string
	// Unique are indexes replaced for the same reason.
	Unique []UniqueIndex
}

// UniqueIndex is a unique index that begins with crdb_region.
type UniqueIndex struct{ Name, Columns, Where string }

// Localities are those of all tables that are not left in the primary region.
//
// An account's postings live with it, and their numbers are given out under its
// lock. A transfer is reversed under the lock of the same two accounts, so that a
// second reversal would live where the first does. A transfer's own id is the
// caller's and may come again in any region: its insert asks all of them.
//
// What operators see (ledger_activity, proofs) and saved queries stay in the primary
// region: nobody's payment waits for them.
var Localities = []Locality{
	{Table: "accounts", IsByRow: true},
	{Table: "postings", IsByRow: true, PrimaryKey: "crdb_region, account_id, seq", OldKey: "postings_account_id_seq_key"},
	{Table: "transfers", IsByRow: true, Unique: []UniqueIndex{
		{Name: "transfers_reversed_once", Columns: "crdb_region, reverses_id", Where: "reverses_id IS NOT NULL AND status = 'COMPLETED'"},
	}},
	{Table: "holds", IsByRow: true},
	// A journal is written by one process, in its own region.
	{Table: "audit_events", IsByRow: true, PrimaryKey: "crdb_region, day, journal, seq", OldKey: "audit_events_day_journal_seq_key"},
	{Table: "api_keys"},
	{Table: "users"},
	{Table: "risk_rules"},
	{Table: "role_limits"},
	{Table: "campaigns"},
	{Table: "cashback_programs"},
}
