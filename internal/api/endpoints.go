package api

import (
	"net/http"
	"reflect"
	"time"

	"florin/internal/export"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/wallet"
)

// The endpoints, each with what its documentation says.

// Examples tell one story: alice pays bob.
var (
	exampleTime  = time.Date(2026, 1, 31, 9, 30, 0, 125_000_000, time.UTC)
	exampleEvent = time.Date(2026, 1, 31, 9, 29, 58, 0, time.UTC)
	exampleLater = time.Date(2026, 2, 7, 9, 30, 0, 0, time.UTC)

	exampleMetadata = Metadata(`{"customer":"42"}`)
	exampleAccount  = Account{
		AccountID: "alice", AccountType: "WALLET", Currency: "USD", Status: "ACTIVE",
		Balance: "100.00", Held: "0.00", Available: exampleMoney("100.00"), OverdraftLimit: exampleMoney("0.00"),
		Metadata: exampleMetadata, Version: 2, CreatedAt: exampleTime, UpdatedAt: exampleTime,
	}
	exampleTransfer = Transfer{
		TransactionID: "order-1001", Kind: "TRANSFER", Status: "COMPLETED",
		SourceAccountID: "alice", DestinationAccountID: "bob", Amount: "30.25", Currency: "USD",
		Description: "Two tickets", Metadata: Metadata(`{"order":"1001"}`), Timestamp: &exampleEvent,
		CreatedAt: exampleTime, CompletedAt: &exampleTime,
	}
	exampleTransferInFull = func() Transfer {
		t := exampleTransfer
		t.Postings = []Posting{
			{AccountID: "alice", Seq: 2, TransactionID: "order-1001", Amount: "-30.25", Balance: "69.75", Currency: "USD", CreatedAt: exampleTime},
			{AccountID: "bob", Seq: 1, TransactionID: "order-1001", Amount: "30.25", Balance: "30.25", Currency: "USD", CreatedAt: exampleTime},
		}
		return t
	}()
	exampleHold = Hold{
		HoldID: "booking-77", Status: "PENDING", SourceAccountID: "alice", DestinationAccountID: "bob",
		Amount: "50.00", Currency: "USD", CapturedAmount: "0.00", ExpiresAt: &exampleLater, CreatedAt: exampleTime, UpdatedAt: exampleTime,
	}
	exampleLag    = 12.5
	exampleExport = Export{
		ExportID: "exp_q7w3m5x2k4z6n2p7r5t3v6y4a2", Destination: "s3://books/ledger", Kind: "CHANGEFEED", Format: "parquet", Status: "RUNNING",
		LagSeconds: &exampleLag, ResolvedAt: &exampleTime, CreatedAt: exampleTime, UpdatedAt: exampleTime,
	}
	exampleTransferRequest = map[string]any{
		"transactionId": "order-1001", "sourceAccountId": "alice", "destinationAccountId": "bob", "amount": "30.25", "currency": "USD",
		"timestamp": "2026-01-31T09:29:58Z", "description": "Two tickets", "metadata": map[string]any{"order": "1001"},
	}
	exampleCursor = newCursor("accounts", database.Timestamp{}, "alice")
)

// allow lists the permissions of which an endpoint takes any.
func allow(permissions ...identity.Permission) []identity.Permission { return permissions }

// exportAs is the example's export in another status.
func exportAs(status export.Status) Export {
	e := exampleExport
	if e.Status = string(status); status == export.Finished {
		e.LagSeconds = nil
	}
	return e
}

func exampleMoney(text Money) *Money { return &text }

// What a rule can say about two accounts and an amount.
var transferCodes = []code{
	code(ledger.AccountNotFound), code(ledger.AccountFrozen), code(ledger.AccountClosed), code(ledger.AccountReserved), code(ledger.DuplicateTransaction),
	code(ledger.InsufficientFunds), code(ledger.CurrencyMismatch), code(ledger.SameAccount), code(ledger.BalanceLimitExceeded),
	code(ledger.InvalidAmount), code(ledger.BatchAborted), code(ledger.TransferLimitExceeded), code(ledger.DailyLimitExceeded),
}

var (
	openAccountEndpoint = endpoint{
		id: "openAccount", method: http.MethodPost, path: "/api/v1/accounts", tag: tagAccounts, writes: true,
		needs:   allow(identity.AccountsWrite),
		summary: "Open an account", status: http.StatusCreated,
		description: "All fields are optional. A balance above zero is booked as a transfer from the house's opening account. Body of at most 1 MiB.",
		request:     reflect.TypeFor[OpenAccountRequest](), bodyIsOptional: true,
		requestExample: map[string]any{"accountId": "alice", "balance": "100.00", "accountType": "WALLET", "currency": "USD", "metadata": map[string]any{"customer": "42"}},
		answer:         exampleAccount,
		codes:          []code{codeProofRequired, code(ledger.AccountExists), code(ledger.BalanceLimitExceeded)},
	}
	listAccountsEndpoint = endpoint{
		id: "listAccounts", method: http.MethodGet, path: "/api/v1/accounts", tag: tagAccounts,
		needs:   allow(identity.AccountsRead),
		summary: "List accounts", description: "In the order of their ids. Filters narrow the list; all of them must hold.",
		answer: AccountList{Data: []Account{exampleAccount}, PageInfo: PageInfo{NextCursor: exampleCursor, ReadAt: exampleTime}},
		codes:  []code{codeCursorExpired},
	}
	getAccountEndpoint = endpoint{
		id: "getAccount", method: http.MethodGet, path: "/api/v1/accounts/{accountId}", tag: tagAccounts,
		needs:   allow(identity.AccountsRead),
		summary: "Read an account", description: "Closed accounts stay readable.",
		answer: exampleAccount, codes: []code{code(ledger.AccountNotFound)},
	}
	updateAccountEndpoint = endpoint{
		id: "updateAccount", method: http.MethodPatch, path: "/api/v1/accounts/{accountId}", tag: tagAccounts, writes: true,
		needs: allow(identity.AccountsWrite, identity.AccountsFreeze, identity.LimitsWrite), mayWait: true,
		summary: "Change, freeze or unfreeze an account", description: "What is absent stays as it is.",
		request:        reflect.TypeFor[UpdateAccountRequest](),
		requestExample: map[string]any{"status": "FROZEN", "overdraftLimit": "25.00", "dailyLimit": "500.00", "metadata": map[string]any{"reason": "lost card", "customer": nil}},
		answer: func() Account {
			a := exampleAccount
			a.Status, a.Version, a.Metadata = "FROZEN", 3, Metadata(`{"reason":"lost card"}`)
			a.OverdraftLimit, a.Available, a.DailyLimit = exampleMoney("25.00"), exampleMoney("125.00"), exampleMoney("500.00")
			return a
		}(),
		codes: []code{codeProofRequired, code(ledger.AccountNotFound), code(ledger.AccountClosed), code(ledger.AccountReserved), code(ledger.OverdraftInUse), code(ledger.InvalidAmount)},
	}
	closeAccountEndpoint = endpoint{
		id: "closeAccount", method: http.MethodDelete, path: "/api/v1/accounts/{accountId}", tag: tagAccounts, writes: true,
		needs:       allow(identity.AccountsWrite),
		summary:     "Close an account for good",
		description: "Only an empty one. It stays readable as CLOSED, refuses money, and its id is never given out again. Closing it again changes nothing.",
		answer:      Message{"Account deleted successfully."},
		codes:       []code{code(ledger.AccountNotFound), code(ledger.AccountReserved), code(ledger.AccountNotEmpty)},
	}
	getBalanceEndpoint = endpoint{
		id: "getBalance", method: http.MethodGet, path: "/api/v1/accounts/{accountId}/balance", tag: tagAccounts,
		needs:   allow(identity.AccountsRead),
		summary: "Read the balance at a time", description: "Exact to the last posting, at any time since the account was opened.",
		answer: Balance{AccountID: "alice", Currency: "USD", At: exampleTime, Balance: "69.75", Postings: 2},
		codes:  []code{code(ledger.AccountNotFound)},
	}
	listPostingsEndpoint = endpoint{
		id: "listPostings", method: http.MethodGet, path: "/api/v1/accounts/{accountId}/postings", tag: tagAccounts,
		needs:   allow(identity.AccountsRead),
		summary: "List an account's postings", description: "Newest first, each with the balance after it.",
		answer: PostingList{
			Data:     exampleTransferInFull.Postings[:1],
			PageInfo: PageInfo{NextCursor: newCursor("postings", database.Timestamp{}, "alice", "2"), ReadAt: exampleTime},
		},
		codes: []code{code(ledger.AccountNotFound), codeCursorExpired},
	}

	createTransferEndpoint = endpoint{
		id: "createTransfer", method: http.MethodPost, path: "/api/v1/transfers", tag: tagTransfers, writes: true,
		needs:   allow(identity.TransfersWrite),
		summary: "Move money now", status: http.StatusCreated,
		description: "Done when answered. A refused transfer is recorded as FAILED; the same request again gives the same answer. A customer's or merchant's is judged by the risk rules first: what they decline, or a person would have to review, is not recorded.",
		request:     reflect.TypeFor[TransferRequest](), requestExample: exampleTransferRequest,
		answer: exampleTransfer, codes: append([]code{code(wallet.DeclinedByRisk), code(wallet.NeedsReview)}, transferCodes...),
	}
	acceptTransferEndpoint = endpoint{
		id: "acceptTransfer", method: http.MethodPost, path: "/api/v1/transactions/process", tag: tagTransfers, writes: true,
		needs:   allow(identity.TransfersWrite),
		summary: "Move money later", status: http.StatusAccepted,
		description: "Stored before it is answered, executed in the background within milliseconds as a rule, never lost. Whether it succeeded is said by its status.",
		request:     reflect.TypeFor[TransferRequest](), requestExample: exampleTransferRequest,
		answer: AcceptedTransfer{Message: "Transaction accepted", TransactionID: "order-1001", Status: "PENDING"},
		codes:  []code{code(ledger.AccountNotFound), code(ledger.DuplicateTransaction), code(wallet.DeclinedByRisk), code(wallet.NeedsReview)},
	}
	createBatchEndpoint = endpoint{
		id: "createTransferBatch", method: http.MethodPost, path: "/api/v1/transfers/batch", tag: tagTransfers, writes: true,
		needs: allow(identity.TransfersWrite), class: classBatch, reachesAll: true,
		summary: "Move money many times", bodyMax: batchBodyMax,
		description: "Up to 10,000 transfers in up to 16 MiB, executed in their order. Not atomic: each succeeds or fails alone. Atomic: all or none; brokenBy names the one that failed, the others are `batch_aborted`. When any makes no sense, nothing is stored at all. The same batch again finishes what a 503 left open. For callers that reach all accounts: each payment of a customer or merchant is judged by the risk rules, one by one.",
		request:     reflect.TypeFor[BatchRequest](), requestExample: map[string]any{"atomic": false, "transfers": []any{exampleTransferRequest}},
		answer: BatchOutcome{Succeeded: 1, Failed: 1, Results: []BatchedResult{
			{Index: 0, TransactionID: "order-1001", Status: "COMPLETED"},
			{Index: 1, TransactionID: "order-1002", Status: "FAILED", FailureCode: string(ledger.InsufficientFunds), FailureMessage: "account alice has 5.00 available, less than 30.25"},
		}},
	}
	reverseTransferEndpoint = endpoint{
		id: "reverseTransaction", method: http.MethodPost, path: "/api/v1/transactions/{transactionId}/reversal", tag: tagTransfers, writes: true,
		needs: allow(identity.TransfersUndo), mayWait: true,
		summary: "Undo a transaction", status: http.StatusCreated,
		description: "Moves a completed transaction's amount back, once, in a transaction of its own that is linked to it. Refused when the money is gone, unless forced.",
		request:     reflect.TypeFor[ReversalRequest](), bodyIsOptional: true,
		requestExample: map[string]any{"transactionId": "order-1001-undo", "force": false, "description": "Concert cancelled"},
		answer: Transfer{
			TransactionID: "order-1001-undo", Kind: "REVERSAL", Status: "COMPLETED", SourceAccountID: "bob", DestinationAccountID: "alice",
			Amount: "30.25", Currency: "USD", Description: "Concert cancelled", ReversesTransactionID: "order-1001", CreatedAt: exampleLater, CompletedAt: &exampleLater,
		},
		codes: append([]code{codeProofRequired, code(ledger.TransactionNotFound), code(ledger.TransactionNotCompleted), code(ledger.AlreadyReversed)}, transferCodes...),
	}

	listTransactionsEndpoint = endpoint{
		id: "listTransactions", method: http.MethodGet, path: "/api/v1/transactions", tag: tagTransactions,
		needs:   allow(identity.TransactionRead),
		summary: "List transactions", description: "Newest first. Filters narrow the list; all of them must hold. from and to are about createdAt.",
		answer: TransactionList{Data: []Transfer{exampleTransfer}, PageInfo: PageInfo{ReadAt: exampleTime}},
		codes:  []code{codeCursorExpired},
	}
	getTransactionEndpoint = endpoint{
		id: "getTransaction", method: http.MethodGet, path: "/api/v1/transactions/{transactionId}", tag: tagTransactions,
		needs:   allow(identity.TransactionRead),
		summary: "Read a transaction in full", description: "With its postings and, if there is one, its reversal.", notModified: true,
		answer: exampleTransferInFull, codes: []code{code(ledger.TransactionNotFound)},
	}
	getStatusEndpoint = endpoint{
		id: "getTransactionStatus", method: http.MethodGet, path: "/api/v1/transactions/{transactionId}/status", tag: tagTransactions,
		needs:   allow(identity.TransactionRead),
		summary: "Read a transaction's status", description: "A final status never changes and may be cached for good.", notModified: true,
		answer: TransactionStatus{TransactionID: "order-1001", Status: "COMPLETED"}, codes: []code{code(ledger.TransactionNotFound)},
	}

	placeHoldEndpoint = endpoint{
		id: "placeHold", method: http.MethodPost, path: "/api/v1/holds", tag: tagHolds, writes: true,
		needs:   allow(identity.HoldsWrite),
		summary: "Reserve money", status: http.StatusCreated,
		description: "A refused hold leaves nothing behind: its id can be tried again. A customer's or merchant's is judged by the risk rules first.",
		request:     reflect.TypeFor[HoldRequest](),
		requestExample: map[string]any{
			"holdId": "booking-77", "sourceAccountId": "alice", "destinationAccountId": "bob", "amount": "50.00", "expiresAt": "2026-02-07T09:30:00Z",
		},
		answer: exampleHold,
		codes: []code{
			code(ledger.AccountNotFound), code(ledger.AccountFrozen), code(ledger.AccountClosed), code(ledger.AccountReserved), code(ledger.DuplicateHold),
			code(ledger.InsufficientFunds), code(ledger.CurrencyMismatch), code(ledger.SameAccount), code(ledger.BalanceLimitExceeded),
			code(ledger.TransferLimitExceeded), code(ledger.DailyLimitExceeded), code(wallet.DeclinedByRisk), code(wallet.NeedsReview),
		},
	}
	getHoldEndpoint = endpoint{
		id: "getHold", method: http.MethodGet, path: "/api/v1/holds/{holdId}", tag: tagHolds,
		needs:   allow(identity.HoldsRead),
		summary: "Read a hold", description: "As it is now.",
		answer: exampleHold, codes: []code{code(ledger.HoldNotFound)},
	}
	listHoldsEndpoint = endpoint{
		id: "listHolds", method: http.MethodGet, path: "/api/v1/accounts/{accountId}/holds", tag: tagHolds,
		needs:   allow(identity.HoldsRead),
		summary: "List an account's pending holds", description: "Those that reserve its money, in the order of their ids. One that has ended is read by its id.",
		answer: HoldList{Data: []Hold{exampleHold}}, codes: []code{code(ledger.AccountNotFound)},
	}
	captureHoldEndpoint = endpoint{
		id: "captureHold", method: http.MethodPost, path: "/api/v1/holds/{holdId}/capture", tag: tagHolds, writes: true,
		needs:   allow(identity.HoldsWrite),
		summary: "Take reserved money", status: http.StatusCreated,
		description: "Moves the amount, or all of it, to the hold's destination and releases the rest.",
		request:     reflect.TypeFor[CaptureRequest](), bodyIsOptional: true,
		requestExample: map[string]any{"transactionId": "booking-77-pay", "amount": "42.00"},
		answer: Transfer{
			TransactionID: "booking-77-pay", Kind: "CAPTURE", Status: "COMPLETED", SourceAccountID: "alice", DestinationAccountID: "bob",
			Amount: "42.00", Currency: "USD", HoldID: "booking-77", CreatedAt: exampleTime, CompletedAt: &exampleTime,
		},
		codes: []code{
			code(ledger.HoldNotFound), code(ledger.HoldNotPending), code(ledger.HoldExpired), codeHoldReserved, code(ledger.AmountExceedsHold),
			code(ledger.AccountFrozen), code(ledger.AccountClosed), code(ledger.AccountReserved), code(ledger.DuplicateTransaction), code(ledger.BalanceLimitExceeded),
		},
	}
	voidHoldEndpoint = endpoint{
		id: "voidHold", method: http.MethodPost, path: "/api/v1/holds/{holdId}/void", tag: tagHolds, writes: true,
		needs:   allow(identity.HoldsWrite),
		summary: "Release reserved money", description: "Voiding it again changes nothing. Takes no body.",
		answer: func() Hold {
			h := exampleHold
			h.Status = "VOIDED"
			return h
		}(),
		codes: []code{code(ledger.HoldNotFound), code(ledger.HoldNotPending), code(ledger.HoldExpired), codeHoldReserved},
	}

	createExportEndpoint = endpoint{
		id: "createExport", method: http.MethodPost, path: "/api/v1/exports", tag: tagExports, writes: true,
		needs:   allow(identity.ExportsWrite),
		summary: "Export the ledger", status: http.StatusCreated,
		description: "A job of CockroachDB delivers every posting and transfer there is, and then those that come, until it is cancelled. At least once: what was delivered may come again after a fault, so a consumer keeps the first of equal `(account_id, seq)`; a transfer comes anew when its status changes, and the newest `mvcc_timestamp` counts. The same destination again answers the same export.",
		request:     reflect.TypeFor[CreateExportRequest](), requestExample: map[string]any{"destination": "s3://books/ledger?AWS_ACCESS_KEY_ID=ID&AWS_SECRET_ACCESS_KEY=SECRET", "format": "parquet"},
		answer: exampleExport,
		codes: []code{
			code(export.InvalidDestination), code(export.InvalidFormat), code(export.UnknownScheme), code(export.DestinationNotAllowed),
			code(export.NeedsRunner), code(export.FormatNotPossible), code(export.NeedsCockroach), code(export.FeedUnavailable),
			code(export.FormatDiffers), code(export.ParametersDiffer), code(export.JobRefused), code(export.Cancelled),
		},
	}
	listExportsEndpoint = endpoint{
		id: "listExports", method: http.MethodGet, path: "/api/v1/exports", tag: tagExports,
		needs:   allow(identity.ExportsRead),
		summary: "List exports", description: "In the order of their ids, cancelled ones too.",
		answer: ExportList{Data: []Export{exampleExport}, NextCursor: exportsCursor(exampleExport.ExportID)},
	}
	getExportEndpoint = endpoint{
		id: "getExport", method: http.MethodGet, path: "/api/v1/exports/{exportId}", tag: tagExports,
		needs:   allow(identity.ExportsRead),
		summary: "Read an export", description: "As it is now: how far it has come, and what keeps it.",
		answer: exampleExport, codes: []code{code(export.NotFound)},
	}
	pauseExportEndpoint = endpoint{
		id: "pauseExport", method: http.MethodPost, path: "/api/v1/exports/{exportId}/pause", tag: tagExports, writes: true,
		needs:   allow(identity.ExportsWrite),
		summary: "Pause an export", description: "It delivers nothing until it is resumed; the database keeps what comes next, but not for ever. Pausing it again changes nothing. Takes no body.",
		answer: exportAs(export.Paused), codes: []code{code(export.NotFound), code(export.NotRunning), code(export.Cancelled), code(export.JobRefused), code(export.JobEnded)},
	}
	resumeExportEndpoint = endpoint{
		id: "resumeExport", method: http.MethodPost, path: "/api/v1/exports/{exportId}/resume", tag: tagExports, writes: true,
		needs:   allow(identity.ExportsWrite),
		summary: "Resume an export", description: "One that is paused or failed goes on where it was. Resuming a running one changes nothing. Takes no body.",
		answer: exportAs(export.Running), codes: []code{code(export.NotFound), code(export.Cancelled), code(export.JobRefused), code(export.JobEnded)},
	}
	cancelExportEndpoint = endpoint{
		id: "cancelExport", method: http.MethodDelete, path: "/api/v1/exports/{exportId}", tag: tagExports, writes: true,
		needs:   allow(identity.ExportsWrite),
		summary: "Cancel an export for good", description: "What was delivered stays, and so does the record. Cancelling it again changes nothing.",
		answer: exportAs(export.Finished), codes: []code{code(export.NotFound), code(export.JobRefused), code(export.FolderInUse)},
	}
)
