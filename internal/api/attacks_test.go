package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"florin/internal/approval"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/platform/id"
)

// What somebody with bad intent would try, each under its name: docs/security.md
// has the table. All of them go through HTTP against the real modules, on a
// database of their own.

// allForTwo are the operations that need two, all of them.
var allForTwo = []approval.Operation{approval.ForcedReversal, approval.RoleChange, approval.LimitRaise, approval.CampaignChange}

func TestAttacks(t *testing.T) {
	eachFreshWorld(t, worldOptions{isLong: true, secondPerson: allForTwo, hashes: 8}, func(t *testing.T, w *world) {
		for _, attack := range []struct {
			name string
			run  func(t *testing.T, w *world)
		}{
			{"objects of others by path", attackObjectsByPath},
			{"objects of others by query", attackObjectsByQuery},
			{"objects of others by body", attackObjectsByBody},
			{"mass assignment", attackMassAssignment},
			{"tokens after their end", attackEndedTokens},
			{"keys after their end", attackEndedKeys},
			{"tokens of the deleted", attackDeletedUser},
			{"tokens of one kind for another", attackTokensOfOtherKinds},
			{"codes used twice", attackCodesTwice},
			{"codes used at once", attackCodesAtOnce},
			{"recovery codes used at once", attackRecoveryCodesAtOnce},
			{"session fixation", attackSessionFixation},
			{"headers that lie", attackLyingHeaders},
			{"cookies from other origins", attackCrossOrigin},
			{"texts that are code", attackTexts},
			{"bodies that are too much", attackBodies},
			{"cursors and limits made up", attackCursors},
			{"amounts that are none", attackAmounts},
			{"idempotency keys of others", attackIdempotencyKeys},
			{"a second person who is the first", attackSecondPerson},
			{"more rights by keys", attackEscalation},
			{"daily limit by many at once", attackDailyLimit},
			{"spending twice by review", attackDoubleSpend},
			{"velocity by many at once", attackVelocity},
			{"guessing who has an account", attackEnumeration},
		} {
			t.Run(attack.name, func(t *testing.T) { attack.run(t, w.in(t)) })
		}
		w.wantOrderlyLog(t)
	})
}

// in is the same world for a subtest.
func (w *world) in(t *testing.T) *world {
	same, server := *w, *w.server
	server.t, same.server = t, &server
	return &same
}

// wantOrderlyLog checks that whatever was sent, the log has one object a line, and
// no failure of the server's own.
func (w *world) wantOrderlyLog(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(w.log.String()) {
		var entry object
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("a line of the log is no object: %v: %.300q", err, line)
		}
		if status, _ := entry["status"].(float64); status >= 500 || entry["level"] == "ERROR" {
			t.Errorf("the server failed: %.1000s", line)
		}
	}
}

// fund gives an account money of the house's.
func (w *world) fund(accountID, amount string) {
	w.t.Helper()
	account, err := w.ledger.Account(w.t.Context(), accountID)
	if err != nil {
		w.t.Fatal(err)
	}
	house := "house:attacks:" + string(account.Currency)
	if _, err := w.ledger.OpenHouse(w.t.Context(), house, ledger.Equity, account.Currency); err != nil {
		w.t.Fatal(err)
	}
	_, err = w.ledger.Transfer(w.t.Context(), ledger.TransferRequest{ID: id.New("fund"), SourceAccountID: house, DestinationAccountID: accountID, Amount: dec(amount)})
	if err != nil {
		w.t.Fatal(err)
	}
}

// balanceOf is what an account has and what of it is held.
func (w *world) balanceOf(accountID string) (posted, held string) {
	w.t.Helper()
	account, err := w.ledger.Account(w.t.Context(), accountID)
	if err != nil {
		w.t.Fatal(err)
	}
	return account.Posted.StringFixed(2), account.Held.StringFixed(2)
}

// possessions are what somebody has that others would like to have, by the names
// of parameters.
type possessions map[string]string

// belongings gives a user one of everything.
func (w *world) belongings() (*caller, possessions) {
	w.t.Helper()
	victim := w.customer("Victoria Vane")
	account, other := victim.open("USD"), w.customer("Otto Other").open("USD")
	w.time.pass(2 * 24 * time.Hour)
	victim.signIn()
	w.fund(account, "9000")
	paid := victim.post("/api/v1/users/me/transfers", object{"accountId": account, "to": object{"accountId": other}, "amount": "5"}).want(http.StatusCreated).object()
	reviewed := victim.post("/api/v1/users/me/transfers", object{"accountId": account, "to": object{"accountId": other}, "amount": "6"}).want(http.StatusCreated).object()
	_ = reviewed
	third := w.customer("Tina Third").open("USD")
	waits := victim.post("/api/v1/users/me/transfers", object{"accountId": account, "to": object{"accountId": third}, "amount": "1500"}).want(http.StatusAccepted).object()
	admin := w.program(identity.Admin, "")
	hold := id.New("hold")
	admin.post("/api/v1/holds", object{"holdId": hold, "sourceAccountId": account, "destinationAccountId": other, "amount": "7"}).want(http.StatusCreated)
	decision, err := w.risk.DecisionOf(w.t.Context(), text(waits, "transactionId"))
	if err != nil {
		w.t.Fatal(err)
	}
	asked := w.staff(identity.Admin).put("/api/v1/users/"+victim.userID+"/role", object{"role": "merchant"}).want(http.StatusAccepted).object()
	campaign, customer, purchase, returned, reward := admin.rewarded(account)
	saved := admin.post("/api/v1/console/saved", object{"name": "Hers", "query": "SELECT 1"}).want(http.StatusCreated).object()
	return victim, possessions{
		"queryId": text(saved, "queryId"), "campaignId": campaign, "customerId": customer, "purchaseId": purchase, "returnId": returned, "rewardId": reward, "source": "shop",
		"accountId": account, "transactionId": text(paid, "transactionId"), "holdId": hold, "sessionId": victim.sessionID,
		"linkedAccountId": victim.link(), "userId": victim.userID, "keyId": w.program(identity.Customer, victim.userID).keyID,
		"decisionId": decision.ID, "approvalId": text(asked, "approvalId"), "exportId": "123456", "ruleId": "new_payee",
		"role": "customer", "currency": "USD",
	}
}

// rewarded enters a customer who is paid to an account, and gives him a reward for a
// purchase of which a part comes back.
func (c *caller) rewarded(account string) (campaign, customer, purchase, returned, reward string) {
	c.w.t.Helper()
	campaign = strings.TrimPrefix(id.New("c"), "c_")[:20]
	customer, purchase, returned = id.New("cust"), id.New("inv"), id.New("back")
	c.w.campaignOfTwo(campaign)
	c.put(customers+"/"+customer, object{"accountId": account}).want(http.StatusOK)
	bought := c.post(purchases, c.w.bought(purchase, c.w.at(0), object{"customerId": customer})).want(http.StatusCreated).object()
	c.post(purchases+"/"+purchase+"/returns", object{"returnId": returned, "lines": []object{{"line": 0, "quantity": 1}}, "timestamp": c.w.at(0)}).want(http.StatusCreated)
	return campaign, customer, purchase, returned, text(bought.list("rewards")[0], "rewardId")
}

// campaignOfTwo is made by two persons.
func (w *world) campaignOfTwo(campaignID string) {
	w.t.Helper()
	asked := w.staff(identity.Finance).post(campaigns, w.terms(object{"campaignId": campaignID})).want(http.StatusAccepted).object()
	w.staff(identity.Admin).post(approvalsPath+"/"+text(asked, "approvalId")+"/approve", nil).want(http.StatusOK).wantFields(object{"result": "ok"})
}

// attackers are those who reach what is theirs alone.
func (w *world) attackers() map[string]*caller {
	w.t.Helper()
	merchant := w.merchant()
	return map[string]*caller{
		"customer":              w.customer("Carl Curious"),
		"merchant":              merchant,
		"key of a merchant":     w.program(identity.Merchant, merchant.userID),
		"key with little scope": w.program(identity.Merchant, merchant.userID, identity.AccountsRead, identity.MeRead),
		"key of a customer":     w.program(identity.Customer, w.customer("Kim Key").userID),
	}
}

// merchant is a user with this role, signed in.
func (w *world) merchant() *caller {
	w.t.Helper()
	c := w.staff(identity.Merchant)
	return c
}

// operation is one of the OpenAPI document.
type operation struct {
	method, path string
	op           object
}

// operations are all of the API's, in the order of their paths.
func (w *world) operations() (all []operation) {
	w.t.Helper()
	document := w.get("/openapi.json", "Authorization", "").want(http.StatusOK).object()
	for path, item := range document["paths"].(map[string]any) {
		if !strings.HasPrefix(path, "/api/") {
			continue
		}
		for method, op := range item.(map[string]any) {
			all = append(all, operation{strings.ToUpper(method), path, op.(map[string]any)})
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return all
}

// example is the body that the document shows; nil when there is none.
func (o operation) example() object {
	body, _ := o.op["requestBody"].(map[string]any)
	if body == nil {
		return nil
	}
	content := body["content"].(map[string]any)["application/json"].(map[string]any)
	example, _ := content["example"].(map[string]any)
	return example
}

// ingestPath begins what takes gateways' bodies, in their shapes: nothing of one is
// looked at before its signature.
const ingestPath = "/api/v1/ingest/"

// fill writes ids into a path, and says whether it has any.
func (p possessions) fill(path string) (filled string, hasParameter bool) {
	filled = path
	for name, value := range p {
		filled = strings.ReplaceAll(filled, "{"+name+"}", value)
	}
	if strings.Contains(filled, "{") {
		panic("nothing to put into " + filled)
	}
	return filled, filled != path
}

// state is what the staff see of somebody's possessions.
func (w *world) state(owner *caller, p possessions) (all []string) {
	w.t.Helper()
	admin := w.staff(identity.Admin)
	for _, path := range []string{
		"/api/v1/accounts/" + p["accountId"], "/api/v1/transactions/" + p["transactionId"], "/api/v1/holds/" + p["holdId"],
		"/api/v1/users/" + p["userId"], "/api/v1/api-keys/" + p["keyId"], "/api/v1/approvals/" + p["approvalId"],
		"/api/v1/risk/decisions?accountId=" + p["accountId"], "/api/v1/risk/rules", "/api/v1/limits",
		customers + "/" + p["customerId"], purchases + "/" + p["purchaseId"], returns + "/" + p["returnId"], rewards + "/" + p["rewardId"], campaigns + "/" + p["campaignId"], program,
	} {
		all = append(all, admin.get(path).want(http.StatusOK).text)
	}
	postings := admin.get("/api/v1/accounts/" + p["accountId"] + "/postings").want(http.StatusOK).object()
	all = append(all, fmt.Sprint(postings.list("data")))
	for _, path := range []string{"/api/v1/users/me/linked-accounts", "/api/v1/users/me/accounts"} {
		all = append(all, owner.get(path).want(http.StatusOK).text)
	}
	return all
}

// wantUnchanged compares two states.
func wantUnchanged(t *testing.T, before, after []string) {
	t.Helper()
	for i := range before {
		if before[i] != after[i] {
			t.Errorf("%s became %s", before[i], after[i])
		}
	}
}

// Every operation with an id in its path, asked about another's object by everybody
// who reaches what is his own: nothing of it is shown, nothing changes, and where
// the caller has the permission, the answer is that of an id that nobody has.
func attackObjectsByPath(t *testing.T, w *world) {
	victim, theirs := w.belongings()
	before := w.state(victim, theirs)
	attackers := w.attackers()
	tried := 0
	for _, o := range w.operations() {
		path, hasParameter := theirs.fill(o.path)
		if !hasParameter {
			continue
		}
		for name, attacker := range attackers {
			tried++
			var body any
			if example := o.example(); example != nil {
				body = example
			}
			got := attacker.call(o.method, path, body)
			if got.status != http.StatusForbidden && got.status != http.StatusNotFound {
				t.Errorf("%s: %s %s answers %d: %.300s", name, o.method, path, got.status, got.text)
				continue
			}
			if got.status == http.StatusNotFound {
				w.wantSameAsNobodys(t, attacker, o, path, got)
			}
		}
	}
	if tried < 150 {
		t.Errorf("%d tries only", tried)
	}
	wantUnchanged(t, before, w.state(victim, theirs))
	victim.get("/api/v1/users/me").want(http.StatusOK) // his session lives
}

// wantSameAsNobodys compares with the answer about ids that nobody has.
func (*world) wantSameAsNobodys(t *testing.T, attacker *caller, o operation, asked string, got answer) {
	t.Helper()
	nobodys := possessions{}
	for _, name := range []string{"accountId", "transactionId", "holdId", "sessionId", "linkedAccountId", "userId", "keyId", "decisionId", "approvalId", "exportId", "ruleId", "campaignId", "customerId", "purchaseId", "returnId", "rewardId", "queryId", "source"} {
		nobodys[name] = id.New("none")
	}
	path, _ := nobodys.fill(o.path)
	var body any
	if example := o.example(); example != nil {
		body = example
	}
	want := attacker.call(o.method, path, body)
	last := func(path string) string {
		parts, pattern := strings.Split(path, "/"), strings.Split(o.path, "/")
		for i := range pattern {
			if strings.HasPrefix(pattern[i], "{") {
				return parts[i]
			}
		}
		return ""
	}
	a, b := got.object(), want.object()
	detailA := strings.ReplaceAll(text(a, "detail"), last(asked), "ID")
	detailB := strings.ReplaceAll(text(b, "detail"), last(path), "ID")
	if got.status != want.status || a["code"] != b["code"] || detailA != detailB {
		t.Errorf("%s %s tells: %d %s; of nobody's %d %s", o.method, o.path, got.status, got.text, want.status, want.text)
	}
}

// Ids of others in the query narrow a list to nothing, or are as if they were not.
func attackObjectsByQuery(t *testing.T, w *world) {
	victim, theirs := w.belongings()
	secrets := []string{theirs["transactionId"], theirs["holdId"], theirs["linkedAccountId"], theirs["sessionId"], victim.email}
	for name, attacker := range w.attackers() {
		for _, o := range w.operations() {
			if o.method != http.MethodGet || strings.Contains(o.path, "{") {
				continue
			}
			parameters, _ := o.op["parameters"].([]any)
			queries := []string{""}
			for _, value := range parameters {
				parameter := value.(map[string]any)
				name, _ := parameter["name"].(string)
				switch name {
				case "accountId", "userId", "ownerId", "transactionId", "targetId", "actorId", "requestedBy":
					victims := theirs[name]
					if victims == "" {
						victims = theirs["userId"]
					}
					queries = append(queries, "?"+name+"="+victims)
				case "email":
					queries = append(queries, "?email="+victim.email)
				case "prefix":
					queries = append(queries, "?prefix=florin_")
				}
			}
			for _, query := range queries {
				got := attacker.get(o.path + query)
				if got.status >= 500 {
					t.Errorf("%s: GET %s%s: %d %.300s", name, o.path, query, got.status, got.text)
				}
				for _, secret := range secrets {
					if got.status < 300 && strings.Contains(got.text, secret) {
						t.Errorf("%s: GET %s%s shows %s: %.300s", name, o.path, query, secret, got.text)
					}
				}
			}
		}
	}
}

// Ids of others in bodies: nobody pays from another's account, to another's bank, or
// touches what is reserved there.
func attackObjectsByBody(t *testing.T, w *world) {
	victim, theirs := w.belongings()
	before := w.state(victim, theirs)
	for name, attacker := range w.attackers() {
		canPay := name != "key with little scope"
		var own, link string
		if canPay {
			own = attacker.open("USD")
			w.fund(own, "50")
		}
		if attacker.email != "" {
			link = attacker.link()
		}
		for _, c := range []struct {
			path string
			body object
		}{
			{"/api/v1/users/me/transfers", object{"accountId": theirs["accountId"], "to": object{"accountId": own}, "amount": "1"}},
			{"/api/v1/users/me/transfers", object{"accountId": theirs["accountId"], "to": object{"userId": attacker.userID}, "amount": "1"}},
			{"/api/v1/users/me/withdrawals", object{"accountId": theirs["accountId"], "linkedAccountId": link, "amount": "1"}},
			{"/api/v1/users/me/withdrawals", object{"accountId": own, "linkedAccountId": theirs["linkedAccountId"], "amount": "1"}},
			{"/api/v1/users/me/deposits", object{"accountId": theirs["accountId"], "linkedAccountId": link, "amount": "1"}},
			{"/api/v1/users/me/deposits", object{"accountId": own, "linkedAccountId": theirs["linkedAccountId"], "amount": "1"}},
			{"/api/v1/transfers", transfer(id.New("t"), theirs["accountId"], own, 1)},
			{"/api/v1/transactions/process", transfer(id.New("t"), theirs["accountId"], own, 1)},
			{"/api/v1/holds", object{"sourceAccountId": theirs["accountId"], "destinationAccountId": own, "amount": 1}},
			{"/api/v1/accounts", object{"accountId": id.New("a"), "ownerId": theirs["userId"]}},
			{"/api/v1/api-keys", object{"name": "mine", "role": "customer", "ownerId": theirs["userId"]}},
		} {
			if got := attacker.post(c.path, c.body); got.status < 400 || got.status >= 500 {
				t.Errorf("%s: POST %s %v answers %d: %.300s", name, c.path, c.body, got.status, got.text)
			}
		}
		batch := attacker.post("/api/v1/transfers/batch", object{"transfers": []object{{
			"transactionId": id.New("t"), "sourceAccountId": theirs["accountId"], "destinationAccountId": own, "amount": 1, "currency": "USD",
		}}})
		if batch.status == http.StatusOK && batch.object()["succeeded"] != 0.0 {
			t.Errorf("%s: a batch took it: %s", name, batch.text)
		}
		if own != "" {
			if posted, held := w.balanceOf(own); posted != "50.00" || held != "0.00" {
				t.Errorf("%s has %s, %s held", name, posted, held)
			}
		}
	}
	wantUnchanged(t, before, w.state(victim, theirs))
}

// Members that nobody may set are refused by name in every body, and so are members
// of other requests: what is sent beside a good body changes nothing.
func attackMassAssignment(t *testing.T, w *world) {
	forbidden := []string{
		"role", "status", "ownerId", "owner_id", "balance", "held", "posted", "emailVerified", "hasSecondFactor", "isAdmin", "admin",
		"permissions", "scopes", "provenAt", "sessionId", "createdBy", "createdAt", "limits", "transferLimit", "dailyLimit", "overdraftLimit",
		"userId", "__proto__", "constructor", "Role", "ROLE", "passwordHash",
	}
	admin, customer := w.program(identity.Admin, ""), w.customer("Max Mass")
	before := customer.get("/api/v1/users/me").want(http.StatusOK).text
	tried := 0
	for _, o := range w.operations() {
		example := o.example()
		if example == nil || strings.HasPrefix(o.path, ingestPath) {
			continue
		}
		path, _ := possessions{
			"accountId": "a", "transactionId": "t", "holdId": "h", "userId": "user_a", "keyId": "key_a", "decisionId": "dec_a", "approvalId": "apr_a",
			"exportId": "1", "ruleId": "r", "queryId": "sq_a", "role": "customer", "currency": "USD", "campaignId": "c", "customerId": "c", "purchaseId": "p",
		}.fill(o.path)
		known := w.membersOf(o)
		for _, member := range forbidden {
			if slices.Contains(known, member) {
				continue // its rules are those of the request
			}
			body := object{}
			for name, value := range example {
				body[name] = value
			}
			body[member] = "admin"
			caller := customer
			if !strings.Contains(o.path, "/users/me") && !strings.Contains(o.path, "/auth/") {
				caller = admin
			}
			tried++
			got := caller.call(o.method, path, body)
			if got.status != http.StatusBadRequest && got.status != http.StatusForbidden {
				t.Errorf("%s %s with %s answers %d: %.300s", o.method, o.path, member, got.status, got.text)
			}
			if got.status == http.StatusBadRequest && !strings.Contains(got.text, `"`+member+`"`) {
				t.Errorf("%s %s with %s does not name it: %.300s", o.method, o.path, member, got.text)
			}
		}
	}
	if tried < 500 {
		t.Errorf("%d tries only", tried)
	}
	if after := customer.get("/api/v1/users/me").want(http.StatusOK).text; after != before {
		t.Errorf("%s became %s", before, after)
	}
	// Nor by their rightful names, where they belong to others.
	signedUp := w.stranger()
	email := someEmail()
	signedUp.post("/api/v1/auth/signup", fmt.Sprintf(`{"email":%q,"password":%q,"name":"Eve","role":"admin"}`, email, goodPassword)).wantProblem(http.StatusBadRequest, "invalid_request", "role")
	signedUp.post("/api/v1/auth/signup", fmt.Sprintf(`{"email":%q,"password":%q,"name":"Eve","name":"Eve"}`, email, goodPassword)).wantProblem(http.StatusBadRequest, "invalid_request", "name")
	if mails := w.mails.to(email); len(mails) > 0 {
		t.Errorf("a mail was sent: %v", mails)
	}
}

// membersOf are the members that the document has of a request's body.
func (w *world) membersOf(o operation) []string {
	w.t.Helper()
	content := o.op["requestBody"].(map[string]any)["content"].(map[string]any)["application/json"].(map[string]any)
	schema := content["schema"].(map[string]any)
	if reference, _ := schema["$ref"].(string); reference != "" {
		schemas := w.get("/openapi.json").object()["components"].(map[string]any)["schemas"].(map[string]any)
		schema = schemas[reference[strings.LastIndex(reference, "/")+1:]].(map[string]any)
	}
	var names []string
	properties, _ := schema["properties"].(map[string]any)
	for name := range properties {
		names = append(names, name)
	}
	return names
}

// raw sends a request and returns its status, for many at once; 0 when it failed.
func (c *caller) raw(method, path, body string, headers ...string) (status int, text string) {
	r, err := http.NewRequestWithContext(c.w.t.Context(), method, c.w.url+path, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Forwarded-For", c.address)
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(headers); i += 2 {
		if r.Header.Set(headers[i], headers[i+1]); headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(content)
}
