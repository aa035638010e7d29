package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"florin/internal/audit/internal/auditdb"
	"florin/internal/platform/database"
)

const (
	// overAfter is how long after its end a day is sealed: long after the last
	// transaction that began in it has ended, whatever replicas' clocks say.
	overAfter = time.Hour
	// sealPause is how often a day that is over is looked for.
	sealPause = time.Minute
)

// beforeTime is before every day.
var beforeTime = date(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))

// Run seals each day that has been over for an hour, and tells log the newest
// root, so that a log kept elsewhere proves what the trail was. All replicas may
// run it. It ends with ctx.
func (l *Log) Run(ctx context.Context, log *slog.Logger) {
	wasFailing := false
	var told []byte // the root that log knows of
	for ctx.Err() == nil {
		if _, here, err := l.db.Regions(ctx); err == nil {
			l.setHomeRegion(here)
		}
		newest, err := l.sealAll(ctx)
		if err != nil && ctx.Err() == nil && !wasFailing {
			log.Error("days of the audit trail are not sealed", "error", err)
		}
		wasFailing = err != nil
		if err == nil && !bytes.Equal(newest.Root, told) {
			log.Info("audit day sealed", "day", dayText(newest.Day), "root", hex.EncodeToString(newest.Root))
			told = newest.Root
		}
		timer := time.NewTimer(sealPause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (l *Log) setHomeRegion(region string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.homeRegion = region
}

// sealAll seals all days that are over, and returns the newest seal, whoever made
// it; it has no root when there is none.
func (l *Log) sealAll(ctx context.Context) (auditdb.LastSealRow, error) {
	for ctx.Err() == nil {
		// Looked up outside of a transaction: there is nothing to do but once a day.
		newest, next, err := l.due(ctx, auditdb.New(l.db))
		if err != nil || next == nil {
			return newest, err
		}
		if err := l.sealNext(ctx); err != nil {
			return newest, fmt.Errorf("seal a day of the audit trail: %w", err)
		}
	}
	return auditdb.LastSealRow{}, ctx.Err()
}

// due is the first day after the last sealed one, when it is over; nil when it is
// not, or there is none.
func (l *Log) due(ctx context.Context, queries *auditdb.Queries) (last auditdb.LastSealRow, day *pgtype.Date, err error) {
	last, err = queries.LastSeal(ctx)
	if database.NotFound(err) {
		last, err = auditdb.LastSealRow{Day: beforeTime, Root: []byte{}}, nil
	}
	if err != nil {
		return last, nil, err
	}
	next, err := queries.NextDay(ctx, last.Day)
	switch {
	case database.NotFound(err):
		return last, nil, nil
	case err != nil:
		return last, nil, err
	case next.IsOver && l.isOver(next.Day):
		return last, &next.Day, nil
	}
	// Both clocks must agree, lest a wrong one ends a day that others still write.
	return last, nil, nil
}

// sealNext seals the day that is due. Two replicas that do so at once chain from
// the same root, which only one can.
func (l *Log) sealNext(ctx context.Context) error {
	err := l.db.InTx(ctx, "audit.seal", func(ctx context.Context, tx pgx.Tx) error {
		queries := auditdb.New(tx)
		last, day, err := l.due(ctx, queries)
		if err != nil || day == nil {
			return err
		}
		s := seal{day: *day, previous: last.Root}
		if s.heads, err = headsOf(ctx, queries, s.day); err != nil {
			return err
		}
		s.root = s.sum()
		return queries.InsertSeal(ctx, auditdb.InsertSealParams{
			Day: s.day, RowCount: s.rows(), JournalCount: int64(len(s.heads)), Heads: formatHeads(s.heads),
			Root: s.root[:], PreviousRoot: s.previous, SealedAt: l.clock(),
		})
	})
	switch database.UniqueViolation(err) {
	case "audit_days_pkey", "audit_days_previous_root_once":
		return nil // another replica's
	}
	if errors.Is(err, database.ErrCommitUnknown) {
		return nil // the next look will tell
	}
	return err
}

func (l *Log) isOver(day pgtype.Date) bool {
	return day.InfinityModifier == pgtype.Finite && !l.clock().Before(day.Time.AddDate(0, 0, 1).Add(overAfter))
}

// seal closes a day.
type seal struct {
	day      pgtype.Date
	previous []byte
	heads    []journalHead
	root     hash
}

// journalHead is the last row of a journal's day.
type journalHead struct {
	journal string
	seq     int64
	hash    []byte
}

func (s *seal) dayText() string { return dayText(s.day) }

// rows is how many rows the day has, when none is missing.
func (s *seal) rows() (n int64) {
	for _, h := range s.heads {
		n += h.seq
	}
	return n
}

// sum is the seal's root.
func (s *seal) sum() hash {
	return rootOf(s.previous, s.dayText(), s.rows(), int64(len(s.heads)), formatHeads(s.heads))
}

func rootOf(previous []byte, day string, rows, journals int64, heads string) hash {
	buf := appendText(nil, "florin audit day 1")
	buf = appendText(buf, string(previous))
	buf = appendText(buf, day)
	buf = binary.BigEndian.AppendUint64(buf, uint64(rows))
	buf = binary.BigEndian.AppendUint64(buf, uint64(journals))
	return sha256.Sum256(appendText(buf, heads))
}

// formatHeads writes a line for each journal.
func formatHeads(heads []journalHead) string {
	var text strings.Builder
	for _, h := range heads {
		fmt.Fprintf(&text, "%s %d %x\n", h.journal, h.seq, h.hash)
	}
	return text.String()
}

// parseHeads reads exactly what formatHeads writes.
func parseHeads(text string) ([]journalHead, error) {
	var heads []journalHead
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		if len(fields) < 3 {
			return nil, fmt.Errorf("%q is no journal, number and hash", line)
		}
		// A journal's name, tampered with, may have blanks itself.
		n := len(fields)
		seq, err := strconv.ParseInt(fields[n-2], 10, 64)
		if err != nil {
			return nil, err
		}
		sum, err := hex.DecodeString(fields[n-1])
		if err != nil {
			return nil, err
		}
		heads = append(heads, journalHead{strings.Join(fields[:n-2], " "), seq, sum})
	}
	if formatHeads(heads) != text {
		return nil, errors.New("not as it is written")
	}
	return heads, nil
}

// headsOf reads the last rows of all journals of a day, sorted by name.
func headsOf(ctx context.Context, queries *auditdb.Queries, day pgtype.Date) ([]journalHead, error) {
	journals, err := queries.JournalsOf(ctx, day)
	if err != nil || len(journals) == 0 {
		return nil, err
	}
	p := make([]auditdb.LastRowParams, len(journals))
	for i, journal := range journals {
		p[i] = auditdb.LastRowParams{Day: day, Journal: journal}
	}
	heads := make([]journalHead, len(journals))
	queries.LastRow(ctx, p).QueryRow(func(i int, last auditdb.LastRowRow, failed error) {
		heads[i] = journalHead{journals[i], last.Seq, last.Hash}
		if failed != nil {
			err = failed
		}
	})
	slices.SortFunc(heads, func(a, b journalHead) int { return strings.Compare(a.journal, b.journal) })
	return heads, err
}

func (h journalHead) is(other journalHead) bool {
	return h.seq == other.seq && bytes.Equal(h.hash, other.hash)
}

// dayText is a day as it is hashed and shown; infinity, which only tampering
// brings, as PostgreSQL shows it.
func dayText(day pgtype.Date) string {
	if day.InfinityModifier != pgtype.Finite {
		return day.InfinityModifier.String()
	}
	return day.Time.Format(dayFormat)
}
