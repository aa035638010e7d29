package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"florin/internal/approval"
	"florin/internal/cashback"
	"florin/internal/export"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/failure"
	"florin/internal/platform/ratelimit"
	"florin/internal/reporting"
	"florin/internal/risk"
	"florin/internal/wallet"
)

// The codes that are the API's own; the rest are the modules'.
const (
	codeInvalidRequest      code = "invalid_request"
	codeUnauthenticated     code = "unauthenticated"
	codeBadSignature        code = "bad_signature"
	codeForbidden           code = "forbidden"
	codeCrossOrigin         code = "cross_origin"
	codeProofRequired       code = "proof_required"
	codeStaffFactor         code = "second_factor_required_for_role"
	codeHoldReserved        code = "hold_reserved"
	codeRateLimited         code = "rate_limited"
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

type code string

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
	{codeUnauthenticated, http.StatusUnauthorized, "No valid credential", "Send a valid API key or session token as Authorization: Bearer TOKEN."},
	{code(identity.InvalidCredentials), http.StatusUnauthorized, "The credentials are not right", "Address, password and second factor must fit together; which one does not is never said."},
	{code(identity.SecondFactorRequired), http.StatusUnauthorized, "The second factor is required", "Send the same request with code, or with recoveryCode."},
	{codeBadSignature, http.StatusUnauthorized, "The signature is not right", "Sign the very bytes of the body with the source's secret, within five minutes of now."},
	{codeForbidden, http.StatusForbidden, "You may not do this", "The detail names the permission that is missing."},
	{codeCrossOrigin, http.StatusForbidden, "The page is of another origin", "Send a token as Authorization: Bearer TOKEN instead of the cookie."},
	{codeProofRequired, http.StatusForbidden, "You must prove yourself again", "Prove the password, or the second factor if you have one, then send the same request again."},
	{codeStaffFactor, http.StatusForbidden, "Your role needs a second factor", "Set one up (POST /api/v1/users/me/second-factor), confirm it, and send the same request again."},
	{codeNotFound, http.StatusNotFound, "There is no such path", "See the list of operations."},
	{code(ledger.AccountNotFound), http.StatusNotFound, "There is no such account", "Open the account first. A transfer that names it is recorded as FAILED."},
	{code(export.InvalidDestination), http.StatusBadRequest, "The destination is no URL that an export can go to", "The detail says how to write it."},
	{code(export.InvalidFormat), http.StatusBadRequest, "There is no such format", "Use ndjson or parquet."},
	{code(identity.InvalidToken), http.StatusBadRequest, "The token of the mail is not valid", "It was used, replaced or has expired: ask for a new mail."},
	{code(export.DestinationNotAllowed), http.StatusForbidden, "The destination is not allowed", "The operator names the allowed ones with --export-destinations."},
	{code(identity.EmailNotVerified), http.StatusForbidden, "The email address is not verified", "Follow the link in the mail, or ask for another one."},
	{code(identity.UserLocked), http.StatusForbidden, "The user is locked", "Ask the support."},
	{code(identity.OwnRole), http.StatusForbidden, "Nobody changes his own role or lock", "Ask another administrator."},
	{code(identity.ExceedsOwnPermissions), http.StatusForbidden, "A key can not do more than who makes it", "Choose a role, scopes and an owner within your own."},
	{code(approval.SamePerson), http.StatusForbidden, "A second person has to approve", "Neither who asked for it nor who gains by it can."},
	{code(approval.NotAPerson), http.StatusForbidden, "A person is needed", "Sign in: only a person approves. A key asks, or reviews, for the user who made it, and needs one."},
	{code(risk.OwnReview), http.StatusForbidden, "Nobody reviews a payment of his own", "Leave it to another reviewer."},
	{code(export.NotFound), http.StatusNotFound, "There is no such export", "Check the id."},
	{code(ledger.TransactionNotFound), http.StatusNotFound, "There is no such transaction", "Check the id."},
	{code(ledger.HoldNotFound), http.StatusNotFound, "There is no such hold", "Check the id."},
	{code(identity.UserNotFound), http.StatusNotFound, "There is no such user", "Check the id."},
	{code(identity.SessionNotFound), http.StatusNotFound, "There is no such session", "It is over, or it never was."},
	{code(identity.KeyNotFound), http.StatusNotFound, "There is no such API key", "Check the id."},
	{code(identity.LinkedAccountNotFound), http.StatusNotFound, "There is no such linked account", "Check the id."},
	{code(wallet.PayeeNotFound), http.StatusNotFound, "There is no such payee", "Nobody can be paid there in this currency."},
	{code(wallet.PaymentNotFound), http.StatusNotFound, "There is no such payment", "Check the id."},
	{code(wallet.ReviewNotFound), http.StatusNotFound, "No payment waits for this decision", "Check the id."},
	{code(risk.RuleNotFound), http.StatusNotFound, "There is no such rule", "Check the id."},
	{code(risk.DecisionNotFound), http.StatusNotFound, "There is no such decision", "Check the id."},
	{code(approval.NotFound), http.StatusNotFound, "There is no such approval", "Check the id."},
	{code(cashback.CampaignNotFound), http.StatusNotFound, "There is no such campaign", "Check the id."},
	{code(cashback.CustomerNotFound), http.StatusNotFound, "There is no such customer", "Enter him first (PUT /api/v1/customers/ID). What he bought meanwhile is held."},
	{code(cashback.PurchaseNotFound), http.StatusNotFound, "There is no such purchase", "Check the id."},
	{code(cashback.ReturnNotFound), http.StatusNotFound, "There is no such return", "Check the id."},
	{code(cashback.RewardNotFound), http.StatusNotFound, "There is no such reward", "Check the id."},
	{code(reporting.QueryNotFound), http.StatusNotFound, "There is no such saved query of yours", "Check the id. Those of others, shared ones too, are theirs to change: save a copy."},
	{codeMethodNotAllowed, http.StatusMethodNotAllowed, "The path has no such method", "The header Allow names the methods."},
	{codeBodyTimeout, http.StatusRequestTimeout, "The body did not arrive in time", "Send it again."},
	{code(ledger.AccountExists), http.StatusConflict, "The account id is taken", "Choose another id. Ids of closed accounts are never given out again."},
	{code(ledger.AccountFrozen), http.StatusConflict, "The account is frozen", "It neither pays nor receives until it is unfrozen."},
	{code(ledger.AccountClosed), http.StatusConflict, "The account is closed", "It stays readable and takes no changes any more."},
	{code(ledger.AccountReserved), http.StatusConflict, "The account is the program's own", "Accounts that begin with house: can be read and paid from, not changed or closed; of those that begin with house:program: nobody but the program moves money."},
	{code(ledger.AccountNotEmpty), http.StatusConflict, "The account is not empty", "Move the balance away and capture or void its holds first."},
	{code(ledger.DuplicateTransaction), http.StatusConflict, "The transaction id was used for another request", "Choose another id, or send exactly the first request to get its outcome."},
	{code(ledger.DuplicateHold), http.StatusConflict, "The hold id was used for another request", "Choose another id, or send exactly the first request to get the hold."},
	{code(ledger.TransactionNotCompleted), http.StatusConflict, "The transaction is not completed", "Only a COMPLETED transaction can be reversed."},
	{code(ledger.AlreadyReversed), http.StatusConflict, "The transaction was reversed before", "A transaction is reversed once."},
	{code(ledger.HoldNotPending), http.StatusConflict, "The hold was captured or voided before", "Read the hold to see which."},
	{codeHoldReserved, http.StatusConflict, "The hold is the ledger's own", "Holds that begin with house: are of payments under way, which end them: decide their review."},
	{code(ledger.HoldExpired), http.StatusConflict, "The hold has expired", "Place a new hold."},
	{code(ledger.BatchAborted), http.StatusConflict, "Another transfer of the atomic batch failed", "See brokenBy in the answer to the batch. Send the batch again with new ids."},
	{code(export.FormatDiffers), http.StatusConflict, "The destination has an export in another format", "Go on with that, or cancel it and choose another destination."},
	{code(export.ParametersDiffer), http.StatusConflict, "The destination has an export with other parameters", "Cancel that first, or choose another destination."},
	{code(export.Cancelled), http.StatusConflict, "The export was cancelled", "Create a new one."},
	{code(export.NotRunning), http.StatusConflict, "The export failed", "Resume or cancel it."},
	{code(export.JobEnded), http.StatusConflict, "The export's job ended for good", "Cancel the export and create it again."},
	{code(export.FolderInUse), http.StatusConflict, "An exporter is reading", "Stop it, then cancel again."},
	{code(export.FeedUnavailable), http.StatusConflict, "The database is not set up for exports", "The detail says what its operator sets."},
	{code(identity.UserNotActive), http.StatusConflict, "The user is locked, deleted or not verified", "The change makes no sense for such a user."},
	{code(identity.SecondFactorOn), http.StatusConflict, "The second factor is on", "Switch it off before another is enrolled."},
	{code(identity.SecondFactorOff), http.StatusConflict, "The second factor is off", "Enrol one first."},
	{code(identity.KeyNotActive), http.StatusConflict, "The API key is over", "It was revoked, rotated or has expired: create another one."},
	{code(identity.KeyExists), http.StatusConflict, "The API key was made before", "Its text was answered then, once. If that is lost, revoke the key and make another, with another Idempotency-Key."},
	{code(identity.KeyIsConfigured), http.StatusConflict, "The API key comes from the configuration", "Create another key, and revoke this one."},
	{code(identity.LinkedAccountExists), http.StatusConflict, "The account is linked already", "Use the one that there is."},
	{code(wallet.BankNotConnected), http.StatusConflict, "No bank is connected", "This server can not pay in or out: its operator connects a bank."},
	{code(wallet.BalanceRemaining), http.StatusConflict, "There is a balance left", "Move it away first."},
	{code(wallet.PaymentsPending), http.StatusConflict, "There are payments under way", "Wait until they are done."},
	{code(wallet.ReservationReleased), http.StatusConflict, "The reserved money was given back", "Send the payment again, with another Idempotency-Key."},
	{code(risk.RuleExists), http.StatusConflict, "The rule id is taken", "Choose another id, or change the rule."},
	{code(risk.RuleChanged), http.StatusConflict, "The rule was changed meanwhile", "Read it again and change the newest version."},
	{code(risk.NotUnderReview), http.StatusConflict, "The decision is not under review", "Only payments that were held for review are decided."},
	{code(risk.AlreadyReviewed), http.StatusConflict, "The review has ended the other way", "Read the decision."},
	{code(approval.NotPending), http.StatusConflict, "The approval was decided the other way", "Ask again."},
	{code(approval.Expired), http.StatusConflict, "The approval took too long", "Ask again."},
	{code(approval.NotApproved), http.StatusConflict, "It is not approved", "A second person has to approve it first."},
	{code(cashback.CampaignExists), http.StatusConflict, "The campaign id is taken", "Choose another id, or change the campaign."},
	{code(cashback.CampaignChanged), http.StatusConflict, "The campaign was changed meanwhile", "Read it again and change the newest version."},
	{code(cashback.ProgramChanged), http.StatusConflict, "The program was changed meanwhile", "Read it again and change the newest version."},
	{code(cashback.DuplicateClick), http.StatusConflict, "The click id was used for another click", "Choose another id, or send exactly the first request to get the click."},
	{code(cashback.DuplicatePurchase), http.StatusConflict, "The purchase id was used for another purchase", "Choose another id, or send exactly the first request to get its outcome."},
	{code(cashback.DuplicateReturn), http.StatusConflict, "The return id was used for another return", "Choose another id, or send exactly the first request to get its outcome."},
	{code(reporting.ConsoleOff), http.StatusConflict, "The SQL console is off", "The detail says what its operator does to switch it on."},
	{code(reporting.QueryExists), http.StatusConflict, "The Idempotency-Key was used for another query", "Or the query that it saved was changed since. Use another key, or read the query that there is."},
	{code(reporting.QueryChanged), http.StatusConflict, "The saved query was changed meanwhile", "Read it again and change the newest version."},
	{codeCursorExpired, http.StatusGone, "The cursor's snapshot can no longer be read", "Ask for the first page again: it begins a new snapshot. Do not join its pages to those of the old one."},
	{codeBodyTooLarge, http.StatusRequestEntityTooLarge, "The body is too large", "The detail names the limit."},
	{codeUnsupportedMedia, http.StatusUnsupportedMediaType, "The body is not JSON", "Send application/json without a content encoding."},
	{code(ledger.InsufficientFunds), http.StatusUnprocessableEntity, "Insufficient funds", "The source has less available than the amount."},
	{code(ledger.BalanceLimitExceeded), http.StatusUnprocessableEntity, "A balance would become too large", "Balances have at most 15 digits before the point."},
	{code(ledger.CurrencyMismatch), http.StatusUnprocessableEntity, "The currencies do not agree", "Both accounts and the request must be in one currency."},
	{code(ledger.SameAccount), http.StatusUnprocessableEntity, "Source and destination are one account", "Name two accounts."},
	{code(ledger.InvalidAmount), http.StatusUnprocessableEntity, "The amount does not fit the account's currency", "Use no more decimals than the currency has."},
	{code(ledger.TransferLimitExceeded), http.StatusUnprocessableEntity, "The amount is above what may be paid at a time", "The detail names the limit. Pay less, or ask for a higher limit."},
	{code(ledger.DailyLimitExceeded), http.StatusUnprocessableEntity, "The amount is above what is left of the day's limit", "The detail names what is left. A day is one of UTC."},
	{code(ledger.OverdraftInUse), http.StatusUnprocessableEntity, "The overdraft limit is in use", "Set the limit no lower than what is used of it."},
	{code(ledger.AmountExceedsHold), http.StatusUnprocessableEntity, "The amount is larger than the hold", "Capture at most what is held."},
	{code(export.UnknownScheme), http.StatusUnprocessableEntity, "There is no such kind of destination", "The detail names those that there are."},
	{code(export.NeedsRunner), http.StatusUnprocessableEntity, "A folder is written where it is", "Run florin export run on the machine that has it."},
	{code(export.FormatNotPossible), http.StatusUnprocessableEntity, "The destination can't have this format", "The detail says why, and which it can have."},
	{code(export.NeedsCockroach), http.StatusUnprocessableEntity, "Only CockroachDB delivers there", "On PostgreSQL export to a folder with florin export run."},
	{code(export.JobRefused), http.StatusUnprocessableEntity, "The database refuses the job", "The detail says why. Correct it and try again."},
	{code(identity.TooManyLinkedAccounts), http.StatusUnprocessableEntity, "Too many linked accounts", "Remove one first."},
	{code(wallet.BankRefused), http.StatusUnprocessableEntity, "The bank refused", "The detail says why. No money has moved."},
	{code(wallet.DeclinedByRisk), http.StatusUnprocessableEntity, "Declined", "A rule against fraud refused the payment. No money has moved."},
	{code(wallet.NeedsReview), http.StatusUnprocessableEntity, "A person has to look at it", "No money has moved. Pay by /users/me/transfers, where it can wait for a review."},
	{code(wallet.RejectedByReview), http.StatusUnprocessableEntity, "Rejected", "A reviewer refused the payment. No money has moved."},
	{code(wallet.TooManyAccounts), http.StatusUnprocessableEntity, "Too many accounts", "Close one first."},
	{code(wallet.TooManyPending), http.StatusUnprocessableEntity, "Too many payments under way", "Wait until some are done."},
	{code(risk.TooManyRules), http.StatusUnprocessableEntity, "Too many rules", "Switch one off first."},
	{code(cashback.TooManyCampaigns), http.StatusUnprocessableEntity, "Too many campaigns", "Pause one first."},
	{code(cashback.BudgetBelowSpent), http.StatusUnprocessableEntity, "The budget is less than what was given", "The detail names that. Set the budget no lower."},
	{code(cashback.ReturnExceedsPurchase), http.StatusUnprocessableEntity, "More is returned than is left", "The detail says what is left. The return is on record as REFUSED, and nothing was taken back."},
	{code(cashback.NothingToReturn), http.StatusUnprocessableEntity, "Nothing was bought that this could be of", "The return is on record as REFUSED. Name the purchase, or check customer, merchant, products and timestamp."},
	{code(reporting.TooLong), http.StatusUnprocessableEntity, "The report is too long for a PDF", "Ask for CSV or JSON, which have no end, or for a shorter period."},
	{code(reporting.QueryFailed), http.StatusUnprocessableEntity, "The database refuses the query", "The detail is what the database says."},
	{code(reporting.QueryTimeout), http.StatusUnprocessableEntity, "The query takes too long", "Narrow it, by created_at for instance, or look at its plan. Nothing of it runs on."},
	{code(reporting.ResultTooLarge), http.StatusUnprocessableEntity, "A row of the result is too large", "Select fewer or shorter columns."},
	{code(reporting.TooManyQueries), http.StatusUnprocessableEntity, "Too many saved queries", "Delete one first."},
	{code(cashback.PeriodTooLarge), http.StatusUnprocessableEntity, "The time has too many purchases", "Ask for a shorter one."},
	{codeRateLimited, http.StatusTooManyRequests, "Too many requests", "Nothing was done. Send the same request again after Retry-After seconds."},
	{code(identity.TooManyAttempts), http.StatusTooManyRequests, "Too many attempts failed", "Nothing was looked at. Try again after Retry-After seconds; a reset of the password by mail lets you in at once."},
	{code(wallet.TooManyLookups), http.StatusTooManyRequests, "Too many payees were not there", "Nobody was looked for. Try again after Retry-After seconds."},
	{code(reporting.ConsoleBusy), http.StatusTooManyRequests, "Too many queries are running", "Nothing was run. Each caller runs one query at a time. Try again after Retry-After seconds."},
	{codeInternalError, http.StatusInternalServerError, "Something went wrong on our side", "Tell the operator the requestId. A request with an id can be sent again."},
	{codeOverloaded, http.StatusServiceUnavailable, "Too much is waiting", "Nothing was taken. Send the same request again after Retry-After seconds."},
	{codeShuttingDown, http.StatusServiceUnavailable, "This server is shutting down", "Nothing was taken. Send the same request again after Retry-After seconds."},
	{codeConflictRetry, http.StatusServiceUnavailable, "Other requests came in the way", "Nothing was applied. Send the same request again after Retry-After seconds."},
	{codeDatabaseUnavailable, http.StatusServiceUnavailable, "The database is unavailable", "Send the same request again after Retry-After seconds."},
	{codeOutcomeUnknown, http.StatusServiceUnavailable, "The outcome is unknown", "It is done in full or not at all. Send the same request with the same id or Idempotency-Key again to learn which; one that had neither must be looked up first."},
	{codeTimeout, http.StatusServiceUnavailable, "It took too long", "A change may still be done. Send the same request with the same id again to learn its outcome."},
	{codeNotReady, http.StatusServiceUnavailable, "The server is not ready", "The database does not answer or is not migrated yet."},
	{code(reporting.Busy), http.StatusServiceUnavailable, "Too many reports are being read", "Nothing was read. Try again after Retry-After seconds."},
	{code(identity.Busy), http.StatusServiceUnavailable, "Too many sign-ins are under way", "Nothing was done. Try again after Retry-After seconds."},
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

	cause      error
	retryAfter time.Duration
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
	switch {
	case p.Status == http.StatusUnauthorized:
		return http.Header{"Www-Authenticate": {"Bearer"}}
	case p.Status == http.StatusServiceUnavailable, p.Status == http.StatusTooManyRequests, p.retryAfter > 0:
		return http.Header{"Retry-After": {strconv.FormatInt(max(1, ratelimit.Seconds(p.retryAfter)), 10)}}
	}
	return nil
}

// after says when the same request may be sent again.
func (p *Problem) after(wait time.Duration) *Problem {
	p.retryAfter = wait
	return p
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
	var problem *Problem
	if errors.As(err, &problem) {
		return problem.caused(err).of(ctx)
	}
	if problem = cmp.Or(failureOf(err), invalidInputOf(err)); problem != nil {
		return problem.caused(err).of(ctx)
	}
	switch {
	case errors.Is(err, database.ErrSnapshotGone):
		problem = codeCursorExpired.problem("the database does not keep the time of this cursor any more")
	case errors.Is(err, database.ErrSnapshotInFuture):
		problem = invalidRequest(badCursor().Fields)
	case errors.Is(err, database.ErrNoPast):
		problem = invalidRequest([]ledger.FieldError{{Field: "consistency", Problem: "must be latest: this database, PostgreSQL, has snapshots of postings only"}})
	case errors.Is(err, ErrUnauthenticated):
		problem = codeUnauthenticated.problem("the token is not valid, or not any more")
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

// named names the FAILED transaction that records what was refused, if one does.
func (p *Problem) named(err error) *Problem {
	if recorded := (recordedFailure{}); errors.As(err, &recorded) && recorded.transfer.ID != "" {
		p.TransactionID, p.TransactionStatus = recorded.transfer.ID, string(recorded.transfer.Status)
	}
	return p
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

// invalidField is a request of which one field makes no sense.
func invalidField(field, problem string) error {
	return failure.Invalidf(field, "%s", problem)
}
