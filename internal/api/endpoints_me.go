package api

import (
	"net/http"
	"reflect"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/wallet"
)

// What people do with their own money.

const tagMyMoney = "My money"

var (
	// noSnapshot is the time of cursors of lists that have no snapshots.
	noSnapshot database.Timestamp

	exampleLinked = LinkedAccount{
		LinkedAccountID: "linked_q7w3m5x2k4z6n2p7r5t3v6y4a2", Kind: "US", BankName: "First Bank", LastFour: "6789", CreatedAt: exampleTime,
	}
	exampleMyTransaction = MyTransaction{
		TransactionID: "txn_q7w3m5x2k4z6n2p7r5t3v6y4a2", Type: "SENT", Kind: "TRANSFER", Status: "COMPLETED", AccountID: "alice",
		Counterparty: Counterparty{Name: "Bob B.", AccountID: "bob"}, Amount: "30.25", Currency: "USD", Description: "Two tickets",
		CreatedAt: exampleTime, CompletedAt: &exampleTime,
	}
	exampleBankPayment = map[string]any{"accountId": "alice", "linkedAccountId": "linked_q7w3m5x2k4z6n2p7r5t3v6y4a2", "amount": "50.00"}

	paymentCodes = []code{
		code(ledger.AccountNotFound), code(ledger.AccountFrozen), code(ledger.AccountClosed), code(ledger.CurrencyMismatch), code(ledger.InvalidAmount),
		code(ledger.DuplicateTransaction), code(ledger.BalanceLimitExceeded), code(wallet.TooManyPending),
	}
	spendingCodes = append([]code{
		code(ledger.InsufficientFunds), code(ledger.TransferLimitExceeded), code(ledger.DailyLimitExceeded), code(wallet.DeclinedByRisk),
		code(wallet.RejectedByReview), code(wallet.ReservationReleased),
	}, paymentCodes...)
	bankCodes = []code{code(wallet.BankNotConnected), code(wallet.BankRefused), code(identity.LinkedAccountNotFound)}
)

var (
	linkAccountEndpoint = endpoint{
		id: "linkAccount", method: http.MethodPost, path: "/api/v1/users/me/linked-accounts", tag: tagMyMoney, needs: allow(identity.MeWrite), isSensitive: true, forPeople: true, writes: true,
		summary: "Link an account at a bank", description: "Its numbers are checked and kept encrypted; the last four characters are all that is ever answered.", status: http.StatusCreated,
		request: reflect.TypeFor[LinkAccountRequest](), requestExample: map[string]any{"bankName": "First Bank", "routingNumber": "021000021", "accountNumber": "000123456789"},
		answer: exampleLinked, codes: []code{code(identity.LinkedAccountExists), code(identity.TooManyLinkedAccounts), code(identity.UserNotActive)},
	}
	listLinkedAccountsEndpoint = endpoint{
		id: "listLinkedAccounts", method: http.MethodGet, path: "/api/v1/users/me/linked-accounts", tag: tagMyMoney, needs: allow(identity.MeRead),
		summary: "List your linked accounts", description: "All of them.", answer: LinkedAccountList{Data: []LinkedAccount{exampleLinked}},
	}
	unlinkAccountEndpoint = endpoint{
		id: "unlinkAccount", method: http.MethodDelete, path: "/api/v1/users/me/linked-accounts/{linkedAccountId}", tag: tagMyMoney, needs: allow(identity.MeWrite), forPeople: true, writes: true,
		summary: "Remove a linked account", description: "Its numbers are deleted.", answer: Message{"The account is not linked any more."},
		codes: []code{code(identity.LinkedAccountNotFound), code(wallet.PaymentsPending)},
	}
	openMyAccountEndpoint = endpoint{
		id: "openMyAccount", method: http.MethodPost, path: "/api/v1/users/me/accounts", tag: tagMyMoney, needs: allow(identity.MePay), writes: true,
		summary: "Open an account of your own", description: "Empty, without overdraft.", status: http.StatusCreated,
		request: reflect.TypeFor[OpenMyAccountRequest](), bodyIsOptional: true, requestExample: map[string]any{"accountType": "WALLET", "currency": "USD"},
		answer: exampleAccount, codes: []code{code(ledger.AccountExists), code(wallet.TooManyAccounts)},
	}
	listMyAccountsEndpoint = endpoint{
		id: "listMyAccounts", method: http.MethodGet, path: "/api/v1/users/me/accounts", tag: tagMyMoney, needs: allow(identity.MeRead),
		summary: "List your accounts", description: "All of them, closed ones too.", answer: MyAccountList{Data: []Account{exampleAccount}},
	}
	depositEndpoint = endpoint{
		id: "deposit", method: http.MethodPost, path: "/api/v1/users/me/deposits", tag: tagMyMoney, needs: allow(identity.MePay), writes: true,
		summary: "Pay in from your bank", description: "201 when it is done; 202 PENDING while the bank has not answered: it is finished by itself then.", status: http.StatusCreated,
		request: reflect.TypeFor[BankPaymentRequest](), requestExample: exampleBankPayment,
		answer: MyTransaction{
			TransactionID: "dep_q7w3m5x2k4z6n2p7r5t3v6y4a2", Type: "RECEIVED", Kind: "DEPOSIT", Status: "COMPLETED", AccountID: "alice", Amount: "50.00", Currency: "USD",
			CreatedAt: exampleTime, CompletedAt: &exampleTime,
		},
		codes: append(append([]code{}, bankCodes...), paymentCodes...),
	}
	withdrawEndpoint = endpoint{
		id: "withdraw", method: http.MethodPost, path: "/api/v1/users/me/withdrawals", tag: tagMyMoney, needs: allow(identity.MePay), isSensitive: true, writes: true,
		summary: "Pay out to your bank", description: "The money is reserved, and booked when the bank has it. 201 when it is done; 202 PENDING while the bank has not answered, or IN_REVIEW until somebody has looked at it.", status: http.StatusCreated,
		request: reflect.TypeFor[BankPaymentRequest](), requestExample: exampleBankPayment,
		answer: MyTransaction{
			TransactionID: "wdr_q7w3m5x2k4z6n2p7r5t3v6y4a2", Type: "SENT", Kind: "WITHDRAWAL", Status: "COMPLETED", AccountID: "alice", Amount: "50.00", Currency: "USD",
			CreatedAt: exampleTime, CompletedAt: &exampleTime,
		},
		codes: append(append([]code{}, bankCodes...), spendingCodes...),
	}
	myTransferEndpoint = endpoint{
		id: "myTransfer", method: http.MethodPost, path: "/api/v1/users/me/transfers", tag: tagMyMoney, needs: allow(identity.MePay), writes: true,
		summary: "Pay somebody", description: "Another user, by id, address of mail or account, or an account of your own. 201 when it is done; 202 IN_REVIEW until somebody has looked at it: the money is reserved until then.", status: http.StatusCreated,
		request: reflect.TypeFor[MyTransferRequest](), requestExample: map[string]any{"accountId": "alice", "to": map[string]any{"email": "bob@example.com"}, "amount": "30.25", "description": "Two tickets"},
		answer: exampleMyTransaction, codes: append([]code{code(wallet.PayeeNotFound), code(wallet.TooManyLookups), code(ledger.SameAccount)}, spendingCodes...),
	}
	listMyTransactionsEndpoint = endpoint{
		id: "listMyTransactions", method: http.MethodGet, path: "/api/v1/users/me/transactions", tag: tagMyMoney, needs: allow(identity.MeRead),
		summary: "List your transactions", description: "What came to your accounts and left them, newest first. from and to are about createdAt. Payments under way are listed apart.",
		answer: MyTransactionList{Data: []MyTransaction{exampleMyTransaction}}, codes: []code{code(ledger.AccountNotFound)},
	}
	listMyPendingEndpoint = endpoint{
		id: "listMyPendingPayments", method: http.MethodGet, path: "/api/v1/users/me/transactions/pending", tag: tagMyMoney, needs: allow(identity.MeRead),
		summary: "List your payments under way", description: "Those that wait for the bank or for a review.", answer: MyTransactionList{Data: []MyTransaction{}},
	}
	getMyTransactionEndpoint = endpoint{
		id: "getMyTransaction", method: http.MethodGet, path: "/api/v1/users/me/transactions/{transactionId}", tag: tagMyMoney, needs: allow(identity.MeRead),
		summary: "Read one of your transactions", description: "Done or under way. Another's is answered like one that does not exist.",
		answer: exampleMyTransaction, codes: []code{code(wallet.PaymentNotFound)},
	}
	myStatementEndpoint = endpoint{
		id: "getMyStatement", method: http.MethodGet, path: "/api/v1/users/me/statements", tag: tagMyMoney, needs: allow(identity.MeRead),
		summary: "Read a statement", description: "Of one account, for a period, as of one moment, as JSON or CSV. An answer that was cut off has no closing balance.",
		streams: reflect.TypeFor[AccountStatement](), csvExample: "time,transactionId,kind,counterparty,description,amount,balance,currency\r\n",
		answer: AccountStatement{
			AccountID: "alice", Currency: "USD", From: exampleTime, To: exampleLater, OpeningBalance: "100.00",
			Data: []StatementLine{{
				At: exampleTime, TransactionID: "txn_q7w3m5x2k4z6n2p7r5t3v6y4a2", Kind: "TRANSFER",
				Counterparty: Counterparty{Name: "Bob B.", AccountID: "bob"}, Description: "Two tickets", Amount: "-30.25", Balance: "69.75",
			}},
			ClosingBalance: "69.75",
		},
		codes: []code{code(ledger.AccountNotFound)},
	}
)
