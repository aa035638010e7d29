package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"florin/internal/ledger"
)

// TransactionPath names a transaction.
type TransactionPath struct {
	TransactionID ID `path:"transactionId" doc:"The transaction's id." example:"order-1001"`
}

type getTransactionInput struct {
	TransactionPath
	IfNoneMatch string `header:"If-None-Match" doc:"An ETag of an earlier answer: 304 when it still holds."`
}

type listTransactionsInput struct {
	Page
	Period
	AccountID ID     `query:"accountId" doc:"With this source or destination only." example:"alice"`
	Status    string `query:"status" enum:"PENDING,IN_PROGRESS,COMPLETED,FAILED" doc:"Of this status only."`
}

// TransactionStatus is where a transaction stands.
type TransactionStatus struct {
	TransactionID  string `json:"transactionId" example:"order-1001"`
	Status         string `json:"status" enum:"PENDING,IN_PROGRESS,COMPLETED,FAILED" doc:"COMPLETED and FAILED are final."`
	FailureCode    string `json:"failureCode,omitempty" doc:"Why it FAILED: a code of the table of errors."`
	FailureMessage string `json:"failureMessage,omitempty" doc:"The same for people."`
}

// TransactionList is a page of transactions.
type TransactionList struct {
	Data []Transfer `json:"data" nullable:"false"`
	PageInfo
}

type transactionsOutput struct{ Body TransactionList }

// cacheable is what an answer says about keeping it.
type cacheable struct {
	Status       int
	ETag         string `header:"ETag" doc:"Strong; only with a final status."`
	CacheControl string `header:"Cache-Control"`
}

type statusOutput struct {
	Status       int
	ETag         string `header:"ETag" doc:"Strong; only with a final status."`
	CacheControl string `header:"Cache-Control" doc:"A final status may be kept, it never changes."`
	Body         TransactionStatus
}

type transactionOutput struct {
	Status       int
	ETag         string `header:"ETag" doc:"Strong; only with a final status."`
	CacheControl string `header:"Cache-Control" doc:"A final transaction may be kept but must be revalidated: it may still be reversed."`
	Body         Transfer
}

const (
	cacheForGood    = "private, max-age=31536000, immutable"
	cacheRevalidate = "private, no-cache"
	cacheNever      = "no-store"
)

func (a *api) routeTransactions() {
	route(a, listTransactionsEndpoint, a.listTransactions)
	route(a, getTransactionEndpoint, a.getTransaction)
	route(a, getStatusEndpoint, a.getStatus)
}

func (a *api) getStatus(ctx context.Context, in *getTransactionInput) (*statusOutput, error) {
	t, err := a.booksFor(ctx).TransferByID(ctx, string(in.TransactionID))
	if err != nil {
		return nil, err
	}
	body := TransactionStatus{TransactionID: t.ID, Status: string(t.Status)}
	if t.Failure != nil {
		body.FailureCode, body.FailureMessage = string(t.Failure.Code), t.Failure.Message
	}
	c := cacheability(t, body, in.IfNoneMatch, cacheForGood)
	return &statusOutput{c.Status, c.ETag, c.CacheControl, body}, nil
}

func (a *api) getTransaction(ctx context.Context, in *getTransactionInput) (*transactionOutput, error) {
	t, err := a.booksFor(ctx).TransferByID(ctx, string(in.TransactionID))
	if err != nil {
		return nil, err
	}
	body := transferOf(t)
	postings, err := a.booksFor(ctx).PostingsOf(ctx, t)
	if err != nil {
		return nil, err
	}
	body.Postings = postingsOf(postings)
	c := cacheability(t, body, in.IfNoneMatch, cacheRevalidate)
	return &transactionOutput{c.Status, c.ETag, c.CacheControl, body}, nil
}

// cacheability lets a final transaction's answer be kept.
func cacheability(t ledger.Transfer, body any, ifNoneMatch, whenFinal string) cacheable {
	if !t.Status.IsFinal() {
		return cacheable{Status: http.StatusOK, CacheControl: cacheNever}
	}
	c := cacheable{Status: http.StatusOK, ETag: etag(body), CacheControl: whenFinal}
	if matches(ifNoneMatch, c.ETag) {
		c.Status = http.StatusNotModified
	}
	return c
}

// etag is over all of the body, so that it changes with whatever is answered,
// also after an upgrade of this program.
func etag(body any) string {
	text, err := json.Marshal(body)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// matches compares weakly, as If-None-Match asks for (RFC 9110, 13.1.2).
func matches(ifNoneMatch, etag string) bool {
	for candidate := range strings.SplitSeq(ifNoneMatch, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == etag {
			return etag != ""
		}
	}
	return false
}

func (a *api) listTransactions(ctx context.Context, in *listTransactionsInput) (*transactionsOutput, error) {
	at, before, err := in.transfersBefore()
	if err != nil {
		return nil, err
	}
	filter := ledger.TransferFilter{
		AccountID: string(in.AccountID), Status: ledger.TransferStatus(in.Status), From: in.From, To: in.To,
	}
	var rows []ledger.Transfer
	shown, err := a.read(ctx, in.Consistency, at, func(books ledger.View) (err error) {
		rows, err = books.Transfers(ctx, filter, before, in.Limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	rows, more := cut(rows, in.Limit)
	list := TransactionList{Data: make([]Transfer, len(rows)), PageInfo: PageInfo{ReadAt: shown.readAt}}
	for i, row := range rows {
		list.Data[i] = transferOf(row)
	}
	if more {
		list.NextCursor = transfersCursor(shown.snapshot, rows[len(rows)-1])
	}
	return &transactionsOutput{list}, nil
}
