package main_test

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

// purchase is one line of the file.
type purchase struct {
	invoice, customer string
	quantity          int64
	price             decimal.Decimal // GBP
	at                time.Time
}

// invoice is what becomes one transfer: the lines of one customer under one number.
type invoice struct {
	id, customer string
	total        decimal.Decimal // GBP, exact; negative: money goes back
	at           time.Time
}

// TestReplayOfRealPurchases sends a shop's invoices through the API: from a
// funded wallet per customer to the shop, cancellations the other way, and
// compares the balances with sums taken straight from the file. The whole file
// is replayed when FLORIN_PURCHASES names it.
func TestReplayOfRealPurchases(t *testing.T) {
	t.Parallel()
	file := os.Getenv("FLORIN_PURCHASES")
	if file == "" {
		file = "testdata/purchases.csv.gz"
	}
	lines := readPurchases(t, file)
	eachEngine(t, func(t *testing.T, engine string) { replay(t, engine, lines) })
}

func replay(t *testing.T, engine string, lines []purchase) {
	began := time.Now()
	dataDir := migrated(t, engine)
	p := dev(t, engine, dataDir)
	invoices, skipped := invoicesOf(lines)

	// Money that customers need first, and money that the shop gives back before
	// it has taken any: both from the file alone.
	funds := map[string]decimal.Decimal{}
	for _, i := range invoices {
		if i.total.IsPositive() {
			funds[i.customer] = funds[i.customer].Add(pence(i.total))
		} else if funds[i.customer].IsZero() {
			funds[i.customer] = decimal.Zero
		}
	}
	const shopFloat = "1000000"
	p.mustCall(201, "POST", "/api/v1/accounts", map[string]any{
		"accountId": "shop", "accountType": "MERCHANT", "currency": "GBP", "balance": shopFloat,
	})
	for customer, amount := range funds {
		p.mustCall(201, "POST", "/api/v1/accounts", map[string]any{
			"accountId": "customer:" + customer, "accountType": "WALLET", "currency": "GBP", "balance": amount.String(),
		})
	}

	rounded := decimal.Zero
	var batch []map[string]any
	flush := func() {
		if len(batch) == 0 {
			return
		}
		answer := p.mustCall(200, "POST", "/api/v1/transfers/batch", map[string]any{"atomic": false, "transfers": batch})
		for _, result := range answer["results"].([]any) {
			if result.(map[string]any)["status"] != "COMPLETED" {
				t.Fatal(result)
			}
		}
		batch = batch[:0]
	}
	var sent int
	for _, i := range invoices {
		amount := pence(i.total)
		rounded = rounded.Add(amount.Sub(i.total))
		from, to := "customer:"+i.customer, "shop"
		if amount.IsNegative() {
			from, to, amount = to, from, amount.Neg()
		}
		batch = append(batch, map[string]any{
			"transactionId": "inv:" + i.id + ":" + i.customer, "sourceAccountId": from, "destinationAccountId": to,
			"amount": amount.StringFixed(2), "currency": "GBP", "timestamp": i.at.Format(time.RFC3339),
			"description": "Invoice " + i.id,
		})
		if sent++; len(batch) == 500 {
			flush()
		}
	}
	flush()

	// Straight from the file: thousandths of a pound in integers, line by line.
	perCustomer, total := sumsFromFile(lines)
	shop := p.mustCall(200, "GET", "/api/v1/accounts/shop", nil)
	wantShop := decimal.New(total, -3).Add(rounded).Add(decimal.RequireFromString(shopFloat))
	if got := decimal.RequireFromString(shop["balance"].(string)); !got.Equal(wantShop) {
		t.Errorf("the shop has %s, the file says %s", got, wantShop)
	}
	off := 0
	for customer, funded := range funds {
		answer := p.mustCall(200, "GET", "/api/v1/accounts/customer:"+customer, nil)
		want := funded.Sub(decimal.New(perCustomer[customer], -3))
		difference := decimal.RequireFromString(answer["balance"].(string)).Sub(want)
		if difference.Abs().GreaterThan(decimal.New(5, -2)) {
			t.Errorf("customer %s is %s off", customer, difference)
		}
		if !difference.IsZero() {
			off++
		}
	}
	verify(t, engine, dataDir)
	t.Logf("%d lines, %d invoices of %d customers replayed in %s; left out: %v; invoices with fractions of a penny rounded half-even by %s GBP in all (%d customers)",
		len(lines), sent, len(funds), time.Since(began).Round(time.Millisecond), skipped, rounded, off)
}

// pence rounds to the currency's decimals, half to even: four invoices have
// prices of three decimals, and GBP has two.
func pence(amount decimal.Decimal) decimal.Decimal { return amount.RoundBank(2) }

// senseless says why a line can't be a transfer, or "".
func (l *purchase) senseless() string {
	switch {
	case l.customer == "":
		return "no customer"
	case l.price.IsZero():
		return "price zero"
	case l.price.IsNegative():
		return "price below zero"
	}
	return ""
}

func invoicesOf(lines []purchase) (invoices []*invoice, skipped map[string]int) {
	skipped = map[string]int{}
	found := map[string]*invoice{}
	for _, l := range lines {
		if why := l.senseless(); why != "" {
			skipped[why]++
			continue
		}
		key := l.invoice + ":" + l.customer
		if found[key] == nil {
			found[key] = &invoice{id: l.invoice, customer: l.customer, at: l.at}
			invoices = append(invoices, found[key])
		}
		found[key].total = found[key].total.Add(l.price.Mul(decimal.NewFromInt(l.quantity)))
	}
	return invoices, skipped
}

// sumsFromFile shares nothing with the above but the lines: integers, no invoices.
func sumsFromFile(lines []purchase) (perCustomer map[string]int64, total int64) {
	perCustomer = map[string]int64{}
	for _, l := range lines {
		if l.customer == "" || l.price.Sign() <= 0 {
			continue
		}
		thousandths := l.price.Shift(3).IntPart() * l.quantity
		perCustomer[l.customer] += thousandths
		total += thousandths
	}
	return perCustomer, total
}

func readPurchases(t *testing.T, name string) []purchase {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	reader := csv.NewReader(unzipped)
	if header, err := reader.Read(); err != nil || strings.Join(header, ",") != "invoiceNo,stockCode,description,quantity,invoiceDate,unitPriceGBP,customerId,country" {
		t.Fatal("unexpected header", header, err)
	}
	var lines []purchase
	for {
		row, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err == nil {
			var l purchase
			if l, err = parsePurchase(row); err == nil {
				lines = append(lines, l)
				continue
			}
		}
		t.Fatalf("line %d: %v", len(lines)+2, err)
	}
}

func parsePurchase(row []string) (purchase, error) {
	quantity, err := strconv.ParseInt(row[3], 10, 64)
	if err != nil {
		return purchase{}, err
	}
	price, err := decimal.NewFromString(row[5])
	if err != nil {
		return purchase{}, err
	}
	if !price.Shift(3).IsInteger() {
		return purchase{}, fmt.Errorf("price %s has more than three decimals", price)
	}
	at, err := time.Parse(time.RFC3339, row[4])
	return purchase{invoice: row[0], customer: row[6], quantity: quantity, price: price, at: at}, err
}
