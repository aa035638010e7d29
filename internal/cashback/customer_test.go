package cashback_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"florin/internal/audit"
	"florin/internal/cashback"
	"florin/internal/ledger"
	"florin/internal/platform/id"
)

func TestACustomerIsEnteredAndChanged(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		request := cashback.CustomerRequest{
			ID: id.New("cus"), AccountID: w.account(ledger.Wallet, "USD", "0"), Country: "Länd", Segments: []string{"vip", "beta", "vip"},
		}
		entered, err := w.PutCustomer(as(t, "usr_ann"), request)
		if err != nil || entered.AccountID != request.AccountID || entered.Country != "Länd" || entered.Tier != "" || entered.Purchases != 0 ||
			!entered.CreatedAt.Equal(noon) || !slices.Equal(entered.Segments, []string{"beta", "vip"}) {
			t.Fatalf("%+v, %v", entered, err)
		}
		if !slices.Equal(request.Segments, []string{"vip", "beta", "vip"}) {
			t.Errorf("the caller's own list is now %q", request.Segments)
		}
		w.pass(time.Minute)
		if again, err := w.PutCustomer(as(t, "usr_bob"), request); err != nil || !again.UpdatedAt.Equal(noon) {
			t.Errorf("%+v, %v", again, err)
		}
		request.AccountID, request.Segments = w.account(ledger.Checking, "EUR", "0"), []string{"gamma", "vip"}
		changed, err := w.PutCustomer(as(t, "usr_bob"), request)
		if err != nil || changed.AccountID != request.AccountID || !changed.UpdatedAt.Equal(noon.Add(time.Minute)) || !changed.CreatedAt.Equal(noon) {
			t.Errorf("%+v, %v", changed, err)
		}
		if read, err := w.Customer(t.Context(), request.ID); err != nil || !slices.Equal(read.Segments, request.Segments) || read.AccountID != request.AccountID {
			t.Errorf("%+v, %v", read, err)
		}
		request.Segments, request.Country = nil, ""
		if _, err := w.PutCustomer(as(t, "usr_bob"), request); err != nil {
			t.Fatal(err)
		}
		if read, err := w.Customer(t.Context(), request.ID); err != nil || len(read.Segments) != 0 || read.Country != "" {
			t.Errorf("%+v, %v", read, err)
		}
		var trail []string
		for _, event := range w.events(request.ID) {
			trail = append(trail, event.Action+" by "+event.Origin.ActorID)
			if text := string(event.Before) + string(event.After); strings.Contains(text, "Länd") || strings.Contains(text, "vip") {
				t.Errorf("%s shows what is personal: %s", event.Action, text)
			}
		}
		want := []string{"cashback_customer.entered by usr_ann", "cashback_customer.changed by usr_bob", "cashback_customer.changed by usr_bob"}
		if !slices.Equal(trail, want) {
			t.Errorf("%q", trail)
		}
	})
}

func TestACustomerIsPaidToAnAccountThatIsOpenAndNotTheHouses(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		closed := w.account(ledger.Wallet, "USD", "0")
		entered, err := w.PutCustomer(t.Context(), cashback.CustomerRequest{ID: id.New("cus"), AccountID: closed})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.books.CloseAccount(t.Context(), closed); err != nil {
			t.Fatal(err)
		}
		for name, accountID := range map[string]string{"none": id.New("acc"), "the house's": "house:opening:USD", "closed": closed} {
			_, err := w.PutCustomer(t.Context(), cashback.CustomerRequest{ID: id.New("cus"), AccountID: accountID})
			wantInvalid(t, err, "accountId")
			if err == nil {
				t.Error(name)
			}
		}
		// His account was closed since he was entered: the rest of him can be changed.
		entered.Country = "FR"
		if _, err := w.PutCustomer(t.Context(), entered.CustomerRequest); err != nil {
			t.Error(err)
		}
	})
}

func TestWhatIsNoCustomerIsRefused(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		good := w.account(ledger.Wallet, "USD", "0")
		for _, c := range []struct {
			field   string
			request cashback.CustomerRequest
		}{
			{"customerId", cashback.CustomerRequest{AccountID: good}},
			{"customerId", cashback.CustomerRequest{ID: "a b", AccountID: good}},
			{"accountId", cashback.CustomerRequest{ID: id.New("cus")}},
			{"country", cashback.CustomerRequest{ID: id.New("cus"), AccountID: good, Country: strings.Repeat("ä", 61)}},
			{"country", cashback.CustomerRequest{ID: id.New("cus"), AccountID: good, Country: "D\x00"}},
			{"country", cashback.CustomerRequest{ID: id.New("cus"), AccountID: good, Country: "\xff"}},
			{"segments", cashback.CustomerRequest{ID: id.New("cus"), AccountID: good, Segments: make([]string, 101)}},
			{"segments[1]", cashback.CustomerRequest{ID: id.New("cus"), AccountID: good, Segments: []string{"vip", ""}}},
		} {
			_, err := w.PutCustomer(t.Context(), c.request)
			wantInvalid(t, err, c.field)
		}
		for _, customerID := range []string{"", "a b", id.New("cus")} {
			_, err := w.Customer(t.Context(), customerID)
			wantFailure(t, err, cashback.CustomerNotFound)
			_, err = w.TierChanges(t.Context(), customerID, 10)
			wantFailure(t, err, cashback.CustomerNotFound)
		}
	})
}

func TestManyWhoPutACustomerAtOnceLeaveOneRequestWhole(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		customerID, other := id.New("cus"), w.replica()
		requests := make([]cashback.CustomerRequest, 8)
		for i := range requests {
			requests[i] = cashback.CustomerRequest{
				ID: customerID, AccountID: w.account(ledger.Wallet, "USD", "0"), Country: fmt.Sprint("C", i), Segments: []string{"all", fmt.Sprint("s", i)},
			}
		}
		var all sync.WaitGroup
		for i, request := range requests {
			all.Go(func() {
				c := w.Cashback
				if i%2 == 0 {
					c = other
				}
				if _, err := c.PutCustomer(as(t, fmt.Sprint("usr_", i)), request); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		got, err := w.Customer(t.Context(), customerID)
		isWhole := slices.ContainsFunc(requests, func(r cashback.CustomerRequest) bool {
			return got.AccountID == r.AccountID && got.Country == r.Country && slices.Equal(got.Segments, r.Segments)
		})
		if err != nil || !isWhole {
			t.Errorf("%+v, %v", got, err)
		}
		actions := map[string]int{}
		for _, event := range w.events(customerID) {
			actions[event.Action]++
		}
		if actions["cashback_customer.entered"] != 1 || actions["cashback_customer.changed"] != len(requests)-1 {
			t.Errorf("%v", actions)
		}
	})
}

// Who may not have rewards paid to somebody else does not undo by chance, either, where
// another has them paid: what the change is made from is that of the same transaction.
func TestRewardsArePaidToAnotherOwnerOnlyByWhoMay(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		owned := map[string]string{} // owners, by account
		open := func(ownerID string) string {
			account := must(w.books.OpenAccount(t.Context(), ledger.OpenAccount{Type: ledger.Wallet, Currency: "USD", OwnerID: ownerID}))(t)
			owned[account.ID] = ownerID
			return account.ID
		}
		ada, eve := id.New("usr"), id.New("usr")
		wallet, second, foreign := open(ada), open(ada), open(eve)
		other, customerID := w.replica(), id.New("cus")
		request := func(accountID string) cashback.CustomerRequest {
			return cashback.CustomerRequest{ID: customerID, AccountID: accountID}
		}
		must(w.PutCustomerOfOwner(as(t, "usr_shop"), request(wallet)))(t)
		var done atomic.Bool
		var both sync.WaitGroup
		both.Go(func() {
			for i := 0; !done.Load(); i++ {
				if _, err := w.PutCustomer(as(t, "usr_staff"), request([]string{foreign, wallet}[i%2])); err != nil {
					t.Error(err)
				}
			}
		})
		both.Go(func() {
			defer done.Store(true)
			for i := range 60 {
				_, err := other.PutCustomerOfOwner(as(t, "usr_shop"), request([]string{second, wallet}[i%2]))
				if err != nil && !errors.Is(err, cashback.ErrOtherOwner) {
					t.Error(err)
				}
			}
		})
		both.Wait()
		found := must(w.log.Search(t.Context(), audit.Filter{TargetID: customerID, ActorID: "usr_shop"}, audit.Position{}, 100))(t)
		for _, event := range found.Records {
			if event.Action != "cashback_customer.changed" {
				continue
			}
			var before struct{ AccountID string }
			if err := json.Unmarshal(event.Before, &before); err != nil || owned[before.AccountID] != ada {
				t.Errorf("moved from %s of %s: %s, %v", before.AccountID, owned[before.AccountID], event.Before, err)
			}
		}
		must(w.PutCustomer(as(t, "usr_staff"), request(foreign)))(t)
		if _, err := w.PutCustomerOfOwner(as(t, "usr_shop"), request(second)); !errors.Is(err, cashback.ErrOtherOwner) {
			t.Error(err)
		}
	})
}

// What somebody bought before he was known is evaluated once he is, in the order of
// its time.
func TestWhatACustomerBoughtBeforeHeWasEnteredIsEvaluatedThen(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		campaignID, customerID := newCampaignID(), id.New("cus")
		terms := someTerms()
		terms.Merchants, terms.Condition = []string{"mer_" + campaignID}, "is_first_purchase"
		if _, err := w.CreateCampaign(t.Context(), campaignID, terms); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for i := range 3 { // the earliest is reported last
			request := purchase(customerID, terms.Merchants[0], "USD", "10")
			request.At = noon.Add(-time.Duration(i) * time.Hour)
			held, err := w.Record(t.Context(), request)
			if err != nil || held.Status != cashback.Held {
				t.Fatalf("%+v, %v", held, err)
			}
			ids = append(ids, held.ID)
		}
		entered, err := w.PutCustomer(t.Context(), cashback.CustomerRequest{ID: customerID, AccountID: w.account(ledger.Wallet, "USD", "0")})
		if err != nil || entered.Purchases != 3 {
			t.Fatalf("%+v, %v", entered, err)
		}
		for i, purchaseID := range ids {
			evaluated, err := w.Purchase(t.Context(), purchaseID)
			isFirst := i == 2
			if err != nil || evaluated.Status != cashback.Accepted || (len(evaluated.Rewards) == 1) != isFirst {
				t.Errorf("%d: %+v, %v", i, evaluated, err)
			}
		}
	})
}

func TestACustomersTiersAreListedNewestFirst(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		if _, err := w.ChangeProgram(t.Context(), 0, someProgram()); err != nil {
			t.Fatal(err)
		}
		customer := w.customer()
		for _, price := range []string{"60", "60", "2000"} { // 60, silver at 120, gold at 2120
			if _, err := w.Record(t.Context(), purchase(customer.ID, "mer_any", "USD", price)); err != nil {
				t.Fatal(err)
			}
		}
		changes, err := w.TierChanges(t.Context(), customer.ID, 10)
		if err != nil || len(changes) != 2 || changes[0].Tier != "gold" || changes[1].Tier != "silver" || !changes[0].At.Equal(noon) {
			t.Fatalf("%+v, %v", changes, err)
		}
		equal(t, "spend at gold", changes[0].Spend, "2120")
		equal(t, "spend at silver", changes[1].Spend, "120")
		if newest, err := w.TierChanges(t.Context(), customer.ID, 1); err != nil || len(newest) != 1 || newest[0].Tier != "gold" {
			t.Errorf("%+v, %v", newest, err)
		}
		if now, err := w.Customer(t.Context(), customer.ID); err != nil || now.Tier != "gold" || now.Purchases != 3 {
			t.Errorf("%+v, %v", now, err)
		}
	})
}
