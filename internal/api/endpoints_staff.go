package api

import (
	"encoding/json"
	"net/http"
	"reflect"

	"florin/internal/approval"
	"florin/internal/identity"
	"florin/internal/risk"
	"florin/internal/wallet"
)

// What staff and their programs do: users, keys, the audit trail, risk, approvals.

const (
	tagUsers     = "Users"
	tagKeys      = "API keys"
	tagAudit     = "Audit trail"
	tagRisk      = "Risk"
	tagApprovals = "Approvals"
)

var (
	exampleKey = APIKey{
		KeyID: "key_q7w3m5x2k4z6n2p7r5t3v6y4a2", Name: "shop backend", Prefix: "florin_live_q7w3m5x2k4z6n2p7", Role: "merchant",
		Scopes: []string{"accounts:read", "transfers:write"}, OwnerID: exampleUser.UserID, Networks: []string{"203.0.113.0/24"}, IsActive: true,
		CreatedAt: exampleTime, CreatedBy: "user_m5x2k4z6n2p7r5t3v6y4a2q7w3", LastUsedAt: &exampleLater, LastUsedAddress: "203.0.113.7",
	}
	exampleNewKey = NewAPIKey{APIKey: exampleKey, Key: "florin_live_q7w3m5x2k4z6n2p7_r5t3v6y4a2b5c7d3f4g6h5j7k3m2n4p6"}

	exampleAuditEvent = AuditEvent{
		At: exampleTime, Action: "account.updated", TargetKind: "account", TargetID: "alice", Before: json.RawMessage(`{"status":"ACTIVE"}`), After: json.RawMessage(`{"status":"FROZEN"}`),
		Result: "ok", ActorKind: "user", ActorID: "user_m5x2k4z6n2p7r5t3v6y4a2q7w3", Role: "support", Address: "203.0.113.7", RequestID: "req_7f3kq2m5x",
		Day: "2026-01-31", Journal: "jrn_q7w3m5x2k4z6n2p7r5t3v6y4a2", Seq: 17,
	}

	exampleRule = RiskRule{
		RuleID: "new_payee_large", Version: 2, Name: "Large payment to a new payee", Expression: "is_new_payee && amount > 1000", Outcome: "REVIEW",
		Priority: 10, Enabled: true, CreatedBy: "user_m5x2k4z6n2p7r5t3v6y4a2q7w3", CreatedAt: exampleTime,
	}
	exampleRuleTerms = map[string]any{"version": 1, "name": exampleRule.Name, "expression": exampleRule.Expression, "outcome": "REVIEW", "priority": 10, "enabled": true}
	exampleDecision  = RiskDecision{
		DecisionID: "dec_q7w3m5x2k4z6n2p7r5t3v6y4a2", TransactionID: "txn_q7w3m5x2k4z6n2p7r5t3v6y4a2", AccountID: "alice", UserID: exampleUser.UserID,
		Operation: "transfer", Amount: "1500.00", Currency: "USD", Outcome: "REVIEW", RuleID: "new_payee_large", RuleVersion: 2,
		Matches:   []RiskRuleMatch{{RuleID: "new_payee_large", Version: 2, Outcome: "REVIEW"}},
		Facts:     json.RawMessage(`{"amount":"1500","is_new_payee":true}`),
		DecidedAt: exampleTime, ReviewStatus: "PENDING",
	}
	exampleReviewed = func(status, transactionStatus string) Reviewed {
		r := Reviewed{Decision: exampleDecision, Transaction: exampleMyTransaction}
		r.Decision.ReviewStatus, r.Decision.ReviewedBy, r.Decision.ReviewedAt = status, "user_m5x2k4z6n2p7r5t3v6y4a2q7w3", &exampleLater
		r.Transaction.Amount, r.Transaction.Status = "1500.00", transactionStatus
		if transactionStatus == "FAILED" {
			r.Transaction.FailureCode = string(wallet.RejectedByReview)
		}
		return r
	}
	exampleLimits = RoleLimits{Role: "customer", Currency: "USD", PerTransfer: exampleMoney("2500.00"), Daily: exampleMoney("5000.00"), UpdatedBy: "system"}

	exampleApproval = Approval{
		ApprovalID: "apr_q7w3m5x2k4z6n2p7r5t3v6y4a2", Operation: "role_change", TargetID: exampleUser.UserID,
		Payload: json.RawMessage(`{"userId":"` + exampleUser.UserID + `","role":"support"}`),
		Status:  "PENDING", RequestedBy: "user_m5x2k4z6n2p7r5t3v6y4a2q7w3", RequestedAt: exampleTime, ExpiresAt: exampleLater,
	}
	decided = func(status string) Approval {
		a := exampleApproval
		a.Status, a.DecidedBy, a.DecidedAt = status, "user_z6n2p7r5t3v6y4a2q7w3m5x2k4", &exampleLater
		if status == "APPROVED" {
			a.ExecutedAt, a.Result = &exampleLater, "ok"
		}
		return a
	}

	userCodes   = []code{code(identity.UserNotFound)}
	reviewCodes = []code{
		code(risk.DecisionNotFound), code(risk.NotUnderReview), code(risk.AlreadyReviewed), code(risk.OwnReview), code(risk.NotAPerson), code(wallet.ReviewNotFound),
	}
)

var (
	listUsersEndpoint = endpoint{
		id: "listUsers", method: http.MethodGet, path: "/api/v1/users", tag: tagUsers, needs: allow(identity.UsersRead),
		summary: "List users", description: "In the order of their ids. Filters narrow the list; all of them must hold.",
		answer: UserList{Data: []UserProfile{exampleUser}},
	}
	getUserEndpoint = endpoint{
		id: "getUser", method: http.MethodGet, path: "/api/v1/users/{userId}", tag: tagUsers, needs: allow(identity.UsersRead),
		summary: "Read a user", description: "As he is now.", answer: exampleUser, codes: userCodes,
	}
	lockUserEndpoint = endpoint{
		id: "lockUser", method: http.MethodPost, path: "/api/v1/users/{userId}/lock", tag: tagUsers, needs: allow(identity.UsersWrite), writes: true,
		summary: "Lock a user", description: "Ends his sessions and stops his keys, within five seconds everywhere. Only users who may do no more than you. His accounts are frozen apart. Takes no body.",
		answer: func() UserProfile {
			u := exampleUser
			u.Status = "LOCKED"
			return u
		}(),
		codes: append([]code{code(identity.OwnRole)}, userCodes...),
	}
	unlockUserEndpoint = endpoint{
		id: "unlockUser", method: http.MethodPost, path: "/api/v1/users/{userId}/unlock", tag: tagUsers, needs: allow(identity.UsersWrite), writes: true,
		summary: "Unlock a user", description: "He can sign in again. Takes no body.", answer: exampleUser,
		codes: append([]code{code(identity.OwnRole)}, userCodes...),
	}
	endUserSessionsEndpoint = endpoint{
		id: "endUserSessions", method: http.MethodDelete, path: "/api/v1/users/{userId}/sessions", tag: tagUsers, needs: allow(identity.UsersWrite), writes: true,
		summary: "End a user's sessions", description: "All of them, within five seconds everywhere. Only of users who may do no more than you.", answer: exampleUser, codes: userCodes,
	}
	setRoleEndpoint = endpoint{
		id: "setUserRole", method: http.MethodPut, path: "/api/v1/users/{userId}/role", tag: tagUsers, needs: allow(identity.RolesWrite), isSensitive: true, mayWait: true, writes: true,
		summary: "Give a user another role", description: "Counts within five seconds everywhere.",
		request: reflect.TypeFor[RoleRequest](), requestExample: map[string]any{"role": "support"},
		answer: exampleUser, codes: append([]code{code(identity.OwnRole), code(identity.UserNotActive)}, userCodes...),
	}

	createKeyEndpoint = endpoint{
		id: "createKey", method: http.MethodPost, path: "/api/v1/api-keys", tag: tagKeys, needs: allow(identity.KeysWrite), isSensitive: true, writes: true,
		summary: "Make an API key", status: http.StatusCreated, description: "It can do no more than who makes it. Its text is answered this once: the same Idempotency-Key again makes no second key, and is answered key_exists.",
		request:        reflect.TypeFor[CreateKeyRequest](),
		requestExample: map[string]any{"name": "shop backend", "role": "merchant", "ownerId": exampleUser.UserID, "scopes": []any{"accounts:read", "transfers:write"}, "networks": []any{"203.0.113.0/24"}},
		answer:         exampleNewKey,
		codes:          []code{code(identity.ExceedsOwnPermissions), code(identity.UserNotFound), code(identity.UserNotActive), code(identity.KeyExists)},
	}
	listKeysEndpoint = endpoint{
		id: "listKeys", method: http.MethodGet, path: "/api/v1/api-keys", tag: tagKeys, needs: allow(identity.KeysRead),
		summary: "List API keys", description: "In the order of their ids, those that are over too.", answer: APIKeyList{Data: []APIKey{exampleKey}},
	}
	getKeyEndpoint = endpoint{
		id: "getKey", method: http.MethodGet, path: "/api/v1/api-keys/{keyId}", tag: tagKeys, needs: allow(identity.KeysRead),
		summary: "Read an API key", description: "All but the key itself, which nobody can.", answer: exampleKey, codes: []code{code(identity.KeyNotFound)},
	}
	rotateKeyEndpoint = endpoint{
		id: "rotateKey", method: http.MethodPost, path: "/api/v1/api-keys/{keyId}/rotate", tag: tagKeys, needs: allow(identity.KeysWrite), isSensitive: true, writes: true,
		summary: "Replace an API key", status: http.StatusCreated, description: "The new one can do the same. The old one goes on for the overlap.",
		request: reflect.TypeFor[RotateKeyRequest](), bodyIsOptional: true, requestExample: map[string]any{"overlapSeconds": 86400},
		answer: exampleNewKey,
		codes:  []code{code(identity.KeyNotFound), code(identity.KeyNotActive), code(identity.KeyIsConfigured), code(identity.ExceedsOwnPermissions), code(identity.UserNotFound), code(identity.UserNotActive)},
	}
	revokeKeyEndpoint = endpoint{
		id: "revokeKey", method: http.MethodDelete, path: "/api/v1/api-keys/{keyId}", tag: tagKeys, needs: allow(identity.KeysWrite), writes: true,
		summary: "Revoke an API key", description: "At once here, within five seconds everywhere. Revoking it again changes nothing.",
		answer: func() APIKey {
			k := exampleKey
			k.IsActive, k.RevokedAt = false, &exampleLater
			return k
		}(),
		codes: []code{code(identity.KeyNotFound)},
	}

	listAuditEventsEndpoint = endpoint{
		id: "listAuditEvents", method: http.MethodGet, path: "/api/v1/audit-events", tag: tagAudit, needs: allow(identity.AuditRead),
		summary: "Search the audit trail", description: "Newest first. A search by target, or by a person, follows an index; others look at a bounded part of the trail for each page: narrow them by from and to.",
		answer: AuditEventList{Data: []AuditEvent{exampleAuditEvent}},
	}

	listRulesEndpoint = endpoint{
		id: "listRiskRules", method: http.MethodGet, path: "/api/v1/risk/rules", tag: tagRisk, needs: allow(identity.RiskRead),
		summary: "List the rules", description: "The newest version of each.", answer: RiskRuleList{Data: []RiskRule{exampleRule}},
	}
	createRuleEndpoint = endpoint{
		id: "createRiskRule", method: http.MethodPost, path: "/api/v1/risk/rules", tag: tagRisk, needs: allow(identity.RiskWrite), isSensitive: true, writes: true,
		summary: "Make a rule", status: http.StatusCreated, description: "Checked before it is stored; asked about every payment of customers and merchants from now on.",
		request:        reflect.TypeFor[RiskRuleTerms](),
		requestExample: map[string]any{"ruleId": "new_payee_large", "name": exampleRule.Name, "expression": exampleRule.Expression, "outcome": "REVIEW", "priority": 10, "enabled": true},
		answer:         exampleRule, codes: []code{code(risk.RuleExists), code(risk.TooManyRules)},
	}
	changeRuleEndpoint = endpoint{
		id: "changeRiskRule", method: http.MethodPut, path: "/api/v1/risk/rules/{ruleId}", tag: tagRisk, needs: allow(identity.RiskWrite), isSensitive: true, writes: true,
		summary: "Change a rule", description: "Makes its next version. The earlier ones stay: decisions name the version that they are by.",
		request: reflect.TypeFor[RiskRuleTerms](), requestExample: exampleRuleTerms, answer: exampleRule,
		codes: []code{code(risk.RuleNotFound), code(risk.RuleChanged), code(risk.TooManyRules)},
	}
	listRuleVersionsEndpoint = endpoint{
		id: "listRiskRuleVersions", method: http.MethodGet, path: "/api/v1/risk/rules/{ruleId}/versions", tag: tagRisk, needs: allow(identity.RiskRead),
		summary: "List a rule's versions", description: "The newest first.", answer: RiskRuleList{Data: []RiskRule{exampleRule}}, codes: []code{code(risk.RuleNotFound)},
	}
	testRuleEndpoint = endpoint{
		id: "testRiskRule", method: http.MethodPost, path: "/api/v1/risk/rules/test", tag: tagRisk, needs: allow(identity.RiskRead),
		summary: "Try a rule out", description: "Asks an expression about facts of your own, and records nothing.",
		request:        reflect.TypeFor[TestRuleRequest](),
		requestExample: map[string]any{"expression": exampleRule.Expression, "facts": map[string]any{"operation": "transfer", "amount": "1500.00", "currency": "USD", "isNewPayee": true}},
		answer:         TestRuleResult{IsMatch: true, Cost: 5},
	}
	listDecisionsEndpoint = endpoint{
		id: "listRiskDecisions", method: http.MethodGet, path: "/api/v1/risk/decisions", tag: tagRisk, needs: allow(identity.RiskRead),
		summary: "List decisions", description: "About a transaction, or about an account's payments.", answer: RiskDecisionList{Data: []RiskDecision{exampleDecision}}, codes: []code{code(risk.DecisionNotFound)},
	}
	listReviewsEndpoint = endpoint{
		id: "listRiskReviews", method: http.MethodGet, path: "/api/v1/risk/reviews", tag: tagRisk, needs: allow(identity.RiskRead),
		summary: "List payments to review", description: "Who waits longest first.", answer: RiskDecisionList{Data: []RiskDecision{exampleDecision}},
	}
	approveReviewEndpoint = endpoint{
		id: "approveRiskReview", method: http.MethodPost, path: "/api/v1/risk/reviews/{decisionId}/approve", tag: tagRisk, needs: allow(identity.ReviewsDecide), isSensitive: true, writes: true,
		summary: "Let a payment through", description: "The reserved money moves. Nobody reviews a payment of his own.",
		request: reflect.TypeFor[ReasonRequest](), bodyIsOptional: true, requestExample: map[string]any{"reason": "Called the customer"},
		answer: exampleReviewed("APPROVED", "COMPLETED"), codes: reviewCodes,
	}
	rejectReviewEndpoint = endpoint{
		id: "rejectRiskReview", method: http.MethodPost, path: "/api/v1/risk/reviews/{decisionId}/reject", tag: tagRisk, needs: allow(identity.ReviewsDecide), isSensitive: true, writes: true,
		summary: "Stop a payment", description: "The reserved money is the payer's again.",
		request: reflect.TypeFor[ReasonRequest](), bodyIsOptional: true, requestExample: map[string]any{"reason": "The customer did not ask for it"},
		answer: exampleReviewed("REJECTED", "FAILED"), codes: reviewCodes,
	}
	listLimitsEndpoint = endpoint{
		id: "listRoleLimits", method: http.MethodGet, path: "/api/v1/limits", tag: tagRisk, needs: allow(identity.RiskRead),
		summary: "List what roles may pay", description: "An account's own limits, where it has any, count instead.", answer: RoleLimitsList{Data: []RoleLimits{exampleLimits}},
	}
	setLimitsEndpoint = endpoint{
		id: "setRoleLimits", method: http.MethodPut, path: "/api/v1/limits/{role}/{currency}", tag: tagRisk, needs: allow(identity.LimitsWrite), isSensitive: true, mayWait: true, writes: true,
		summary: "Set what a role may pay", description: "Per transfer, and by account in a day of UTC. Counts within five seconds everywhere.",
		request: reflect.TypeFor[SetLimitsRequest](), requestExample: map[string]any{"perTransfer": "2500.00", "daily": "5000.00"}, answer: exampleLimits,
	}

	listApprovalsEndpoint = endpoint{
		id: "listApprovals", method: http.MethodGet, path: "/api/v1/approvals", tag: tagApprovals, needs: allow(identity.ApprovalsRead),
		summary: "List approvals", description: "Newest first. Filters narrow the list; all of them must hold.", answer: ApprovalList{Data: []Approval{exampleApproval}},
	}
	getApprovalEndpoint = endpoint{
		id: "getApproval", method: http.MethodGet, path: "/api/v1/approvals/{approvalId}", tag: tagApprovals, needs: allow(identity.ApprovalsRead),
		summary: "Read an approval", description: "As it is now.", answer: exampleApproval, codes: []code{code(approval.NotFound)},
	}
	approveEndpoint = endpoint{
		id: "approve", method: http.MethodPost, path: "/api/v1/approvals/{approvalId}/approve", tag: tagApprovals, needs: allow(identity.ApprovalsDecide), isSensitive: true, writes: true,
		summary: "Agree, as the second person", description: "What was asked for is done at once; result says how it went. When the server failed meanwhile, approving again goes on. Takes no body.",
		answer: decided("APPROVED"),
		codes: []code{
			code(approval.NotFound), code(approval.SamePerson), code(approval.NotAPerson), code(approval.NotPending), code(approval.Expired), code(approval.NotApproved),
		},
	}
	rejectApprovalEndpoint = endpoint{
		id: "rejectApproval", method: http.MethodPost, path: "/api/v1/approvals/{approvalId}/reject", tag: tagApprovals, needs: allow(identity.ApprovalsDecide), writes: true,
		summary: "Refuse, or take back what you asked for", description: "Nothing is done.",
		request: reflect.TypeFor[ReasonRequest](), bodyIsOptional: true, requestExample: map[string]any{"reason": "Not agreed"}, answer: decided("REJECTED"),
		codes: []code{code(approval.NotFound), code(approval.NotPending), code(approval.Expired)},
	}
)
