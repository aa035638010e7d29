package cashback_test

import (
	"errors"
	"testing"
	"time"

	"florin/internal/cashback"
	"florin/internal/cashback/rules"
	"florin/internal/platform/id"
)

func (l *life) clicks(change func(*cashback.ClickRequest)) cashback.ClickRequest {
	l.t.Helper()
	r := cashback.ClickRequest{ID: id.New("k"), CustomerID: l.customer.ID, MerchantID: "shop", CampaignID: l.campaign, At: l.time().Add(-time.Hour)}
	change(&r)
	results, err := l.RecordClicks(l.t.Context(), []cashback.ClickRequest{r})
	if err != nil || results[0].Err != nil || results[0].Click.ClickRequest != r || results[0].Click.PurchaseID != "" {
		l.t.Fatalf("%+v, %v", results, err)
	}
	return r
}

func clickTerms() rules.Terms {
	terms := someTerms()
	terms.ClickHours = 24
	return terms
}

func TestADoubledClickIsOne(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		first := cashback.ClickRequest{ID: id.New("k"), CustomerID: "cus", MerchantID: "shop", CampaignID: "c", At: noon}
		other := first
		other.At = noon.Add(time.Second)
		fresh := first
		fresh.ID = id.New("k")
		for range 2 {
			results, err := w.RecordClicks(as(t, "usr_ann"), []cashback.ClickRequest{first, other, fresh, first})
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []cashback.ClickRequest{first, {}, fresh, first} {
				if isOther := i == 1; isOther != errors.Is(results[i].Err, cashback.DuplicateClick.Failure("")) || results[i].Click.ClickRequest != want {
					t.Errorf("%d: %+v", i, results[i])
				}
			}
		}
		_, err := w.RecordClicks(t.Context(), nil)
		wantInvalid(t, err, "clicks")
		if trail := w.events(first.ID); len(trail) != 1 || trail[0].Action != "clicks.recorded" || string(trail[0].After) != `{"count":2}` || trail[0].Origin.ActorID != "usr_ann" {
			t.Errorf("%+v", trail)
		}
		fresh.CampaignID, fresh.At = "", noon.Add(48*time.Hour)
		_, err = w.RecordClicks(t.Context(), []cashback.ClickRequest{first, fresh})
		wantInvalid(t, err, "clicks[1].campaignId")
	})
}

func TestAPurchaseBelongsToTheLatestClickThatFitsOnce(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, clickTerms())
		other := w.customer()
		buy := func(change func(*cashback.PurchaseRequest)) cashback.Purchase { return l.record(l.wants(change)) }
		plain := func(*cashback.PurchaseRequest) {}
		wantClick := func(what string, p cashback.Purchase, clickID string) {
			t.Helper()
			wantReason := rules.Applied
			if clickID == "" {
				wantReason = rules.NoClick
			}
			if p.Evaluation.ClickID != clickID || l.reasonOf(p) != wantReason {
				t.Errorf("%s belongs to %q, want %q: %s", what, p.Evaluation.ClickID, clickID, l.reasonOf(p))
			}
		}
		wantClick("one without a click", buy(plain), "")

		early := l.clicks(func(r *cashback.ClickRequest) { r.At = noon.Add(-24 * time.Hour) })
		late := l.clicks(func(*cashback.ClickRequest) {})
		l.clicks(func(r *cashback.ClickRequest) { r.At = noon.Add(-24*time.Hour - time.Microsecond) }) // too early
		l.clicks(func(r *cashback.ClickRequest) { r.At = noon.Add(time.Microsecond) })                 // after it
		l.clicks(func(r *cashback.ClickRequest) { r.CampaignID = "nobody-knows" })
		l.clicks(func(r *cashback.ClickRequest) { r.MerchantID = "mall" })
		of := l.clicks(func(r *cashback.ClickRequest) { r.CustomerID = other.ID })

		first := buy(plain)
		wantClick("the first", first, late.ID)
		wantClick("the second", buy(func(r *cashback.PurchaseRequest) { r.ClickID = of.ID }), early.ID) // the one named is another's
		wantClick("the third", buy(func(r *cashback.PurchaseRequest) { r.ClickID = late.ID }), "")      // it is used
		wantClick("the other's", buy(func(r *cashback.PurchaseRequest) { r.CustomerID = other.ID }), of.ID)

		a, b := l.clicks(func(*cashback.ClickRequest) {}), l.clicks(func(r *cashback.ClickRequest) { r.At = noon.Add(-2 * time.Hour) })
		wantClick("one that names its click", buy(func(r *cashback.PurchaseRequest) { r.ClickID = b.ID }), b.ID)

		// Two of one batch: the click is the first one's.
		results, err := l.RecordBatch(t.Context(), []cashback.PurchaseRequest{l.wants(nil), l.wants(nil)})
		if err != nil {
			t.Fatal(err)
		}
		wantClick("the first of a batch", results[0].Purchase, a.ID)
		wantClick("the second of a batch", results[1].Purchase, "")

		// A click that comes after its purchase changes nothing; told again it names what it brought.
		l.clicks(func(r *cashback.ClickRequest) { r.At = noon.Add(-time.Minute) })
		wantClick("a recorded one", l.record(results[1].Purchase.PurchaseRequest), "")
		again, err := l.RecordClicks(t.Context(), []cashback.ClickRequest{late})
		if err != nil || again[0].Click.PurchaseID != first.ID {
			t.Errorf("%+v, %v", again, err)
		}
		// What came back had its click all the same.
		if _, err := l.returns(cashback.ReturnRequest{PurchaseID: first.ID, Lines: []cashback.ReturnedLine{{Line: lineOf(0), Quantity: 1}}}); err != nil {
			t.Error(err)
		}
		equal(t, "kept", rewarded(l.purchase(first.ID)), "2.5")
		l.wantProven()
	})
}

// Many purchases at once at two replicas, and one click.
func TestAClickBringsOnePurchaseWhateverComesAtOnce(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, clickTerms())
		other := newWorld(t, w.url)
		both := []*cashback.Cashback{w.Cashback, other.Cashback}
		l.clicks(func(*cashback.ClickRequest) {})
		purchases := hammer(t, 16, 1, func(caller int) *cashback.Cashback { return both[caller%2] }, func(int, int) cashback.PurchaseRequest { return l.wants(nil) })
		brought := 0
		for _, p := range purchases {
			if p.Evaluation.ClickID != "" {
				brought++
			}
		}
		if brought != 1 {
			t.Errorf("the click brought %d purchases", brought)
		}
		l.wantFigures(figures{"5", "0", "0", "0", "0", "0"})
	})
}
