package admin

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"florin/internal/api"
	"florin/internal/identity"
	"florin/internal/platform/id"
)

const tryItPath = Root + "/try-it"

func (p *Pages) tryItRoutes() []route {
	return []route{
		{pattern: "GET " + tryItPath, handler: p.showTryIt, nav: "Try it", group: groupSystem, needs: []identity.Permission{identity.AccountsWrite}},
		{pattern: "POST " + tryItPath + "/accounts", handler: p.openTryAccounts},
		{pattern: "POST " + tryItPath + "/transfers", handler: p.moveTryMoney},
	}
}

// What newcomers play with.
const (
	tryCurrency = "USD"
	tryBalance  = "100.00" // of the first account, when it is opened
	tryAmount   = "12.50"
	tryMovesMax = "6" // most transactions shown
)

// tryRun names the two accounts of one newcomer's trial. It stands in the URL.
type tryRun string

var tryRunPattern = regexp.MustCompile(`^[a-z2-7]{8}$`)

func newTryRun() tryRun {
	return tryRun(strings.TrimPrefix(id.New("try"), "try_")[:8])
}

// tryRunOf is the run that a request names; "" when it names none.
func tryRunOf(given string) tryRun {
	if !tryRunPattern.MatchString(given) {
		return ""
	}
	return tryRun(given)
}

func (run tryRun) ann() string { return "try-" + string(run) + "-ann" }
func (run tryRun) ben() string { return "try-" + string(run) + "-ben" }

// page is the trial's page; with the transaction that was made last unless that
// is "".
func (run tryRun) page(transactionID string) string {
	query := url.Values{"run": {string(run)}}
	if transactionID != "" {
		query.Set("transaction", transactionID)
	}
	return tryItPath + "?" + query.Encode()
}

// tryItShown is where a trial stands.
type tryItShown struct {
	run        tryRun       // of the accounts, or of those that are opened next
	ann, ben   *api.Account // nil until they are opened
	isPayerBen bool
	amount     string
	nextID     string        // of the transaction that the form makes
	accepted   *api.Transfer // the newest, as it stands
	moves      []api.Transfer
	problem    *problem
	host       string // for curl: https://pay.example.com
	mayTry     bool
}

// isWaiting says that the newest transaction has not ended, so that the page looks
// again.
func (s *tryItShown) isWaiting() bool {
	return s.accepted != nil && !isFinal(s.accepted)
}

func (s *tryItShown) payer() (source, destination string) {
	if s.isPayerBen {
		return s.run.ben(), s.run.ann()
	}
	return s.run.ann(), s.run.ben()
}

func (p *Pages) showTryIt(w http.ResponseWriter, r *http.Request) error {
	shown := tryItShown{run: tryRunOf(r.URL.Query().Get("run"))}
	if transactionID := r.URL.Query().Get("transaction"); transactionID != "" && shown.run != "" {
		shown.accepted = &api.Transfer{}
		if err := p.get(r, apiPath("transactions", transactionID), shown.accepted); err != nil {
			return err
		}
	}
	return p.renderTryIt(w, r, shown)
}

// renderTryIt fills in what is read: the accounts, and what moved between them.
func (p *Pages) renderTryIt(w http.ResponseWriter, r *http.Request, shown tryItShown) error {
	shown.mayTry = callerOf(r).May(identity.AccountsWrite) && callerOf(r).May(identity.TransfersWrite)
	if shown.nextID == "" {
		shown.nextID = newTransferID()
	}
	if shown.amount == "" {
		shown.amount = tryAmount
	}
	shown.host = "http://" + r.Host
	if p.overTLS || r.TLS != nil {
		shown.host = "https://" + r.Host
	}
	if shown.run == "" {
		shown.run = newTryRun()
	} else if err := p.readTry(r, &shown); err != nil {
		return err
	}
	return p.render(w, r, page{title: "Try it", status: shown.problem.status()}, tryItView(shown))
}

// readTry leaves the accounts nil when they were never opened.
func (p *Pages) readTry(r *http.Request, shown *tryItShown) error {
	ann, ben := &api.Account{}, &api.Account{}
	err := p.get(r, apiPath("accounts", shown.run.ann()), ann)
	if err == nil {
		err = p.get(r, apiPath("accounts", shown.run.ben()), ben)
	}
	if refused := inPlace(err); refused != nil && refused.Code == "account_not_found" {
		return nil
	}
	if err != nil {
		return err
	}
	shown.ann, shown.ben = ann, ben
	var moves api.TransactionList
	query := url.Values{"accountId": {shown.run.ann()}, "limit": {tryMovesMax}}
	if err := p.get(r, "/api/v1/transactions?"+query.Encode(), &moves); err != nil {
		return err
	}
	shown.moves = moves.Data
	return nil
}

// tryOpening is the request that opens one of the two accounts.
type tryOpening struct {
	AccountID string            `json:"accountId"`
	Balance   string            `json:"balance,omitempty"`
	Currency  string            `json:"currency"`
	Metadata  map[string]string `json:"metadata"`
}

func (run tryRun) openings() []tryOpening {
	about := map[string]string{"purpose": "try it"}
	return []tryOpening{
		{AccountID: run.ann(), Balance: tryBalance, Currency: tryCurrency, Metadata: about},
		{AccountID: run.ben(), Currency: tryCurrency, Metadata: about},
	}
}

// openTryAccounts opens the form's two accounts; those that are open already stay
// as they are.
func (p *Pages) openTryAccounts(w http.ResponseWriter, r *http.Request) error {
	run := tryRunOf(r.PostFormValue("run"))
	if run == "" {
		run = newTryRun()
	}
	for _, opening := range run.openings() {
		err := p.call(r, http.MethodPost, "/api/v1/accounts", opening, nil)
		if refused := inPlace(err); refused != nil && refused.Code == "account_exists" {
			continue
		}
		if err != nil {
			return err
		}
	}
	p.redirect(w, r, run.page(""))
	return nil
}

// tryTransfer is the request that moves money between the two.
type tryTransfer struct {
	TransactionID        string `json:"transactionId"`
	SourceAccountID      string `json:"sourceAccountId"`
	DestinationAccountID string `json:"destinationAccountId"`
	Amount               string `json:"amount"`
	Currency             string `json:"currency"`
	Description          string `json:"description"`
}

func (s *tryItShown) transfer() tryTransfer {
	source, destination := s.payer()
	return tryTransfer{
		TransactionID: s.nextID, SourceAccountID: source, DestinationAccountID: destination,
		Amount: s.amount, Currency: tryCurrency, Description: "Try it",
	}
}

// moveTryMoney has the transfer accepted for later, and shows it as the API answered:
// what becomes of it is seen when the page asks again. Without scripts it is seen on
// the page that the browser is led to.
func (p *Pages) moveTryMoney(w http.ResponseWriter, r *http.Request) error {
	shown := tryItShown{
		run: tryRunOf(r.PostFormValue("run")), isPayerBen: r.PostFormValue("payer") == "ben",
		amount: r.PostFormValue("amount"), nextID: r.PostFormValue("transactionId"),
	}
	if shown.run == "" {
		p.redirect(w, r, tryItPath)
		return nil
	}
	asked := shown.transfer()
	var answered api.AcceptedTransfer
	err := p.call(r, http.MethodPost, "/api/v1/transactions/process", asked, &answered)
	if shown.problem = inPlace(err); shown.problem != nil {
		if shown.problem.Code == "duplicate_transaction" {
			shown.nextID = "" // of a form that was sent before, with another amount
		}
		return p.renderTryIt(w, r, shown)
	}
	if err != nil {
		return err
	}
	if r.Header.Get("Hx-Request") == "" {
		p.redirect(w, r, shown.run.page(answered.TransactionID))
		return nil
	}
	w.Header().Set("Hx-Push-Url", shown.run.page(answered.TransactionID))
	shown.accepted = &api.Transfer{
		TransactionID: answered.TransactionID, Status: answered.Status, SourceAccountID: asked.SourceAccountID, DestinationAccountID: asked.DestinationAccountID,
		Amount: api.Money(asked.Amount), Currency: asked.Currency,
	}
	shown.nextID = ""
	return p.renderTryIt(w, r, shown)
}

// curl is a request as one types it into a shell.
func curl(method, address string, body any) string {
	line := "curl "
	if method != http.MethodGet {
		line += "-X " + method + " "
	}
	line += quoted(address) + " \\\n  -H \"Authorization: Bearer $FLORIN_KEY\""
	if body == nil {
		return line
	}
	text, err := json.MarshalIndent(body, "  ", "  ")
	if err != nil {
		return line
	}
	return line + " \\\n  -H 'Content-Type: application/json' \\\n  -d " + quoted(string(text))
}

// quoted is text as one word of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func (s *tryItShown) curlOpen() string {
	var lines []string
	for _, opening := range s.run.openings() {
		lines = append(lines, curl(http.MethodPost, s.host+"/api/v1/accounts", opening))
	}
	return strings.Join(lines, "\n\n")
}

func (s *tryItShown) curlMove() string {
	return curl(http.MethodPost, s.host+"/api/v1/transactions/process", s.transfer())
}

// curlLook reads what became of the newest transaction, and the payer's account.
func (s *tryItShown) curlLook() string {
	return curl(http.MethodGet, s.host+apiPath("transactions", s.accepted.TransactionID, "status"), nil) + "\n\n" +
		curl(http.MethodGet, s.host+apiPath("accounts", s.accepted.SourceAccountID), nil)
}
