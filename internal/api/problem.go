package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"florin/internal/export"
	"florin/internal/ledger"
	"florin/internal/platform/database"
)

// The codes that are the API's own; the rest are the ledger's and the exports'.
const (
	codeInvalidRequest      code = "invalid_request"
	codeUnauthenticated     code = "unauthenticated"
	codeNotFound            code = "not_found"
	codeMethodNotAllowed    code = "method_not_allowed"
	codeCursorExpired       code = "cursor_expired"
	codeBodyTooLarge        code = "body_too_large"
	codeUnsupportedMedia    code = "unsupported_media_type"
	codeBodyTimeout         code = "body_timeout"
	codeOverloaded          code = "overloaded"
	codeShuttingDown        code = "shutting_down"
	codeConflictRetry       code = "conflict_retry"
	codeDatabaseUnavailable code = "database_unavailable"
	codeOutcomeUnknown      code = "outcome_unknown"
	codeTimeout             code = "timeout"
	codeNotReady            code = "not_ready"
	codeInternalError       code = "internal_error"
)

type code ledger.Code

// Schema is the documented form: the whole table of errors.
func (code) Schema(huma.Registry) *huma.Schema {
	schema := &huma.Schema{Type: huma.TypeString}
	var table strings.Builder
	table.WriteString("Stable name of the error: switch on this.\n")
	for _, kind := range errorKinds {
		schema.Enum = append(schema.Enum, kind.code)
		fmt.Fprintf(&table, "\n- `%s` (%d): %s. %s", kind.code, kind.status, kind.title, kind.help)
	}
	schema.Description = table.String()
	return schema
}

// errorKind is what a code means, for machines and for people.
type errorKind struct {
	code   code
	status int
	title  string
	help   string // what the caller can do
}

// errorKinds is the one table of errors: answers, OpenAPI and the page of errors
// come from it.
var errorKinds = []errorKind{
	{codeInvalidRequest, http.StatusBadRequest, "The request makes no sense", "Correct the fields named in errors. Nothing was stored."},
	{codeUnauthenticated, http.StatusUnauthorized, "No valid API key", "Send a valid key as Authorization: Bearer KEY."},
	{codeNotFound, http.StatusNotFound, "There is no such path", "See the list of operations."},
	{code(ledger.AccountNotFound), http.StatusNotFound, "There is no such account", "Open the account first. A transfer that names it is recorded as FAILED."},
	{code(export.InvalidDestination), http.StatusBadRequest, "The destination is no URL that an export can go to", "The detail says how to write it."},
	{code(export.InvalidFormat), http.StatusBadRequest, "There is no such format", "Use ndjson or parquet."},
	{code(export.DestinationNotAllowed), http.StatusForbidden, "The destination is not allowed", "The operator names the allowed ones with --export-destinations."},
	{code(export.NotFound), http.StatusNotFound, "There is no such export", "Check the id."},
	{code(ledger.TransactionNotFound), http.StatusNotFound, "There is no such transaction", "Check the id."},
	{code(ledger.HoldNotFound), http.StatusNotFound, "There is no such hold", "Check the id."},
	{codeMethodNotAllowed, http.StatusMethodNotAllowed, "The path has no such method", "The header Allow names the methods."},
	{codeBodyTimeout, http.StatusRequestTimeout, "The body did not arrive in time", "Send it again."},
	{code(ledger.AccountExists), http.StatusConflict, "The account id is taken", "Choose another id. Ids of closed accounts are never given out again."},
	{code(ledger.AccountFrozen), http.StatusConflict, "The account is frozen", "It neither pays nor receives until it is unfrozen."},
	{code(ledger.AccountClosed), http.StatusConflict, "The account is closed", "It stays readable and takes no changes any more."},
	{code(ledger.AccountReserved), http.StatusConflict, "The account is the ledger's own", "Accounts that begin with house: can be read and paid from, not changed or closed."},
	{code(ledger.AccountNotEmpty), http.StatusConflict, "The account is not empty", "Move the balance away and capture or void its holds first."},
	{code(ledger.DuplicateTransaction), http.StatusConflict, "The transaction id was used for another request", "Choose another id, or send exactly the first request to get its outcome."},
	{code(ledger.DuplicateHold), http.StatusConflict, "The hold id was used for another request", "Choose another id, or send exactly the first request to get the hold."},
	{code(ledger.TransactionNotCompleted), http.StatusConflict, "The transaction is not completed", "Only a COMPLETED transaction can be reversed."},
	{code(ledger.AlreadyReversed), http.StatusConflict, "The transaction was reversed before", "A transaction is reversed once."},
	{code(ledger.HoldNotPending), http.StatusConflict, "The hold was captured or voided before", "Read the hold to see which."},
	{code(ledger.HoldExpired), http.StatusConflict, "The hold has expired", "Place a new hold."},
	{code(ledger.BatchAborted), http.StatusConflict, "Another transfer of the atomic batch failed", "See brokenBy in the answer to the batch. Send the batch again with new ids."},
	{code(export.FormatDiffers), http.StatusConflict, "The destination has an export in another format", "Go on with that, or cancel it and choose another destination."},
	{code(export.ParametersDiffer), http.StatusConflict, "The destination has an export with other parameters", "Cancel that first, or choose another destination."},
	{code(export.Cancelled), http.StatusConflict, "The export was cancelled", "Create a new one."},
	{code(export.NotRunning), http.StatusConflict, "The export failed", "Resume or cancel it."},
	{code(export.JobEnded), http.StatusConflict, "The export's job ended for good", "Cancel the export and create it again."},
	{code(export.FolderInUse), http.StatusConflict, "An exporter is reading", "Stop it, then cancel again."},
	{code(export.FeedUnavailable), http.StatusConflict, "The database is not set up for exports", "The detail says what its operator sets."},
	{codeCursorExpired, http.StatusGone, "The cursor's snapshot can no longer be read", "Ask for the first page again: it begins a new snapshot. Do not join its pages to those of the old one."},
	{codeBodyTooLarge, http.StatusRequestEntityTooLarge, "The body is too large", "The detail names the limit."},
	{codeUnsupportedMedia, http.StatusUnsupportedMediaType, "The body is not JSON", "Send application/json without a content encoding."},
	{code(ledger.InsufficientFunds), http.StatusUnprocessableEntity, "Insufficient funds", "The source has less available than the amount."},
	{code(ledger.BalanceLimitExceeded), http.StatusUnprocessableEntity, "A balance would become too large", "Balances have at most 15 digits before the point."},
	{code(ledger.CurrencyMismatch), http.StatusUnprocessableEntity, "The currencies do not agree", "Both accounts and the request must be in one currency."},
	{code(ledger.SameAccount), http.StatusUnprocessableEntity, "Source and destination are one account", "Name two accounts."},
	{code(ledger.InvalidAmount), http.StatusUnprocessableEntity, "The amount does not fit the account's currency", "Use no more decimals than the currency has."},
	{code(ledger.OverdraftInUse), http.StatusUnprocessableEntity, "The overdraft limit is in use", "Set the limit no lower than what is used of it."},
	{code(ledger.AmountExceedsHold), http.StatusUnprocessableEntity, "The amount is larger than the hold", "Capture at most what is held."},
	{code(export.UnknownScheme), http.StatusUnprocessableEntity, "There is no such kind of destination", "The detail names those that there are."},
	{code(export.NeedsRunner), http.StatusUnprocessableEntity, "A folder is written where it is", "Run florin export run on the machine that has it."},
	{code(export.FormatNotPossible), http.StatusUnprocessableEntity, "The destination can't have this format", "The detail says why, and which it can have."},
	{code(export.NeedsCockroach), http.StatusUnprocessableEntity, "Only CockroachDB delivers there", "On PostgreSQL export to a folder with florin export run."},
	{code(export.JobRefused), http.StatusUnprocessableEntity, "The database refuses the job", "The detail says why. Correct it and try again."},
	{codeInternalError, http.StatusInternalServerError, "Something went wrong on our side", "Tell the operator the requestId. A request with an id can be sent again."},
	{codeOverloaded, http.StatusServiceUnavailable, "Too much is waiting", "Nothing was taken. Send the same request again after Retry-After seconds."},
	{codeShuttingDown, http.StatusServiceUnavailable, "This server is shutting down", "Nothing was taken. Send the same request again after Retry-After seconds."},
	{codeConflictRetry, http.StatusServiceUnavailable, "Other requests came in the way", "Nothing was applied. Send the same request again after Retry-After seconds."},
	{codeDatabaseUnavailable, http.StatusServiceUnavailable, "The database is unavailable", "Send the same request again after Retry-After seconds."},
	{codeOutcomeUnknown, http.StatusServiceUnavailable, "The outcome is unknown", "It is done in full or not at all. Send the same request with the same id or Idempotency-Key again to learn which; one that had neither must be looked up first."},
	{codeTimeout, http.StatusServiceUnavailable, "It took too long", "A change may still be done. Send the same request with the same id again to learn its outcome."},
	{codeNotReady, http.StatusServiceUnavailable, "The server is not ready", "The database does not answer or is not migrated yet."},
}

var errorKindOf = func() map[code]errorKind {
	kinds := make(map[code]errorKind, len(errorKinds))
	for _, k := range errorKinds {
		kinds[k.code] = k
	}
	return kinds
}()

// Problem is the body of every error (RFC 9457).
type Problem struct {
	Type              string         `json:"type" format:"uri-reference" doc:"Where the error is explained." example:"/docs/errors#insufficient_funds"`
	Title             string         `json:"title" doc:"What the code means." example:"Insufficient funds"`
	Status            int            `json:"status" doc:"HTTP status." example:"422"`
	Detail            string         `json:"detail" doc:"What happened this time." example:"account alice has 5.00 available, less than 30.25"`
	Instance          string         `json:"instance" format:"uri-reference" doc:"This request." example:"/requests/req_7f3kq2m5x"`
	Code              code           `json:"code" example:"insufficient_funds"`
	RequestID         string         `json:"requestId" doc:"Stands in the server's log too." example:"req_7f3kq2m5x"`
	TransactionID     string         `json:"transactionId,omitempty" doc:"The transaction that was recorded as FAILED."`
	TransactionStatus string         `json:"transactionStatus,omitempty" doc:"Its status."`
	Errors            []FieldProblem `json:"errors,omitempty" nullable:"false" doc:"The fields that made no sense."`

	cause error
}

// FieldProblem is one field of a request that makes no sense.
type FieldProblem struct {
	Field   string `json:"field" doc:"Name of the field, header or parameter; in a batch transfers[3].amount. The body as a whole is called body." example:"amount"`
	Problem string `json:"problem" doc:"What is wrong, and the limit." example:"must be above zero"`
}

// Error makes a Problem an error.
func (p *Problem) Error() string { return string(p.Code) + ": " + p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders are the headers that belong to the answer.
func (p *Problem) GetHeaders() http.Header {
	switch p.Status {
	case http.StatusUnauthorized:
		return http.Header{"Www-Authenticate": {"Bearer"}}
	case http.StatusServiceUnavailable:
		return http.Header{"Retry-After": {"1"}}
	}
	return nil
}

// ContentType is application/problem+json, whatever was asked for.
func (*Problem) ContentType(string) string { return problemJSON }

const problemJSON = "application/problem+json"

// problem is an error of the API's own.
func (c code) problem(format string, args ...any) *Problem {
	kind := errorKindOf[c]
	return &Problem{
		Type: "/docs/errors#" + string(c), Title: kind.title, Status: kind.status,
		Detail: fmt.Sprintf(format, args...), Code: c,
	}
}

// caused keeps the error for the log.
func (p *Problem) caused(by error) *Problem {
	p.cause = by
	return p
}

// of names the request that the problem answers, and hands the cause to its log line.
func (p *Problem) of(ctx context.Context) *Problem {
	if r := requestFrom(ctx); r != nil {
		p.Instance, p.RequestID = "/requests/"+r.id, r.id
		if p.Status >= http.StatusInternalServerError {
			r.err = p.cause
		}
	}
	return p
}

// recordedFailure is a rule's refusal that was recorded as a FAILED transfer.
type recordedFailure struct {
	error
	transfer ledger.Transfer
}

func (f recordedFailure) Unwrap() error { return f.error }

// problemFor is the mapper: it turns any error into its answer. What it does not
// know is internal_error, and none of it is told.
func problemFor(ctx context.Context, err error) *Problem {
	var (
		problem *Problem
		refused *ledger.Failure
		unfit   *export.Failure
		input   *ledger.InvalidInput
	)
	switch {
	case errors.As(err, &problem):
	case errors.As(err, &refused):
		problem = refusal(err, refused)
	case errors.As(err, &unfit):
		problem = asKnown(code(unfit.Code), unfit.Message)
	case errors.As(err, &input):
		problem = invalidRequest(input.Fields)
	case errors.Is(err, database.ErrSnapshotGone):
		problem = codeCursorExpired.problem("the database does not keep the time of this cursor any more")
	case errors.Is(err, database.ErrSnapshotInFuture):
		problem = invalidRequest(badCursor().Fields)
	case errors.Is(err, database.ErrNoPast):
		problem = invalidRequest([]ledger.FieldError{{Field: "consistency", Problem: "must be latest: this database, PostgreSQL, has snapshots of postings only"}})
	case errors.Is(err, ErrUnauthenticated):
		problem = codeUnauthenticated.problem("the API key is not valid")
	case errors.Is(err, ledger.ErrOverloaded):
		problem = codeOverloaded.problem("too many transfers are waiting")
	case errors.Is(err, ledger.ErrShuttingDown):
		problem = codeShuttingDown.problem("this server takes nothing more")
	case errors.Is(err, database.ErrCommitUnknown):
		problem = codeOutcomeUnknown.problem("the connection to the database was lost during the commit: send the same request with the same id again")
	case errors.Is(err, database.ErrConflict):
		problem = codeConflictRetry.problem("conflicts with other requests used up all tries")
	case errors.Is(err, database.ErrUnavailable):
		problem = codeDatabaseUnavailable.problem("the database does not answer")
	case database.TimedOut(err), errors.Is(err, context.Canceled):
		problem = codeTimeout.problem("not finished in time")
	case database.Unavailable(err):
		problem = codeDatabaseUnavailable.problem("the database does not answer")
	default:
		problem = codeInternalError.problem("the log says why, under this requestId")
	}
	return problem.caused(err).of(ctx)
}

func refusal(err error, refused *ledger.Failure) *Problem {
	problem := asKnown(code(refused.Code), refused.Message)
	if recorded := (recordedFailure{}); errors.As(err, &recorded) && recorded.transfer.ID != "" {
		problem.TransactionID, problem.TransactionStatus = recorded.transfer.ID, string(recorded.transfer.Status)
	}
	return problem
}

// asKnown is the problem of a code that is in the table.
func asKnown(c code, message string) *Problem {
	if _, known := errorKindOf[c]; !known {
		return codeInternalError.problem("the log says why, under this requestId")
	}
	return c.problem("%s", message)
}

func invalidRequest(fields []ledger.FieldError) *Problem {
	problem := codeInvalidRequest.problem("the request makes no sense")
	for _, f := range fields {
		problem.Errors = append(problem.Errors, FieldProblem(f))
	}
	if len(fields) > 0 {
		problem.Detail = fields[0].Field + ": " + fields[0].Problem
	}
	return problem
}

// takeOverErrors makes huma's own errors, which are about parameters, problems
// like all others. huma has one such function for the whole process.
var takeOverErrors = sync.OnceFunc(func() {
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		problem := fromHuma(status, message, errs).of(ctx.Context())
		for name, values := range problem.GetHeaders() {
			ctx.SetHeader(name, values[0])
		}
		return problem
	}
})

func fromHuma(status int, message string, errs []error) *Problem {
	var fields []ledger.FieldError
	for _, err := range errs {
		var problem *Problem
		if errors.As(err, &problem) && problem.Code != codeInvalidRequest {
			return problem
		}
		if problem != nil {
			for _, f := range problem.Errors {
				fields = append(fields, ledger.FieldError(f))
			}
			continue
		}
		if detail := (*huma.ErrorDetail)(nil); errors.As(err, &detail) {
			_, name, _ := strings.Cut(detail.Location, ".")
			fields = append(fields, ledger.FieldError{Field: name, Problem: detail.Message})
		}
	}
	if status >= http.StatusInternalServerError {
		return codeInternalError.problem("the log says why, under this requestId").caused(fmt.Errorf("%s: %w", message, errors.Join(errs...)))
	}
	return invalidRequest(fields)
}
