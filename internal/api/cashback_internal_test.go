package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"florin/internal/cashback"
)

func purchasesText(n, lines int) string {
	var b strings.Builder
	b.WriteString(`{"purchases":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"purchaseId":"bench-0123456789-%06d","merchantId":"shop","customerId":"customer-%06d","currency":"GBP","country":"United Kingdom","timestamp":"2026-01-30T18:05:00Z","lines":[`, i, i)
		for j := range lines {
			if j > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"product":"22%03d","description":"REGENCY CAKESTAND 3 TIER","category":"kitchen","quantity":%d,"unitPrice":"12.75"}`, j, j+1)
		}
		b.WriteString("]}")
	}
	b.WriteString("]}")
	return b.String()
}

func TestAPurchaseIsReadAsItIsWritten(t *testing.T) {
	var r PurchaseBatchRequest
	if problems := decode([]byte(purchasesText(2, 3)), &r); len(problems) > 0 {
		t.Fatal(problems)
	}
	got := r.Purchases[1].toCashback()
	if got.ID != "bench-0123456789-000001" || got.MerchantID != "shop" || got.CustomerID != "customer-000001" || got.Currency != "GBP" || got.Country != "United Kingdom" ||
		!got.At.Equal(time.Date(2026, 1, 30, 18, 5, 0, 0, time.UTC)) || got.Source != cashback.SourceAPI || got.ClickID != "" || len(got.Lines) != 3 {
		t.Errorf("got %+v", got)
	}
	if l := got.Lines[2]; l.Product != "22002" || l.Description != "REGENCY CAKESTAND 3 TIER" || l.Category != "kitchen" || l.MCC != "" || l.Quantity != 3 || l.UnitPrice.String() != "12.75" {
		t.Errorf("line %+v", l)
	}
}

// A body may say that there are more members or items than a program should keep.
func TestMapsAndListsOfCashbackAreBounded(t *testing.T) {
	members := func(n int, value string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"m%d":%s`, i, value)
		}
		return "{" + strings.TrimPrefix(b.String(), ",") + "}"
	}
	for _, c := range []struct{ name, body, field string }{
		{"groups", `{"version":0,"groups":` + members(51, `"BEST"`) + `,"more":1}`, "groups"},
		{"segments", `{"version":0,"segments":` + members(51, `"true"`) + `}`, "segments"},
		{"tiers", `{"version":0,"tiers":[` + strings.Repeat(`{"name":"a","minSpend":1},`, 20) + `{}]}`, "tiers"},
		{"cut short", `{"version":0,"groups":{"a"`, "groups.a"},
		{"no object", `{"version":0,"groups":["a"]}`, "groups"},
	} {
		var r CashbackProgramRequest
		problems := decode([]byte(c.body), &r)
		if len(problems) == 0 || problems[len(problems)-1].Field != c.field {
			t.Errorf("%s: %v", c.name, problems)
		}
	}
	var r CashbackProgramRequest
	if problems := decode([]byte(`{"version":0,"groups":`+members(50, `"BEST"`)+`,"tierDays":30}`), &r); len(problems) > 0 || len(r.Groups) != 50 || r.TierDays != 30 {
		t.Errorf("%v, %d groups, %d days", problems, len(r.Groups), r.TierDays)
	}
}

func BenchmarkDecodePurchasesOf500(b *testing.B) {
	text := []byte(purchasesText(500, 5))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		var r PurchaseBatchRequest
		if problems := decode(text, &r); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
}
