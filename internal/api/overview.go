package api

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/approval"
	"florin/internal/export"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/risk"
)

const (
	// overviewSoon is how far ahead holds that expire are told.
	overviewSoon = time.Hour
	// overviewWaitingMax is the most that is counted of reviews and approvals.
	overviewWaitingMax = 100
	// overviewExports bounds the exports that are told.
	overviewExports = 100
	// overviewSeries bounds the currencies that are told over time, the busiest first.
	overviewSeries = 12
	// overviewReplicas bounds the replicas that are told, the last to be active first.
	overviewReplicas = 50
	// overviewLate is how long after its end a span is taken to be told in full: longer
	// than replicas keep to themselves what they counted.
	overviewLate = 10 * time.Second
)

// Overview is the health of the whole system, and of the replica that answers.
type Overview struct {
	ReadAt        time.Time  `json:"readAt"`
	Version       string     `json:"version" doc:"Of the program, at this replica." example:"v1.4.0"`
	Engine        string     `json:"engine" doc:"The database, in its own words." example:"CockroachDB CCL v25.2.0"`
	Activity      Activity   `json:"activity"`
	Executor      Executor   `json:"executor"`
	Waiting       Waiting    `json:"waiting"`
	Exports       []Export   `json:"exports" nullable:"true" doc:"The exports that are not cancelled, up to 100, each with its lag. null without exports:read."`
	Proofs        []Proof    `json:"proofs" nullable:"false" doc:"The newest of each kind. None before the first."`
	IsBalanced    *bool      `json:"isBalanced" nullable:"true" doc:"Whether the books balanced when they were read last, by any proof; null before the first."`
	LastBalanceAt *time.Time `json:"lastBalanceAt,omitempty" doc:"The time that proof read the books at."`
}

// Activity is what all replicas executed.
type Activity struct {
	From               time.Time          `json:"from"`
	To                 time.Time          `json:"to"`
	BucketSeconds      int64              `json:"bucketSeconds" enum:"10,60,600" doc:"What each point is about: 10 s up to an hour, a minute up to a day, else 10 minutes. The newest is not over, and replicas tell what they did with up to five seconds' delay."`
	TransfersPerSecond float64            `json:"transfersPerSecond" doc:"In the newest bucket that is over." example:"41.5"`
	Completed          int64              `json:"completed"`
	Failed             int64              `json:"failed"`
	Currencies         []CurrencyActivity `json:"currencies" nullable:"false" doc:"The busiest first."`
	Outcomes           []Outcome          `json:"outcomes" nullable:"false" doc:"The most frequent first."`
	Replicas           []ReplicaActivity  `json:"replicas" nullable:"false" doc:"Those that executed anything, up to 50, the last to do so first. A replica that is started again is another one."`
}

// CurrencyActivity is what was executed in a currency.
type CurrencyActivity struct {
	Currency  string          `json:"currency" doc:"Empty for transfers that failed before one was known." example:"USD"`
	Completed int64           `json:"completed"`
	Failed    int64           `json:"failed"`
	Volume    Money           `json:"volume" doc:"Sum of the completed transfers."`
	Points    []ActivityPoint `json:"points" nullable:"false" doc:"In the order of time; none where nothing was executed. Empty for all but the 12 busiest currencies."`
}

// ActivityPoint is what was executed in a bucket of time.
type ActivityPoint struct {
	At        time.Time `json:"at" doc:"When it begins."`
	Completed int64     `json:"completed"`
	Failed    int64     `json:"failed"`
	Volume    Money     `json:"volume"`
}

// Outcome is what became of transfers.
type Outcome struct {
	Code      string `json:"code" doc:"ok, or why they failed." example:"insufficient_funds"`
	Transfers int64  `json:"transfers"`
}

// ReplicaActivity is what one replica executed.
type ReplicaActivity struct {
	Replica      string    `json:"replica" example:"replica_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
	Region       string    `json:"region,omitempty" example:"us-east1"`
	Completed    int64     `json:"completed"`
	Failed       int64     `json:"failed"`
	LastActiveAt time.Time `json:"lastActiveAt" doc:"When the last bucket with any begins."`
}

// Executor is what writes the books at this replica. Counts are since it began.
type Executor struct {
	Replica        string    `json:"replica" example:"replica_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
	Region         string    `json:"region,omitempty" example:"us-east1"`
	Since          time.Time `json:"since"`
	Queue          int64     `json:"queue" doc:"Commands that wait."`
	QueueMax       int64     `json:"queueMax" doc:"Commands that may wait before callers are told overloaded."`
	Rejected       int64     `json:"rejected" doc:"Commands that found the queue full."`
	Retried        int64     `json:"retried" doc:"Batches run again after a conflict or an outage."`
	Halved         int64     `json:"halved" doc:"Batches cut in two after conflicts."`
	Repeated       int64     `json:"repeated" doc:"Batches run again because they held a transaction that was known."`
	UnknownCommits int64     `json:"unknownCommits" doc:"Commits whose outcome was lost and looked up."`
}

// Waiting is what is to be done, by the program or by people.
type Waiting struct {
	Transfers     Queue  `json:"transfers" doc:"Accepted transfers that are not done; counted up to 1,000."`
	HoldsExpiring Queue  `json:"holdsExpiring" doc:"Pending holds that expire within an hour; counted up to 1,000. since is when the next one expires."`
	Reviews       *Queue `json:"reviews,omitempty" doc:"Payments that wait for a review; counted up to 100. Absent without risk:read."`
	Approvals     *Queue `json:"approvals,omitempty" doc:"Operations that wait for a second person; counted up to 100. Absent without approvals:read."`
}

// Queue is how much waits.
type Queue struct {
	Count  int64      `json:"count"`
	IsMore bool       `json:"isMore" doc:"There may be more than were counted."`
	Since  *time.Time `json:"since,omitempty" doc:"Since when the first one waits. Absent when nothing does; of approvals, when there are more than were counted."`
}

// Proof is a proof that the books balance, or not.
type Proof struct {
	Kind       string        `json:"kind" enum:"BALANCES,FULL" doc:"BALANCES: the accounts of each currency sum to zero; a replica looks every ten minutes. FULL: florin verify proved every invariant."`
	ReadAt     time.Time     `json:"readAt" doc:"The one time that all was read at."`
	RecordedAt time.Time     `json:"recordedAt"`
	RecordedBy string        `json:"recordedBy" doc:"The replica, or the command and its host."`
	IsBalanced bool          `json:"isBalanced"`
	Offences   int64         `json:"offences" doc:"How much was found wrong. Of FULL, beside the books also in payments, cashback and the audit trail."`
	Sums       []CurrencySum `json:"sums" nullable:"false"`
}

// CurrencySum is the sum of a currency's accounts.
type CurrencySum struct {
	Currency string `json:"currency" example:"USD"`
	Accounts int64  `json:"accounts"`
	Sum      Money  `json:"sum" doc:"Zero, or the books are wrong."`
}

type overviewInput struct {
	Minutes int `query:"minutes" default:"60" minimum:"1" maximum:"10080" doc:"How far back the activity goes."`
}

type overviewOutput struct{ Body Overview }

func (a *api) routeOverview() {
	route(a, overviewEndpoint, a.overview)
}

func (a *api) overview(ctx context.Context, in *overviewInput) (*overviewOutput, error) {
	o := Overview{ReadAt: a.now(), Version: a.version}
	activity, err := a.ledger.Activity(ctx, time.Duration(in.Minutes)*time.Minute)
	if err != nil {
		return nil, err
	}
	o.Activity = activityOf(activity)
	replica, err := a.ledger.Replica(ctx)
	if err != nil {
		return nil, err
	}
	o.Engine, o.Executor = replica.Engine, executorOf(replica)
	if o.Waiting, err = a.waiting(ctx); err != nil {
		return nil, err
	}
	if o.Exports, err = a.overviewOfExports(ctx); err != nil {
		return nil, err
	}
	proofs, err := a.ledger.NewestProofs(ctx)
	if err != nil {
		return nil, err
	}
	o.Proofs = make([]Proof, len(proofs))
	for i, proof := range proofs {
		o.Proofs[i] = proofOf(proof)
		if o.LastBalanceAt == nil || proof.ReadAt.After(*o.LastBalanceAt) {
			o.IsBalanced, o.LastBalanceAt = &o.Proofs[i].IsBalanced, &o.Proofs[i].ReadAt
		}
	}
	return &overviewOutput{o}, nil
}

func activityOf(read ledger.Activity) Activity {
	out := Activity{From: read.From, To: read.To, BucketSeconds: int64(read.Span / time.Second)}
	currencies, outcomes, replicas := map[money.Currency]*CurrencyActivity{}, map[ledger.Code]int64{}, map[string]*ReplicaActivity{}
	volumes := map[money.Currency]decimal.Decimal{}
	for _, total := range read.Totals {
		currency := entryOf(currencies, total.Currency, CurrencyActivity{Currency: string(total.Currency), Points: []ActivityPoint{}})
		replica := entryOf(replicas, total.Replica, ReplicaActivity{Replica: total.Replica, Region: total.Region})
		outcomes[total.Code] += total.Transfers
		if total.Code == ledger.Done {
			currency.Completed += total.Transfers
			volumes[total.Currency] = volumes[total.Currency].Add(total.Volume)
			replica.Completed += total.Transfers
			out.Completed += total.Transfers
		} else {
			currency.Failed += total.Transfers
			replica.Failed += total.Transfers
			out.Failed += total.Transfers
		}
		if total.LastAt.After(replica.LastActiveAt) {
			replica.LastActiveAt = total.LastAt
		}
	}
	for currency, volume := range volumes {
		currencies[currency].Volume = moneyOf(volume, currency)
	}
	out.Currencies = inOrder(currencies, func(c, d CurrencyActivity) int {
		return cmp.Or(cmp.Compare(d.Completed+d.Failed, c.Completed+c.Failed), cmp.Compare(c.Currency, d.Currency))
	})
	for i := range out.Currencies {
		if c := &out.Currencies[i]; c.Volume == "" {
			c.Volume = moneyOf(decimal.Zero, money.Currency(c.Currency))
		}
	}
	out.addPoints(read)
	out.Replicas = inOrder(replicas, func(r, s ReplicaActivity) int {
		return cmp.Or(s.LastActiveAt.Compare(r.LastActiveAt), cmp.Compare(r.Replica, s.Replica))
	})
	out.Replicas, _ = cut(out.Replicas, overviewReplicas)
	out.Outcomes = make([]Outcome, 0, len(outcomes))
	for code, n := range outcomes {
		out.Outcomes = append(out.Outcomes, Outcome{Code: string(code), Transfers: n})
	}
	slices.SortFunc(out.Outcomes, func(o, p Outcome) int {
		return cmp.Or(cmp.Compare(p.Transfers, o.Transfers), cmp.Compare(o.Code, p.Code))
	})
	return out
}

// addPoints tells the busiest currencies over time, and how much all do now.
func (a *Activity) addPoints(read ledger.Activity) {
	series := map[money.Currency]*CurrencyActivity{}
	for i := range min(len(a.Currencies), overviewSeries) {
		series[money.Currency(a.Currencies[i].Currency)] = &a.Currencies[i]
	}
	// The newest bucket that is over, and told in full.
	newest := read.To.Add(-overviewLate).Truncate(read.Span).Add(-read.Span)
	var transfers int64
	for _, point := range read.Points {
		if point.At.Equal(newest) {
			transfers += point.Completed + point.Failed
		}
		if c := series[point.Currency]; c != nil {
			c.Points = append(c.Points, ActivityPoint{
				At: point.At, Completed: point.Completed, Failed: point.Failed, Volume: moneyOf(point.Volume, point.Currency),
			})
		}
	}
	a.TransfersPerSecond = float64(transfers) / read.Span.Seconds()
}

// entryOf is the key's entry, which begins as first.
func entryOf[K comparable, V any](entries map[K]*V, key K, first V) *V {
	if entries[key] == nil {
		entries[key] = &first
	}
	return entries[key]
}

func inOrder[K comparable, V any](entries map[K]*V, compare func(V, V) int) []V {
	all := make([]V, 0, len(entries))
	for entry := range maps.Values(entries) {
		all = append(all, *entry)
	}
	slices.SortFunc(all, compare)
	return all
}

func executorOf(r ledger.Replica) Executor {
	return Executor{
		Replica: r.ID, Region: r.Region, Since: r.Since, Queue: r.Waiting, QueueMax: r.QueueMax, Rejected: r.Rejected,
		Retried: r.Retried, Halved: r.Halved, Repeated: r.Repeated, UnknownCommits: r.Unknown,
	}
}

// waiting tells of reviews and approvals to those alone who may read them.
func (a *api) waiting(ctx context.Context) (w Waiting, err error) {
	books, err := a.ledger.Waiting(ctx, overviewSoon)
	if err != nil {
		return w, err
	}
	w.Transfers = Queue{Count: books.Transfers, IsMore: books.Transfers == ledger.WaitingMax, Since: unlessZero(books.OldestAt)}
	w.HoldsExpiring = Queue{Count: books.HoldsExpiring, IsMore: books.HoldsExpiring == ledger.WaitingMax, Since: unlessZero(books.NextExpiry)}
	caller := principalOf(ctx)
	if caller.May(identity.RiskRead) {
		reviews, err := a.risk.Reviews(ctx, risk.ReviewFilter{}, risk.Position{}, overviewWaitingMax)
		if err != nil {
			return w, err
		}
		w.Reviews = &Queue{Count: int64(len(reviews)), IsMore: len(reviews) == overviewWaitingMax}
		if len(reviews) > 0 {
			w.Reviews.Since = &reviews[0].DecidedAt
		}
	}
	if caller.May(identity.ApprovalsRead) {
		approvals, err := a.approvals.List(ctx, approval.Filter{Status: approval.Pending}, approval.Position{}, overviewWaitingMax)
		if err != nil {
			return w, err
		}
		w.Approvals = &Queue{Count: int64(len(approvals)), IsMore: len(approvals) == overviewWaitingMax}
		if n := len(approvals); n > 0 && !w.Approvals.IsMore { // the newest come first
			w.Approvals.Since = &approvals[n-1].RequestedAt
		}
	}
	return w, nil
}

func (a *api) overviewOfExports(ctx context.Context) ([]Export, error) {
	if !principalOf(ctx).May(identity.ExportsRead) {
		return nil, nil
	}
	live := []Export{}
	for after := ""; len(live) < overviewExports; {
		rows, err := a.exports.List(ctx, after, overviewExports)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if row.Status != export.Finished {
				live = append(live, ExportOf(row))
			}
		}
		if len(rows) < overviewExports {
			break
		}
		after = rows[len(rows)-1].ID
	}
	live, _ = cut(live, overviewExports)
	return live, nil
}

func proofOf(r ledger.ProofRecord) Proof {
	p := Proof{
		Kind: string(r.Kind), ReadAt: r.ReadAt, RecordedAt: r.RecordedAt, RecordedBy: r.RecordedBy,
		IsBalanced: r.IsBalanced, Offences: r.Offences, Sums: make([]CurrencySum, len(r.Sums)),
	}
	for i, sum := range r.Sums {
		p.Sums[i] = CurrencySum{Currency: string(sum.Currency), Accounts: sum.Accounts, Sum: moneyOf(sum.Sum, sum.Currency)}
	}
	return p
}
