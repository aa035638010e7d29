package risk_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
	"florin/internal/risk"
)

func TestADecisionKeepsItsRuleItsVersionAndWhatTheRulesSaw(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newEmptyWorld(t, url)
		s := someSubject()
		d := w.decide(t, s, toReview)
		if d.Outcome != risk.Review || d.RuleID != "new_payee" || d.RuleVersion != 1 || d.Review.Status != risk.ReviewPending || d.Subject != s ||
			!d.DecidedAt.Equal(w.time()) || !d.Amount.Equal(amount("1000.01")) || d.Currency != "USD" || d.Operation != risk.Transfer {
			t.Fatalf("%+v", d)
		}
		if !d.Facts.IsNewPayee || d.Facts.AttemptsHour != 1 || d.Facts.AttemptsDay != 1 || !d.Facts.Amount.Equal(amount("1000.01")) || d.Facts.Role != "customer" {
			t.Fatalf("%+v", d.Facts)
		}
		if len(d.Matches) != 1 || d.Matches[0] != (risk.Match{RuleID: "new_payee", Version: 1, Outcome: risk.Review}) {
			t.Fatalf("%+v", d.Matches)
		}

		// A stricter rule does not change what is decided, and the next one has its version.
		rule, err := w.Rule(t.Context(), "new_payee")
		if err != nil {
			t.Fatal(err)
		}
		stricter := rule.Terms
		stricter.Outcome = risk.Decline
		if _, err := w.ChangeRule(t.Context(), rule.ID, rule.Version, stricter); err != nil {
			t.Fatal(err)
		}
		again := w.decide(t, s, func(f *risk.Facts) { toReview(f); f.CountDay = 99 })
		if again.ID != d.ID || again.Outcome != risk.Review || again.RuleVersion != 1 || again.Facts.CountDay != 0 {
			t.Fatalf("%+v", again)
		}
		other := w.decide(t, someSubject(), toReview)
		if other.Outcome != risk.Decline || other.RuleVersion != 2 || other.Review != (risk.ReviewState{}) {
			t.Fatalf("%+v", other)
		}
		byID, err := w.Decision(t.Context(), d.ID)
		if err != nil || byID.TransferID != s.TransferID {
			t.Fatal(byID, err)
		}
	})
}

func TestAnIDThatWasJudgedIsNoPassForAnotherPayment(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		s := someSubject()
		if d := w.decide(t, s, unchanged); d.Outcome != risk.Allow || d.RuleID != "" {
			t.Fatalf("%+v", d)
		}
		for name, try := range map[string]func(*risk.Facts, *risk.Subject){
			"amount":    func(f *risk.Facts, _ *risk.Subject) { f.Amount = amount("1000000") },
			"currency":  func(f *risk.Facts, _ *risk.Subject) { f.Currency = "BHD" },
			"operation": func(f *risk.Facts, _ *risk.Subject) { f.Operation = risk.Withdrawal },
			"account":   func(_ *risk.Facts, s *risk.Subject) { s.AccountID = "acc_other" },
			"user":      func(_ *risk.Facts, s *risk.Subject) { s.UserID = "usr_other" },
			"payee":     func(_ *risk.Facts, s *risk.Subject) { s.PayeeID = "" },
		} {
			facts, subject := someFacts(), s
			try(&facts, &subject)
			if d, err := w.Decide(t.Context(), facts, subject); !errors.Is(err, risk.DecisionDiffers.Failure("")) {
				t.Errorf("another %s: %+v, %v", name, d, err)
			}
		}
		// 10.5 is 10.50.
		if _, err := w.Decide(t.Context(), func() risk.Facts { f := someFacts(); f.Amount = amount("10.5"); return f }(), s); err != nil {
			t.Error(err)
		}
	})
}

func TestManyPaymentsAtOnceDoNotSlipPastVelocity(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		if _, err := w.Rules.Rules(t.Context()); err != nil {
			t.Fatal(err)
		}
		const payments = 64
		account := id.New("acc")
		var allowed, reviewed int
		var mu sync.Mutex
		var all sync.WaitGroup
		for range payments {
			all.Go(func() {
				s := someSubject()
				s.AccountID = account
				d, err := w.Decide(t.Context(), someFacts(), s)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				switch d.Outcome {
				case risk.Allow:
					allowed++
				case risk.Review:
					reviewed++
				}
			})
		}
		all.Wait()
		if allowed > 20 || allowed+reviewed != payments {
			t.Fatalf("%d allowed, %d to review, of %d", allowed, reviewed, payments)
		}
		next := w.decide(t, risk.Subject{TransferID: id.New("trf"), AccountID: account, UserID: "usr_ann"}, unchanged)
		if next.Facts.AttemptsHour != payments+1 {
			t.Fatalf("%d attempts", next.Facts.AttemptsHour)
		}
		w.pass(61 * time.Minute)
		later := w.decide(t, risk.Subject{TransferID: id.New("trf"), AccountID: account, UserID: "usr_ann"}, unchanged)
		if later.Outcome != risk.Allow || later.Facts.AttemptsHour != 1 || later.Facts.AttemptsDay != payments+2 {
			t.Fatalf("an hour later: %+v", later)
		}
		other := w.decide(t, someSubject(), unchanged)
		if other.Facts.AttemptsDay != 1 {
			t.Fatalf("of another account: %+v", other.Facts)
		}
		page, err := w.DecisionsOf(t.Context(), account, risk.Position{}, 60)
		if err != nil || len(page) != 60 {
			t.Fatal(len(page), err)
		}
		rest, err := w.DecisionsOf(t.Context(), account, page[59].Position(), 60)
		if err != nil || len(rest) != payments+2-60 || page[0].ID != later.ID {
			t.Fatal(len(rest), err)
		}
	})
}

func TestOneTransferIsJudgedOnceWhoeverAsks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		replicas := []*risk.Rules{w.Rules, w.replica(), w.replica()}
		for range 3 {
			s := someSubject()
			decisions := make([]risk.Decision, 12)
			var all sync.WaitGroup
			for i := range decisions {
				all.Go(func() {
					facts := someFacts()
					facts.CountHour = int64(i) * 10 // they don't even agree on the facts
					var err error
					if decisions[i], err = replicas[i%3].Decide(t.Context(), facts, s); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			for _, d := range decisions[1:] {
				if d.ID != decisions[0].ID || d.Outcome != decisions[0].Outcome || d.Facts.CountHour != decisions[0].Facts.CountHour {
					t.Fatalf("%+v\n%+v", decisions[0], d)
				}
			}
		}
	})
}

func TestAJudgeThatDiedIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		s, died := someSubject(), id.New("dec")
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.Decide(gone, someFacts(), s); err == nil {
			t.Fatal("decided without a database")
		}
		_, err := w.db.Exec(t.Context(), `
			INSERT INTO risk_decisions (decision_id, transfer_id, account_id, user_id, payee_id, operation, amount, currency, outcome, rule_id,
			                            rule_version, matches, inputs, decided_at, review_status, reviewed_by, reviewed_kind, review_reason)
			VALUES ($6, $1, $2, $3, $4, 'transfer', 10.50, 'USD', 'PENDING', '', 0, '[]', '{}', $5, '', '', '', '')`,
			s.TransferID, s.AccountID, s.UserID, s.PayeeID, w.time(), died)
		if err != nil {
			t.Fatal(err)
		}
		for _, find := range []func() (risk.Decision, error){
			func() (risk.Decision, error) { return w.Decision(t.Context(), died) },
			func() (risk.Decision, error) { return w.DecisionOf(t.Context(), s.TransferID) },
			func() (risk.Decision, error) { return w.Resolve(as(t, "user", "usr_eve"), died, true, "") },
		} {
			if d, err := find(); !errors.Is(err, risk.DecisionNotFound.Failure("")) {
				t.Errorf("a decision that is not made yet: %+v, %v", d, err)
			}
		}
		if d := w.decide(t, s, unchanged); d.ID != died || d.Outcome != risk.Allow || d.Facts.AttemptsHour != 1 {
			t.Fatalf("%+v", d)
		}
	})
}

func TestARuleThatFailsHasPaymentsReviewed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newEmptyWorld(t, url)
		_, err := w.CreateRule(t.Context(), "ratio", risk.Terms{Name: "Ratio", Expression: "count_day / count_hour > 5", Outcome: risk.Decline, Enabled: true})
		if err != nil {
			t.Fatal(err)
		}
		d := w.decide(t, someSubject(), unchanged)
		if d.Outcome != risk.Review || d.RuleID != "ratio" || len(d.Matches) != 1 || d.Matches[0].Problem == "" {
			t.Fatalf("%+v", d)
		}
		// One that is no rule for this program any more fails as well.
		_, err = w.db.Exec(t.Context(), `
			INSERT INTO risk_rules (rule_id, version, name, expression, outcome, priority, enabled, created_by, created_at)
			VALUES ('ratio', 2, 'x', 'no_such_fact > 1', 'ALLOW', 0, true, 'x', $1)`, w.time())
		if err != nil {
			t.Fatal(err)
		}
		w.pass(risk.CacheTime)
		if d := w.decide(t, someSubject(), unchanged); d.Outcome != risk.Review || d.RuleVersion != 2 || d.Matches[0].Problem == "" {
			t.Fatalf("%+v", d)
		}
	})
}

func TestWhatCannotBeJudgedIsRefusedAndLeavesNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w, payee := newWorld(t, url), id.New("usr")
		for name, change := range map[string]func(*risk.Facts, *risk.Subject){
			"no transfer":   func(_ *risk.Facts, s *risk.Subject) { s.TransferID = "" },
			"no account":    func(_ *risk.Facts, s *risk.Subject) { s.AccountID = "" },
			"no user":       func(_ *risk.Facts, s *risk.Subject) { s.UserID = "" },
			"NUL":           func(_ *risk.Facts, s *risk.Subject) { s.AccountID = "a\x00b" },
			"SQL":           func(_ *risk.Facts, s *risk.Subject) { s.PayeeID = "'; DROP TABLE risk_decisions; --" },
			"a long id":     func(_ *risk.Facts, s *risk.Subject) { s.TransferID = string(make([]byte, 51)) },
			"no amount":     func(f *risk.Facts, _ *risk.Subject) { f.Amount = amount("0") },
			"no operation":  func(f *risk.Facts, _ *risk.Subject) { f.Operation = "" },
			"bad role":      func(f *risk.Facts, _ *risk.Subject) { f.Role = "admin\n" },
			"half a cent":   func(f *risk.Facts, _ *risk.Subject) { f.Amount = amount("0.005") },
			"negative sums": func(f *risk.Facts, _ *risk.Subject) { f.SumDay = amount("-1") },
		} {
			facts, subject := someFacts(), someSubject()
			subject.PayeeID = payee
			change(&facts, &subject)
			d, err := w.Decide(t.Context(), facts, subject)
			if invalid := (*risk.InvalidInput)(nil); !errors.As(err, &invalid) || invalid.Fields[0].Field == "" {
				t.Errorf("%s: %+v, %v", name, d, err)
			}
		}
		var rows int
		if err := w.db.QueryRow(t.Context(), "SELECT count(*) FROM risk_decisions WHERE payee_id = $1", payee).Scan(&rows); err != nil || rows != 0 {
			t.Fatal(rows, err)
		}
	})
}

func TestTestAsksWithoutATrace(t *testing.T) {
	t.Parallel()
	rules := risk.New(nil, risk.Options{}) // there is no database to leave one in
	if r, err := rules.Test(t.Context(), `amount > 10 && role == "customer"`, someFacts()); err != nil || !r.IsMatch || r.Cost == 0 || r.Problem != "" {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err := rules.Test(t.Context(), `count_day / count_hour == 1`, someFacts()); err != nil || r.IsMatch || r.Problem == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	var invalid *risk.InvalidInput
	if _, err := rules.Test(t.Context(), `amount`, someFacts()); !errors.As(err, &invalid) || invalid.Fields[0].Field != "expression" {
		t.Fatal(err)
	}
	if _, err := rules.Test(t.Context(), `true`, risk.Facts{}); !errors.As(err, &invalid) || invalid.Fields[0].Field != "operation" {
		t.Fatal(err)
	}
}

// FuzzFactsJSON: facts come from outside for a dry run, and back from the database.
func FuzzFactsJSON(f *testing.F) {
	valid, err := json.Marshal(someFacts())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(valid))
	f.Add(`{"amount":"1e400","currency":"USD"}`)
	f.Add(`{"operation":"withdrawal","amount":1,"currency":"JPY","role":"customer","sum_day":"1e-400"}`)
	rules := risk.New(nil, risk.Options{})
	f.Fuzz(func(t *testing.T, text string) {
		var facts risk.Facts
		if json.Unmarshal([]byte(text), &facts) != nil {
			return
		}
		start := time.Now()
		_, _ = rules.Test(t.Context(), `amount + sum_day - sum_hour > 100 && attempts_day + count_day > 3`, facts)
		if took := time.Since(start); took > 10*time.Second {
			t.Fatalf("it took %s", took)
		}
	})
}

func TestWhatCantWaitIsNotInTheQueue(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newEmptyWorld(t, url)
		s := someSubject()
		facts := someFacts()
		toReview(&facts)
		for range 2 { // the second call returns the first decision
			d, err := w.DecideAtOnce(t.Context(), facts, s)
			if err != nil || d.Outcome != risk.Review || d.Review.Status != risk.ReviewRejected || d.Review.By != "system" || d.Review.At.IsZero() {
				t.Fatalf("%+v, %v", d, err)
			}
		}
		queue, err := w.Reviews(t.Context(), risk.ReviewFilter{}, risk.Position{}, 10)
		if err != nil || len(queue) != 0 {
			t.Errorf("in the queue are %+v, %v", queue, err)
		}
		d, err := w.DecideAtOnce(t.Context(), someFacts(), someSubject())
		if err != nil || d.Outcome != risk.Allow || d.Review != (risk.ReviewState{}) {
			t.Errorf("%+v, %v", d, err)
		}
	})
}
