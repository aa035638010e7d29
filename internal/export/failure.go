package export

import "florin/internal/platform/failure"

// Code is a stable name of why something can't be done with an export. Codes
// are part of the API: they are never renamed.
type Code string

// The codes, each with what it means.
const (
	NotFound           Code = "export_not_found"           // there is no export with this id
	InvalidDestination Code = "invalid_destination"        // not a URL that an export can go to
	InvalidFormat      Code = "invalid_format"             // not ndjson, csv or parquet
	FormatDiffers      Code = "export_format_differs"      // the destination has an export in another format
	ParametersDiffer   Code = "export_parameters_differ"   // the destination has an export with other parameters
	Cancelled          Code = "export_cancelled"           // it ended for good
	NotRunning         Code = "export_not_running"         // it failed: it can be resumed or cancelled, not paused
	ProgressConflict   Code = "export_progress_conflict"   // another exporter has come further
	FolderInUse        Code = "export_folder_in_use"       // another exporter writes there, or reads for it
	FolderMismatch     Code = "export_folder_mismatch"     // the folder is not what the catalog knows
	FolderUnusable     Code = "export_folder_unusable"     // it can't be read or written
	HistoryLost        Code = "export_history_lost"        // the engine no longer has what comes next
	FeedUnavailable    Code = "export_feed_unavailable"    // the engine is not set up for exports
	LedgerInconsistent Code = "export_ledger_inconsistent" // what came from the ledger does not add up: nothing was written

	// About jobs of the database (Control).
	NeedsRunner           Code = "export_needs_runner"        // a folder, which florin export run writes where it is
	UnknownScheme         Code = "unknown_destination_scheme" // no kind of destination that there is
	DestinationNotAllowed Code = "destination_not_allowed"    // not among those that the operator allows
	FormatNotPossible     Code = "export_format_not_possible" // the destination can't have this format
	NeedsCockroach        Code = "export_needs_cockroachdb"   // PostgreSQL has no such jobs
	JobRefused            Code = "export_job_refused"         // the database said no
	JobEnded              Code = "export_job_ended"           // the database ended the job for good, or it was never made
)

// Failure says why something can't be done and what to do about it. It is an
// error; errors.Is compares the code alone, so errors.Is(err,
// Cancelled.Failure("")) holds for any text.
type Failure struct{ failure.Of[Code] }

// Error is the message alone: operators read it, in a terminal and beside the code
// in the catalog.
func (f *Failure) Error() string { return f.Message }

// Failure is a failure with this code.
func (c Code) Failure(format string, args ...any) *Failure {
	return &Failure{*failure.New(c, format, args...)}
}
