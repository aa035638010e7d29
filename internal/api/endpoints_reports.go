package api

import (
	"net/http"
	"reflect"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/reporting"
)

// What finance reads: reports, and SQL.

const (
	tagReports = "Reports"
	tagConsole = "SQL console"
)

const reportNote = " Read as of one moment, readAt, and answered as it is read, however long it is: as JSON, or as CSV whose lines are ROW, TOTAL, and at last READ_AT. An answer that was cut off has no totals, and no READ_AT. With limit only so many rows are answered, and at once: as long as a request may take, and with the totals of all."

var (
	exampleReportHead = func(report string) ReportHead {
		return ReportHead{Report: report, From: exampleTime, To: exampleLater, ReadAt: exampleLater}
	}
	exampleTrialTotal = TrialBalanceTotal{Currency: "USD", Opening: "100.00", Debits: "30.25", Credits: "0.00", Closing: "69.75"}
	exampleText       = func(text string) *string { return &text }

	exampleConsoleResult = ConsoleResult{
		QueryID: "qry_q7w3m5x2k4z6n2p7r5t3v6y4a2", Columns: []ConsoleColumn{{"currency", "text"}, {"balance", "numeric"}},
		Rows: [][]*string{{exampleText("USD"), exampleText("69.7500")}, {exampleText("EUR"), nil}}, DurationMs: 12, ReadAt: exampleTime,
	}
	exampleSavedQuery = SavedQuery{
		QueryID: "sq_q7w3m5x2k4z6n2p7r5t3v6y4a2", Version: 1, Name: "Balances", Description: "By currency", Query: "SELECT currency, sum(posted) FROM reporting.balances GROUP BY currency",
		OwnerID: "user_m5x2k4z6n2p7r5t3v6y4a2q7w3", IsOwn: true, IsShared: true, CreatedAt: exampleTime, UpdatedAt: exampleTime,
	}
	exampleSavedTerms = map[string]any{"name": exampleSavedQuery.Name, "description": exampleSavedQuery.Description, "query": exampleSavedQuery.Query, "isShared": true}

	queryCodes = []code{
		code(reporting.ConsoleOff), code(reporting.ConsoleBusy), code(reporting.QueryFailed), code(reporting.QueryTimeout), code(reporting.ResultTooLarge),
	}
)

var (
	trialBalanceEndpoint = endpoint{
		id: "reportTrialBalance", method: http.MethodGet, path: "/api/v1/reports/trial-balance", tag: tagReports, needs: allow(identity.ReportsRead), reachesAll: true,
		summary: "Report the trial balance", description: "What stood on each account before and after a period, and what moved in it." + reportNote,
		streams: reflect.TypeFor[TrialBalanceReport](), csvExample: "line,accountId,accountType,currency,opening,debits,credits,closing\r\n",
		answer: TrialBalanceReport{
			ReportHead: exampleReportHead("trial-balance"), Data: []TrialBalanceLine{{AccountID: "alice", AccountType: "WALLET", TrialBalanceTotal: exampleTrialTotal}},
			Totals: []TrialBalanceTotal{{Currency: "USD", Opening: "0.00", Debits: "30.25", Credits: "30.25", Closing: "0.00"}},
		},
		codes: []code{code(reporting.Busy)},
	}
	profitAndLossEndpoint = endpoint{
		id: "reportProfitAndLoss", method: http.MethodGet, path: "/api/v1/reports/profit-and-loss", tag: tagReports, needs: allow(identity.ReportsRead), reachesAll: true,
		summary: "Report profit and loss", description: "What moved on the house's accounts of type REVENUE and EXPENSE." + reportNote,
		streams: reflect.TypeFor[ProfitAndLossReport](), csvExample: "line,accountId,accountType,currency,debits,credits,result,income,expenses,profit\r\n",
		answer: ProfitAndLossReport{
			ReportHead: exampleReportHead("profit-and-loss"), Data: []ProfitAndLossLine{{AccountID: "fees", AccountType: "REVENUE", Currency: "USD", Debits: "0.00", Credits: "12.50", Result: "12.50"}},
			Totals: []ProfitAndLossTotal{{Currency: "USD", Income: "12.50", Expenses: "0.00", Profit: "12.50"}},
		},
		codes: []code{code(reporting.Busy)},
	}
	dailyVolumesEndpoint = endpoint{
		id: "reportDailyVolumes", method: http.MethodGet, path: "/api/v1/reports/daily-volumes", tag: tagReports, needs: allow(identity.ReportsRead), reachesAll: true,
		summary: "Report daily volumes", description: "Transactions of each day (UTC), by currency and kind." + reportNote,
		streams: reflect.TypeFor[DailyVolumesReport](), csvExample: "line,day,currency,kind,completed,volume,failed,unfinished\r\n",
		answer: DailyVolumesReport{
			ReportHead: exampleReportHead("daily-volumes"),
			Data:       []DailyVolumesLine{{Day: "2026-01-31", Kind: "TRANSFER", DailyVolumesTotal: DailyVolumesTotal{Currency: "USD", Completed: 1, Volume: "30.25"}}},
			Totals:     []DailyVolumesTotal{{Currency: "USD", Completed: 1, Volume: "30.25"}},
		},
		codes: []code{code(reporting.Busy)},
	}
	customerLiabilitiesEndpoint = endpoint{
		id: "reportCustomerLiabilities", method: http.MethodGet, path: "/api/v1/reports/customer-liabilities", tag: tagReports, needs: allow(identity.ReportsRead), reachesAll: true,
		summary: "Report customer liabilities", description: "What the house owes to its customers and merchants, and they to it, before and after a period, by type of account." + reportNote,
		streams: reflect.TypeFor[CustomerLiabilitiesReport](), csvExample: "line,accountType,currency,accounts,opening,closing,owedToCustomers,owedByCustomers\r\n",
		answer: CustomerLiabilitiesReport{
			ReportHead: exampleReportHead("customer-liabilities"),
			Data: []CustomerLiabilitiesLine{{AccountType: "WALLET", CustomerLiabilitiesTotal: CustomerLiabilitiesTotal{
				Currency: "USD", Accounts: 2, Opening: "100.00", Closing: "100.00", OwedToCustomers: "100.00", OwedByCustomers: "0.00",
			}}},
			Totals: []CustomerLiabilitiesTotal{{Currency: "USD", Accounts: 2, Opening: "100.00", Closing: "100.00", OwedToCustomers: "100.00", OwedByCustomers: "0.00"}},
		},
		codes: []code{code(reporting.Busy)},
	}
	statementReportEndpoint = endpoint{
		id: "reportStatement", method: http.MethodGet, path: "/api/v1/reports/statement", tag: tagReports, needs: allow(identity.ReportsRead), reachesAll: true,
		summary: "Report a statement", description: "Every posting of an account, or of all accounts of a user, with the balance after each; also as PDF, of at most 20,000 lines." + reportNote,
		streams: reflect.TypeFor[StatementReport](), csvExample: "line,accountId,seq,time,transactionId,kind,counterparty,description,amount,balance,currency,opening,debits,credits,closing\r\n",
		answer: StatementReport{
			ReportHead: exampleReportHead("statement"),
			Data: []StatementReportLine{{
				AccountID: "alice", Seq: 2, At: exampleTime, TransactionID: "order-1001", Kind: "TRANSFER", Counterparty: "bob", Description: "Two tickets",
				Amount: "-30.25", Balance: "69.75", Currency: "USD",
			}},
			Totals: []StatementReportTotal{{AccountID: "alice", TrialBalanceTotal: exampleTrialTotal}},
		},
		codes: []code{code(ledger.AccountNotFound), code(reporting.Busy), code(reporting.TooLong)},
	}

	runQueryEndpoint = endpoint{
		id: "runConsoleQuery", method: http.MethodPost, path: "/api/v1/console/queries", tag: tagConsole, needs: allow(identity.ConsoleUse), reachesAll: true, class: classBatch,
		summary: "Run a query", description: "One query, for 30 seconds at most (as CSV five minutes), one at a time for each caller. It is on the audit trail before it runs. When the caller goes away it is cancelled.",
		request: reflect.TypeFor[ConsoleQuery](), requestExample: map[string]any{"query": exampleSavedQuery.Query, "limit": 100},
		streams: reflect.TypeFor[ConsoleResult](), csvExample: "currency,balance\r\nUSD,69.7500\r\n", answer: exampleConsoleResult, codes: queryCodes,
	}
	explainQueryEndpoint = endpoint{
		id: "explainConsoleQuery", method: http.MethodPost, path: "/api/v1/console/queries/explain", tag: tagConsole, needs: allow(identity.ConsoleUse), reachesAll: true, class: classBatch,
		summary: "Explain a query", description: "How the database would run it, as its EXPLAIN says. It is not run.",
		request: reflect.TypeFor[ConsoleExplain](), requestExample: map[string]any{"query": exampleSavedQuery.Query},
		answer: func() ConsoleResult {
			r := exampleConsoleResult
			r.Columns, r.Rows = []ConsoleColumn{{"QUERY PLAN", "text"}}, [][]*string{{exampleText("HashAggregate")}}
			return r
		}(),
		codes: queryCodes,
	}
	consoleSchemaEndpoint = endpoint{
		id: "getConsoleSchema", method: http.MethodGet, path: "/api/v1/console/schema", tag: tagConsole, needs: allow(identity.ConsoleUse), reachesAll: true,
		summary: "Read the reporting schema", description: "Its views and their columns, and whether queries can be run.",
		answer: ConsoleSchema{IsOn: true, Views: []ConsoleView{{Name: "balances", Columns: []ConsoleColumn{{"account_id", "text"}, {"posted", "numeric"}}}}},
	}
	consoleLibraryEndpoint = endpoint{
		id: "getConsoleLibrary", method: http.MethodGet, path: "/api/v1/console/library", tag: tagConsole, needs: allow(identity.ConsoleUse), reachesAll: true,
		summary: "List the ready queries", description: "Those that come with the program.",
		answer: ConsoleLibrary{Data: []ReadyQuery{{Name: "trial-balance", Title: "Trial balance", Description: "What stands on all accounts.", Query: exampleSavedQuery.Query}}},
	}
	listSavedQueriesEndpoint = endpoint{
		id: "listSavedQueries", method: http.MethodGet, path: "/api/v1/console/saved", tag: tagConsole, needs: allow(identity.ConsoleUse), reachesAll: true,
		summary: "List saved queries", description: "The caller's own and those that are shared, in the order of their ids.",
		answer: SavedQueryList{Data: []SavedQuery{exampleSavedQuery}},
	}
	saveQueryEndpoint = endpoint{
		id: "saveQuery", method: http.MethodPost, path: "/api/v1/console/saved", tag: tagConsole, needs: allow(identity.ConsoleUse), reachesAll: true, writes: true, status: http.StatusCreated,
		summary: "Save a query", description: "It is kept as it is, not run. Without an Idempotency-Key, the same request again saves it again.",
		request: reflect.TypeFor[SavedQueryTerms](), requestExample: exampleSavedTerms, answer: exampleSavedQuery, codes: []code{code(reporting.TooManyQueries), code(reporting.QueryExists)},
	}
	getSavedQueryEndpoint = endpoint{
		id: "getSavedQuery", method: http.MethodGet, path: "/api/v1/console/saved/{queryId}", tag: tagConsole, needs: allow(identity.ConsoleUse), reachesAll: true,
		summary: "Read a saved query", description: "One of the caller's own, or one that is shared.",
		answer: exampleSavedQuery, codes: []code{code(reporting.QueryNotFound)},
	}
	changeSavedQueryEndpoint = endpoint{
		id: "changeSavedQuery", method: http.MethodPut, path: "/api/v1/console/saved/{queryId}", tag: tagConsole, needs: allow(identity.ConsoleUse), reachesAll: true, writes: true,
		summary: "Change a saved query", description: "Of the caller's own. version is the one that was read.",
		request: reflect.TypeFor[SavedQueryTerms](), requestExample: map[string]any{"version": 1, "name": exampleSavedQuery.Name, "query": exampleSavedQuery.Query},
		answer: exampleSavedQuery, codes: []code{code(reporting.QueryNotFound), code(reporting.QueryChanged)},
	}
	deleteSavedQueryEndpoint = endpoint{
		id: "deleteSavedQuery", method: http.MethodDelete, path: "/api/v1/console/saved/{queryId}", tag: tagConsole, needs: allow(identity.ConsoleUse), reachesAll: true, writes: true,
		summary: "Delete a saved query", description: "Of the caller's own. Its versions stay on the audit trail.",
		answer: Message{"Query deleted."}, codes: []code{code(reporting.QueryNotFound)},
	}
)
