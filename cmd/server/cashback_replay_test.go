package main_test

import (
	"cmp"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"florin/internal/platform/dbtest"

	"github.com/shopspring/decimal"
)

// checkCampaigns overlap: tealights and europe add up, and of ladder and launch each
// purchase gets the better one. The rules are written out a second time in
// cashback_check_test.go.
var checkCampaigns = map[string]map[string]any{
	"tealights": {
		"lineCondition": `description.contains("T-LIGHT") || product.startsWith("85123")`,
		"reward":        map[string]any{"kind": "PERCENT", "percent": "5"}, "caps": map[string]any{"perPurchase": "10.00"},
		"budget": "1000000.00", "funding": map[string]any{"kind": "PLATFORM"}, "group": "extra",
	},
	"europe": {
		"condition": `country != "United Kingdom"`,
		"reward":    map[string]any{"kind": "PERCENT", "percent": "2"},
		"budget":    "1000000.00", "funding": map[string]any{"kind": "SHARED", "accountId": "shop", "merchantPercent": "50"}, "group": "extra",
	},
	"ladder": {
		"reward": map[string]any{"kind": "PERCENT", "percent": "1", "multipliers": map[string]any{"silver": "1.5", "gold": "2", "platinum": "3"}},
		"budget": "1000000.00", "funding": map[string]any{"kind": "PLATFORM"}, "group": "base",
	},
	"launch": {
		"reward": map[string]any{"kind": "FIXED", "amount": "3.00"}, "minimumSpend": "100.00",
		"caps": map[string]any{"perCustomer": "15.00", "customerPeriod": "MONTH"}, "priority": 1,
		"budget": "5000.00", "funding": map[string]any{"kind": "PLATFORM"}, "group": "base",
	},
}

// TestCashbackOnRealPurchases takes a shop's year in with `florin ingest`, under four
// campaigns, waits until all is paid, and compares every total with what
// cashback_check_test.go makes of the file. The whole file is taken when
// FLORIN_PURCHASES names it.
func TestCashbackOnRealPurchases(t *testing.T) {
	t.Parallel()
	name := cmp.Or(os.Getenv("FLORIN_PURCHASES"), "testdata/purchases.csv.gz")
	text := unzipped(t, name)
	want := checkFile(t, text)
	eachEngine(t, func(t *testing.T, engine string) {
		dbtest.LongOnCockroach(t)
		dataDir := migrated(t, engine)
		p := dev(t, engine, dataDir)
		enterShop(p, want)

		file := filepath.Join(t.TempDir(), "purchases.csv")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		summary := ingestShop(t, p, file)
		took := time.Since(began)
		wantTaken(t, summary, want)
		waitUntilPaid(t, p)
		compare(t, p, want)
		verify(t, engine, dataDir)

		// Once more, as if nobody knew of the first time: nothing changes.
		if err := os.Remove(file + ".florin"); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		wantTaken(t, ingestShop(t, p, file), want)
		compare(t, p, want)
		t.Logf("%d lines in %s: %v", summary.Lines, took.Round(time.Millisecond), summary)
	})
}

func unzipped(t *testing.T, name string) string {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// enterShop opens the accounts, and enters customers, campaigns and the program.
func enterShop(p *process, c *check) {
	p.mustCall(201, "POST", "/api/v1/accounts", map[string]any{"accountId": "shop", "accountType": "MERCHANT", "currency": "GBP", "balance": "100000"})
	for customer := range c.customers {
		p.mustCall(201, "POST", "/api/v1/accounts", map[string]any{"accountId": "wallet:" + customer, "accountType": "WALLET", "currency": "GBP"})
		p.mustCall(200, "PUT", "/api/v1/customers/"+customer, map[string]any{"accountId": "wallet:" + customer})
	}
	p.mustCall(200, "PUT", "/api/v1/cashback-program", map[string]any{
		"version": 0, "groups": map[string]any{"extra": "SUM", "base": "BEST"}, "tierDays": checkTierDays, "tierCurrency": "GBP",
		"tiers": []any{
			map[string]any{"name": "silver", "minSpend": "500"}, map[string]any{"name": "gold", "minSpend": "2000"}, map[string]any{"name": "platinum", "minSpend": "10000"},
		},
	})
	for id, terms := range checkCampaigns {
		body := map[string]any{
			"campaignId": id, "name": id, "currency": "GBP", "from": "2010-01-01T00:00:00Z", "to": "2012-01-01T00:00:00Z", "enabled": true,
			"budgetEnd": "REST", "returnDays": 30, "merchants": []any{"uk-shop"},
		}
		maps.Copy(body, terms)
		p.mustCall(201, "POST", "/api/v1/campaigns", body)
	}
}

type shopSummary struct {
	Lines      int64            `json:"lines"`
	Purchases  map[string]int64 `json:"purchases"`
	Returns    map[string]int64 `json:"returns"`
	RejectedBy map[string]int64 `json:"rejectedBy"`
}

// ingestShop runs `florin ingest` on the file. It ends with 1: lines of it are rejected.
func ingestShop(t *testing.T, p *process, file string) (summary shopSummary) {
	t.Helper()
	cmd := exec.Command(binary, "ingest", file, "--url", p.base, "--json", "--set", "merchantId=uk-shop", "--set", "currency=GBP",
		"--column", "purchaseId=invoiceNo", "--column", "product=stockCode", "--column", "timestamp=invoiceDate", "--column", "unitPrice=unitPriceGBP")
	cmd.Env = append(os.Environ(), "FLORIN_API_KEY="+testKey)
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if code := cmd.ProcessState.ExitCode(); code > 1 || json.Unmarshal(out, &summary) != nil {
		t.Fatalf("florin ingest: %v\n%s%s", err, out, problems.String())
	}
	return summary
}

func wantTaken(t *testing.T, got shopSummary, want *check) {
	t.Helper()
	rejected := maps.Clone(want.rejected)
	if want.refused > 0 {
		rejected["nothing_to_return"] = want.refused
	}
	var purchases, returned, lines int64
	for _, n := range got.Purchases {
		purchases += n
	}
	returned = got.Returns["applied"]
	for _, n := range rejected {
		lines += n
	}
	all := want.accepted + lines - want.refused // the latter are accepted here, and refused by the server
	if purchases != want.sold || returned != want.returned || !maps.Equal(got.RejectedBy, rejected) || got.Lines != all {
		t.Errorf("taken: %+v; want %d lines, %d purchases, %d returns, rejected %v", got, all, want.sold, want.returned, rejected)
	}
}

// waitUntilPaid waits for the sweep: all return windows were over long ago.
func waitUntilPaid(t *testing.T, p *process) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		isPaid := true
		for id := range checkCampaigns {
			f := figures(p, id)
			isPaid = isPaid && f["accrued"].IsZero() && f["confirmed"].IsZero()
		}
		if isPaid {
			return
		}
	}
	t.Fatal("rewards are not paid")
}

func figures(p *process, campaign string) map[string]decimal.Decimal {
	amounts := map[string]decimal.Decimal{}
	for name, value := range p.mustCall(200, "GET", "/api/v1/campaigns/"+campaign+"/figures", nil) {
		if text, isText := value.(string); isText {
			if amount, err := decimal.NewFromString(text); err == nil {
				amounts[name] = amount
			}
		} else if number, isNumber := value.(float64); isNumber {
			amounts[name] = decimal.NewFromInt(int64(number))
		}
	}
	return amounts
}

func compare(t *testing.T, p *process, want *check) {
	t.Helper()
	byCampaign, byMerchant, byCustomer := want.kept()
	inPounds := func(pence int64) decimal.Decimal { return decimal.New(pence, -2) }
	for _, id := range slices.Sorted(maps.Keys(checkCampaigns)) {
		got := figures(p, id)
		for name, amount := range map[string]decimal.Decimal{
			"paid": inPounds(byCampaign[id]), "reversed": inPounds(want.reversed[id]), "merchants": inPounds(byMerchant[id]), "owed": decimal.Zero,
			"remaining": got["budget"].Sub(inPounds(byCampaign[id])), "rewards": decimal.NewFromInt(want.rewards[id]),
		} {
			if !got[name].Equal(amount) {
				t.Errorf("%s: %s is %s; the file says %s", id, name, got[name], amount)
			}
		}
		cost := p.mustCall(200, "GET", "/api/v1/accounts/house:program:"+id+":cost", nil)
		if spent := inPounds(byMerchant[id] - byCampaign[id]); !decimal.RequireFromString(cost["balance"].(string)).Equal(spent) {
			t.Errorf("%s: the cost account has %s; the file says %s", id, cost["balance"], spent)
		}
		t.Logf("%s: %d rewards, granted %s, taken back %s, kept %s, of it by the shop %s; budget %s, remaining %s", id, want.rewards[id],
			inPounds(want.granted[id]), inPounds(want.reversed[id]), inPounds(byCampaign[id]), inPounds(byMerchant[id]), got["budget"], got["remaining"])
	}
	shop := p.mustCall(200, "GET", "/api/v1/accounts/shop", nil)
	if left := decimal.NewFromInt(100_000).Sub(inPounds(byMerchant["europe"])); !decimal.RequireFromString(shop["balance"].(string)).Equal(left) {
		t.Errorf("the shop has %s; the file says %s", shop["balance"], left)
	}
	wrong := 0
	for customer := range want.customers {
		wallet := p.mustCall(200, "GET", "/api/v1/accounts/wallet:"+customer, nil)
		if kept := inPounds(byCustomer[customer]); !decimal.RequireFromString(wallet["balance"].(string)).Equal(kept) {
			if wrong++; wrong <= 10 {
				t.Errorf("customer %s has %s; the file says %s", customer, wallet["balance"], kept)
			}
		}
	}
	t.Logf("%d customers, %d of them wrong", len(want.customers), wrong)
}
