package api

import (
	"net/http"
	"reflect"
	"time"

	"florin/internal/cashback"
	"florin/internal/identity"
	"florin/internal/ledger"
)

// Cashback: what customers bought, campaigns, and the rewards that come of both.

const (
	tagPurchases = "Purchases"
	tagCampaigns = "Campaigns"
	tagRewards   = "Rewards"
)

// Examples tell one story: Ada buys cake tins at a bookshop that has a kitchen
// corner, and one comes back.
var (
	exampleBought = time.Date(2026, 1, 30, 18, 5, 0, 0, time.UTC)

	exampleClick        = Click{ClickID: "click-77", CustomerID: "ada", MerchantID: "bookshop", CampaignID: "kitchen-5", Timestamp: exampleBought.Add(-time.Hour), CreatedAt: exampleTime}
	exampleClickRequest = map[string]any{
		"clickId": "click-77", "customerId": "ada", "merchantId": "bookshop", "campaignId": "kitchen-5", "timestamp": "2026-01-30T17:05:00Z",
	}

	exampleReward = Reward{
		RewardID: cashback.RewardID("inv-1001", "kitchen-5"), PurchaseID: "inv-1001", CampaignID: "kitchen-5", CampaignVersion: 1, CustomerID: "ada", Currency: "USD",
		Amount: "2.97", MerchantAmount: "0.00", Reversed: "0.00", Owed: "0.00", Status: "ACCRUED", ConfirmAt: exampleBought.AddDate(0, 0, 14),
		TransactionIDs: []string{cashback.TransferID(cashback.RewardID("inv-1001", "kitchen-5"), 1)}, CreatedAt: exampleTime, UpdatedAt: exampleTime,
	}
	exampleExact    = ExactAmount("29.70")
	exampleFive     = Number("5")
	exampleTwo      = Number("2")
	exampleComputed = Number("2.97")
	exampleFindings = []Finding{
		{CampaignID: "kitchen-5", CampaignVersion: 1, Reason: "applied", Base: &exampleExact, Rate: &exampleFive, Multiplier: &exampleTwo, Computed: &exampleComputed, Amount: "2.97", MerchantPart: "0.00"},
		{CampaignID: "welcome", CampaignVersion: 3, Reason: "condition_false", Amount: "0.00", MerchantPart: "0.00"},
	}
	examplePurchaseRow = Purchase{
		PurchaseID: "inv-1001", MerchantID: "bookshop", CustomerID: "ada", Currency: "USD", Country: "GB", Timestamp: exampleBought,
		Amount: "38.69", Returned: "0.00", Status: "ACCEPTED", Source: "api", RecordedBy: "key_q7w3m5x2k4z6n2p7r5t3v6y4a2", CreatedAt: exampleTime, UpdatedAt: exampleTime,
	}
	examplePurchase = func() Purchase {
		p := examplePurchaseRow
		p.Lines = []PurchaseLine{
			{Product: "22720", Description: "Cake tins", Category: "kitchen", MCC: "5719", Quantity: 6, UnitPrice: "4.95", Amount: "29.70"},
			{Product: "84077", Category: "books", Quantity: 1, UnitPrice: "8.99", Amount: "8.99"},
		}
		p.Evaluation = &PurchaseEvaluation{ProgramVersion: 2, ClickID: "click-77", Country: "GB", Tier: "gold", Spend: "1250.00", Purchases: 17, Segments: []string{"vip"}, Findings: exampleFindings}
		p.Rewards = []Reward{exampleReward}
		return p
	}()
	examplePurchaseRequest = map[string]any{
		"purchaseId": "inv-1001", "merchantId": "bookshop", "customerId": "ada", "currency": "USD", "country": "GB", "timestamp": "2026-01-30T18:05:00Z",
		"lines": []any{
			map[string]any{"product": "22720", "description": "Cake tins", "category": "kitchen", "mcc": "5719", "quantity": 6, "unitPrice": "4.95"},
			map[string]any{"product": "84077", "category": "books", "quantity": 1, "unitPrice": "8.99"},
		},
	}

	exampleFirstLine = 0
	exampleReturn    = Return{
		ReturnID: "back-1001", PurchaseID: "inv-1001", Lines: []ReturnedLine{{Line: &exampleFirstLine, Quantity: 2}}, Timestamp: exampleLater, Status: "APPLIED",
		Parts: []ReturnedPart{{PurchaseID: "inv-1001", Line: &exampleFirstLine, Quantity: 2, Amount: "9.90"}}, Reversed: "0.99",
		Source: "api", RecordedBy: "key_q7w3m5x2k4z6n2p7r5t3v6y4a2", CreatedAt: exampleLater, UpdatedAt: exampleLater,
	}
	exampleMatchedReturn = func() Return {
		r := exampleReturn
		r.ReturnID, r.PurchaseID, r.CustomerID, r.MerchantID = "back-1002", "", "ada", "bookshop"
		r.Lines = []ReturnedLine{{Product: "22720", Quantity: 2}}
		return r
	}()
	exampleReturnRequest        = map[string]any{"returnId": "back-1001", "lines": []any{map[string]any{"line": 0, "quantity": 2}}, "timestamp": "2026-02-07T09:30:00Z"}
	exampleMatchedReturnRequest = map[string]any{
		"returnId": "back-1002", "customerId": "ada", "merchantId": "bookshop", "lines": []any{map[string]any{"product": "22720", "quantity": 2}}, "timestamp": "2026-02-07T09:30:00Z",
	}
	exampleReversed = Number("0.99")

	exampleCashbackCustomer = CashbackCustomer{
		CustomerID: "ada", AccountID: "alice", Country: "GB", Segments: []string{"vip"}, Tier: "gold", Purchases: 18, CreatedAt: exampleTime, UpdatedAt: exampleTime,
	}

	exampleCampaign = Campaign{
		CampaignID: "kitchen-5", Version: 1, Name: "5% on kitchenware", Currency: "USD", From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		Enabled: true, Condition: `country == "GB"`, LineCondition: `category == "kitchen"`, Reward: CampaignReward{Kind: "PERCENT", Percent: &exampleFive, Multipliers: map[string]Number{"gold": "2"}},
		Caps: &CampaignCaps{PerCustomer: exampleMoney("50.00"), CustomerPeriod: "MONTH"}, Budget: "10000.00", BudgetEnd: "REST", Funding: CampaignFunding{Kind: "PLATFORM"},
		Group: "default", ReturnDays: 14, CreatedBy: "user_m5x2k4z6n2p7r5t3v6y4a2q7w3", CreatedAt: exampleTime,
	}
	exampleCampaignTerms = func(more map[string]any) map[string]any {
		terms := map[string]any{
			"name": "5% on kitchenware", "currency": "USD", "from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z", "enabled": true,
			"condition": `country == "GB"`, "lineCondition": `category == "kitchen"`,
			"reward": map[string]any{"kind": "PERCENT", "percent": "5", "multipliers": map[string]any{"gold": "2"}},
			"caps":   map[string]any{"perCustomer": "50.00", "customerPeriod": "MONTH"}, "budget": "10000.00", "budgetEnd": "REST",
			"funding": map[string]any{"kind": "PLATFORM"}, "returnDays": 14,
		}
		for name, value := range more {
			terms[name] = value
		}
		return terms
	}
	exampleFigures = CampaignFigures{
		CampaignID: "kitchen-5", Currency: "USD", Budget: "10000.00", Remaining: "8750.25", Accrued: "400.00", Confirmed: "0.00", Paid: "849.75", Reversed: "12.10",
		Owed: "0.00", Merchants: "0.00", Rewards: 812, ReadAt: exampleLater,
	}
	exampleForecast = Forecast{
		CampaignID: "kitchen-5", Currency: "USD", From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
		Purchases: 5210, Rewarded: 812, Customers: 640, Cost: "1249.75", MerchantPart: "0.00", TakenBack: "31.20", Reasons: map[string]int64{"applied": 812, "condition_false": 3100, "no_lines": 1298},
		TopCustomers: []CustomerCost{{CustomerID: "ada", Rewards: 7, Amount: "50.00"}},
	}
	exampleExplanation = RewardExplanation{
		Reward: exampleReward, Purchase: examplePurchaseRow, Campaign: exampleCampaign, Finding: exampleFindings[0],
		Sentences: []string{"5% of 29.70 USD, the amount of the lines that count, times 2 for the tier gold, is 2.97 USD.", "The platform pays all of it."},
		Lines:     []ExplainedLine{{examplePurchase.Lines[0], "2.97"}, {examplePurchase.Lines[1], "0.00"}},
		Others:    []OtherCampaign{{CampaignID: "welcome", CampaignVersion: 3, Reason: "condition_false", Sentence: "Its condition does not hold: is_first_purchase."}},
	}
	exampleProgram = CashbackProgram{
		Version: 1, Groups: map[string]string{"default": "BEST"}, Tiers: []Tier{{Name: "silver", MinSpend: "250.00"}, {Name: "gold", MinSpend: "1000.00"}}, TierDays: 365, TierCurrency: "USD",
		Segments: map[string]string{"regulars": "purchases >= 10"}, CreatedBy: "user_m5x2k4z6n2p7r5t3v6y4a2q7w3", CreatedAt: &exampleTime,
	}
	exampleProgramRequest = map[string]any{
		"version": 0, "groups": map[string]any{"default": "BEST"}, "tierDays": 365, "tierCurrency": "USD",
		"tiers":    []any{map[string]any{"name": "silver", "minSpend": "250.00"}, map[string]any{"name": "gold", "minSpend": "1000.00"}},
		"segments": map[string]any{"regulars": "purchases >= 10"},
	}

	campaignCodes = []code{code(cashback.TooManyCampaigns)}
	returnCodes   = []code{code(cashback.DuplicateReturn), code(cashback.ReturnExceedsPurchase), code(cashback.NothingToReturn)}
)

var (
	recordClickEndpoint = endpoint{
		id: "recordClick", method: http.MethodPost, path: "/api/v1/clicks", tag: tagPurchases, needs: allow(identity.PurchasesWrite), reachesAll: true, writes: true,
		summary: "Report a click", status: http.StatusCreated,
		description: "That a customer followed a campaign to a merchant. A purchase belongs to the latest click that fits, and a click to one purchase. It counts for purchases that are reported later.",
		request:     reflect.TypeFor[ClickRequest](), requestExample: exampleClickRequest, answer: exampleClick, codes: []code{code(cashback.DuplicateClick)},
	}
	recordClicksEndpoint = endpoint{
		id: "recordClicks", method: http.MethodPost, path: "/api/v1/clicks/batch", tag: tagPurchases, needs: allow(identity.PurchasesWrite), reachesAll: true, writes: true,
		class: classBatch, bodyMax: batchBodyMax,
		summary: "Report many clicks", description: "Up to 10,000 in up to 16 MiB. When any makes no sense, nothing is stored at all.",
		request: reflect.TypeFor[ClickBatchRequest](), requestExample: map[string]any{"clicks": []any{exampleClickRequest}},
		answer: ClickBatchOutcome{Succeeded: 1, Results: []BatchedClick{{Index: 0, ClickID: "click-77", Status: "RECORDED"}}},
	}

	recordPurchaseEndpoint = endpoint{
		id: "recordPurchase", method: http.MethodPost, path: "/api/v1/purchases", tag: tagPurchases, needs: allow(identity.PurchasesWrite), reachesAll: true, writes: true,
		summary: "Report a purchase", status: http.StatusCreated,
		description: "It is evaluated under all campaigns, and its rewards are booked, in one transaction. A rule that can't be evaluated gives nothing and says so: no purchase is lost by it.",
		request:     reflect.TypeFor[PurchaseRequest](), requestExample: examplePurchaseRequest, answer: examplePurchase, codes: []code{code(cashback.DuplicatePurchase)},
	}
	recordPurchasesEndpoint = endpoint{
		id: "recordPurchases", method: http.MethodPost, path: "/api/v1/purchases/batch", tag: tagPurchases, needs: allow(identity.PurchasesWrite), reachesAll: true, writes: true,
		class: classBatch, bodyMax: batchBodyMax,
		summary:     "Report many purchases",
		description: "Up to 10,000 in up to 16 MiB, evaluated in their order. Each is recorded or not by itself; when any makes no sense, nothing is stored at all. The same batch again finishes what a 503 left open.",
		request:     reflect.TypeFor[PurchaseBatchRequest](), requestExample: map[string]any{"purchases": []any{examplePurchaseRequest}},
		answer: PurchaseBatchOutcome{Succeeded: 1, Failed: 1, Results: []BatchedPurchase{
			{Index: 0, PurchaseID: "inv-1001", Status: "ACCEPTED", Reward: exampleMoney("2.97")},
			{Index: 1, PurchaseID: "inv-1000", Status: itemFailed, FailureCode: string(cashback.DuplicatePurchase), FailureMessage: "inv-1000 is the id of another purchase"},
		}},
	}
	listPurchasesEndpoint = endpoint{
		id: "listPurchases", method: http.MethodGet, path: "/api/v1/purchases", tag: tagPurchases, needs: allow(identity.PurchasesRead), reachesAll: true,
		summary: "List purchases", description: "Filters narrow the list; all of them must hold. The newest first, by timestamp; from and to are about it.",
		answer: PurchaseList{Data: []Purchase{examplePurchaseRow}},
	}
	getPurchaseEndpoint = endpoint{
		id: "getPurchase", method: http.MethodGet, path: "/api/v1/purchases/{purchaseId}", tag: tagPurchases, needs: allow(identity.PurchasesRead), reachesAll: true,
		summary: "Read a purchase in full", description: "With its lines, what every campaign made of it and why, and its rewards.",
		answer: examplePurchase, codes: []code{code(cashback.PurchaseNotFound)},
	}

	returnPurchaseEndpoint = endpoint{
		id: "returnPurchase", method: http.MethodPost, path: "/api/v1/purchases/{purchaseId}/returns", tag: tagPurchases, needs: allow(identity.PurchasesWrite), reachesAll: true, writes: true,
		summary: "Report a return", status: http.StatusCreated,
		description: "Lines, an amount, or all that is left: a cancellation. Rewards are computed anew for what is kept, under the terms that gave them, and the difference is taken back, whether paid or not. A return of a purchase that is not known yet waits for it.",
		request:     reflect.TypeFor[ReturnRequest](), requestExample: exampleReturnRequest, answer: exampleReturn, codes: returnCodes,
	}
	recordReturnEndpoint = endpoint{
		id: "recordReturn", method: http.MethodPost, path: "/api/v1/returns", tag: tagPurchases, needs: allow(identity.PurchasesWrite), reachesAll: true, writes: true,
		summary: "Report a return of an unnamed purchase", status: http.StatusCreated,
		description: "Taken off what the customer bought at the merchant before, the newest purchase first, product by product; parts says what was found. With purchaseId it is as under the purchase.",
		request:     reflect.TypeFor[ReturnRequest](), requestExample: exampleMatchedReturnRequest, answer: exampleMatchedReturn, codes: returnCodes,
	}
	recordReturnsEndpoint = endpoint{
		id: "recordReturns", method: http.MethodPost, path: "/api/v1/returns/batch", tag: tagPurchases, needs: allow(identity.PurchasesWrite), reachesAll: true, writes: true,
		class: classBatch, bodyMax: batchBodyMax,
		summary:     "Report many returns",
		description: "Up to 10,000 in up to 16 MiB, applied in their order, each by itself; when any makes no sense, nothing is stored at all. The same batch again finishes what a 503 left open.",
		request:     reflect.TypeFor[ReturnBatchRequest](), requestExample: map[string]any{"returns": []any{exampleMatchedReturnRequest}},
		answer: ReturnBatchOutcome{Succeeded: 1, Failed: 1, Results: []BatchedReturn{
			{Index: 0, ReturnID: "back-1002", Status: "APPLIED", Reversed: &exampleReversed},
			{Index: 1, ReturnID: "back-1003", Status: "REFUSED", FailureCode: string(cashback.NothingToReturn), FailureMessage: "ada has nothing left of 22720 from bookshop"},
		}},
	}
	getReturnEndpoint = endpoint{
		id: "getReturn", method: http.MethodGet, path: "/api/v1/returns/{returnId}", tag: tagPurchases, needs: allow(identity.PurchasesRead), reachesAll: true,
		summary: "Read a return", description: "As it is now.", answer: exampleReturn, codes: []code{code(cashback.ReturnNotFound)},
	}

	putCustomerEndpoint = endpoint{
		id: "putCashbackCustomer", method: http.MethodPut, path: "/api/v1/customers/{customerId}", tag: tagPurchases, needs: allow(identity.PurchasesWrite), reachesAll: true, isSensitive: true, writes: true,
		summary: "Enter or change a customer", description: "What he bought before he was entered was HELD, and is evaluated now. The same again changes nothing. To have his rewards paid to an account that is not of the same owner needs accounts:write too.",
		request: reflect.TypeFor[CashbackCustomerRequest](), requestExample: map[string]any{"accountId": "alice", "country": "GB", "segments": []any{"vip"}}, answer: exampleCashbackCustomer,
	}
	getCustomerEndpoint = endpoint{
		id: "getCashbackCustomer", method: http.MethodGet, path: "/api/v1/customers/{customerId}", tag: tagPurchases, needs: allow(identity.PurchasesRead), reachesAll: true,
		summary: "Read a customer", description: "As he is now.", answer: exampleCashbackCustomer, codes: []code{code(cashback.CustomerNotFound)},
	}
	listTiersEndpoint = endpoint{
		id: "listCustomerTiers", method: http.MethodGet, path: "/api/v1/customers/{customerId}/tiers", tag: tagPurchases, needs: allow(identity.PurchasesRead), reachesAll: true,
		summary: "List a customer's tiers", description: "Each change, the newest first.",
		answer: TierHistory{Tier: "gold", Data: []TierChange{{Timestamp: exampleBought, Tier: "gold", Spend: "1250"}}}, codes: []code{code(cashback.CustomerNotFound)},
	}

	createCampaignEndpoint = endpoint{
		id: "createCampaign", method: http.MethodPost, path: "/api/v1/campaigns", tag: tagCampaigns, needs: allow(identity.CampaignsWrite), reachesAll: true, isSensitive: true, mayWait: true, writes: true,
		summary: "Make a campaign", status: http.StatusCreated,
		description: "Its conditions are checked before it is stored. Purchases reported from now on are evaluated under it, by other replicas within five seconds. The same again changes nothing.",
		request:     reflect.TypeFor[CampaignRequest](), requestExample: exampleCampaignTerms(map[string]any{"campaignId": "kitchen-5"}), answer: exampleCampaign,
		codes: append([]code{code(cashback.CampaignExists)}, campaignCodes...),
	}
	listCampaignsEndpoint = endpoint{
		id: "listCampaigns", method: http.MethodGet, path: "/api/v1/campaigns", tag: tagCampaigns, needs: allow(identity.CashbackRead),
		summary: "List campaigns", description: "The newest version of each, in the order of their ids. A caller with an owner gets those that an account of the owner's pays for, or has paid for, each in the newest version in which it does.", answer: CampaignList{Data: []Campaign{exampleCampaign}},
	}
	getCampaignEndpoint = endpoint{
		id: "getCampaign", method: http.MethodGet, path: "/api/v1/campaigns/{campaignId}", tag: tagCampaigns, needs: allow(identity.CashbackRead),
		summary: "Read a campaign", description: "Its newest version; for a caller with an owner the newest that an account of the owner's pays for. What others pay for is not there.", answer: exampleCampaign, codes: []code{code(cashback.CampaignNotFound)},
	}
	changeCampaignEndpoint = endpoint{
		id: "changeCampaign", method: http.MethodPut, path: "/api/v1/campaigns/{campaignId}", tag: tagCampaigns, needs: allow(identity.CampaignsWrite), reachesAll: true, isSensitive: true, mayWait: true, writes: true,
		summary: "Change a campaign", description: "Makes its next version; enabled false pauses it. The earlier ones stay: rewards name the version that they came from. The budget counts at once, the rest within five seconds everywhere.",
		request: reflect.TypeFor[CampaignRequest](), requestExample: exampleCampaignTerms(map[string]any{"version": 1, "budget": "12000.00"}),
		answer: func() Campaign {
			c := exampleCampaign
			c.Version, c.Budget = 2, "12000.00"
			return c
		}(),
		codes: append([]code{code(cashback.CampaignNotFound), code(cashback.CampaignChanged), code(cashback.BudgetBelowSpent)}, campaignCodes...),
	}
	listCampaignVersionsEndpoint = endpoint{
		id: "listCampaignVersions", method: http.MethodGet, path: "/api/v1/campaigns/{campaignId}/versions", tag: tagCampaigns, needs: allow(identity.CashbackRead), reachesAll: true,
		summary: "List a campaign's versions", description: "The newest first.", answer: CampaignList{Data: []Campaign{exampleCampaign}}, codes: []code{code(cashback.CampaignNotFound)},
	}
	getFiguresEndpoint = endpoint{
		id: "getCampaignFigures", method: http.MethodGet, path: "/api/v1/campaigns/{campaignId}/figures", tag: tagCampaigns, needs: allow(identity.CashbackRead),
		summary: "Read what a campaign gave", description: "As it is now; equal to the campaign's accounts in the ledger, house:program:ID:cost, :accrued and :confirmed, to the cent. For a caller with an owner all figures are the part that the owner's accounts pay, of the rewards that they pay for, and up to five seconds old; remaining is that part, under the newest version, of what the campaign can still give, and budget what accrued, confirmed, paid and remaining add up to.",
		answer: exampleFigures, codes: []code{code(cashback.CampaignNotFound)},
	}
	simulateCampaignEndpoint = endpoint{
		id: "simulateCampaign", method: http.MethodPost, path: "/api/v1/campaigns/{campaignId}/simulate", tag: tagCampaigns, needs: allow(identity.CashbackRead), reachesAll: true, class: classBatch,
		summary: "Try a campaign out on the past", description: "What it, or other terms of it, would have given for the purchases of a time: cost, reach, and the customers that get most. Nothing is booked.",
		request: reflect.TypeFor[SimulationRequest](), requestExample: map[string]any{"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"},
		answer: exampleForecast, codes: []code{code(cashback.CampaignNotFound), code(cashback.PeriodTooLarge)},
	}
	getProgramEndpoint = endpoint{
		id: "getCashbackProgram", method: http.MethodGet, path: "/api/v1/cashback-program", tag: tagCampaigns, needs: allow(identity.CashbackRead), reachesAll: true,
		summary: "Read what campaigns share", description: "Policies of groups, loyalty tiers, and segments by rule.", answer: exampleProgram,
	}
	changeProgramEndpoint = endpoint{
		id: "changeCashbackProgram", method: http.MethodPut, path: "/api/v1/cashback-program", tag: tagCampaigns, needs: allow(identity.CampaignsWrite), reachesAll: true, isSensitive: true, mayWait: true, writes: true,
		summary: "Change what campaigns share", description: "Makes the next version, which counts within five seconds everywhere. Purchases evaluated before keep what they got.",
		request: reflect.TypeFor[CashbackProgramRequest](), requestExample: exampleProgramRequest, answer: exampleProgram, codes: []code{code(cashback.ProgramChanged)},
	}

	listRewardsEndpoint = endpoint{
		id: "listRewards", method: http.MethodGet, path: "/api/v1/rewards", tag: tagRewards, needs: allow(identity.CashbackRead), reachesAll: true,
		summary: "List rewards", description: "Of a campaign, a customer, or a purchase: one of the three must be given. Filters narrow the list; all of them must hold. The newest first.",
		answer: RewardList{Data: []Reward{exampleReward}},
	}
	getRewardEndpoint = endpoint{
		id: "getReward", method: http.MethodGet, path: "/api/v1/rewards/{rewardId}", tag: tagRewards, needs: allow(identity.CashbackRead), reachesAll: true,
		summary: "Read a reward", description: "As it is now.",
		answer: func() Reward {
			r := exampleReward
			r.Status, r.FailureCode = "CONFIRMED", string(ledger.AccountFrozen)
			return r
		}(),
		codes: []code{code(cashback.RewardNotFound)},
	}
	explainRewardEndpoint = endpoint{
		id: "explainReward", method: http.MethodGet, path: "/api/v1/rewards/{rewardId}/explanation", tag: tagRewards, needs: allow(identity.CashbackRead), reachesAll: true,
		summary: "Why a reward is what it is", description: "In words and numbers: the campaign's terms of that time, the lines that count, and why other campaigns gave nothing.",
		answer: exampleExplanation, codes: []code{code(cashback.RewardNotFound)},
	}
)
