package reporting_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
	"florin/internal/reporting"
)

// report reads a report as JSON and as CSV, which must tell the same.
func (w *world) report(q reporting.Query) (data, totals []map[string]any) {
	w.t.Helper()
	reports := reporting.NewReports(w.db)
	var text, table bytes.Buffer
	if err := reports.Write(w.t.Context(), q, reporting.NewJSON(&text, 0)); err != nil {
		w.t.Fatal(err)
	}
	var answer struct {
		Report           string
		From, To, ReadAt time.Time
		Data, Totals     []map[string]any
	}
	if err := json.Unmarshal(text.Bytes(), &answer); err != nil {
		w.t.Fatalf("%v in %s", err, text.String())
	}
	if answer.Report != string(q.Report) || answer.ReadAt.IsZero() || answer.To.After(answer.ReadAt) || !answer.From.Before(answer.To) {
		w.t.Errorf("%s", text.String()[:200])
	}
	if err := reports.Write(w.t.Context(), q, reporting.NewCSV(&table)); err != nil {
		w.t.Fatal(err)
	}
	lines, err := csv.NewReader(&table).ReadAll()
	if err != nil || len(lines) != 1+len(answer.Data)+len(answer.Totals)+1 || lines[len(lines)-1][0] != "READ_AT" {
		w.t.Fatalf("%v: %d lines of CSV: %q", err, len(lines), lines)
	}
	for i, row := range append(append([]map[string]any{}, answer.Data...), answer.Totals...) {
		for j, name := range lines[0] {
			want, has := row[name]
			got := strings.TrimPrefix(lines[i+1][j], "'")
			if has && fmt.Sprint(want) != got {
				w.t.Errorf("%s, line %d, %s: %s as CSV, %v as JSON", q.Report, i, name, got, want)
			}
		}
	}
	return answer.Data, answer.Totals
}

func find(rows []map[string]any, name, value string) map[string]any {
	for _, row := range rows {
		if row[name] == value {
			return row
		}
	}
	return nil
}

func wantCells(t *testing.T, row map[string]any, want string) {
	t.Helper()
	var got []string
	for _, pair := range strings.Fields(want) {
		name, _, _ := strings.Cut(pair, "=")
		value := row[name]
		if number, is := value.(float64); is {
			value = int(number)
		}
		got = append(got, fmt.Sprintf("%s=%v", name, value))
	}
	if strings.Join(got, " ") != want {
		t.Errorf("got %s; want %s", strings.Join(got, " "), want)
	}
}

func TestReportsAddUpAtOneMoment(t *testing.T) {
	eachAlone(t, func(t *testing.T, w *world) {
		owner := id.New("usr")
		alice, bob := w.open(ledger.Wallet, owner, "100.00"), w.open(ledger.Merchant, owner, "0.00")
		fees, cost := w.open(ledger.Revenue, "", "0.00"), w.open(ledger.Expense, "", "0.00")
		w.pay(alice, bob, "10.00")
		time.Sleep(20 * time.Millisecond)
		middle := time.Now().UTC()
		time.Sleep(20 * time.Millisecond)
		w.pay(alice, bob, "20.25")
		w.pay(bob, fees, "1.50")
		w.pay(cost, alice, "0.75")
		_, _ = w.ledger.Transfer(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: alice, DestinationAccountID: bob, Amount: decimal.NewFromInt(10_000)})

		data, totals := w.report(reporting.Query{Report: reporting.TrialBalance, From: middle})
		wantCells(t, find(data, "accountId", alice), "accountType=WALLET currency=USD opening=90.00 debits=20.25 credits=0.75 closing=70.50")
		wantCells(t, find(data, "accountId", bob), "opening=10.00 debits=1.50 credits=20.25 closing=28.75")
		wantCells(t, find(totals, "currency", "USD"), "opening=0.00 debits=22.50 credits=22.50 closing=0.00")
		data, _ = w.report(reporting.Query{Report: reporting.TrialBalance, To: middle})
		wantCells(t, find(data, "accountId", alice), "opening=0.00 debits=10.00 credits=100.00 closing=90.00")

		data, totals = w.report(reporting.Query{Report: reporting.ProfitAndLoss, From: middle})
		wantCells(t, find(data, "accountId", fees), "accountType=REVENUE debits=0.00 credits=1.50 result=1.50")
		wantCells(t, find(data, "accountId", cost), "accountType=EXPENSE debits=0.75 credits=0.00 result=-0.75")
		wantCells(t, find(totals, "currency", "USD"), "income=1.50 expenses=0.75 profit=0.75")

		_, totals = w.report(reporting.Query{Report: reporting.DailyVolumes, From: middle})
		wantCells(t, find(totals, "currency", "USD"), "completed=3 volume=22.50 failed=1 unfinished=0")

		data, totals = w.report(reporting.Query{Report: reporting.CustomerLiabilities, From: middle})
		wantCells(t, find(data, "accountType", "WALLET"), "accounts=1 opening=90.00 closing=70.50 owedToCustomers=70.50 owedByCustomers=0.00")
		wantCells(t, find(totals, "currency", "USD"), "accounts=2 opening=100.00 closing=99.25")

		data, totals = w.report(reporting.Query{Report: reporting.Statement, AccountID: alice, From: middle})
		if len(data) != 2 {
			t.Errorf("%d lines: %v", len(data), data)
		}
		wantCells(t, data[0], "seq=3 kind=TRANSFER counterparty="+bob+" amount=-20.25 balance=69.75")
		wantCells(t, totals[0], "accountId="+alice+" opening=90.00 debits=20.25 credits=0.75 closing=70.50")
		data, totals = w.report(reporting.Query{Report: reporting.Statement, OwnerID: owner})
		if len(data) != 4+3 || len(totals) != 2 {
			t.Errorf("%d lines, %d totals", len(data), len(totals))
		}

		var pdf bytes.Buffer
		if err := reporting.NewReports(w.db).Write(t.Context(), reporting.Query{Report: reporting.Statement, OwnerID: owner}, reporting.NewPDF(&pdf)); err != nil || !bytes.HasPrefix(pdf.Bytes(), []byte("%PDF-")) || pdf.Len() < 2000 {
			t.Errorf("PDF of %d bytes, %v", pdf.Len(), err)
		}
		for _, q := range []reporting.Query{
			{Report: "x"}, {Report: reporting.Statement}, {Report: reporting.Statement, AccountID: alice, OwnerID: owner}, {Report: reporting.TrialBalance, AccountID: alice},
			{Report: reporting.TrialBalance, From: middle, To: middle}, {Report: reporting.TrialBalance, From: time.Now().Add(time.Hour)}, {Report: reporting.Statement, AccountID: "nobody"},
		} {
			if err := reporting.NewReports(w.db).Write(t.Context(), q, reporting.NewJSON(io.Discard, 0)); err == nil {
				t.Errorf("%+v was read", q)
			}
		}
	})
}

// meter counts what is written, and looks at the memory in use on the way.
type meter struct{ bytes, lines, most int }

func (m *meter) Write(p []byte) (int, error) {
	if m.bytes += len(p); m.bytes/(1<<20) > (m.bytes-len(p))/(1<<20) {
		m.most = max(m.most, int(highest()))
	}
	m.lines += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

// Generated by SQL of PostgreSQL: what streams does not ask which engine it is.
func TestReportsOfAHundredThousandLinesTakeLittleMemory(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		if dbtest.Open(t, url, database.Options{MaxConns: 1}).Engine != database.Postgres {
			t.Skip("by SQL of PostgreSQL")
		}
		url = dbtest.Fresh(t, url)
		dbtest.Migrate(t, url)
		w := newWorld(t, url)
		const lines = 100_000
		execute := func(sql string) {
			t.Helper()
			if _, err := w.db.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		execute(fmt.Sprintf(`INSERT INTO accounts (account_id, account_type, currency, status, posted, held, overdraft_limit, shortfall, last_seq, version, metadata, opening_hash, created_at, updated_at)
			SELECT CASE n WHEN 0 THEN 'busy' ELSE 'mass-' || n END, 'WALLET', 'USD', 'ACTIVE', CASE n WHEN 0 THEN -%d ELSE 1 END, 0, NULL, 0, CASE n WHEN 0 THEN %[1]d ELSE 1 END, 1, '{}', '', now() - INTERVAL '1 day', now() FROM generate_series(0, %[1]d) AS n`, lines))
		execute(fmt.Sprintf(`INSERT INTO transfers (transfer_id, kind, source_account_id, destination_account_id, amount, currency, status, description, source_seq, destination_seq, request_hash, created_at, finished_at)
			SELECT 'mass-' || n, 'TRANSFER', 'busy', 'mass-' || n, 1, 'USD', 'COMPLETED', 'one of many', n, 1, '', now() - INTERVAL '1 hour', now() FROM generate_series(1, %d) AS n`, lines))
		execute(fmt.Sprintf(`INSERT INTO postings (account_id, seq, transfer_id, amount, balance, currency, created_at)
			SELECT 'busy', n, 'mass-' || n, -1, -n, 'USD', now() - INTERVAL '1 hour' FROM generate_series(1, %d) AS n
			UNION ALL SELECT 'mass-' || n, 1, 'mass-' || n, 1, 1, 'USD', now() - INTERVAL '1 hour' FROM generate_series(1, %[1]d) AS n`, lines))
		execute("ANALYZE")
		before := int(highest())
		for name, q := range map[string]reporting.Query{
			"trial balance": {Report: reporting.TrialBalance, From: time.Now().Add(-24 * time.Hour)},
			"statement":     {Report: reporting.Statement, AccountID: "busy", From: time.Now().Add(-24 * time.Hour)},
		} {
			whole := func(out io.Writer) reporting.Writer { return reporting.NewJSON(out, 0) }
			for format, newWriter := range map[string]func(io.Writer) reporting.Writer{"JSON": whole, "CSV": reporting.NewCSV} {
				m := &meter{}
				if err := reporting.NewReports(w.db).Write(t.Context(), q, newWriter(m)); err != nil || m.lines < lines {
					t.Fatalf("%s as %s: %d lines, %v", name, format, m.lines, err)
				}
				if more := m.most - before; m.bytes < 4<<20 || more > 16<<20 {
					t.Errorf("%s as %s: %d MiB of answer, %d MiB more in use", name, format, m.bytes>>20, more>>20)
				}
			}
		}
		// A beginning is short, and its sums are of all lines.
		for _, limit := range []int{3, 100_003} {
			var text bytes.Buffer
			q := reporting.Query{Report: reporting.TrialBalance, From: time.Now().Add(-24 * time.Hour)}
			if err := reporting.NewReports(w.db).Write(t.Context(), q, reporting.NewJSON(&text, limit)); err != nil {
				t.Fatal(err)
			}
			var answer struct {
				Data, Totals []map[string]any
				IsTruncated  bool
			}
			if err := json.Unmarshal(text.Bytes(), &answer); err != nil || len(answer.Data) != min(limit, lines+1) || answer.IsTruncated != (limit < lines) {
				t.Errorf("limit %d: %d lines, truncated: %t, %v", limit, len(answer.Data), answer.IsTruncated, err)
			}
			wantCells(t, find(answer.Totals, "currency", "USD"), "debits=100000.00 credits=100000.00")
		}
		// What is too long for paper is refused, not printed.
		err := reporting.NewReports(w.db).Write(t.Context(), reporting.Query{Report: reporting.Statement, AccountID: "busy", From: time.Now().Add(-24 * time.Hour)}, reporting.NewPDF(io.Discard))
		wantCode(t, err, reporting.TooLong)
	})
}

// A report whose reader stopped ends, and gives its place back.
func TestReportsEndWithTheirReader(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.open(ledger.Wallet, "", "1.00")
		reports := reporting.NewReports(w.db)
		for range 6 {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := reports.Write(ctx, reporting.Query{Report: reporting.TrialBalance}, reporting.NewJSON(io.Discard, 0)); err == nil {
				t.Error("read by nobody")
			}
		}
		if err := reports.Write(t.Context(), reporting.Query{Report: reporting.TrialBalance}, reporting.NewJSON(io.Discard, 0)); err != nil {
			t.Error(err)
		}
	})
}
