package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"florin/internal/api"
	"florin/internal/identity"
)

const (
	reviewsPath   = Root + "/risk"
	decisionsPath = reviewsPath + "/decisions"
)

func (p *Pages) riskRoutes() []route {
	return slices.Concat([]route{
		{pattern: "GET " + reviewsPath, handler: p.showReviews, nav: "Risk", group: groupMoney, needs: []identity.Permission{identity.RiskRead}},
		{pattern: "GET " + decisionsPath, handler: p.showDecisions},
		{pattern: "GET " + decisionsPath + "/{id}", handler: p.showDecision},
		{pattern: "POST " + decisionsPath + "/{id}/approve", handler: p.approveReview},
		{pattern: "POST " + decisionsPath + "/{id}/reject", handler: p.rejectReview},
	}, p.riskRuleRoutes())
}

// decisionList is a page of decisions: of the queue, of reviews that ended, or of
// an account's payments.
type decisionList struct {
	at      *url.URL
	now     time.Time
	filter  url.Values
	list    api.RiskDecisionList
	problem *problem // with the filter
}

// isFilteredBy says that one of the filters is set.
func (l *decisionList) isFilteredBy(names ...string) bool { return apiQuery(l.filter, names...) != "" }

// load reads a page of a list of decisions. What is wrong with the filter is kept,
// to be shown beside it.
func (l *decisionList) load(p *Pages, r *http.Request, path string, filters ...string) error {
	l.at, l.filter, l.now = r.URL, r.URL.Query(), p.now()
	err := p.get(r, path+apiQuery(l.filter, append(filters, "cursor", "limit")...), &l.list)
	if l.problem = wrongInput(err); l.problem != nil {
		return nil //nolint:nilerr // it is shown beside the filter
	}
	return err
}

// isQueue says that the list is of payments that wait, not of those that did.
func (l *decisionList) isQueue() bool {
	status := l.filter.Get("status")
	return status == "" || status == "PENDING"
}

func (p *Pages) showReviews(w http.ResponseWriter, r *http.Request) error {
	shown := decisionList{}
	if err := shown.load(p, r, "/api/v1/risk/reviews", "status", "userId", "accountId"); err != nil {
		return err
	}
	return p.render(w, r, page{title: "Payments to review", status: shown.problem.status()}, reviewsView(shown))
}

// showDecisions lists what was decided about an account's payments. One
// transaction's decision is a page by itself.
func (p *Pages) showDecisions(w http.ResponseWriter, r *http.Request) error {
	if transactionID := strings.TrimSpace(r.URL.Query().Get("transactionId")); transactionID != "" {
		p.redirect(w, r, decisionPath(transactionID))
		return nil
	}
	shown := decisionList{at: r.URL, filter: r.URL.Query()}
	if shown.isFilteredBy("accountId") {
		if err := shown.load(p, r, "/api/v1/risk/decisions", "accountId"); err != nil {
			return err
		}
	}
	return p.render(w, r, page{title: "Decisions", status: shown.problem.status()}, decisionsView(shown))
}

// decisionPath is the page of the decision about a transaction.
func decisionPath(transactionID string) string { return pagePath("risk", "decisions", transactionID) }

// decisionShown is one decision with what stands behind it.
type decisionShown struct {
	api.RiskDecision
	now          time.Time
	caller       *caller
	rules        []ruleMatched
	payer, payee string // names; "" where they can't be read
	problem      *problem
}

// ruleMatched is a rule that matched, as it was then.
type ruleMatched struct {
	api.RiskRuleMatch
	rule     *api.RiskRule // nil when it can't be read
	newest   int64         // version of the rule now
	isReason bool          // it decided
}

// versionText is the version that matched, and what came of the rule since.
func (m *ruleMatched) versionText() string {
	text := fmt.Sprintf(" version %d", m.Version)
	if m.newest > m.Version {
		text += fmt.Sprintf(", which is at version %d now", m.newest)
	}
	if m.isReason {
		text += " · this one decided"
	}
	return text
}

// matchesText is the version of the rule that decided, and how many others matched.
func matchesText(d *api.RiskDecision) string {
	text := fmt.Sprintf(" version %d", d.RuleVersion)
	if others := len(d.Matches) - 1; others > 0 {
		text += fmt.Sprintf(", and %d more", others)
	}
	return text
}

// isOwn says that the caller pays or is paid, so that somebody else has to review.
func (d *decisionShown) isOwn() bool { return d.caller.ID == d.UserID || d.caller.ID == d.PayeeID }

func (d *decisionShown) waits() bool { return d.ReviewStatus == "PENDING" }

func (d *decisionShown) mayDecide() bool {
	return d.waits() && !d.isOwn() && d.caller.May(identity.ReviewsDecide)
}

// amountText is the amount in a sentence.
func (d *decisionShown) amountText() string { return grouped(string(d.Amount)) + " " + d.Currency }

// approvalMeans is what approving does.
func (d *decisionShown) approvalMeans() string {
	if to := cmp.Or(d.payee, d.PayeeID); to != "" {
		return d.amountText() + " move to " + to + " at once. This can't be taken back here."
	}
	return d.amountText() + " leave " + d.AccountID + " at once. This can't be taken back here."
}

func (p *Pages) showDecision(w http.ResponseWriter, r *http.Request) error {
	decision, err := p.decisionAbout(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	return p.renderDecision(w, r, decision, nil)
}

// decisionAbout reads the decision about a transaction.
func (p *Pages) decisionAbout(r *http.Request, transactionID string) (api.RiskDecision, error) {
	var list api.RiskDecisionList
	if err := p.get(r, "/api/v1/risk/decisions?transactionId="+url.QueryEscape(transactionID), &list); err != nil {
		return api.RiskDecision{}, err
	}
	if len(list.Data) != 1 {
		return api.RiskDecision{}, fmt.Errorf("transaction %s has %d decisions", transactionID, len(list.Data))
	}
	return list.Data[0], nil
}

func (p *Pages) renderDecision(w http.ResponseWriter, r *http.Request, decision api.RiskDecision, bad *problem) error {
	shown := decisionShown{RiskDecision: decision, now: p.now(), caller: callerOf(r), problem: bad}
	var err error
	if shown.rules, err = p.rulesBehind(r, &decision); err != nil {
		return err
	}
	if shown.payer, err = p.nameOfUser(r, decision.UserID); err != nil {
		return err
	}
	if shown.payee, err = p.nameOfUser(r, decision.PayeeID); err != nil {
		return err
	}
	return p.render(w, r, page{title: "Decision", status: bad.status()}, decisionView(shown))
}

// rulesBehind reads the rules that matched, each in the version that did.
func (p *Pages) rulesBehind(r *http.Request, decision *api.RiskDecision) ([]ruleMatched, error) {
	if len(decision.Matches) == 0 {
		return nil, nil
	}
	var newest api.RiskRuleList
	if err := p.get(r, "/api/v1/risk/rules", &newest); err != nil {
		return nil, err
	}
	matched := make([]ruleMatched, len(decision.Matches))
	for i, match := range decision.Matches {
		matched[i] = ruleMatched{RiskRuleMatch: match, isReason: match.RuleID == decision.RuleID}
		at := slices.IndexFunc(newest.Data, func(rule api.RiskRule) bool { return rule.RuleID == match.RuleID })
		if at < 0 {
			continue
		}
		matched[i].newest = newest.Data[at].Version
		versions := newest
		if matched[i].newest != match.Version {
			if err := p.get(r, apiPath("risk", "rules", match.RuleID, "versions"), &versions); err != nil {
				return nil, err
			}
		}
		for _, rule := range versions.Data {
			if rule.RuleID == match.RuleID && rule.Version == match.Version {
				matched[i].rule = &rule
			}
		}
	}
	return matched, nil
}

// nameOfUser is a user's name; "" for nobody, and where the caller may not know or
// the user is gone.
func (p *Pages) nameOfUser(r *http.Request, userID string) (string, error) {
	if userID == "" || !callerOf(r).May(identity.UsersRead) {
		return "", nil
	}
	var user api.UserProfile
	err := p.get(r, apiPath("users", userID), &user)
	if isNotFound(err) {
		return "", nil
	}
	return user.Name, err
}

func (p *Pages) approveReview(w http.ResponseWriter, r *http.Request) error {
	return p.decideReview(w, r, "approve", r.PostFormValue("approvalReason"))
}

func (p *Pages) rejectReview(w http.ResponseWriter, r *http.Request) error {
	return p.decideReview(w, r, "reject", r.PostFormValue("rejectionReason"))
}

func (p *Pages) decideReview(w http.ResponseWriter, r *http.Request, verdict, reason string) error {
	decision, err := p.decisionAbout(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	var reviewed api.Reviewed
	err = p.call(r, http.MethodPost, apiPath("risk", "reviews", decision.DecisionID, verdict), api.ReasonRequest{Reason: reason}, &reviewed)
	if bad := inPlace(err); bad != nil {
		return p.renderDecision(w, r, decision, bad)
	}
	if err != nil {
		return err
	}
	return p.done(w, r, reviewedNotice(&reviewed), decisionPath(decision.TransactionID))
}

// reviewedNotice says what became of the payment.
func reviewedNotice(reviewed *api.Reviewed) string {
	t := &reviewed.Transaction
	amount := grouped(string(t.Amount)) + " " + t.Currency
	switch {
	case reviewed.Decision.ReviewStatus == "REJECTED":
		return "Rejected. " + amount + " are the payer's again."
	case t.Status == "COMPLETED":
		return "Approved. " + amount + " have moved."
	case t.Status == "FAILED":
		return "Approved, but nothing moved: " + cmp.Or(t.FailureMessage, t.FailureCode) + "."
	}
	return "Approved. The payment goes on: " + spoken(t.Status) + "."
}
