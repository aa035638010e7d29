package wallet_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/platform/id"
	"florin/internal/wallet"
)

// all reads every page of a person's list.
func (w *world) all(p *person, f wallet.TransactionFilter, limit int) []wallet.Transaction {
	w.t.Helper()
	var all []wallet.Transaction
	var before ledger.TransferPosition
	for {
		page, err := w.Transactions(w.t.Context(), p.Principal, f, before, limit)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(page.Transactions) > limit {
			w.t.Fatalf("a page has %d transactions, asked were %d", len(page.Transactions), limit)
		}
		all = append(all, page.Transactions...)
		if page.Next == nil {
			return all
		}
		before = *page.Next
	}
}

func TestTransactionsSayWhichWayMoneyWent(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann, bob := w.join("Ann Ames", identity.Customer), w.join("Bob Bell", identity.Customer)
		second := w.open(ann, "USD")
		w.time.pass(31 * 24 * time.Hour)
		step := func(got wallet.Transaction, err error) {
			t.Helper()
			want(t, got, err, wallet.Completed)
			w.time.pass(time.Second)
		}
		step(w.Deposit(w.as(ann), ann.Principal, ann.bankPayment("100", "")))
		step(w.Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{Email: bob.email}, "30", "")))
		step(w.Transfer(w.as(bob), bob.Principal, bob.transfer(wallet.Payee{AccountID: second}, "5", "")))
		step(w.Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{AccountID: second}, "7", "")))
		step(w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("11", "")))

		want := []string{
			"WITHDRAWAL SENT 11 ", "TRANSFER SENT 7 Ann A. self", "TRANSFER RECEIVED 5 Bob B.", "TRANSFER SENT 30 Bob B.", "DEPOSIT RECEIVED 100 ",
		}
		check := func(got []wallet.Transaction, want []string) {
			t.Helper()
			var lines []string
			for _, each := range got {
				line := fmt.Sprintf("%s %s %s %s", each.Kind, each.Direction, each.Amount, each.Counterparty.Name)
				if each.Counterparty.IsSelf {
					line += " self"
				}
				if strings.HasPrefix(each.Counterparty.AccountID, "house:") || strings.Contains(each.Counterparty.Name, "@") {
					t.Errorf("it shows %+v", each.Counterparty)
				}
				lines = append(lines, line)
			}
			if strings.Join(lines, "\n") != strings.Join(want, "\n") {
				t.Fatalf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
			}
		}
		check(w.all(ann, wallet.TransactionFilter{}, 100), want)
		check(w.all(ann, wallet.TransactionFilter{}, 1), want)
		check(w.all(ann, wallet.TransactionFilter{}, 2), want)
		check(w.all(ann, wallet.TransactionFilter{AccountID: second}, 100), []string{"TRANSFER RECEIVED 7 Ann A. self", "TRANSFER RECEIVED 5 Bob B."})
		now := w.time.Now()
		check(w.all(ann, wallet.TransactionFilter{From: now.Add(-4 * time.Second), To: now.Add(-1 * time.Second)}, 2), want[1:4])
		check(w.all(bob, wallet.TransactionFilter{}, 100), []string{"TRANSFER SENT 5 Ann A.", "TRANSFER RECEIVED 30 Ann A."})

		_, err := w.Transactions(t.Context(), bob.Principal, wallet.TransactionFilter{AccountID: second}, ledger.TransferPosition{}, 10)
		wantCode(t, err, "account_not_found")
		_, err = w.Transactions(t.Context(), bob.Principal, wallet.TransactionFilter{AccountID: "a\x00"}, ledger.TransferPosition{}, 10)
		wantCode(t, err, "account_not_found")
		for _, each := range w.all(ann, wallet.TransactionFilter{}, 100) {
			got, err := w.Transaction(t.Context(), ann.Principal, each.ID)
			if err != nil || got.Direction != each.Direction || got.Kind != each.Kind {
				t.Fatalf("%s alone is %+v, %v", each.ID, got, err)
			}
			if each.Counterparty.Name != "Bob B." {
				_, err = w.Transaction(t.Context(), bob.Principal, each.ID)
				wantCode(t, err, "payment_not_found")
			}
		}
		for _, impossible := range []string{"", "txn_none", "x\x00", strings.Repeat("x", 51)} {
			_, err = w.Transaction(t.Context(), ann.Principal, impossible)
			wantCode(t, err, "payment_not_found")
		}
	})
}

func TestWhatOthersCouldNotSendIsTheirSecret(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grown("10", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		tried, err := w.books.Transfer(t.Context(), ledger.TransferRequest{
			ID: id.New("txn"), SourceAccountID: ann.account, DestinationAccountID: bob.account, Amount: dec("99"),
		})
		wantCode(t, err, "insufficient_funds")
		for _, each := range w.all(bob, wallet.TransactionFilter{}, 100) {
			if each.ID == tried.ID {
				t.Fatalf("the payee sees %+v", each)
			}
		}
		_, err = w.Transaction(t.Context(), bob.Principal, tried.ID)
		wantCode(t, err, "payment_not_found")
		mine, err := w.Transaction(t.Context(), ann.Principal, tried.ID)
		if err != nil || mine.Status != wallet.Failed || mine.FailureCode != "insufficient_funds" {
			t.Fatalf("the payer sees %+v, %v", mine, err)
		}
	})
}

func TestPagesOfTransactionsOfOneMomentAreWhole(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.grown("0", "Ann Ames")[0]
		second := w.open(ann, "USD")
		w.fund(ann.account, "1") // opens the house's account
		var batch []ledger.TransferRequest
		wanted := map[string]bool{}
		for i := range 60 { // one time for all, ids in any order of letters
			request := ledger.TransferRequest{
				ID: id.New([]string{"A", "b", "_C", "d"}[i%4]), SourceAccountID: "house:test:USD", DestinationAccountID: []string{ann.account, second}[i%2], Amount: dec("1"),
			}
			batch = append(batch, request)
			wanted[request.ID] = true
		}
		if _, err := w.books.TransferBatch(t.Context(), batch, true); err != nil {
			t.Fatal(err)
		}
		for _, limit := range []int{1, 7, 60, 200} {
			seen := map[string]bool{}
			for _, each := range w.all(ann, wallet.TransactionFilter{}, limit) {
				if seen[each.ID] {
					t.Fatalf("pages of %d show %s twice", limit, each.ID)
				}
				seen[each.ID] = true
			}
			for each := range wanted {
				if !seen[each] {
					t.Fatalf("pages of %d leave out %s", limit, each)
				}
			}
		}
	})
}

func (s *statementReader) read(ctx context.Context, statement *wallet.Statement) {
	s.t.Helper()
	balance := statement.Opening
	s.lines = nil
	for line, err := range statement.Lines(ctx) {
		if err != nil {
			s.t.Fatal(err)
		}
		if balance = balance.Add(line.Amount); !balance.Equal(line.Balance) {
			s.t.Fatalf("after %+v the balance should be %s", line, balance)
		}
		if line.At.Before(statement.From) || !line.At.Before(statement.To) {
			s.t.Fatalf("%+v is not of the period", line)
		}
		s.lines = append(s.lines, line)
	}
	if !balance.Equal(statement.Closing) || int64(len(s.lines)) != statement.Count {
		s.t.Fatalf("%d lines end at %s; the statement says %d and %s", len(s.lines), balance, statement.Count, statement.Closing)
	}
}

type statementReader struct {
	t     *testing.T
	lines []wallet.Line
}

func TestAStatementAddsUp(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grownIn("NZD", "100", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		w.time.pass(time.Hour)
		begin := w.time.Now()
		var batch []ledger.TransferRequest
		for range 2*ledger.MaxPage + 17 {
			batch = append(batch, ledger.TransferRequest{
				ID: id.New("t"), SourceAccountID: bob.account, DestinationAccountID: ann.account, Amount: dec("0.01"), Description: "drop",
			})
		}
		if _, err := w.books.TransferBatch(t.Context(), batch, true); err != nil {
			t.Fatal(err)
		}
		w.time.pass(time.Minute)
		out, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("20", ""))
		want(t, out, err, wallet.Completed)
		w.time.pass(time.Minute)
		end := w.time.Now()
		w.fund(ann.account, "1000")
		w.time.pass(time.Hour)

		reader := &statementReader{t: t}
		statement, err := w.Statement(t.Context(), ann.Principal, ann.account, begin, end)
		if err != nil {
			t.Fatal(err)
		}
		w.fund(ann.account, "1") // is later than the statement
		reader.read(t.Context(), statement)
		if !statement.Opening.Equal(dec("100")) || !statement.Closing.Equal(dec("90.17")) || statement.Count != 2*ledger.MaxPage+18 {
			t.Fatalf("the statement is %+v", statement)
		}
		if statement.From != begin || statement.To != end {
			t.Fatalf("the statement is of %s to %s", statement.From, statement.To)
		}
		first, last := reader.lines[0], reader.lines[len(reader.lines)-1]
		if first.Kind != wallet.KindTransfer || first.Counterparty.Name != "Bob B." || first.Description != "drop" || last.Kind != wallet.KindWithdrawal {
			t.Fatalf("it begins with %+v and ends with %+v", first, last)
		}
		reader.read(t.Context(), statement) // again

		const within = 2*ledger.MaxPage + 18
		for name, c := range map[string]struct {
			from, to time.Time
			lines    int64
		}{
			"all":                {time.Time{}, time.Time{}, 1 + within + 1}, // not what was booked at this very moment
			"from before it was": {begin.Add(-365 * 24 * time.Hour), end, 1 + within},
			"into the future":    {begin, end.Add(365 * 24 * time.Hour), within + 1},
			"nothing happened":   {end.Add(30 * time.Minute), end.Add(40 * time.Minute), 0},
			"before it was":      {begin.Add(-400 * 24 * time.Hour), begin.Add(-399 * 24 * time.Hour), 0},
		} {
			if statement, err = w.Statement(t.Context(), ann.Principal, ann.account, c.from, c.to); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			reader.read(t.Context(), statement)
			if statement.Count != c.lines {
				t.Fatalf("%s: %d lines; want %d", name, statement.Count, c.lines)
			}
		}
		_, err = w.Statement(t.Context(), ann.Principal, ann.account, end, begin)
		wantCode(t, err, "invalid from")
		_, err = w.Statement(t.Context(), ann.Principal, ann.account, w.time.Now().Add(time.Hour), time.Time{})
		wantCode(t, err, "invalid from")
		_, err = w.Statement(t.Context(), bob.Principal, ann.account, begin, end)
		wantCode(t, err, "account_not_found")
	})
}

func TestAStatementAsCSVRunsNoFormulas(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grownIn("SGD", "100", "Ann Ames", "=Bob Bell")
		ann, bob := people[0], people[1]
		for _, description := range []string{`=HYPERLINK("http://evil.example","x")`, "+1", "-1", "@SUM(1)", " =1+1", "\t=1", "plain", "a,\"b\"\nc", ""} {
			r := bob.transfer(wallet.Payee{UserID: ann.UserID}, "1", "")
			r.Description = description
			got, err := w.Transfer(w.as(bob), bob.Principal, r)
			want(t, got, err, wallet.Completed)
		}
		w.time.pass(time.Minute)
		statement, err := w.Statement(t.Context(), ann.Principal, ann.account, time.Time{}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		if err := statement.WriteCSV(t.Context(), &file); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&file).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != 1+1+10+1 || rows[1][2] != "OPENING_BALANCE" || rows[12][2] != "CLOSING_BALANCE" || rows[12][6] != "109.00" {
			t.Fatalf("the file is %q", rows)
		}
		for _, row := range rows[2:12] {
			for _, cell := range row[3:5] {
				if strings.ContainsAny(strings.TrimLeft(cell+" ", " ")[:min(1, len(strings.TrimLeft(cell, " ")))], "=+-@\t\r") {
					t.Fatalf("a spreadsheet would run %q", cell)
				}
			}
		}
		if rows[9][4] != "plain" {
			t.Fatalf("plain text is %q", rows[9][4])
		}
	})
}
