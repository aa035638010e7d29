package admin

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/api"
	"florin/internal/approval"
	"florin/internal/identity"
)

const approvalsPath = Root + "/approvals"

func (p *Pages) approvalRoutes() []route {
	return []route{
		{pattern: "GET " + approvalsPath, handler: p.showApprovals, nav: "Approvals", group: groupSystem, needs: []identity.Permission{identity.ApprovalsRead}},
		{pattern: "GET " + approvalsPath + "/{id}", handler: p.showApproval},
		{pattern: "POST " + approvalsPath + "/{id}/approve", handler: p.approve},
		{pattern: "POST " + approvalsPath + "/{id}/reject", handler: p.rejectApproval},
	}
}

// allStatuses is the filter for approvals wherever they stand; without one the list
// is of those that wait.
const allStatuses = "ALL"

var (
	approvalFilters    = []string{"status", "operation", "targetId", "requestedBy"}
	approvalStatuses   = []choice{{"", "Waiting"}, {"APPROVED", "Approved"}, {"REJECTED", "Rejected"}, {"EXPIRED", "Expired"}, {allStatuses, "All"}}
	approvalOperations = []string{string(approval.ForcedReversal), string(approval.RoleChange), string(approval.LimitRaise), string(approval.CampaignChange)}
)

// approvalsShown is a page of the list of approvals.
type approvalsShown struct {
	at      *url.URL
	now     time.Time
	caller  *caller
	filter  url.Values
	list    api.ApprovalList
	problem *problem // with the filter
}

func (s *approvalsShown) isFiltered() bool { return apiQuery(s.filter, approvalFilters...) != "" }

func (p *Pages) showApprovals(w http.ResponseWriter, r *http.Request) error {
	shown := approvalsShown{at: r.URL, now: p.now(), caller: callerOf(r), filter: r.URL.Query()}
	asked := r.URL.Query()
	switch asked.Get("status") {
	case "":
		asked.Set("status", string(approval.Pending))
	case allStatuses:
		asked.Del("status")
	}
	err := p.get(r, "/api/v1/approvals"+apiQuery(asked, append(approvalFilters, "cursor", "limit")...), &shown.list)
	if shown.problem = wrongInput(err); err != nil && shown.problem == nil {
		return err
	}
	return p.render(w, r, page{title: "Approvals", status: shown.problem.status()}, approvalsView(shown))
}

// approvalShown is one approval: what is there now, and what would be then.
type approvalShown struct {
	api.Approval
	caller    *caller
	operation sensitive
	now       json.RawMessage // what the operation would change, as it is; nil when it is not known, or decided
	reverses  *api.Transfer   // what a reversal takes back; nil when it can't be read
	problem   *problem
}

// sensitive is the payload of any operation that waits: each has members of its
// own.
type sensitive struct {
	TransactionID string          `json:"transactionId"` // that a reversal takes back
	UserID        string          `json:"userId"`        // who gets a role
	Role          string          `json:"role"`          // that he gets, or whose limits they are
	AccountID     string          `json:"accountId"`     // whose limits they are
	Currency      string          `json:"currency"`      // of a role's limits; "": those of all that have none
	CampaignID    string          `json:"campaignId"`
	Version       int64           `json:"version"` // that a campaign's change is made of; 0 for a new one
	Terms         json.RawMessage `json:"terms"`   // of the campaign
	Program       json.RawMessage `json:"program"` // what campaigns share
}

func operationOf(a *api.Approval) sensitive {
	var o sensitive
	_ = json.Unmarshal(a.Payload, &o) // the payload is shown as it is all the same
	return o
}

// inWords says what an operation does.
func inWords(a *api.Approval) string {
	o := operationOf(a)
	switch approval.Operation(a.Operation) {
	case approval.ForcedReversal:
		return "Take back " + o.TransactionID + " although the money is gone"
	case approval.RoleChange:
		return "Give " + o.UserID + " the role " + o.Role
	case approval.LimitRaise:
		switch {
		case o.AccountID != "":
			return "Let the account " + o.AccountID + " pay more"
		case o.Currency == "":
			return "Let every " + o.Role + " pay more in currencies without limits of their own"
		}
		return "Let every " + o.Role + " pay more in " + o.Currency
	case approval.CampaignChange:
		switch {
		case len(o.Program) > 0:
			return "Change what all cashback campaigns share"
		case o.Version == 0:
			return "Make the campaign " + o.CampaignID
		}
		return "Change the campaign " + o.CampaignID
	}
	return spoken(a.Operation) + " of " + a.TargetID
}

func (s *approvalShown) waits() bool { return s.Status == string(approval.Pending) }

// isStuck says that it was agreed to and is not done: the server failed meanwhile,
// and approving it again goes on.
func (s *approvalShown) isStuck() bool {
	return s.Status == string(approval.Approved) && s.ExecutedAt == nil
}

// isOwn says that the caller asked for it.
func (s *approvalShown) isOwn() bool { return s.caller.ID == s.RequestedBy }

// whyNot is why the caller can't approve what waits; "" when he can, as far as is
// known here.
func (s *approvalShown) whyNot() string {
	switch {
	case !s.waits():
		return ""
	case !s.caller.May(identity.ApprovalsDecide):
		return "You may read this. Others decide."
	case s.isOwn():
		return "You asked for this, so somebody else has to agree. You can take it back."
	case s.caller.ID == s.TargetID:
		return "This is about you, so somebody else has to agree."
	case !s.caller.isPerson():
		return "You are signed in with an API key, and a person has to agree. Sign in with your email to approve."
	}
	return ""
}

func (s *approvalShown) mayApprove() bool {
	return (s.waits() || s.isStuck()) && s.caller.May(identity.ApprovalsDecide) && s.caller.isPerson() && !s.isOwn() && s.caller.ID != s.TargetID
}

func (s *approvalShown) mayReject() bool {
	return s.waits() && s.caller.May(identity.ApprovalsDecide)
}

func (p *Pages) showApproval(w http.ResponseWriter, r *http.Request) error {
	return p.renderApproval(w, r, nil)
}

func (p *Pages) renderApproval(w http.ResponseWriter, r *http.Request, bad *problem) error {
	shown := approvalShown{caller: callerOf(r), problem: bad}
	if err := p.get(r, apiPath("approvals", r.PathValue("id")), &shown.Approval); err != nil {
		return err
	}
	shown.operation = operationOf(&shown.Approval)
	if shown.waits() {
		if err := p.readBeside(r, &shown); err != nil {
			return err
		}
	}
	return p.render(w, r, page{title: inWords(&shown.Approval), status: bad.status()}, approvalView(shown))
}

// readBeside reads what the operation would change, as it is now: whoever agrees
// sees the difference. What the caller may not read, or is gone, is left out.
func (p *Pages) readBeside(r *http.Request, shown *approvalShown) error {
	o := &shown.operation
	var err error
	switch approval.Operation(shown.Operation) {
	case approval.RoleChange:
		var user api.UserProfile
		if err = p.get(r, apiPath("users", o.UserID), &user); err == nil {
			shown.now, err = json.Marshal(map[string]string{"userId": user.UserID, "role": user.Role})
		}
	case approval.LimitRaise:
		shown.now, err = p.limitsNow(r, o)
	case approval.ForcedReversal:
		var taken api.Transfer
		if err = p.get(r, apiPath("transactions", o.TransactionID), &taken); err == nil {
			shown.reverses = &taken
		}
	case approval.CampaignChange:
		shown.now, err = p.campaignNow(r, o)
	}
	if bad := inPlace(err); isNotFound(err) || bad != nil && bad.Status == http.StatusForbidden {
		return nil
	}
	return err
}

// limitsNow are an account's limits, or a role's, in the words of the payload.
func (p *Pages) limitsNow(r *http.Request, o *sensitive) (json.RawMessage, error) {
	now := map[string]any{}
	set := func(name string, limit *api.Money) {
		now[name] = "none"
		if limit != nil {
			now[name] = *limit
		}
	}
	if o.AccountID != "" {
		var account api.Account
		if err := p.get(r, apiPath("accounts", o.AccountID), &account); err != nil {
			return nil, err
		}
		now["accountId"] = account.AccountID
		set("overdraftLimit", account.OverdraftLimit)
		set("perTransfer", account.TransferLimit)
		set("daily", account.DailyLimit)
		return json.Marshal(now)
	}
	var list api.RoleLimitsList
	if err := p.get(r, "/api/v1/limits", &list); err != nil {
		return nil, err
	}
	for _, limits := range list.Data {
		if limits.Role == o.Role && (limits.Currency == o.Currency || limits.Currency == "*" && o.Currency == "") {
			now["role"] = limits.Role
			if o.Currency != "" {
				now["currency"] = limits.Currency
			}
			set("perTransfer", limits.PerTransfer)
			set("daily", limits.Daily)
			return json.Marshal(now)
		}
	}
	return nil, nil
}

// campaignNow are the terms that would be changed, with the payload's names; nil for
// a new campaign.
func (p *Pages) campaignNow(r *http.Request, o *sensitive) (json.RawMessage, error) {
	path, notTerms := apiPath("campaigns", o.CampaignID), []string{"createdBy", "createdAt", "campaignId", "version"}
	switch {
	case len(o.Program) > 0:
		path, notTerms = "/api/v1/cashback-program", notTerms[:2]
	case o.Version == 0:
		return nil, nil
	}
	var terms map[string]json.RawMessage
	if err := p.get(r, path, &terms); err != nil {
		return nil, err
	}
	for _, name := range notTerms {
		delete(terms, name)
	}
	return json.Marshal(terms)
}

// then is what the operation would make, in the words of now.
func (s *approvalShown) then() json.RawMessage {
	switch {
	case len(s.operation.Terms) > 0:
		return s.operation.Terms
	case len(s.operation.Program) > 0:
		return s.operation.Program
	}
	return s.Payload
}

// changes are the values that the operation would set, beside what is there now. A
// limit that the payload does not name stays; of a campaign all terms are named.
// 100 and 100.00 are the same.
func (s *approvalShown) changes() []difference {
	isWhole := s.Operation == string(approval.CampaignChange)
	var all []difference
	for _, d := range differences(s.now, s.then()) {
		// What a payload leaves out because it is the same as nothing.
		isNothing := d.name == "group" && d.before == "default" || d.before == "{}" || d.before == "[]" || d.before == "0"
		if !d.is && (!isWhole || isNothing) {
			continue
		}
		if isSameNumber(d.before, d.after) {
			d.before = d.after
		}
		all = append(all, d)
	}
	sortByChange(all)
	return all
}

func isSameNumber(a, b string) bool {
	x, errX := decimal.NewFromString(a)
	y, errY := decimal.NewFromString(b)
	return errX == nil && errY == nil && x.Equal(y)
}

func (p *Pages) approve(w http.ResponseWriter, r *http.Request) error {
	return p.decideApproval(w, r, "approve", nil)
}

func (p *Pages) rejectApproval(w http.ResponseWriter, r *http.Request) error {
	return p.decideApproval(w, r, "reject", api.ReasonRequest{Reason: r.PostFormValue("reason")})
}

func (p *Pages) decideApproval(w http.ResponseWriter, r *http.Request, verdict string, body any) error {
	id := r.PathValue("id")
	var decided api.Approval
	err := p.call(r, http.MethodPost, apiPath("approvals", id, verdict), body, &decided)
	if bad := inPlace(err); bad != nil && !isNotFound(err) {
		return p.renderApproval(w, r, bad)
	}
	if err != nil {
		return err
	}
	return p.done(w, r, decidedNotice(&decided, callerOf(r)), pagePath("approvals", id))
}

// decidedNotice says what became of what was asked for.
func decidedNotice(a *api.Approval, who *caller) string {
	switch {
	case a.Status == string(approval.Approved) && a.Result == "ok":
		return "Approved, and done."
	case a.Status == string(approval.Approved):
		return "Approved, but it could not be done any more: " + a.Result + "."
	case a.RequestedBy == who.ID:
		return "Taken back. Nothing was done."
	}
	return "Rejected. Nothing was done."
}
