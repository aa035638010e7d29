package admin

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/api"
	"florin/internal/identity"
	"florin/internal/platform/id"
)

const (
	transactionsPath = Root + "/transactions"
	transfersPath    = Root + "/transfers"
	newTransferPath  = transfersPath + "/new"
)

func (p *Pages) transactionRoutes() []route {
	return []route{
		{pattern: "GET " + transactionsPath, handler: p.showTransactions, nav: "Transactions", group: groupMoney, needs: []identity.Permission{identity.TransactionRead}},
		{pattern: "GET " + transactionsPath + "/{id}", handler: p.showTransaction},
		{pattern: "GET " + transactionsPath + "/{id}/reverse", handler: p.showReversal, needs: []identity.Permission{identity.TransfersUndo}},
		{pattern: "POST " + transactionsPath + "/{id}/reverse", handler: p.reverse, needs: []identity.Permission{identity.TransfersUndo}},
		{pattern: "GET " + newTransferPath, handler: p.showNewTransfer, needs: []identity.Permission{identity.TransfersWrite}},
		{pattern: "POST " + transfersPath + "/review", handler: p.reviewTransfer, needs: []identity.Permission{identity.TransfersWrite}},
		{pattern: "POST " + transfersPath, handler: p.transfer, needs: []identity.Permission{identity.TransfersWrite}},
		{pattern: "GET " + Root + "/holds/{id}", handler: p.showHold},
	}
}

var transactionStatuses = []string{"PENDING", "IN_PROGRESS", "COMPLETED", "FAILED"}

// transactionsShown is a page of the list of transactions, or the one that was
// searched for.
type transactionsShown struct {
	at          *url.URL
	filter      url.Values
	list        api.TransactionList
	problem     *problem // with the filter
	mayTransfer bool
}

func (s *transactionsShown) isFiltered() bool {
	return apiQuery(s.filter, "transactionId", "accountId", "status", "from", "to") != ""
}

func (p *Pages) showTransactions(w http.ResponseWriter, r *http.Request) error {
	shown := transactionsShown{at: r.URL, filter: r.URL.Query(), mayTransfer: callerOf(r).May(identity.TransfersWrite)}
	err := p.findTransactions(r, &shown)
	if shown.problem = wrongInput(err); err != nil && shown.problem == nil {
		return err
	}
	return p.render(w, r, page{title: "Transactions", status: shown.problem.status()}, transactionsView(shown))
}

func (p *Pages) findTransactions(r *http.Request, shown *transactionsShown) error {
	if wanted := shown.filter.Get("transactionId"); wanted != "" {
		var found api.Transfer
		err := p.get(r, apiPath("transactions", wanted), &found)
		if isNotFound(err) {
			return nil
		}
		if err == nil {
			shown.list.Data = []api.Transfer{found}
		}
		return err
	}
	return p.get(r, "/api/v1/transactions"+periodQuery(shown.filter, "accountId", "status", "cursor", "limit"), &shown.list)
}

// transactionShown is a transaction with what it is linked to.
type transactionShown struct {
	api.Transfer

	reversal *api.Transfer // that undid it
	hold     *api.Hold     // that it drew on
	mayUndo  bool
}

// isFinal says that a transaction's status never changes any more.
func isFinal(t *api.Transfer) bool { return t.Status == "COMPLETED" || t.Status == "FAILED" }

// canBeReversed says whether there is something to undo, for the caller. The ledger
// decides.
func (s *transactionShown) canBeReversed() bool {
	return s.mayUndo && s.Status == "COMPLETED" && s.ReversedByTransactionID == ""
}

func (p *Pages) showTransaction(w http.ResponseWriter, r *http.Request) error {
	shown := transactionShown{mayUndo: callerOf(r).May(identity.TransfersUndo)}
	if err := p.get(r, apiPath("transactions", r.PathValue("id")), &shown.Transfer); err != nil {
		return err
	}
	if shown.ReversedByTransactionID != "" {
		shown.reversal = &api.Transfer{}
		if err := p.get(r, apiPath("transactions", shown.ReversedByTransactionID), shown.reversal); err != nil {
			return err
		}
	}
	if shown.HoldID != "" && callerOf(r).May(identity.HoldsRead) {
		shown.hold = &api.Hold{}
		if err := p.get(r, apiPath("holds", shown.HoldID), shown.hold); err != nil {
			return err
		}
	}
	return p.render(w, r, page{title: "Transaction " + shown.TransactionID}, transactionView(shown))
}

func (p *Pages) showHold(w http.ResponseWriter, r *http.Request) error {
	var hold api.Hold
	if err := p.get(r, apiPath("holds", r.PathValue("id")), &hold); err != nil {
		return err
	}
	return p.render(w, r, page{title: "Hold " + hold.HoldID}, holdView(hold))
}

// lifeStep is a moment in a transaction's life.
type lifeStep struct {
	what  string
	at    *time.Time // nil while it lasts
	since string     // how long after the step before; "" for the first
	note  string
	link  string // the page of the transaction that note is about
}

// life is what happened to a transaction, and what is still to come.
func (s *transactionShown) life() []lifeStep {
	steps := []lifeStep{{what: "Accepted", at: &s.CreatedAt, note: "Stored, under its id for good."}}
	switch s.Status {
	case "PENDING":
		steps = append(steps, lifeStep{what: "Waits", note: "It is executed in the background, as a rule within milliseconds."})
	case "IN_PROGRESS":
		steps = append(steps, lifeStep{what: "Started", note: "A server is at it. Should that die, another one starts it again within ten seconds; the money moves once."})
	case "COMPLETED":
		steps = append(steps, lifeStep{what: "Completed", at: s.CompletedAt, since: took(&s.Transfer), note: "Both accounts were booked at this time."})
	case "FAILED":
		steps = append(steps, lifeStep{what: "Failed", at: s.CompletedAt, since: took(&s.Transfer), note: "Nothing was booked: " + s.FailureMessage + "."})
	}
	if s.reversal != nil {
		reversed := lifeStep{what: "Reversed", at: s.reversal.CompletedAt, note: s.reversal.Description, link: pagePath("transactions", s.reversal.TransactionID)}
		if s.CompletedAt != nil && reversed.at != nil {
			reversed.since = laterBy(reversed.at.Sub(*s.CompletedAt))
		}
		steps = append(steps, reversed)
	}
	return steps
}

// took is how long a transaction took from being accepted to its end.
func took(t *api.Transfer) string {
	if t.CompletedAt == nil {
		return ""
	}
	return laterBy(t.CompletedAt.Sub(t.CreatedAt))
}

// laterBy is a span of time after what came before; below a second finely, since
// that is how long a transfer takes.
func laterBy(took time.Duration) string {
	switch {
	case took <= 0:
		return "at once"
	case took < time.Second:
		return took.Round(time.Millisecond/10).String() + " later"
	}
	return took.Round(time.Second).String() + " later"
}

// tAccount is one leg of a transaction as bookkeepers draw it: debits left,
// credits right, the balance before above and the one after below. Balances stand
// on the side of their sign, as credits are positive here.
type tAccount struct {
	api.Posting

	before api.Money
}

func tAccountOf(posting api.Posting) (tAccount, error) {
	after, err := decimal.NewFromString(string(posting.Balance))
	if err != nil {
		return tAccount{}, err
	}
	moved, err := decimal.NewFromString(string(posting.Amount))
	if err != nil {
		return tAccount{}, err
	}
	places := -after.Exponent() // the currency's, as the API writes them
	return tAccount{Posting: posting, before: api.Money(after.Sub(moved).StringFixed(places))}, nil
}

// transferForm is the form of a manual transfer. Its transaction's id is made when
// it is first shown and stays in it, so that it moves money once however often it
// is sent.
type transferForm struct {
	id, source, destination, amount, currency, description string

	problem *problem
	// recordedID is the transaction that the refusal left in the books, or met there.
	recordedID string
}

func transferFormOf(given url.Values) transferForm {
	form := transferForm{
		id: given.Get("transactionId"), source: given.Get("sourceAccountId"), destination: given.Get("destinationAccountId"),
		amount: given.Get("amount"), currency: given.Get("currency"), description: given.Get("description"),
	}
	if form.id == "" {
		form.id = newTransferID()
	}
	return form
}

func newTransferID() string { return id.New("txn") }

// fields are those of the form, under the API's names.
func (f *transferForm) fields() []formField {
	return []formField{
		{"transactionId", f.id}, {"sourceAccountId", f.source}, {"destinationAccountId", f.destination},
		{"amount", f.amount}, {"currency", f.currency}, {"description", f.description},
	}
}

// request is the form as the API takes it: what was typed, for it to judge.
func (f *transferForm) request() map[string]string {
	request := map[string]string{}
	for _, field := range f.fields() {
		if field.value != "" {
			request[field.name] = field.value
		}
	}
	return request
}

// back leads to the form as it was filled in.
func (f *transferForm) back() string {
	query := url.Values{}
	for _, field := range f.fields() {
		query.Set(field.name, field.value)
	}
	return newTransferPath + "?" + query.Encode()
}

func (p *Pages) showNewTransfer(w http.ResponseWriter, r *http.Request) error {
	return p.renderTransferForm(w, r, transferFormOf(r.URL.Query()))
}

func (p *Pages) renderTransferForm(w http.ResponseWriter, r *http.Request, form transferForm) error {
	return p.render(w, r, page{title: "Move money", status: form.problem.status()}, transferFormView(form))
}

// transferReview is a transfer with the accounts that it is about, to be agreed to.
type transferReview struct {
	form                transferForm
	source, destination *api.Account // nil where the caller may not read them
}

// reviewTransfer shows what would be done. It changes nothing.
func (p *Pages) reviewTransfer(w http.ResponseWriter, r *http.Request) error {
	review := transferReview{form: transferFormOf(r.PostForm)}
	for _, side := range []struct {
		field, id string
		account   **api.Account
	}{
		{"sourceAccountId", review.form.source, &review.source},
		{"destinationAccountId", review.form.destination, &review.destination},
	} {
		account, err := p.reviewedAccount(r, side.id)
		if bad := inPlace(err); bad != nil && bad.Status < http.StatusInternalServerError {
			review.form.problem = beside(bad, side.field)
			return p.renderTransferForm(w, r, review.form)
		}
		if err != nil {
			return err
		}
		*side.account = account
	}
	if review.form.currency == "" && review.source != nil {
		review.form.currency = review.source.Currency
	}
	return p.render(w, r, page{title: "Move money"}, transferReviewView(review))
}

// reviewedAccount is an account as it is now; nil for a caller who may not read it.
func (p *Pages) reviewedAccount(r *http.Request, accountID string) (*api.Account, error) {
	switch {
	case accountID == "":
		return nil, &problem{Status: http.StatusBadRequest, Code: "invalid_request", Title: "An account is missing", Detail: "is required"}
	case !callerOf(r).May(identity.AccountsRead):
		return nil, nil //nolint:nilnil // the review does without
	}
	account := &api.Account{}
	return account, p.get(r, apiPath("accounts", accountID), account)
}

func (p *Pages) transfer(w http.ResponseWriter, r *http.Request) error {
	form := transferFormOf(r.PostForm)
	got, err := p.ask(r, http.MethodPost, "/api/v1/transfers", form.request(), "")
	if err == nil {
		return p.done(w, r, "The money has moved.", pagePath("transactions", form.id))
	}
	bad := inPlace(err)
	if bad == nil {
		return err
	}
	form.recordedID = recordedBy(got)
	if bad.Code == "duplicate_transaction" {
		form.recordedID = form.id
	}
	if form.recordedID != "" {
		form.id = newTransferID() // the form's is used up: what is sent now is another try
	}
	form.problem = atField(bad, fieldOf(bad, form.source, form.destination))
	return p.renderTransferForm(w, r, form)
}

// recordedBy is the FAILED transaction that a refusal is recorded as; "" when it
// left nothing in the books.
func recordedBy(got *answer) string {
	var told struct {
		TransactionID string `json:"transactionId"`
	}
	if got == nil || json.Unmarshal(got.body.Bytes(), &told) != nil {
		return ""
	}
	return told.TransactionID
}

// fieldOf is the field of a transfer that a rule's refusal is about; "" when it is
// about all of it.
func fieldOf(bad *problem, source, destination string) string {
	switch bad.Code {
	case "insufficient_funds", "transfer_limit_exceeded", "daily_limit_exceeded", "invalid_amount", "balance_limit_exceeded":
		return "amount"
	case "currency_mismatch":
		return "currency"
	case "same_account":
		return "destinationAccountId"
	case "account_not_found", "account_frozen", "account_closed", "account_reserved":
		switch words := strings.Fields(bad.Detail); {
		case slices.Contains(words, source):
			return "sourceAccountId"
		case slices.Contains(words, destination):
			return "destinationAccountId"
		}
	}
	return ""
}

// atField is a refusal as it is shown beside a field; as it was when it names fields
// itself, or is about none.
func atField(bad *problem, field string) *problem {
	if field == "" || len(bad.Errors) > 0 {
		return bad
	}
	return beside(bad, field)
}

func beside(bad *problem, field string) *problem {
	placed := *bad
	placed.Detail, placed.Errors = "Nothing was moved.", []api.FieldProblem{{Field: field, Problem: bad.Detail}}
	return &placed
}

// reversalForm asks whether, and why, a transaction is to be undone.
type reversalForm struct {
	api.Transfer

	payer      *api.Account // who gives the money back; nil where the caller may not read it
	reason     string
	force      bool
	mayForce   bool
	problem    *problem
	recordedID string // the FAILED transaction that the refusal left in the books
}

// isShort says that who gives the money back has not got it.
func (f *reversalForm) isShort() bool {
	if f.payer == nil || f.payer.Available == nil {
		return false
	}
	available, err := decimal.NewFromString(string(*f.payer.Available))
	if err != nil {
		return false
	}
	amount, err := decimal.NewFromString(string(f.Amount))
	return err == nil && available.LessThan(amount)
}

func (p *Pages) showReversal(w http.ResponseWriter, r *http.Request) error {
	return p.renderReversal(w, r, reversalForm{})
}

func (p *Pages) renderReversal(w http.ResponseWriter, r *http.Request, form reversalForm) error {
	if err := p.get(r, apiPath("transactions", r.PathValue("id")), &form.Transfer); err != nil {
		return err
	}
	form.mayForce = callerOf(r).May(identity.TransfersForce)
	payer, err := p.reviewedAccount(r, form.DestinationAccountID)
	if refused := inPlace(err); err != nil && (refused == nil || refused.Code != "account_not_found") {
		return err
	}
	if err == nil {
		form.payer = payer
	}
	return p.render(w, r, page{title: "Reverse " + form.TransactionID, status: form.problem.status()}, reversalView(form))
}

func (p *Pages) reverse(w http.ResponseWriter, r *http.Request) error {
	form := reversalForm{reason: strings.TrimSpace(r.PostFormValue("description")), force: r.PostFormValue("force") != ""}
	if form.reason == "" {
		// The API does without; who reads the books later does not.
		form.problem = &problem{
			Status: http.StatusBadRequest, Code: "invalid_request", Title: "A reason is missing", Detail: "Nothing was done.",
			Errors: []api.FieldProblem{{Field: "description", Problem: "say why: it stays in the books"}},
		}
		return p.renderReversal(w, r, form)
	}
	request := map[string]any{"description": form.reason}
	if form.force {
		request["force"] = true
	}
	got, err := p.ask(r, http.MethodPost, apiPath("transactions", r.PathValue("id"), "reversal"), request, "")
	if err == nil {
		return p.done(w, r, "Reversed.", pagePath("transactions", r.PathValue("id")))
	}
	if form.problem = inPlace(err); form.problem == nil {
		return err
	}
	form.recordedID = recordedBy(got)
	return p.renderReversal(w, r, form)
}
