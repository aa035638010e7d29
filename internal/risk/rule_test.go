package risk_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
	"florin/internal/risk"
)

func someTerms() risk.Terms {
	return risk.Terms{Name: "Large", Expression: "amount > 5000", Outcome: risk.Decline, Priority: 10, Enabled: true}
}

func TestADatabaseBeginsWithTheProgramsRules(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newEmptyWorld(t, url)
		var all sync.WaitGroup
		for range 4 { // replicas that start at once
			all.Go(func() {
				rules, err := w.replica().Rules(t.Context())
				if err != nil || len(rules) == 0 {
					t.Error(rules, err)
				}
				for _, rule := range rules {
					if rule.Version != 1 || !rule.Enabled || rule.CreatedBy != "system" || rule.Name == "" {
						t.Errorf("%+v", rule)
					}
				}
			})
		}
		all.Wait()
		if events := w.events(t, "new_payee"); !slices.Equal(events, []string{"risk_rule.created by "}) {
			t.Error(events)
		}
		// What an operator made of one stays when a program starts.
		rule, err := w.Rule(t.Context(), "new_payee")
		if err != nil {
			t.Fatal(err)
		}
		off := rule.Terms
		off.Enabled = false
		if _, err := w.ChangeRule(as(t, "user", "usr_ann"), "new_payee", 1, off); err != nil {
			t.Fatal(err)
		}
		started := w.replica()
		if d, err := started.Decide(t.Context(), func() risk.Facts { f := someFacts(); toReview(&f); return f }(), someSubject()); err != nil || d.Outcome != risk.Allow {
			t.Fatalf("%+v, %v", d, err)
		}
		if _, err := w.CreateRule(t.Context(), "velocity_day", someTerms()); !errors.Is(err, risk.RuleExists.Failure("")) {
			t.Error(err)
		}
	})
}

func TestAChangeOfARuleIsItsNextVersion(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		ann, bob := as(t, "user", "usr_ann"), as(t, "key", "key_bob")
		first, err := w.CreateRule(ann, "large", someTerms())
		if err != nil || first.Version != 1 || first.CreatedBy != "usr_ann" || !first.CreatedAt.Equal(w.time()) {
			t.Fatal(first, err)
		}
		if again, err := w.CreateRule(bob, "large", someTerms()); err != nil || again != first {
			t.Fatal(again, err)
		}
		terms := someTerms()
		terms.Expression = "amount > 6000"
		if _, err := w.CreateRule(bob, "large", terms); !errors.Is(err, risk.RuleExists.Failure("")) {
			t.Fatal(err)
		}
		w.pass(time.Millisecond) // the trail is in the order of time
		second, err := w.ChangeRule(bob, "large", 1, terms)
		if err != nil || second.Version != 2 || second.CreatedBy != "key_bob" || second.Terms != terms {
			t.Fatal(second, err)
		}
		for _, version := range []int64{1, 2} { // the answer was lost; nothing to change
			if again, err := w.ChangeRule(ann, "large", version, terms); err != nil || again != second {
				t.Fatal(again, err)
			}
		}
		for _, version := range []int64{-1, 0, 1, 3} {
			if _, err := w.ChangeRule(ann, "large", version, someTerms()); !errors.Is(err, risk.RuleChanged.Failure("")) {
				t.Errorf("a change of version %d: %v", version, err)
			}
		}
		w.pass(time.Millisecond) // the trail is in the order of time
		if back, err := w.ChangeRule(ann, "large", 2, someTerms()); err != nil || back.Version != 3 {
			t.Fatal(back, err)
		}
		versions, err := w.RuleVersions(t.Context(), "large", 0, 10)
		if err != nil || len(versions) != 3 || versions[0].Version != 3 || versions[1] != second || versions[2] != first {
			t.Fatal(versions, err)
		}
		if older, err := w.RuleVersions(t.Context(), "large", 3, 1); err != nil || len(older) != 1 || older[0] != second {
			t.Fatal(older, err)
		}
		want := []string{"risk_rule.created by usr_ann", "risk_rule.changed by key_bob", "risk_rule.changed by usr_ann"}
		if events := w.events(t, "large"); !slices.Equal(events, want) {
			t.Error(events)
		}
		if _, err := w.ChangeRule(ann, "unknown", 1, terms); !errors.Is(err, risk.RuleNotFound.Failure("")) {
			t.Error(err)
		}
		if _, err := w.Rule(t.Context(), "un\x00known"); !errors.Is(err, risk.RuleNotFound.Failure("")) {
			t.Error(err)
		}
	})
}

func TestOfSeveralWhoChangeAVersionOneDoes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		if _, err := w.CreateRule(t.Context(), "contended", someTerms()); err != nil {
			t.Fatal(err)
		}
		var done, lost atomic.Int32
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				terms := someTerms()
				terms.Expression = fmt.Sprintf("amount > 5000%d", i)
				_, err := w.replica().ChangeRule(t.Context(), "contended", 1, terms)
				switch {
				case err == nil:
					done.Add(1)
				case errors.Is(err, risk.RuleChanged.Failure("")):
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		versions, err := w.RuleVersions(t.Context(), "contended", 0, 10)
		if err != nil || done.Load() != 1 || lost.Load() != 7 || len(versions) != 2 {
			t.Fatalf("%d changed it, %d lost, %d versions, %v", done.Load(), lost.Load(), len(versions), err)
		}
	})
}

func TestOtherReplicasSeeAChangeWithinTheCacheTime(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newEmptyWorld(t, url)
		other := w.replica()
		judge := func(rules *risk.Rules) risk.Outcome {
			t.Helper()
			facts := someFacts()
			facts.Amount = amount("6000")
			d, err := rules.Decide(t.Context(), facts, someSubject())
			if err != nil {
				t.Fatal(err)
			}
			return d.Outcome
		}
		if a, b := judge(w.Rules), judge(other); a != risk.Allow || b != risk.Allow {
			t.Fatal(a, b)
		}
		if _, err := w.CreateRule(t.Context(), "large", someTerms()); err != nil {
			t.Fatal(err)
		}
		if here := judge(w.Rules); here != risk.Decline {
			t.Fatalf("where it was changed: %s", here)
		}
		w.pass(risk.CacheTime)
		if there := judge(other); there != risk.Decline {
			t.Fatalf("elsewhere, %s later: %s", risk.CacheTime, there)
		}
	})
}

func TestRulesThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newEmptyWorld(t, url)
		for name, c := range map[string]struct {
			field  string
			ruleID string
			change func(*risk.Terms)
		}{
			"no id":            {"id", "", func(*risk.Terms) {}},
			"capitals":         {"id", "Large", func(*risk.Terms) {}},
			"a long id":        {"id", strings.Repeat("a", 51), func(*risk.Terms) {}},
			"NUL in the id":    {"id", "a\x00", func(*risk.Terms) {}},
			"no name":          {"name", "a", func(r *risk.Terms) { r.Name = "" }},
			"a long name":      {"name", "a", func(r *risk.Terms) { r.Name = strings.Repeat("ä", 101) }},
			"a name of lines":  {"name", "a", func(r *risk.Terms) { r.Name = "a\nb" }},
			"NUL in the name":  {"name", "a", func(r *risk.Terms) { r.Name = "a\x00b" }},
			"a name, no UTF-8": {"name", "a", func(r *risk.Terms) { r.Name = "a\xff" }},
			"outcome":          {"outcome", "a", func(r *risk.Terms) { r.Outcome = "PENDING" }},
			"no outcome":       {"outcome", "a", func(r *risk.Terms) { r.Outcome = "" }},
			"priority":         {"priority", "a", func(r *risk.Terms) { r.Priority = -1 }},
			"high priority":    {"priority", "a", func(r *risk.Terms) { r.Priority = 1001 }},
			"expression":       {"expression", "a", func(r *risk.Terms) { r.Expression = "amount > 1.5" }},
			"off, but wrong":   {"expression", "a", func(r *risk.Terms) { r.Expression, r.Enabled = "no", false }},
		} {
			terms := someTerms()
			c.change(&terms)
			_, err := w.CreateRule(t.Context(), c.ruleID, terms)
			if invalid := (*risk.InvalidInput)(nil); !errors.As(err, &invalid) || invalid.Fields[0].Field != c.field {
				t.Errorf("%s: %v", name, err)
			}
		}
		before, err := w.Rules.Rules(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for len(before) < risk.MaxRules {
			rule, err := w.CreateRule(t.Context(), "r"+strings.ToLower(id.New("x"))[:20], someTerms())
			if err != nil {
				t.Fatal(err)
			}
			before = append(before, rule)
		}
		if _, err := w.CreateRule(t.Context(), "one_more", someTerms()); !errors.Is(err, risk.TooManyRules.Failure("")) {
			t.Error(err)
		}
		if d := w.decide(t, someSubject(), func(f *risk.Facts) { f.Amount = amount("6000") }); d.Outcome != risk.Decline || len(d.Matches) < risk.MaxRules-10 {
			t.Errorf("%+v", d)
		}
	})
}

// The API shows pages of up to 500, and asks for one more to tell that there is another.
func TestAListSaysThatThereIsMoreThanTheLargestPage(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newEmptyWorld(t, url)
		if _, err := w.CreateRule(t.Context(), "large", someTerms()); err != nil {
			t.Fatal(err)
		}
		_, err := w.db.Exec(t.Context(), `
			INSERT INTO risk_rules (rule_id, version, name, expression, outcome, priority, enabled, created_by, created_at)
			SELECT rule_id, version + i, name, expression, outcome, priority, enabled, created_by, created_at
			FROM risk_rules, generate_series(1, 600) AS i WHERE rule_id = 'large'`)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := w.RuleVersions(t.Context(), "large", 0, 500+1); err != nil || len(found) != 501 {
			t.Errorf("%d, %v; want a page of 500 and one more", len(found), err)
		}
	})
}
