package audit

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"florin/internal/audit/internal/auditdb"
	"florin/internal/platform/database"
)

// What can be wrong with the trail.
const (
	ChangedRow       = "changed_row"       // a row is not what its hash says
	MissingRow       = "missing_row"       // rows were taken out
	AddedRow         = "added_row"         // rows were put into a sealed day
	RewrittenJournal = "rewritten_journal" // a sealed journal's rows were replaced by others, chained anew
	MissingJournal   = "missing_journal"   // a sealed journal was taken out
	AddedJournal     = "added_journal"     // a journal was put into a sealed day
	UnsealedDay      = "unsealed_day"      // a day's seal was taken out, or its events put in, after a later day was sealed
	ChangedSeal      = "changed_seal"      // a seal is not what its root says
	BrokenDayChain   = "broken_day_chain"  // a seal does not follow the one before: that one was changed, put in or taken out
	OtherRoot        = "other_root"        // a day does not have the root that an anchor gives
)

// Offence is one place where the trail is not what was recorded.
type Offence struct {
	Rule    string `json:"rule"` // one of the names above
	Day     string `json:"day"`  // "2026-01-31"
	Journal string `json:"journal,omitempty"`
	Seq     int64  `json:"seq,omitempty"` // the first row concerned
	Detail  string `json:"detail"`
}

// Report is the outcome of Verify.
type Report struct {
	// At is the one time that everything was read at.
	At       time.Time `json:"at"`
	Events   int64     `json:"events"`
	Journals int64     `json:"journals"` // a journal counts in each of its days
	Days     int64     `json:"days"`     // with events or a seal
	// SealedDays are those with a seal; SealedTo is the newest of them, and Root its
	// root in hex, which must be the one in the logs of that time.
	SealedDays int64     `json:"sealedDays"`
	SealedTo   string    `json:"sealedTo,omitempty"`
	Root       string    `json:"root,omitempty"`
	Offences   []Offence `json:"offences"`
	// Truncated says that a rule had more offenders than were listed.
	Truncated bool `json:"truncated"`
}

// VerifyOptions configure Verify. The zero value is usable.
type VerifyOptions struct {
	// Moment is what time to read; the zero value is the newest.
	Moment database.Moment
	// Anchors are roots in hex by day, as a log elsewhere has kept them.
	Anchors map[string]string
	// Progress, if not nil, is called before each day with events.
	Progress func(day string)
}

const (
	// offencesMax bounds the offenders listed for each rule.
	offencesMax = 1000
	// readMax is how many rows are read at once.
	readMax = 5_000
)

// Verify proves the audit trail of a live database at one moment, without holding
// up writes and in bounded memory. What is wrong are Offences of the Report, not an
// error.
//
// A changed row, and one taken out between others, show on any day. What is taken
// out from the end of a journal, or a journal as a whole, shows once the day is
// sealed; and a trail that was rewritten to its end, seals and all, shows by an
// anchor alone. Returns what database.DB.SnapshotAt returns for a moment that
// cannot be read.
func Verify(ctx context.Context, db *database.DB, o VerifyOptions) (Report, error) {
	v := verifier{ctx: ctx, report: Report{Offences: []Offence{}}, listed: map[string]int{}}
	err := db.SnapshotAt(ctx, o.Moment, func(tx pgx.Tx, at database.Timestamp) error {
		v.tx, v.report.At = tx, at.Time()
		if err := v.seals(o.Anchors); err != nil {
			return fmt.Errorf("read the seals of the audit trail: %w", err)
		}
		if err := v.days(o.Progress); err != nil {
			return fmt.Errorf("read the audit trail: %w", err)
		}
		return nil
	})
	return v.report, err
}

// verifier reads the trail in one transaction.
type verifier struct {
	ctx    context.Context
	tx     pgx.Tx
	report Report
	listed map[string]int

	sealed   map[string]bool // days
	sealedTo pgtype.Date
	buf      []byte
}

func (v *verifier) offence(o Offence) {
	if v.listed[o.Rule]++; v.listed[o.Rule] > offencesMax {
		v.report.Truncated = true
		return
	}
	v.report.Offences = append(v.report.Offences, o)
}

// seals checks each seal by itself, the chain of them, and the anchors.
func (v *verifier) seals(anchors map[string]string) error {
	v.sealed = map[string]bool{}
	rows, err := v.tx.Query(v.ctx, `
		SELECT day, row_count, journal_count, heads, root, previous_root
		FROM audit_days
		ORDER BY day`)
	if err != nil {
		return err
	}
	var s auditdb.AuditDay
	previous := []byte{}
	_, err = pgx.ForEachRow(rows, []any{&s.Day, &s.RowCount, &s.JournalCount, &s.Heads, &s.Root, &s.PreviousRoot}, func() error {
		day := dayText(s.Day)
		v.sealed[day], v.sealedTo = true, s.Day
		v.report.SealedDays++
		v.report.SealedTo, v.report.Root = day, hex.EncodeToString(s.Root)
		if sum := rootOf(s.PreviousRoot, day, s.RowCount, s.JournalCount, s.Heads); !bytes.Equal(sum[:], s.Root) {
			v.offence(Offence{Rule: ChangedSeal, Day: day, Detail: fmt.Sprintf("has the root %x, its columns make %x", s.Root, sum)})
		}
		if !bytes.Equal(s.PreviousRoot, previous) {
			v.offence(Offence{Rule: BrokenDayChain, Day: day, Detail: fmt.Sprintf("follows the root %x, the sealed day before has %x", s.PreviousRoot, previous)})
		}
		if root, known := anchors[day]; known && root != v.report.Root {
			v.offence(Offence{Rule: OtherRoot, Day: day, Detail: fmt.Sprintf("has the root %s, the anchor is %s", v.report.Root, root)})
		}
		previous = bytes.Clone(s.Root)
		return nil
	})
	for day, root := range anchors {
		if err == nil && !v.sealed[day] {
			v.offence(Offence{Rule: OtherRoot, Day: day, Detail: "has no seal, the anchor is " + root})
		}
	}
	return err
}

// days goes through all days that have events or a seal.
func (v *verifier) days(progress func(day string)) error {
	const all = "SELECT day FROM (SELECT min(day) AS day FROM audit_events %s UNION SELECT min(day) FROM audit_days %s) AS d WHERE day IS NOT NULL ORDER BY day LIMIT 1"
	var day pgtype.Date
	err := v.tx.QueryRow(v.ctx, fmt.Sprintf(all, "", "")).Scan(&day)
	for err == nil {
		if progress != nil {
			progress(dayText(day))
		}
		v.report.Days++
		if err := v.day(day); err != nil {
			return err
		}
		err = v.tx.QueryRow(v.ctx, fmt.Sprintf(all, "WHERE day > $1", "WHERE day > $1"), day).Scan(&day)
	}
	if database.NotFound(err) {
		return nil
	}
	return err
}

// day checks each journal of a day, and the seal against them.
func (v *verifier) day(day pgtype.Date) error {
	journals, err := auditdb.New(v.tx).JournalsOf(v.ctx, day)
	if err != nil {
		return err
	}
	slices.Sort(journals)
	found := make(map[string]checked, len(journals))
	for _, journal := range journals {
		if found[journal], err = v.journal(day, journal); err != nil {
			return err
		}
	}
	v.report.Journals += int64(len(journals))
	switch text := dayText(day); {
	case v.sealed[text]:
		return v.compare(day, journals, found)
	case v.sealedTo.Valid && isBeforeDay(day, v.sealedTo):
		v.offence(Offence{Rule: UnsealedDay, Day: text, Detail: fmt.Sprintf("has %d journals and no seal, %s has one", len(journals), dayText(v.sealedTo))})
	}
	return nil
}

func isBeforeDay(a, b pgtype.Date) bool {
	if a.InfinityModifier != b.InfinityModifier {
		return a.InfinityModifier < b.InfinityModifier
	}
	return a.Time.Before(b.Time)
}

// compare holds the journals that were found against those that were sealed.
func (v *verifier) compare(day pgtype.Date, journals []string, found map[string]checked) error {
	text := dayText(day)
	var written string
	if err := v.tx.QueryRow(v.ctx, "SELECT heads FROM audit_days WHERE day = $1", day).Scan(&written); err != nil {
		return err
	}
	heads, problem := parseHeads(written)
	if problem != nil {
		v.offence(Offence{Rule: ChangedSeal, Day: text, Detail: "lists no journals: " + problem.Error()})
		return nil //nolint:nilerr // a tampered seal is a finding, not an error
	}
	sealed := make(map[string]bool, len(heads))
	for _, h := range heads {
		sealed[h.journal] = true
		is, there := found[h.journal]
		o := Offence{Day: text, Journal: h.journal}
		switch {
		case !there:
			o.Rule, o.Seq, o.Detail = MissingJournal, 1, fmt.Sprintf("had %d events when it was sealed, none are left", h.seq)
		case is.last.seq < h.seq:
			o.Rule, o.Seq, o.Detail = MissingRow, is.last.seq+1, fmt.Sprintf("the last %d events that were sealed are missing", h.seq-is.last.seq)
		case is.last.seq > h.seq:
			o.Rule, o.Seq, o.Detail = AddedRow, h.seq+1, fmt.Sprintf("%d events were put in after it was sealed", is.last.seq-h.seq)
		case !is.last.is(h) && !is.hasOffence:
			o.Rule, o.Seq, o.Detail = RewrittenJournal, 1, fmt.Sprintf("ends with the hash %x, %x was sealed", is.last.hash, h.hash)
		default:
			continue
		}
		v.offence(o)
	}
	for _, journal := range journals {
		if !sealed[journal] {
			v.offence(Offence{Rule: AddedJournal, Day: text, Journal: journal, Seq: 1, Detail: fmt.Sprintf("has %d events and was not there when the day was sealed", found[journal].last.seq)})
		}
	}
	return nil
}

// checked is what was found of a journal's day.
type checked struct {
	last       journalHead
	hasOffence bool
}

// chain is a journal's day while it is gone through.
type chain struct {
	checked
	v    *verifier
	day  string
	next int64 // number of the row that should come
	// previous are the hashes that the next row may follow; none when the row
	// before it is missing. After a changed row these are two: the one that it has
	// and the one that it should have.
	previous []hash
}

func (c *chain) offence(rule string, seq int64, detail string) {
	c.hasOffence = true
	c.v.offence(Offence{Rule: rule, Day: c.day, Journal: c.last.journal, Seq: seq, Detail: detail})
}

func (v *verifier) journal(day pgtype.Date, journal string) (checked, error) {
	c := chain{v: v, day: dayText(day), next: 1, checked: checked{last: journalHead{journal: journal}}}
	c.previous = []hash{genesis(c.day, journal)}
	after := int64(math.MinInt64)
	for {
		n := 0
		err := v.read(day, journal, after, func(r *row, stored []byte) {
			n++
			after = r.seq
			r.day, r.journal = c.day, journal
			c.check(r, stored)
		})
		if err != nil || n < readMax {
			return c.checked, err
		}
	}
}

// check takes the next row of the chain.
func (c *chain) check(r *row, stored []byte) {
	c.v.report.Events++
	switch {
	case r.seq == c.next+1:
		c.offence(MissingRow, c.next, "is missing")
		c.previous = nil
	case r.seq > c.next:
		c.offence(MissingRow, c.next, fmt.Sprintf("%d events are missing, up to %d", r.seq-c.next, r.seq-1))
		c.previous = nil
	}
	c.next = r.seq + 1
	c.last.seq, c.last.hash = r.seq, bytes.Clone(stored)
	var own hash
	isRight := c.previous == nil // nobody can tell
	for _, previous := range slices.Backward(c.previous) {
		own, c.v.buf = r.link(previous, c.v.buf)
		if isRight = bytes.Equal(own[:], stored); isRight {
			break
		}
	}
	c.previous = c.previous[:0]
	if len(stored) == len(hash{}) {
		c.previous = append(c.previous, hash(stored))
	}
	if !isRight {
		c.offence(ChangedRow, r.seq, fmt.Sprintf("has the hash %x, its columns make %x", stored, own))
		c.previous = append(c.previous, own)
	}
}

// read calls each for the next readMax rows of a journal's day. What it is given is
// good until it returns.
func (v *verifier) read(day pgtype.Date, journal string, after int64, each func(r *row, stored []byte)) error {
	rows, err := v.tx.Query(v.ctx, `
		SELECT seq, recorded_at, action, target_kind, target_id, before, after, result,
		       actor_kind, actor_id, role, address, request_id, hash
		FROM audit_events
		WHERE day = $1 AND journal = $2 AND seq > $3
		ORDER BY seq
		LIMIT $4`, day, journal, after, readMax)
	if err != nil {
		return err
	}
	var r row
	var at pgtype.Timestamptz
	var stored []byte
	_, err = pgx.ForEachRow(rows, []any{
		&r.seq, &at, &r.action, &r.targetKind, &r.targetID, &r.before, &r.after, &r.result,
		&r.actorKind, &r.actorID, &r.role, &r.address, &r.requestID, &stored,
	}, func() error {
		r.recordedAt = at.Time.UnixMicro()
		if at.InfinityModifier != pgtype.Finite { // no clock says so
			r.recordedAt = math.MaxInt64 * int64(at.InfinityModifier)
		}
		each(&r, stored)
		return nil
	})
	return err
}
