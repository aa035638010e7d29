package ledger_test

import (
	"context"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

// books fills a database with something of every kind.
func books(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	open := func(accountID, balance string) {
		t.Helper()
		_, err := l.OpenAccount(t.Context(), ledger.OpenAccount{ID: accountID, Balance: usd(balance)})
		must(err)
	}
	transfer := func(transferID, from, to, amount string) {
		t.Helper()
		_, err := l.Transfer(t.Context(), ledger.TransferRequest{ID: transferID, SourceAccountID: from, DestinationAccountID: to, Amount: usd(amount)})
		must(err)
	}
	open("a", "100")
	open("b", "0")
	open("spender", "0")
	open("closed", "0")
	_, err := l.CloseAccount(t.Context(), "closed")
	must(err)
	transfer("t1", "a", "b", "10")
	transfer("t2", "a", "b", "20")
	transfer("t3", "a", "spender", "5")
	transfer("t4", "spender", "b", "5")
	_, err = l.Transfer(t.Context(), ledger.TransferRequest{ID: "failed", SourceAccountID: "b", DestinationAccountID: "a", Amount: usd("1000")})
	wantFailure(t, err, ledger.InsufficientFunds)
	_, err = l.Reverse(t.Context(), ledger.Reversal{ID: "r1", TargetID: "t1"})
	must(err)
	_, err = l.Reverse(t.Context(), ledger.Reversal{ID: "r3", TargetID: "t3", Force: true}) // spender is short of 5
	must(err)
	for _, holdID := range []string{"captured", "voided", "pending"} {
		_, err = l.PlaceHold(t.Context(), ledger.HoldRequest{ID: holdID, SourceAccountID: "a", DestinationAccountID: "b", Amount: usd("3")})
		must(err)
	}
	_, err = l.CaptureHold(t.Context(), ledger.Capture{ID: "c1", HoldID: "captured", Amount: decimal.NewNullDecimal(usd("2"))})
	must(err)
	_, err = l.VoidHold(t.Context(), "voided")
	must(err)
}

func TestVerifyProvesSoundBooks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		l := start(t, url, ledger.Options{})
		if proof := wantSoundBooks(t, url); proof.Accounts != 0 || proof.Offences == nil {
			t.Fatalf("empty books: %+v", proof)
		}
		books(t, l)
		proof := wantSoundBooks(t, url)
		// Four opened here and the house's opening account; an opening, four
		// transfers, two reversals and a capture.
		if proof.Accounts != 5 || proof.Transfers != 8 || proof.Postings != 16 || proof.Holds != 1 || !proof.Turnover["USD"].Equal(usd("157")) {
			t.Fatalf("%+v", proof)
		}
	})
}

// corruptions break one rule each, and sometimes others with it.
var corruptions = []struct{ rule, subject, sql string }{
	{"transfer_postings_match", "t1", "UPDATE postings SET amount = amount + 1 WHERE transfer_id = 't1' AND account_id = 'a'"},
	{"transfer_postings_match", "t1", "UPDATE postings SET amount = amount + 1 WHERE transfer_id = 't1' AND account_id = 'b'"},
	{"transfer_postings_match", "t1", "UPDATE transfers SET amount = amount + 0.0001 WHERE transfer_id = 't1'"},
	{"transfer_postings_match", "t2", "DELETE FROM postings WHERE transfer_id = 't2' AND account_id = 'a'"},
	{"transfer_postings_match", "t2", "DELETE FROM postings WHERE transfer_id = 't2' AND account_id = 'b'"},
	{"transfer_postings_match", "t2", "UPDATE transfers SET source_seq = source_seq - 1 WHERE transfer_id = 't2'"},
	{"transfer_postings_match", "t2", "UPDATE transfers SET currency = 'EUR' WHERE transfer_id = 't2'"},
	{"transfer_postings_match", "t2", "UPDATE postings SET currency = 'EUR' WHERE transfer_id = 't2' AND account_id = 'b'"},
	{"transfer_postings_match", "t2", "UPDATE transfers SET finished_at = finished_at + INTERVAL '1 microsecond' WHERE transfer_id = 't2'"},
	{"posting_has_transfer", "a #2", "UPDATE postings SET transfer_id = 'ghost' WHERE account_id = 'a' AND seq = 2"},
	{"posting_has_transfer", "b #1", "DELETE FROM transfers WHERE transfer_id = 't1'"},
	{"posting_has_transfer", "a #2", "UPDATE transfers SET status = 'PENDING', source_seq = NULL, destination_seq = NULL WHERE transfer_id = 't1'"},
	{"posting_has_transfer", "b #99", "INSERT INTO postings SELECT account_id, 99, transfer_id, amount, balance, currency, created_at FROM postings WHERE account_id = 'b' AND seq = 1"},
	{"posting_chain", "b #99", "UPDATE postings SET seq = 99 WHERE account_id = 'b' AND seq = 2"},
	{"posting_chain", "a #1", "UPDATE postings SET balance = balance + 1 WHERE account_id = 'a' AND seq = 1"},
	{"posting_chain", "a #3", "UPDATE postings SET created_at = created_at - INTERVAL '1 hour' WHERE account_id = 'a' AND seq = 3"},
	{"account_equals_postings", "b", "UPDATE accounts SET posted = posted + 1 WHERE account_id = 'b'"},
	{"account_equals_postings", "b", "UPDATE accounts SET last_seq = last_seq + 1 WHERE account_id = 'b'"},
	{"account_equals_postings", "b", "UPDATE accounts SET currency = 'EUR' WHERE account_id = 'b'"},
	{"account_equals_postings", "b", "DELETE FROM accounts WHERE account_id = 'b'"},
	{"account_equals_postings", "b", "DELETE FROM postings WHERE account_id = 'b'"},
	{"account_equals_postings", "closed", "UPDATE accounts SET posted = 1 WHERE account_id = 'closed'"},
	{"held_equals_holds", "a", "UPDATE accounts SET held = held + 1 WHERE account_id = 'a'"},
	{"held_equals_holds", "a", "DELETE FROM holds WHERE hold_id = 'pending'"},
	{"held_equals_holds", "a", "UPDATE holds SET status = 'PENDING' WHERE hold_id = 'voided'"},
	{"held_equals_holds", "ghost", "UPDATE holds SET source_account_id = 'ghost' WHERE hold_id = 'pending'"},
	{"spent_equals_payments", "b", "UPDATE accounts SET spent_since = now(), spent = 1 WHERE account_id = 'b'"},
	{"spent_equals_payments", "spender", `WITH paid AS (UPDATE transfers SET finished_at = now() WHERE transfer_id = 't4' RETURNING finished_at)
		UPDATE accounts SET spent_since = now(), spent = 4 WHERE account_id = 'spender'`},
	{"spent_equals_payments", "b", `WITH held AS (UPDATE holds SET created_at = now(), source_account_id = 'b' WHERE hold_id = 'pending' RETURNING hold_id)
		UPDATE accounts SET spent_since = now(), spent = 0 WHERE account_id = 'b'`},
	{"house_has_no_owner", "house:opening:USD", "UPDATE accounts SET owner_id = 'ann' WHERE account_id = 'house:opening:USD'"},
	{"captured_hold_has_transfer", "captured", "UPDATE holds SET captured_amount = 1 WHERE hold_id = 'captured'"},
	{"captured_hold_has_transfer", "captured", "UPDATE holds SET capture_id = NULL WHERE hold_id = 'captured'"},
	{"captured_hold_has_transfer", "captured", "UPDATE transfers SET hold_id = NULL WHERE transfer_id = 'c1'"},
	{"captured_hold_has_transfer", "voided", "UPDATE holds SET captured_amount = 1 WHERE hold_id = 'voided'"},
	{"capture_has_hold", "c1", "DELETE FROM holds WHERE hold_id = 'captured'"},
	{"capture_has_hold", "t2", "UPDATE transfers SET hold_id = 'captured' WHERE transfer_id = 't2'"},
	{"capture_has_hold", "c1", "UPDATE holds SET status = 'VOIDED' WHERE hold_id = 'captured'"},
	{"available_not_negative", "a", "UPDATE accounts SET held = held + 1000 WHERE account_id = 'a'"},
	{"available_not_negative", "spender", "UPDATE accounts SET shortfall = 4.99 WHERE account_id = 'spender'"},
	{"available_not_negative", "spender", "UPDATE accounts SET shortfall = 5.01 WHERE account_id = 'spender'"},
	{"closed_account_is_empty", "b", "UPDATE accounts SET status = 'CLOSED' WHERE account_id = 'b'"},
	{"closed_account_is_empty", "closed", "UPDATE accounts SET held = 1 WHERE account_id = 'closed'"},
	{"currency_sums_to_zero", "USD", "UPDATE accounts SET posted = posted + 0.0001 WHERE account_id = 'b'"},
	{"currency_sums_to_zero", "EUR", "UPDATE accounts SET currency = 'EUR' WHERE account_id = 'b'"},
	{"reversed_once", "t1", "UPDATE transfers SET reverses_id = 't1' WHERE transfer_id = 'r3'"},
	{"reversal_mirrors_transfer", "r1", "UPDATE transfers SET amount = amount + 1 WHERE transfer_id = 'r1'"},
	{"reversal_mirrors_transfer", "r1", "UPDATE transfers SET reverses_id = 'ghost' WHERE transfer_id = 'r1'"},
	{"reversal_mirrors_transfer", "r1", "UPDATE transfers SET reverses_id = 'failed' WHERE transfer_id = 'r1'"},
	{"reversal_mirrors_transfer", "r1", "UPDATE transfers SET destination_account_id = 'b' WHERE transfer_id = 'r1'"},
}

func TestVerifyNamesEveryCorruption(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		l := startStoppable(t, url, ledger.Options{})
		books(t, l.Ledger)
		l.stop()
		<-l.done
		db := dbtest.Open(t, url, database.Options{MaxConns: 2})
		run := func(sql string) {
			t.Helper()
			if _, err := db.Exec(t.Context(), sql); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
		run("ALTER TABLE accounts DROP CONSTRAINT accounts_available_not_negative")
		run("DROP INDEX transfers_reversed_once CASCADE")
		tables := []string{"accounts", "transfers", "postings", "holds"}
		for _, table := range tables {
			run("CREATE TABLE good_" + table + " AS SELECT * FROM " + table)
		}
		steps := map[string]bool{}
		for _, c := range corruptions {
			run(c.sql)
			proof, err := ledger.Verify(t.Context(), db, func(_, _ int, rule string) { steps[rule] = true })
			if err != nil {
				t.Fatal(err)
			}
			if !names(proof, c.rule, c.subject) {
				t.Errorf("%s\nis not named as %s of %s, but as %+v", c.sql, c.rule, c.subject, proof.Offences)
			}
			for _, table := range tables {
				run("DELETE FROM " + table)
				run("INSERT INTO " + table + " SELECT * FROM good_" + table)
			}
		}
		wantSoundBooks(t, url)
		for _, c := range corruptions {
			delete(steps, c.rule)
		}
		if len(steps) > 0 {
			t.Errorf("rules without a corruption that breaks them: %v", steps)
		}
	})
}

func names(proof ledger.Proof, rule, subject string) bool {
	for _, o := range proof.Offences {
		if o.Rule == rule && o.Subject == subject && strings.TrimSpace(o.Detail) != "" {
			return true
		}
	}
	return false
}

func TestVerifyListsSoManyOffendersAndSaysThatThereAreMore(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		if dbtest.Open(t, url, database.Options{}).Engine == database.Cockroach {
			t.Skip("the same code on either engine; schema changes are slow on CockroachDB")
		}
		url = fresh(t, url)
		execute(t, url, `
			INSERT INTO accounts (account_id, account_type, currency, status, posted, held, overdraft_limit, shortfall, last_seq, version, metadata, opening_hash, created_at, updated_at)
			SELECT 'a' || i, 'ASSET', 'USD', 'ACTIVE', i, 0, NULL, 0, 0, 1, '{}', '', now(), now()
			FROM generate_series(1, 1200) AS i`)
		proof, err := ledger.Verify(context.Background(), dbtest.Open(t, url, database.Options{}), nil)
		if err != nil || !proof.Truncated || len(proof.Offences) != 1000+1 { // and the currency
			t.Fatalf("%d offences, truncated: %t, %v", len(proof.Offences), proof.Truncated, err)
		}
	})
}
