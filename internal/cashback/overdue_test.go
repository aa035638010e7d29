package cashback_test

import (
	"sync"
	"testing"
	"time"

	"florin/internal/cashback"
	"florin/internal/cashback/rules"
	"florin/internal/platform/id"
)

// refund is a gateway's: it names a purchase and an amount.
func refund(purchaseID string, at time.Time) cashback.ReturnRequest {
	request := cashback.ReturnRequest{ID: id.New("r"), PurchaseID: purchaseID, At: at, Source: "shop"}
	request.Amount.Decimal, request.Amount.Valid = dec("5"), true
	return request
}

func (l *life) buysLate(purchaseID string, at time.Time) {
	l.t.Helper()
	_, err := l.Record(l.t.Context(), cashback.PurchaseRequest{
		ID: purchaseID, MerchantID: l.shop, CustomerID: l.customer.ID, Currency: "USD", At: at, Source: "shop",
		Lines: []rules.Line{{Product: "85123A", Quantity: 1, UnitPrice: dec("50")}},
	})
	if err != nil {
		l.t.Error(err)
	}
}

func (l *life) wantReturn(request cashback.ReturnRequest, status cashback.ReturnStatus) {
	l.t.Helper()
	r, err := l.ReturnByID(l.t.Context(), request.ID)
	isRefused := r.Failure != nil && r.Failure.Code == cashback.PurchaseNotFound && r.Failure.Message == "the purchase that it names was not reported within 90 days"
	if err != nil || r.Status != status || isRefused != (status == cashback.ReturnRefused) {
		l.t.Errorf("%+v, %v; want %s", r, err, status)
	}
}

// A return of a payment that is no purchase here does not wait for ever.
func TestAReturnWaitsForItsPurchaseForATime(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, ofOneShop(someTerms()))
		begin := w.time()
		held := id.New("p")
		if _, err := w.Record(t.Context(), cashback.PurchaseRequest{
			ID: held, MerchantID: l.shop, CustomerID: id.New("stranger"), Currency: "USD", At: begin, Source: "api", Lines: []rules.Line{{Product: "x", Quantity: 1, UnitPrice: dec("50")}},
		}); err != nil {
			t.Fatal(err)
		}
		ofNone, ofHeld := refund(id.New("pi"), begin), refund(held, begin)
		ofStranger := cashback.ReturnRequest{
			ID: id.New("r"), CustomerID: id.New("c"), MerchantID: l.shop, At: begin, Source: "api", Lines: []cashback.ReturnedLine{{Product: "x", Quantity: 1}},
		}
		reports := func(requests ...cashback.ReturnRequest) {
			t.Helper()
			results, err := w.ReturnBatch(t.Context(), requests)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				if r.Err != nil || r.Return.Status != cashback.ReturnWaiting {
					t.Fatalf("%+v", r)
				}
			}
		}
		looks := func() {
			t.Helper()
			if err := w.RefuseOverdueReturns(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		reports(ofNone, ofHeld, ofStranger)
		w.pass(cashback.ReturnWaitMax - time.Second)
		later := refund(id.New("pi"), begin) // by its own time as old as the others
		reports(later)
		looks()
		l.wantReturn(ofNone, cashback.ReturnWaiting)
		w.pass(time.Second)
		for range 2 {
			looks()
			l.wantReturn(ofNone, cashback.ReturnRefused)
			for _, r := range []cashback.ReturnRequest{ofHeld, ofStranger, later} {
				l.wantReturn(r, cashback.ReturnWaiting)
			}
		}
		if r, err := w.Return(t.Context(), ofNone); err == nil || r.Status != cashback.ReturnRefused {
			t.Errorf("the same again: %+v, %v", r, err)
		}
		for _, r := range []cashback.ReturnRequest{ofNone, later} {
			l.buysLate(r.PurchaseID, begin)
		}
		l.wantReturn(ofNone, cashback.ReturnRefused)
		l.wantReturn(later, cashback.ReturnApplied)
	})
}

// A purchase that comes just when its return is refused has it taken off, or not: what
// is said of both agrees.
func TestAReturnIsNotRefusedAndApplied(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, ofOneShop(someTerms()))
		begin := w.time()
		requests := make([]cashback.ReturnRequest, 24)
		for i := range requests {
			requests[i] = refund(id.New("pi"), begin)
		}
		if _, err := w.ReturnBatch(t.Context(), requests); err != nil {
			t.Fatal(err)
		}
		w.pass(cashback.ReturnWaitMax)
		var both sync.WaitGroup
		for _, r := range requests {
			both.Go(func() { l.buysLate(r.PurchaseID, begin) })
		}
		both.Go(func() {
			if err := w.RefuseOverdueReturns(t.Context()); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		for _, request := range requests {
			r, err := w.ReturnByID(t.Context(), request.ID)
			if err != nil {
				t.Fatal(err)
			}
			p, err := w.Purchase(t.Context(), request.PurchaseID)
			if err != nil {
				t.Fatal(err)
			}
			isRefused := r.Status == cashback.ReturnRefused && r.Failure != nil && r.Parts == nil && p.Returned.IsZero()
			isApplied := r.Status == cashback.ReturnApplied && r.Failure == nil && len(r.Parts) > 0 && p.Returned.Equal(dec("5"))
			if !isRefused && !isApplied {
				t.Errorf("%+v\n%+v", r, p)
			}
		}
	})
}
