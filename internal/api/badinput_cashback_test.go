package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"florin/internal/identity"
)

func TestCashbackRefusesBadInputByNameAndStoresNothing(t *testing.T) {
	eachFreshWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		admin := w.program(identity.Admin, "")
		wallet := admin.enter("ada")
		admin.post(campaigns, w.terms(object{"campaignId": "all"})).want(http.StatusCreated)
		before := w.cashbackRows()
		line := object{"product": "22720", "quantity": 1, "unitPrice": "1"}
		purchase := func(more object) object { return w.bought("p", w.at(0), more) }
		lines := func(more object) object { return purchase(object{"lines": []object{line, merged(line, more)}}) }
		back := func(more object) object {
			return merged(object{"returnId": "r", "purchaseId": "p", "timestamp": w.at(0)}, more)
		}
		click := func(more object) object {
			return merged(object{"clickId": "k", "customerId": "ada", "merchantId": "bookshop", "campaignId": "all", "timestamp": w.at(0)}, more)
		}
		campaign := func(more object) object { return w.terms(merged(object{"campaignId": "new"}, more)) }
		reward := func(more object) object {
			return campaign(object{"reward": merged(object{"kind": "PERCENT", "percent": "5"}, more)})
		}
		simulation := func(more object) object {
			return merged(object{"from": w.at(time.Hour), "to": w.at(0)}, more)
		}
		const wide = 2001
		tooMany := make([]object, wide)
		for i := range tooMany {
			tooMany[i] = line
		}
		for _, c := range []struct {
			path  string
			body  any
			field string
		}{
			{purchases, `{`, "body"},
			{purchases, `[]`, "body"},
			{purchases, purchase(object{"purchaseId": nil}), "purchaseId"},
			{purchases, purchase(object{"purchaseId": "a b"}), "purchaseId"},
			{purchases, purchase(object{"purchaseId": strings.Repeat("x", 51)}), "purchaseId"},
			{purchases, purchase(object{"merchantId": ""}), "merchantId"},
			{purchases, purchase(object{"customerId": 7}), "customerId"},
			{purchases, purchase(object{"currency": "usd"}), "currency"},
			{purchases, purchase(object{"country": strings.Repeat("x", 61)}), "country"},
			{purchases, purchase(object{"timestamp": nil}), "timestamp"},
			{purchases, purchase(object{"timestamp": "yesterday"}), "timestamp"},
			{purchases, purchase(object{"timestamp": "1999-12-31T23:59:59Z"}), "timestamp"},
			{purchases, purchase(object{"timestamp": w.at(-25 * time.Hour)}), "timestamp"},
			{purchases, purchase(object{"lines": []object{}}), "lines"},
			{purchases, purchase(object{"lines": tooMany}), "lines"},
			{purchases, purchase(object{"lines": object{}}), "lines"},
			{purchases, purchase(object{"lines": []any{nil}}), "lines[0]"},
			{purchases, purchase(object{"clickId": "?"}), "clickId"},
			{purchases, purchase(object{"paymentReference": strings.Repeat("x", 256)}), "paymentReference"},
			{purchases, purchase(object{"status": "ACCEPTED"}), "status"},
			{purchases, purchase(object{"source": "csv"}), "source"},
			{purchases, purchase(object{"recordedBy": "me"}), "recordedBy"},
			{purchases, lines(object{"quantity": 0}), "lines[1].quantity"},
			{purchases, lines(object{"quantity": -1}), "lines[1].quantity"},
			{purchases, lines(object{"quantity": 1.5}), "lines[1].quantity"},
			{purchases, lines(object{"quantity": 1_000_001}), "lines[1].quantity"},
			{purchases, lines(object{"quantity": nil}), "lines[1].quantity"},
			{purchases, lines(object{"unitPrice": "-0.01"}), "lines[1].unitPrice"},
			{purchases, lines(object{"unitPrice": "0.00001"}), "lines[1].unitPrice"},
			{purchases, lines(object{"unitPrice": "999999999999.5"}), "lines[1].unitPrice"},
			{purchases, lines(object{"unitPrice": "1e3"}), "lines[1].unitPrice"},
			{purchases, lines(object{"unitPrice": true}), "lines[1].unitPrice"},
			{purchases, lines(object{"product": strings.Repeat("ä", 101)}), "lines[1].product"},
			{purchases, lines(object{"description": "a\x00b"}), "lines[1].description"},
			{purchases, lines(object{"mcc": "57190"}), "lines[1].mcc"},
			{purchases, lines(object{"amount": "1"}), "lines[1].amount"},
			{purchases, lines(object{"quantity": 1_000_000, "unitPrice": 1_000_000}), "lines"},
			{purchases + "/batch", object{}, "purchases"},
			{purchases + "/batch", object{"purchases": []object{}}, "purchases"},
			{purchases + "/batch", object{"purchases": []object{purchase(nil)}, "atomic": true}, "atomic"},
			{purchases + "/batch", object{"purchases": []object{purchase(nil), lines(object{"unitPrice": "0.00001"})}}, "purchases[1].lines[1].unitPrice"},
			{purchases + "/batch", object{"purchases": []object{purchase(nil), lines(object{"quantity": 0})}}, "purchases[1].lines[1].quantity"},
			{purchases + "/batch", `{"purchases":[` + strings.Repeat(`{},`, 10_000) + `{}]}`, "purchases[0].purchaseId"},
			{purchases + "/p/returns", back(object{"returnId": ""}), "returnId"},
			{purchases + "/q/returns", back(nil), "purchaseId"},
			{purchases + "/p/returns", back(object{"amount": 0}), "amount"},
			{purchases + "/p/returns", back(object{"amount": 1, "lines": []object{{"line": 0, "quantity": 1}}}), "amount"},
			{purchases + "/p/returns", back(object{"lines": []object{{"quantity": 1}}}), "lines[0].product"},
			{purchases + "/p/returns", back(object{"lines": []object{{"line": -1, "quantity": 1}}}), "lines[0].line"},
			{purchases + "/p/returns", back(object{"lines": []object{{"line": 0, "product": "x", "quantity": 1}}}), "lines[0].line"},
			{purchases + "/p/returns", back(object{"lines": []object{{"line": 0}}}), "lines[0].quantity"},
			{purchases + "/p%20q/returns", back(nil), "purchaseId"},
			{returns, object{"returnId": "r", "timestamp": w.at(0)}, "customerId"},
			{returns, object{"returnId": "r", "customerId": "ada", "merchantId": "bookshop", "timestamp": w.at(0)}, "lines"},
			{returns, object{"returnId": "r", "customerId": "ada", "merchantId": "bookshop", "timestamp": w.at(0), "lines": []object{{"line": 0, "quantity": 1}}}, "lines[0].line"},
			{returns + "/batch", object{"returns": []object{back(nil), back(object{"timestamp": "now"})}}, "returns[1].timestamp"},
			{returns + "/batch", object{"returns": []object{back(nil), back(object{"returnId": "!"})}}, "returns[1].returnId"},
			{clicks, click(object{"clickId": nil}), "clickId"},
			{clicks, click(object{"campaignId": "a b"}), "campaignId"},
			{clicks, click(object{"timestamp": "1999-01-01T00:00:00Z"}), "timestamp"},
			{clicks + "/batch", object{"clicks": []object{click(nil), click(object{"customerId": ""})}}, "clicks[1].customerId"},
			{"PUT " + customers + "/eve", object{}, "accountId"},
			{"PUT " + customers + "/eve", object{"accountId": "nobody"}, "accountId"},
			{"PUT " + customers + "/eve", object{"accountId": "house:program:all:cost"}, "accountId"},
			{"PUT " + customers + "/eve", object{"accountId": wallet, "segments": "vip"}, "segments"},
			{"PUT " + customers + "/eve", object{"accountId": wallet, "segments": []string{"a b"}}, "segments[0]"},
			{"PUT " + customers + "/eve", object{"accountId": wallet, "tier": "gold"}, "tier"},
			{"PUT " + customers + "/a%20b", object{"accountId": wallet}, "customerId"},
			{campaigns, campaign(object{"campaignId": "Not An Id"}), "campaignId"},
			{campaigns, campaign(object{"campaignId": nil}), "campaignId"},
			{campaigns, campaign(object{"version": 1}), "version"},
			{campaigns, campaign(object{"name": ""}), "name"},
			{campaigns, campaign(object{"currency": "XXY"}), "currency"},
			{campaigns, campaign(object{"from": nil}), "from"},
			{campaigns, campaign(object{"to": w.at(31 * 24 * time.Hour)}), "to"},
			{campaigns, campaign(object{"enabled": nil}), "enabled"},
			{campaigns, campaign(object{"merchants": []string{"a b"}}), "merchants[0]"},
			{campaigns, campaign(object{"condition": "amount +"}), "condition"},
			{campaigns, campaign(object{"condition": "unknown > 1"}), "condition"},
			{campaigns, campaign(object{"condition": "country"}), "condition"},
			{campaigns, campaign(object{"lineCondition": "quantity > 'many'"}), "lineCondition"},
			{campaigns, campaign(object{"minimumSpend": "0.001"}), "minimumSpend"},
			{campaigns, campaign(object{"budget": "0"}), "budget"},
			{campaigns, campaign(object{"budget": nil}), "budget"},
			{campaigns, campaign(object{"budgetEnd": "MORE"}), "budgetEnd"},
			{campaigns, campaign(object{"funding": object{"kind": "MERCHANT"}}), "funding.accountId"},
			{campaigns, campaign(object{"funding": object{"kind": "MERCHANT", "accountId": "nobody"}}), "funding.accountId"},
			{campaigns, campaign(object{"funding": object{}}), "funding.kind"},
			{campaigns, campaign(object{"caps": object{"perCustomer": 5}}), "caps.customerPeriod"},
			{campaigns, campaign(object{"caps": object{"perDay": 5}}), "caps.perDay"},
			{campaigns, campaign(object{"priority": 1001}), "priority"},
			{campaigns, campaign(object{"clickHours": -1}), "clickHours"},
			{campaigns, campaign(object{"returnDays": nil}), "returnDays"},
			{campaigns, campaign(object{"createdBy": "me"}), "createdBy"},
			{campaigns, reward(object{"kind": "LOTS"}), "reward.kind"},
			{campaigns, reward(object{"percent": "101"}), "reward.percent"},
			{campaigns, reward(object{"percent": nil}), "reward.percent"},
			{campaigns, reward(object{"amount": "1"}), "reward.amount"},
			{campaigns, reward(object{"kind": "TIERED", "percent": nil, "steps": []object{{"from": "1", "percent": "1"}, {"from": "1", "percent": "2"}}}), "reward.steps[1].from"},
			{campaigns, reward(object{"multipliers": object{"gold": true}}), "reward.multipliers.gold"},
			{campaigns, reward(object{"multipliers": object{"gold": nil}}), "reward.multipliers.gold"},
			{campaigns, reward(object{"multipliers": []string{}}), "reward.multipliers"},
			{"PUT " + campaigns + "/all", w.terms(nil), "version"},
			{"PUT " + campaigns + "/all", w.terms(object{"version": 1, "campaignId": "other"}), "campaignId"},
			{"PUT " + campaigns + "/all", w.terms(object{"version": 1, "currency": "EUR"}), "currency"},
			{campaigns + "/all/simulate", simulation(object{"to": nil}), "to"},
			{campaigns + "/all/simulate", simulation(object{"to": w.at(2 * time.Hour)}), "to"},
			{campaigns + "/all/simulate", simulation(object{"terms": w.terms(object{"reward": object{"kind": "PERCENT", "percent": "0"}})}), "terms.reward.percent"},
			{campaigns + "/all/simulate", simulation(object{"terms": w.terms(object{"currency": "EUR"})}), "terms.currency"},
			{campaigns + "/all/simulate", simulation(object{"terms": object{}}), "terms.reward"},
			{"PUT " + program, object{}, "version"},
			{"PUT " + program, object{"version": 0, "tiers": []object{{"name": "gold", "minSpend": "1"}}}, "tierDays"},
			{"PUT " + program, object{"version": 0, "groups": object{"a": 1}}, "groups.a"},
			{"PUT " + program, `{"version":0,"groups":{"a":"SUM","a":"BEST"}}`, "groups.a"},
			{"PUT " + program, object{"version": 0, "createdBy": "me"}, "createdBy"},
			{"GET " + purchases + "?limit=501", nil, "limit"},
			{"GET " + purchases + "?cursor=nonsense", nil, "cursor"},
			{"GET " + purchases + "?merchant=bookshop", nil, "merchant"},
			{"GET " + purchases + "/a%20b", nil, "purchaseId"},
			{"GET " + rewards, nil, "campaignId"},
			{"GET " + rewards + "?campaignId=all&status=GONE", nil, "status"},
			{"GET " + campaigns + "?cursor=cHVyY2hhc2VzCmE", nil, "cursor"}, // of the purchases
			{"GET " + campaigns + "/all/versions?cursor=Y2FtcGFpZ24gdmVyc2lvbnMKYQ", nil, "cursor"},
		} {
			method, path, isGiven := strings.Cut(c.path, " ")
			if !isGiven {
				method, path = http.MethodPost, c.path
			}
			body := c.body
			if _, isText := body.(string); !isText && body != nil {
				written, err := json.Marshal(body)
				if err != nil {
					t.Fatal(err)
				}
				body = string(written)
			}
			t.Run(fmt.Sprintf("%s %.60s %s", method, path, c.field), func(t *testing.T) {
				sub := *admin
				sub.w = w.in(t)
				sub.call(method, path, body).wantProblem(http.StatusBadRequest, "invalid_request", c.field)
			})
		}
		for path, code := range map[string]string{
			purchases + "/none": "purchase_not_found", returns + "/none": "return_not_found", customers + "/none": "customer_not_found", customers + "/none/tiers": "customer_not_found",
			campaigns + "/none": "campaign_not_found", campaigns + "/None": "campaign_not_found", campaigns + "/none/versions": "campaign_not_found", campaigns + "/none/figures": "campaign_not_found",
			rewards + "/none": "reward_not_found", rewards + "/none/explanation": "reward_not_found",
		} {
			admin.get(path).wantProblem(http.StatusNotFound, code, "")
		}
		admin.put(campaigns+"/none", w.terms(object{"version": 1})).wantProblem(http.StatusNotFound, "campaign_not_found", "")
		admin.post(campaigns+"/none/simulate", simulation(nil)).wantProblem(http.StatusNotFound, "campaign_not_found", "")
		admin.post(purchases, `{"purchaseId":"`+strings.Repeat("x", 1<<20)+`"}`).wantProblem(http.StatusRequestEntityTooLarge, "body_too_large", "")
		admin.post(purchases+"/batch", strings.Repeat(" ", 16<<20)+"{}").wantProblem(http.StatusRequestEntityTooLarge, "body_too_large", "")
		if after := w.cashbackRows(); after != before {
			t.Errorf("there were %s rows; now %s", before, after)
		}
	})
}

// cashbackRows counts all rows of cashback.
func (w *world) cashbackRows() (rows string) {
	w.t.Helper()
	err := w.db.QueryRow(w.t.Context(), `SELECT concat_ws(' ',
		(SELECT count(*) FROM purchases), (SELECT count(*) FROM purchase_returns), (SELECT count(*) FROM clicks), (SELECT count(*) FROM cashback_customers),
		(SELECT count(*) FROM segment_members), (SELECT count(*) FROM campaigns), (SELECT count(*) FROM cashback_programs), (SELECT count(*) FROM rewards))`).Scan(&rows)
	if err != nil {
		w.t.Fatal(err)
	}
	return rows
}
