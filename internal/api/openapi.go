package api

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"florin/internal/approval"
	"florin/internal/identity"
	"florin/internal/ledger"
)

const (
	tagAccounts     = "Accounts"
	tagTransfers    = "Transfers"
	tagTransactions = "Transactions"
	tagHolds        = "Holds"
	tagExports      = "Exports"
	tagHealth       = "Health"
	bearerScheme    = "bearer"
	cookieScheme    = "session"
)

// endpoint is one operation as it is served and documented.
type endpoint struct {
	id, method, path, tag string
	summary, description  string
	isHidden              bool // not documented
	writes                bool // goes through the executor
	status                int  // of success; 200 when 0

	// Who may: exactly one of the first three is set.
	isPublic    bool                  // needs no credential; class says which limit counts
	forAnyone   bool                  // with any valid credential
	needs       []identity.Permission // one of these; the handler asks for more where it must
	forPeople   bool                  // with a session, not by a program
	reachesAll  bool                  // not by those who reach an owner's accounts alone
	isSensitive bool                  // people must have proven themselves a short while ago
	mayWait     bool                  // for a second person: then the answer is 202 and the approval
	class       rateClass             // read or write, by the method, when empty

	request        reflect.Type // of the body; nil for none
	bodyIsOptional bool
	bodyMax        int64 // by who may send it when 0: see bodyLimit
	requestExample any
	answer         any          // an example of it
	streams        reflect.Type // what is answered as it is read, as JSON or CSV; nil when answered at once
	csvExample     string       // of what streams
	notModified    bool
	codes          []code // that are its own; those that all share are added

	middlewares huma.Middlewares
}

// with puts middlewares before the endpoint's handler.
func (e endpoint) with(middlewares ...func(huma.Context, func(huma.Context))) endpoint {
	e.middlewares = middlewares
	return e
}

// asHead answers the endpoint's status and headers alone.
func (e endpoint) asHead() endpoint {
	e.method, e.isHidden = http.MethodHead, true
	return e
}

// allCodes are the codes that the endpoint can answer, in the table's order.
func (e endpoint) allCodes() []code {
	can := map[code]bool{}
	add := func(codes ...code) {
		for _, c := range codes {
			can[c] = true
		}
	}
	add(e.codes...)
	add(codeInternalError)
	isSafe := e.method == http.MethodGet || e.method == http.MethodHead
	if strings.HasPrefix(e.path, "/api/") {
		add(codeInvalidRequest, codeDatabaseUnavailable, codeTimeout)
	}
	if !e.isPublic {
		add(codeUnauthenticated, codeForbidden)
	}
	if !isSafe {
		add(codeCrossOrigin)
	}
	if e.isSensitive {
		add(codeProofRequired)
	}
	if e.mayWait {
		add(code(approval.NotAPerson))
	}
	if !e.isPublic && !e.rule().isForOneself() {
		add(codeStaffFactor)
	}
	add(codeRateLimited)
	if e.writes {
		add(codeOverloaded, codeShuttingDown, codeConflictRetry, codeOutcomeUnknown)
	}
	if e.request != nil {
		add(codeBodyTooLarge, codeUnsupportedMedia, codeBodyTimeout)
	}
	var codes []code
	for _, kind := range errorKinds {
		if can[kind.code] {
			codes = append(codes, kind.code)
		}
	}
	return codes
}

// operation is the endpoint for huma.
func (e endpoint) operation(schemas huma.Registry) huma.Operation {
	op := huma.Operation{
		OperationID: e.id, Method: e.method, Path: e.path, Tags: []string{e.tag},
		Summary: e.summary, Description: e.description, DefaultStatus: e.status,
		Middlewares: e.middlewares, Hidden: e.isHidden, RejectUnknownQueryParameters: true,
		Responses: e.errorResponses(schemas),
	}
	if op.DefaultStatus == 0 {
		op.DefaultStatus = http.StatusOK
	}
	op.Responses[strconv.Itoa(op.DefaultStatus)] = &huma.Response{
		Description: http.StatusText(op.DefaultStatus),
		Content:     map[string]*huma.MediaType{"application/json": {Example: e.answer}},
	}
	if e.streams != nil {
		op.Responses[strconv.Itoa(op.DefaultStatus)].Content["application/json"].Schema = schemas.Schema(e.streams, true, "")
		op.Responses[strconv.Itoa(op.DefaultStatus)].Content["text/csv"] = &huma.MediaType{
			Schema: &huma.Schema{Type: huma.TypeString}, Example: e.csvExample,
		}
	}
	if e.mayWait {
		op.Description += " Where a second person must agree, the answer is 202 and the approval that is waited for."
		op.Responses[strconv.Itoa(http.StatusAccepted)] = &huma.Response{
			Description: "A second person must agree.",
			Content: map[string]*huma.MediaType{"application/json": {
				Schema: schemas.Schema(reflect.TypeFor[Approval](), true, ""), Example: exampleApproval,
			}},
		}
	}
	if e.notModified {
		op.Responses[strconv.Itoa(http.StatusNotModified)] = &huma.Response{Description: "The answer of that ETag still holds."}
	}
	if !e.isPublic {
		op.Security = []map[string][]string{{bearerScheme: {}}, {cookieScheme: {}}}
	}
	if e.request != nil {
		op.MaxBodyBytes = e.bodyLimit()
		op.Metadata = map[string]any{requestBodyKey: &huma.RequestBody{
			Required: !e.bodyIsOptional,
			Content: map[string]*huma.MediaType{"application/json": {
				Schema: schemas.Schema(e.request, true, ""), Example: e.requestExample,
			}},
		}}
	}
	return op
}

// bodyLimit is how long the endpoint's body may be, in bytes: the less the caller
// had to show for sending it, the shorter.
func (e endpoint) bodyLimit() int64 {
	switch {
	case e.bodyMax > 0:
		return e.bodyMax
	case e.isPublic:
		return publicBodyMax
	case strings.HasPrefix(e.path, "/api/v1/users/me"), strings.HasPrefix(e.path, "/api/v1/auth/"):
		return peopleBodyMax
	}
	return bodyMax
}

const requestBodyKey = "requestBody"

// documentBody adds the body to an operation when huma has seen it: it would
// read, decode and check a body that it knows of by itself, and jsonBody does.
func documentBody(_ *huma.OpenAPI, op *huma.Operation) {
	op.RequestBody, _ = op.Metadata[requestBodyKey].(*huma.RequestBody)
}

// errorResponses documents each status with its codes and an example of each.
func (e endpoint) errorResponses(schemas huma.Registry) map[string]*huma.Response {
	responses := map[string]*huma.Response{}
	for _, c := range e.allCodes() {
		kind := errorKindOf[c]
		status := strconv.Itoa(kind.status)
		response := responses[status]
		if response == nil {
			response = &huma.Response{
				Description: http.StatusText(kind.status) + ":",
				Content: map[string]*huma.MediaType{problemJSON: {
					Schema: schemas.Schema(reflect.TypeFor[Problem](), true, ""), Examples: map[string]*huma.Example{},
				}},
				Headers: map[string]*huma.Param{},
			}
			responses[status] = response
		}
		response.Description += " `" + string(c) + "`"
		response.Content[problemJSON].Examples[string(c)] = &huma.Example{Summary: kind.title, Value: exampleProblem(c)}
		for name := range (&Problem{Status: kind.status, retryAfter: time.Second}).GetHeaders() {
			response.Headers[http.CanonicalHeaderKey(name)] = &huma.Param{Schema: &huma.Schema{Type: huma.TypeString}}
		}
	}
	return responses
}

func exampleProblem(c code) *Problem {
	const requestID = "req_k3q7m2x5w4z6n2p7r5t3v6y4a2"
	problem := c.problem("%s", errorKindOf[c].help)
	problem.Instance, problem.RequestID = "/requests/"+requestID, requestID
	switch c {
	case codeInvalidRequest:
		problem.Detail = "amount: must be above zero"
		problem.Errors = []FieldProblem{{Field: "amount", Problem: "must be above zero"}}
	case code(ledger.InsufficientFunds):
		problem.Detail = "account alice has 5.00 available, less than 30.25"
		problem.TransactionID, problem.TransactionStatus = "order-1001", string(ledger.Failed)
	}
	return problem
}

func humaConfig(version, cookieName string) huma.Config {
	if version == "" {
		version = "dev"
	}
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI:        "3.1.0",
			OnAddOperation: []huma.AddOpFunc{documentBody},
			Info: &huma.Info{
				Title: "Florin", Version: version,
				Description: description,
			},
			Servers: []*huma.Server{{URL: "/"}},
			Tags: []*huma.Tag{
				{Name: tagAccounts, Description: "Places for money of one currency."},
				{Name: tagTransfers, Description: "Money moves: at once, many together, or later."},
				{Name: tagTransactions, Description: "What became of it."},
				{Name: tagHolds, Description: "Money reserved for somebody, captured or released later."},
				{Name: tagExports, Description: "The books, delivered to others as they grow."},
				{Name: tagOverview, Description: "How the system is doing, for those who run it."},
				{Name: tagAuth, Description: "For people: sign up, verify the address of mail, sign in and out, reset the password."},
				{Name: tagMe, Description: "The user who asks: profile, password, sessions, second factor."},
				{Name: tagMyMoney, Description: "What the user does with his own money, and with nobody else's."},
				{Name: tagUsers, Description: "People, as the staff sees them."},
				{Name: tagKeys, Description: "The credentials of programs."},
				{Name: tagRisk, Description: "What is decided about payments of customers and merchants: rules, reviews, limits."},
				{Name: tagApprovals, Description: "Sensitive operations that wait for a second person."},
				{Name: tagPurchases, Description: "What customers bought and gave back, as shops report it: cashback comes of it."},
				{Name: tagCampaigns, Description: "Which purchases are rewarded, how much, and who pays for it."},
				{Name: tagRewards, Description: "What customers get, why, and where it stands."},
				{Name: tagReports, Description: "What finance reads of a period, each as of one moment that it names."},
				{Name: tagConsole, Description: "SQL on the schema `reporting`, by a role of its own that can read nothing else."},
				{Name: tagAudit, Description: "Who changed what. Its rows are chained by hash; `florin verify` proves them."},
				{Name: tagHealth, Description: "For load balancers; without a credential."},
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					bearerScheme: {Type: "http", Scheme: "bearer", Description: "An API key or a session's token, as `Authorization: Bearer TOKEN`."},
					cookieScheme: {Type: "apiKey", In: "cookie", Name: cookieName, Description: "The cookie that a browser was given at sign-in. It counts where there is no Authorization header, and not for what a page of another origin sends."},
				},
			},
		},
		Formats:       huma.DefaultFormats,
		DefaultFormat: "application/json",
	}
}

const description = `A double-entry payments ledger. Every error is an RFC 9457 problem with a stable code: see the [table of errors](/docs/errors).

- **Amounts** are strings with exactly the currency's decimals in answers, strings or numbers in requests. They are read exactly.
- **Repeating a request is safe.** The same request under the same id gives the first outcome, another one is refused. Where the server makes the id, send Idempotency-Key.
- **Requests are read strictly**: what is unknown, given twice or of a wrong type is refused by name. null is the same as absent.
- **Lists** come in pages: pass nextCursor as cursor to get the next one. Those of accounts, transactions and postings tell the time that they show, readAt; with consistency=snapshot it is the same on all pages.
- **Every answer** carries X-Request-Id: yours, if you send one.
- **Who may**: a role and, of an API key, its scopes. Customers and merchants see and move what is their own; what is not theirs is answered as what does not exist.
- **How often**: RateLimit-Policy and RateLimit tell the limit and what is left of it. Above it the answer is 429 rate_limited with Retry-After.
`
