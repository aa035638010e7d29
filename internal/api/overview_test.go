package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/approval"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

const overviewPath = "/api/v1/overview"

// secondLedger is a second replica of a world's ledger, which tells at once what it did.
func (w *world) secondLedger() *ledger.Ledger {
	w.t.Helper()
	writes := dbtest.Open(w.t, w.databaseURL, database.Options{Plans: database.PlansPinned, MaxConns: 2})
	l := ledger.New(w.db, writes, ledger.Options{Clock: w.time.Now, Log: slog.New(slog.DiscardHandler), ActivityInterval: 20 * time.Millisecond})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { l.Run(ctx) })
	w.t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return l
}

// overviewWhen is the overview once it is as it is waited for.
func (c *caller) overviewWhen(what string, holds func(o object) bool) object {
	c.w.t.Helper()
	var o object
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if o = c.get(overviewPath + "?minutes=10").want(http.StatusOK).object(); holds(o) {
			return o
		}
	}
	c.w.t.Fatalf("not so after 30 s: %s: %v", what, o)
	return nil
}

func of(o object, names ...string) any {
	for _, name := range names[:len(names)-1] {
		inner, _ := o[name].(map[string]any)
		o = inner
	}
	return o[names[len(names)-1]]
}

func TestOverviewTellsWhatAllReplicasDoAndWhatWaits(t *testing.T) {
	secondPerson := worldOptions{secondPerson: []approval.Operation{approval.RoleChange}}
	eachFreshWorld(t, secondPerson, func(t *testing.T, w *world) {
		admin := w.staff(identity.Admin)
		empty := admin.get(overviewPath).want(http.StatusOK).object()
		if of(empty, "activity", "completed") != 0.0 || of(empty, "isBalanced") != nil || len(empty.list("proofs")) != 0 ||
			of(empty, "waiting", "reviews", "count") != 0.0 || of(empty, "waiting", "approvals", "count") != 0.0 || of(empty, "version") != "test" {
			t.Errorf("of an empty ledger: %v", empty)
		}
		people := w.payers("2000", "Ada Lovelace", "Bob Kahn")
		ada, bob := people[0], people[1]
		ada.post(myTransfers, ada.payment(bob.account, "1500")).want(http.StatusAccepted) // to be reviewed
		admin.signIn().put("/api/v1/users/"+bob.userID+"/role", object{"role": "support"}).want(http.StatusAccepted)

		operator := w.program(identity.Operator, "")
		from, to := id.New("a"), id.New("a")
		operator.post("/api/v1/accounts", object{"accountId": from, "currency": "JPY", "balance": "1000"}).want(http.StatusCreated)
		operator.post("/api/v1/accounts", object{"accountId": to, "currency": "JPY"}).want(http.StatusCreated)
		operator.post("/api/v1/transfers", transfer(id.New("t"), from, to, "300")).want(http.StatusCreated)
		operator.post("/api/v1/transfers", transfer(id.New("t"), from, to, "5000")).wantProblem(http.StatusUnprocessableEntity, "insufficient_funds", "")
		second := w.secondLedger()
		request := ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from, DestinationAccountID: to, Amount: decimal.NewFromInt(41)}
		if _, err := second.Transfer(t.Context(), request); err != nil {
			t.Fatal(err)
		}
		operator.post("/api/v1/holds", object{
			"sourceAccountId": from, "destinationAccountId": to, "amount": "7", "expiresAt": w.time.Now().Add(30 * time.Minute).Format(time.RFC3339),
		}).want(http.StatusCreated)

		o := admin.overviewWhen("two replicas told all that they did", func(o object) bool {
			yen := currencyOf(o, "JPY")
			return yen["completed"] == 3.0 && yen["failed"] == 1.0
		})
		yen := currencyOf(o, "JPY")
		if yen["volume"] != "1341" || len(yen["points"].([]any)) == 0 {
			t.Errorf("JPY %v", yen)
		}
		activity := object(o["activity"].(map[string]any))
		outcomes := map[any]any{}
		for _, outcome := range activity.list("outcomes") {
			outcomes[outcome["code"]] = outcome["transfers"]
		}
		if outcomes["insufficient_funds"] != 1.0 || activity["failed"] != 1.0 || outcomes["ok"] != activity["completed"] || activity["bucketSeconds"] != 10.0 {
			t.Errorf("outcomes %v of %v", outcomes, activity)
		}
		replicas := map[any]object{}
		for _, replica := range activity.list("replicas") {
			replicas[replica["replica"]] = replica
		}
		here := of(o, "executor", "replica")
		if len(replicas) != 2 || replicas[here]["failed"] != 1.0 {
			t.Errorf("replicas %v, this one is %v", replicas, here)
		}
		for name, want := range map[string]float64{"transfers": 0, "holdsExpiring": 1, "reviews": 1, "approvals": 1} {
			if of(o, "waiting", name, "count") != want || (want > 0) != (of(o, "waiting", name, "since") != nil) {
				t.Errorf("waiting %s: %v", name, of(o, "waiting", name))
			}
		}

		// Balanced by the first proof, and not by a newer one.
		w.prove()
		o = admin.get(overviewPath + "?minutes=10080").want(http.StatusOK).wantFields(object{"isBalanced": true}).object()
		proof := o.list("proofs")[0]
		if proof["kind"] != "BALANCES" || proof["isBalanced"] != true || len(proof.list("sums")) != 2 || proof.list("sums")[0]["sum"] != "0" || o["lastBalanceAt"] != proof["readAt"] {
			t.Errorf("proof %v", proof)
		}
		full := ledger.ProofRecord{Kind: ledger.ProofInFull, ReadAt: w.time.Now(), RecordedAt: w.time.Now(), RecordedBy: "a test", Offences: 2}
		if err := ledger.RecordProof(t.Context(), w.db, full); err != nil {
			t.Fatal(err)
		}
		admin.get(overviewPath).want(http.StatusOK).wantFields(object{"isBalanced": false})
	})
}

func currencyOf(o object, currency string) object {
	activity, _ := o["activity"].(map[string]any)
	for _, c := range object(activity).list("currencies") {
		if c["currency"] == currency {
			return c
		}
	}
	return nil
}

// prove has the balances proved, as soon as there is a past to read.
func (w *world) prove() {
	w.t.Helper()
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var proof ledger.ProofRecord
		if proof, err = w.ledger.ProveBalances(w.t.Context()); err == nil && len(proof.Sums) == 2 {
			return
		}
	}
	w.t.Fatalf("the balances were not proved: %v", err)
}

// Each sees what he may read elsewhere, and those who reach their own accounts alone
// see nothing.
func TestOverviewShowsEachCallerWhatHeMayRead(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		for _, c := range []struct {
			caller                       *caller
			reviews, approvals, exported bool
		}{
			{w.staff(identity.Support), true, false, false},
			{w.staff(identity.Finance), true, true, true},
			{w.program(identity.Operator, ""), true, true, true},
			{w.program(identity.Admin, "", identity.TransactionRead), false, false, false},
		} {
			o := c.caller.get(overviewPath).want(http.StatusOK).object()
			waiting := object(o["waiting"].(map[string]any))
			if exported := o["exports"] != nil; (waiting["reviews"] != nil) != c.reviews || (waiting["approvals"] != nil) != c.approvals || exported != c.exported {
				t.Errorf("%s sees %v and exports: %t", c.caller.name+c.caller.keyID, waiting, exported)
			}
		}
		ada := w.customer("Ada Lovelace")
		ada.get(overviewPath).wantProblem(http.StatusForbidden, "forbidden", "")
		w.program(identity.Customer, ada.userID).get(overviewPath).wantProblem(http.StatusForbidden, "forbidden", "")
		w.program(identity.Admin, "", identity.RiskRead).get(overviewPath).wantProblem(http.StatusForbidden, "forbidden", "")
		admin := w.program(identity.Admin, "")
		for _, minutes := range []string{"0", "-1", "10081", "many"} {
			admin.get(overviewPath+"?minutes="+minutes).wantProblem(http.StatusBadRequest, "invalid_request", "minutes")
		}
		for minutes, bucket := range map[string]float64{"60": 10, "61": 60, "1440": 60, "1441": 600, "10080": 600} {
			if got := of(admin.get(overviewPath+"?minutes="+minutes).want(http.StatusOK).object(), "activity", "bucketSeconds"); got != bucket {
				t.Errorf("%s minutes come by %v s", minutes, got)
			}
		}
	})
}
