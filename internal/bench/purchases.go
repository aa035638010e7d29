package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"florin/internal/platform/clock"
)

// overPurchases reports purchases to a server in batches, under three campaigns of
// the run's own: by a line's category, by country, and by amount with a customer's
// cap. They are of one group, of which the best applies: each purchase has three
// lines, and is evaluated three times for one reward.
type overPurchases struct {
	*overHTTP
	at        string            // the time of all purchases: nothing falls due while the load runs
	campaigns map[string]string // made for the run, with their terms
}

// purchasesEnd is how long after it began the run's campaigns end, whoever forgets
// them.
const purchasesEnd = 24 * time.Hour

func newPurchases(ctx context.Context, b *bench, p plan, w *workload) (load, error) {
	began := clock.System()
	l := &overPurchases{
		overHTTP: &overHTTP{workload: w, batch: p.batch, bench: b, server: b.Server}, at: began.Format(time.RFC3339), campaigns: map[string]string{},
	}
	if err := l.findHosts(); err != nil {
		return nil, err
	}
	if err := l.openAccounts(ctx); err != nil {
		return nil, fmt.Errorf("open accounts: %w", err)
	}
	err := l.each(ctx, func(c *connection, i int) error {
		body := fmt.Appendf(nil, `{"accountId":%q,"country":%q}`, w.accounts[i], l.country(i))
		return c.expect(http.StatusOK, "PUT", "/api/v1/customers/"+w.accounts[i], body)
	})
	if err != nil {
		return nil, fmt.Errorf("enter customers: %w", err)
	}
	c, err := l.connect()
	if err != nil {
		return nil, err
	}
	defer c.close()
	for name, reward := range map[string]string{
		"category": `"lineCondition":"category == \"garden\"","reward":{"kind":"PERCENT","percent":"3"}`,
		"country":  `"condition":"customer_country == \"GB\"","reward":{"kind":"PERCENT","percent":"1.5"}`,
		"amount": `"reward":{"kind":"TIERED","steps":[{"from":"0","percent":"0.5"},{"from":"20","percent":"1"},{"from":"50","percent":"2"}]},` +
			`"caps":{"perCustomer":"1000000","customerPeriod":"MONTH"}`,
	} {
		id := l.merchant() + "-" + name
		terms := fmt.Sprintf(`"name":"Bench","currency":%q,"from":%q,"to":%q,"merchants":[%q],"budget":"1000000000","budgetEnd":"REST",`+
			`"funding":{"kind":"PLATFORM"},"group":%q,"returnDays":30,%s}`,
			benchCurrency, began.Add(-time.Hour).Format(time.RFC3339), began.Add(purchasesEnd).Format(time.RFC3339), l.merchant(), l.merchant(), reward)
		body := fmt.Appendf(nil, `{"campaignId":%q,"enabled":true,%s`, id, terms)
		if err := c.expect(http.StatusCreated, "POST", "/api/v1/campaigns", body); err != nil {
			l.close()
			return nil, fmt.Errorf("make a campaign: %w", err)
		}
		l.campaigns[id] = terms
	}
	return l, nil
}

func (l *overPurchases) merchant() string { return "bench-" + l.workload.run }

func (*overPurchases) country(customer int) string {
	if customer%2 == 0 {
		return "GB"
	}
	return "FR"
}

func (l *overPurchases) submit(_ context.Context, caller *caller) (done, refused int, err error) {
	if caller.connection == nil {
		if caller.connection, err = l.connect(); err != nil {
			return 0, 0, err
		}
	}
	body := append(caller.body[:0], `{"purchases":[`...)
	for i := range l.batch {
		if i > 0 {
			body = append(body, ',')
		}
		body = l.appendPurchase(body, l.workload.next(caller.random))
	}
	body = append(body, "]}"...)
	caller.body = body
	status, answer, err := caller.connection.do("POST", "/api/v1/purchases/batch", body)
	switch {
	case err != nil:
		return 0, 0, err
	case status == http.StatusOK:
		done = bytes.Count(answer, []byte(`"ACCEPTED"`))
		return done, l.batch - done, nil
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
		clock.Sleep(context.Background(), overloadPause)
		return 0, l.batch, nil
	}
	return 0, 0, refusal(status, answer)
}

func (l *overPurchases) appendPurchase(body []byte, c choice) []byte {
	return fmt.Appendf(body, `{"purchaseId":%q,"merchantId":%q,"customerId":%q,"currency":%q,"country":"GB","timestamp":%q,"lines":[`+
		`{"product":"spade","category":"garden","quantity":1,"unitPrice":"18.50"},{"product":"mug","category":"kitchen","quantity":%d,"unitPrice":"7.25"},`+
		`{"product":"seeds","category":"garden","quantity":3,"unitPrice":%q}]}`,
		c.id, l.merchant(), l.workload.accounts[c.from], benchCurrency, l.at, 1+c.to%4, c.amountInText)
}

// stored counts the run's purchases; without the database its rewards, since each
// purchase has one.
func (l *overPurchases) stored(ctx context.Context) (n int64, err error) {
	if l.server.SharesDatabase {
		err = l.bench.db.QueryRow(ctx, "SELECT count(*) FROM purchases WHERE merchant_id = $1 AND status = 'ACCEPTED'", l.merchant()).Scan(&n)
		return n, err
	}
	c, err := l.connect()
	if err != nil {
		return 0, err
	}
	defer c.close()
	for id := range l.campaigns {
		status, answer, err := c.do("GET", "/api/v1/campaigns/"+id+"/figures", nil)
		if err != nil {
			return 0, err
		}
		var figures struct{ Rewards int64 }
		if status != http.StatusOK {
			return 0, refusal(status, answer)
		}
		if err := json.Unmarshal(answer, &figures); err != nil {
			return 0, err
		}
		n += figures.Rewards
	}
	return n, nil
}

// close disables the run's campaigns; they end by themselves if it can't.
func (l *overPurchases) close() {
	c, err := l.connect()
	if err != nil {
		return
	}
	defer c.close()
	for id, terms := range l.campaigns {
		_ = c.expect(http.StatusOK, "PUT", "/api/v1/campaigns/"+id, []byte(`{"version":1,"enabled":false,`+terms))
	}
}
