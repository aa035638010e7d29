package database

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Timestamp is a time by the database's clock, to its last digit: nanoseconds
// since 1970 and, on CockroachDB, a count of what happened within one (a hybrid
// logical clock). The zero value is no time. Timestamps can be compared by ==.
type Timestamp struct {
	wall    int64
	logical int32
}

// TimestampOf is the Timestamp of a time. What a Timestamp cannot express, before
// 1970 or after 2261, becomes the nearest that it can.
func TimestampOf(t time.Time) Timestamp {
	switch {
	case t.Unix() < 0:
		return Timestamp{wall: 1}
	case t.Year() > 2261:
		return Timestamp{wall: math.MaxInt64}
	}
	return Timestamp{wall: max(t.UnixNano(), 1)}
}

// ParseTimestamp reads exactly what String writes.
func ParseTimestamp(text string) (Timestamp, error) {
	wall, logical, _ := strings.Cut(text, ".")
	nanoseconds, err := strconv.ParseInt(wall, 10, 64)
	count, err2 := strconv.ParseInt(logical, 10, 32)
	t := Timestamp{nanoseconds, int32(count)}
	if err != nil || err2 != nil || nanoseconds <= 0 || count < 0 || t.String() != text {
		return Timestamp{}, fmt.Errorf("%q is no timestamp", text)
	}
	return t, nil
}

// String is the form that CockroachDB reads and writes, a decimal number:
// "1700000000000000000.0000000001".
func (t Timestamp) String() string { return fmt.Sprintf("%d.%010d", t.wall, t.logical) }

// Time is the Timestamp in nanoseconds, in UTC.
func (t Timestamp) Time() time.Time { return time.Unix(0, t.wall).UTC() }

// Next is the first Timestamp after t.
func (t Timestamp) Next() Timestamp {
	if t.logical == math.MaxInt32 {
		return Timestamp{wall: t.wall + 1}
	}
	return Timestamp{t.wall, t.logical + 1}
}

// Compare is negative when t is before other, positive when it is after.
func (t Timestamp) Compare(other Timestamp) int {
	return cmp.Or(cmp.Compare(t.wall, other.wall), cmp.Compare(t.logical, other.logical))
}

// Before says whether t is before other.
func (t Timestamp) Before(other Timestamp) bool { return t.Compare(other) < 0 }

// IsZero says whether t is no time.
func (t Timestamp) IsZero() bool { return t == Timestamp{} }
