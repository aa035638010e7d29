package api

import (
	"context"
	"errors"

	"florin/internal/ledger"
)

// BatchRequest asks for many movements of money at once.
type BatchRequest struct {
	Atomic    bool              `json:"atomic,omitempty" doc:"true: all are done or none. false: each succeeds or fails alone."`
	Transfers []TransferRequest `json:"transfers" minItems:"1" maxItems:"10000" nullable:"false" doc:"Executed in this order."`
}

var batchMembers = []member[BatchRequest]{
	{"atomic", false, func(d *decoder, r *BatchRequest) { d.readFlag(&r.Atomic) }},
	{"transfers", true, func(d *decoder, r *BatchRequest) { decodeList(d, &r.Transfers, ledger.MaxBatch) }},
}

func (BatchRequest) members() []member[BatchRequest] { return batchMembers }

type batchInput struct{ Payload jsonBody[BatchRequest] }

type batchOutput struct{ Body BatchOutcome }

// BatchOutcome says what became of a batch.
type BatchOutcome struct {
	Atomic    bool            `json:"atomic" doc:"As asked for."`
	Succeeded int             `json:"succeeded" doc:"How many are COMPLETED."`
	Failed    int             `json:"failed" doc:"How many are not."`
	BrokenBy  *int            `json:"brokenBy,omitempty" doc:"Index of the transfer that made an atomic batch fail."`
	Results   []BatchedResult `json:"results" nullable:"false" doc:"One for each transfer, in their order."`
}

// BatchedResult says what became of one transfer of a batch.
type BatchedResult struct {
	Index          int    `json:"index" doc:"Place in the request, from 0."`
	TransactionID  string `json:"transactionId" example:"order-1001"`
	Status         string `json:"status" enum:"COMPLETED,FAILED"`
	FailureCode    string `json:"failureCode,omitempty" doc:"Why it FAILED: a code of the table of errors."`
	FailureMessage string `json:"failureMessage,omitempty" doc:"The same for people."`
}

func (a *api) routeBatch() {
	route(a, createBatchEndpoint.with(a.limitBatches), a.createBatch)
}

func (a *api) createBatch(ctx context.Context, in *batchInput) (*batchOutput, error) {
	r := &in.Payload.Value
	requests := make([]ledger.TransferRequest, len(r.Transfers))
	for i := range r.Transfers {
		requests[i] = r.Transfers[i].toLedger()
	}
	results, err := a.booksFor(ctx).TransferBatch(ctx, requests, r.Atomic)
	if err != nil {
		return nil, err
	}
	return &batchOutput{batchOutcomeOf(r, results)}, nil
}

func batchOutcomeOf(r *BatchRequest, results []ledger.Result) BatchOutcome {
	outcome := BatchOutcome{Atomic: r.Atomic, Results: make([]BatchedResult, len(results))}
	for i, result := range results {
		out := &outcome.Results[i]
		*out = BatchedResult{Index: i, TransactionID: string(r.Transfers[i].TransactionID), Status: string(ledger.Completed)}
		if result.Err == nil {
			outcome.Succeeded++
			continue
		}
		outcome.Failed++
		out.Status = string(ledger.Failed)
		out.FailureCode, out.FailureMessage = string(codeInternalError), "not executed"
		if refused := (*ledger.Failure)(nil); errors.As(result.Err, &refused) {
			out.FailureCode, out.FailureMessage = string(refused.Code), refused.Message
		}
		if r.Atomic && outcome.BrokenBy == nil && out.FailureCode != string(ledger.BatchAborted) {
			outcome.BrokenBy = &out.Index
		}
	}
	return outcome
}
