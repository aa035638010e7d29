package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/shopspring/decimal"

	"florin/internal/api"
	"florin/internal/identity"
)

const overviewPath = Root + "/overview"

const (
	// proofStale is how old the newest proof may be before the books count as not
	// looked after: replicas take turns at one every ten minutes.
	proofStale = 30 * time.Minute
	// volumesMax is how many currencies have a chart of their volume.
	volumesMax = 6
	// binsMax is how many bars a chart has.
	binsMax = 60
	// seriesMax is how many currencies the API tells over time.
	seriesMax = 12
	// outcomeDone is the API's code of transfers that completed.
	outcomeDone = "ok"
)

func (p *Pages) overviewRoutes() []route {
	needs := []identity.Permission{identity.TransactionRead}
	live := newStreams()
	return []route{
		{pattern: "GET " + overviewPath, handler: p.showOverview, nav: "Overview", group: groupTop, needs: needs},
		{pattern: "GET " + overviewPath + "/events", needs: needs, isUnattended: true, handler: func(w http.ResponseWriter, r *http.Request) error {
			return p.streamOverview(w, r, live)
		}},
	}
}

// overviewPeriods are how far back one may look, in minutes.
var overviewPeriods = []choice{{"10", "10 min"}, {"60", "1 hour"}, {"1440", "24 hours"}, {"10080", "7 days"}}

// overviewShown is one look at the system: as much of it as the API tells the caller.
type overviewShown struct {
	api.Overview
	minutes string
}

func (p *Pages) readOverview(r *http.Request) (s overviewShown, err error) {
	if s.minutes = r.URL.Query().Get("minutes"); s.minutes == "" {
		s.minutes = "60"
	}
	return s, p.get(r, "/api/v1/overview?minutes="+url.QueryEscape(s.minutes), &s.Overview)
}

func (p *Pages) showOverview(w http.ResponseWriter, r *http.Request) error {
	s, err := p.readOverview(r)
	if err != nil {
		return err
	}
	return p.render(w, r, page{title: "Overview"}, overviewView(&s, p.assets.of("overview.js")))
}

// overviewPart is a part of the page that is sent again when it has changed.
type overviewPart struct {
	column string // where it stands when there is room: see overviewColumns
	id     string
	view   templ.Component
}

// overviewColumns are where parts stand. Where there is no room they follow each
// other, so what is to be done comes before what is to be known.
var overviewColumns = []string{"top", "aside", "wide"}

// parts are all parts that the caller may see, in the order of their columns.
func (s *overviewShown) parts() []overviewPart {
	parts := []overviewPart{
		{"top", "books", overviewBooks(s)},
		{"top", "figures", overviewFigures(s)},
		{"aside", "waiting", overviewWaiting(s)},
		{"aside", "replica", overviewReplica(s)},
		{"wide", "rate", overviewRate(s)},
		{"wide", "volumes", overviewVolumes(s)},
		{"wide", "outcomes", overviewOutcomes(s)},
		{"wide", "exports", overviewExports(s)},
		{"wide", "replicas", overviewReplicas(s)},
	}
	return slices.DeleteFunc(parts, func(part overviewPart) bool {
		switch part.id {
		case "volumes":
			return len(s.Activity.Currencies) < 2 && len(s.volumes()) == 0
		case "exports":
			return s.Exports == nil // he may not know
		case "replicas":
			return !s.isSpread()
		}
		return false
	})
}

// period is the time that the activity is about, in words.
func (s *overviewShown) period() string {
	for _, c := range overviewPeriods {
		if c.value == s.minutes {
			return "the last " + strings.TrimPrefix(c.text, "1 ")
		}
	}
	return "the last " + s.minutes + " min"
}

// --- The books.

// verdict is what is known of the books: never more than was proved.
type verdict struct{ tone, headline, advice string }

func (s *overviewShown) verdict() verdict {
	if s.IsBalanced == nil || s.LastBalanceAt == nil {
		return verdict{"unknown", "Not known yet whether the books balance", "Nothing has been proved. A replica sums all accounts every ten minutes; florin verify proves everything, now."}
	}
	if !*s.IsBalanced {
		return verdict{"bad", "The books do not balance", "Stop what moves money, and run florin verify: it names each offence."}
	}
	for _, proof := range s.Proofs {
		if !proof.IsBalanced {
			return verdict{"bad", "The last " + proofNames[proof.Kind] + " failed", "A later proof of another kind found nothing. Run florin verify: it names each offence."}
		}
	}
	if age := s.ReadAt.Sub(*s.LastBalanceAt); age > proofStale {
		return verdict{"wait", "The books balanced " + lasted(age) + " ago", "Nobody has looked since, though a replica should every ten minutes: the logs say why. florin verify looks now."}
	}
	for _, proof := range s.Proofs {
		if proof.Offences > 0 {
			return verdict{"wait", "The books balance, not all else is right", "The last full proof found offences beside the books. Run florin verify: it names each one."}
		}
	}
	return verdict{"good", "The books balance", ""}
}

var proofNames = map[string]string{"BALANCES": "sum of the accounts", "FULL": "full proof"}

// proofOf is the newest proof of a kind; nil before the first.
func (s *overviewShown) proofOf(kind string) *api.Proof {
	for i := range s.Proofs {
		if s.Proofs[i].Kind == kind {
			return &s.Proofs[i]
		}
	}
	return nil
}

// foundBy is what a proof has found, in words.
func foundBy(p *api.Proof) string {
	accounts, off := int64(0), []string{}
	for _, sum := range p.Sums {
		accounts += sum.Accounts
		if total, err := decimal.NewFromString(string(sum.Sum)); err != nil || !total.IsZero() {
			off = append(off, grouped(string(sum.Sum))+" "+sum.Currency)
		}
	}
	what := counted(accounts, "account", "accounts") + " in " + counted(int64(len(p.Sums)), "currency", "currencies")
	switch {
	case len(off) > 0:
		return what + " sum to " + strings.Join(off, ", ") + " in place of zero"
	case p.Offences > 0:
		return counted(p.Offences, "offence", "offences") + ", " + what
	case len(p.Sums) == 0:
		return "no offence"
	}
	return what + ", each sums to zero"
}

// --- The activity.

// bin is what was executed in the time of one bar.
type bin struct {
	at                time.Time // when it begins
	lasts             time.Duration
	completed, failed int64
	volume            decimal.Decimal
}

// bins are the points of an activity as some binsMax bars of the length returned. They
// hold all of it, as the sums beside them do: the first may be of less time, and the
// newest still grows.
func bins(a *api.Activity, points []api.ActivityPoint) (all []bin, length time.Duration) {
	length = binLength(a)
	first, last := a.From.Truncate(length), a.To.Truncate(length)
	for at := first; !at.After(last); at = at.Add(length) {
		all = append(all, bin{at: at, lasts: length})
	}
	all[0].at, all[0].lasts = a.From, first.Add(length).Sub(a.From)
	for _, point := range points {
		i := int(point.At.Sub(first) / length)
		if point.At.Before(first) || i >= len(all) {
			continue
		}
		all[i].completed += point.Completed
		all[i].failed += point.Failed
		if volume, err := decimal.NewFromString(string(point.Volume)); err == nil {
			all[i].volume = all[i].volume.Add(volume)
		}
	}
	return all, length
}

// binLength is the shortest length, of those that people have a word for, of which
// a period has no more than binsMax.
func binLength(a *api.Activity) time.Duration {
	bucket := time.Duration(a.BucketSeconds) * time.Second
	for _, length := range []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour} {
		if length >= bucket && a.To.Sub(a.From) < (binsMax+1)*length {
			return length
		}
	}
	return 3 * time.Hour
}

// rateChart is how many transfers of all currencies were executed in a second.
func (s *overviewShown) rateChart() chart {
	var points []api.ActivityPoint
	for _, c := range s.Activity.Currencies {
		points = append(points, c.Points...)
	}
	all, length := bins(&s.Activity, points)
	completed, failed := chartSeries{name: "Completed"}, chartSeries{name: "Failed", isBad: true}
	for _, b := range all {
		seconds := decimal.NewFromInt(int64(b.lasts / time.Second))
		completed.values = append(completed.values, decimal.NewFromInt(b.completed).DivRound(seconds, 3).String())
		failed.values = append(failed.values, decimal.NewFromInt(b.failed).DivRound(seconds, 3).String())
	}
	return chart{
		name: "rate", title: "Transfers per second", unit: "transfers per second", isBars: true, times: timesOf(all), series: []chartSeries{completed, failed},
		about: "Completed and failed transfers per second in " + s.period() + ", " + lasted(length) + " a bar. The last bar still grows.",
	}
}

// volumeChart is what was moved of a currency.
func (s *overviewShown) volumeChart(c api.CurrencyActivity) chart {
	all, length := bins(&s.Activity, c.Points)
	_, fraction, _ := strings.Cut(string(c.Volume), ".")
	volume := chartSeries{name: "Volume"}
	for _, b := range all {
		volume.values = append(volume.values, b.volume.StringFixed(int32(len(fraction))))
	}
	return chart{
		name: "volume-" + c.Currency, title: "Volume in " + c.Currency, unit: c.Currency, isBars: true, times: timesOf(all), series: []chartSeries{volume},
		about: "Sum of the completed transfers in " + c.Currency + " in " + s.period() + ", " + lasted(length) + " a bar. The last bar still grows.",
	}
}

func timesOf(all []bin) (times []time.Time) {
	for _, b := range all {
		times = append(times, b.at)
	}
	return times
}

// volumes are the currencies whose volume has a chart, the busiest first.
func (s *overviewShown) volumes() (currencies []api.CurrencyActivity) {
	for _, c := range s.Activity.Currencies {
		if c.Completed > 0 && len(c.Points) > 0 && len(currencies) < volumesMax {
			currencies = append(currencies, c)
		}
	}
	return currencies
}

// executed is how many transfers came to their end.
func (s *overviewShown) executed() int64 { return s.Activity.Completed + s.Activity.Failed }

func (s *overviewShown) isIdle() bool { return s.executed() == 0 }

// failureShare is how many of all transfers failed, in words.
func (s *overviewShown) failureShare() string {
	if s.isIdle() {
		return "of none"
	}
	return percent(s.Activity.Failed, s.executed()) + " of all"
}

func (s *overviewShown) oldestWaiting() string {
	if s.Waiting.Transfers.Since == nil {
		return "no transfer"
	}
	return "the oldest for " + lasted(s.ReadAt.Sub(*s.Waiting.Transfers.Since))
}

// queueTone warns before callers are turned away.
func (s *overviewShown) queueTone() string {
	if 2*s.Executor.Queue > s.Executor.QueueMax {
		return "bad"
	}
	return ""
}

// --- Replicas.

// isSpread says that there is more than this replica to tell of.
func (s *overviewShown) isSpread() bool { return len(s.Activity.Replicas) > 1 }

// regionShown is what the replicas of a region executed.
type regionShown struct {
	name              string
	replicas          int64
	completed, failed int64
}

// regions are told where there are several.
func (s *overviewShown) regions() (all []regionShown) {
	for _, r := range s.Activity.Replicas {
		i := slices.IndexFunc(all, func(known regionShown) bool { return known.name == r.Region })
		if i < 0 {
			i, all = len(all), append(all, regionShown{name: r.Region})
		}
		all[i].replicas++
		all[i].completed += r.Completed
		all[i].failed += r.Failed
	}
	if len(all) < 2 {
		return nil
	}
	slices.SortFunc(all, func(a, b regionShown) int { return strings.Compare(a.name, b.name) })
	return all
}

// --- Words.

// atLeast is how much waits: "1,000+" when no more were counted.
func atLeast(q *api.Queue) string {
	if q.IsMore {
		return number(q.Count) + "+"
	}
	return number(q.Count)
}

// percent is a share; what is something is never shown as nothing, nor what is not
// all as all.
func percent(part, whole int64) string {
	if whole == 0 || part == 0 {
		return "0%"
	}
	share := 100 * float64(part) / float64(whole)
	switch {
	case share < 0.1:
		return "< 0.1%"
	case part < whole && share > 99.9:
		return "> 99.9%"
	case share < 10:
		return strconv.FormatFloat(share, 'f', 1, 64) + "%"
	}
	return strconv.FormatFloat(share, 'f', 0, 64) + "%"
}

// perSecond is how many transfers are done in a second.
func perSecond(rate float64) string {
	digits := 0
	if rate > 0 && rate < 100 {
		digits = 1
	}
	return grouped(strconv.FormatFloat(rate, 'f', digits, 64))
}

func secondsOf(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
