package database_test

import (
	"cmp"
	"testing"
	"time"

	"florin/internal/platform/database"
)

func TestTimestampsAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"1.0000000000", "1795263191928517742.0000000000", "1795263191928517742.0000000001", "9223372036854775807.2147483647",
	} {
		got, err := database.ParseTimestamp(text)
		if err != nil || got.String() != text || got.IsZero() {
			t.Errorf("%s became %s, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", ".", "1", "1.", "1.0", "1.00000000000", "0.0000000000", "0.0000000001", "-1.0000000000", "+1.0000000000", "01.0000000000",
		"1.-000000001", "1.2147483648", "9223372036854775808.0000000000", "1e9.0000000000", " 1.0000000000", "1.0000000000'; SELECT 1; --",
	} {
		if got, err := database.ParseTimestamp(text); err == nil || !got.IsZero() {
			t.Errorf("%q was taken as %s", text, got)
		}
	}
}

func TestATimestampIsTheNearestToItsTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 9, 30, 0, 123_456_789, time.FixedZone("", 3600))
	for _, c := range []struct {
		from time.Time
		want string
		back time.Time
	}{
		{at, "1769848200123456789.0000000000", at},
		{time.Time{}, "1.0000000000", time.Unix(0, 1)},
		{time.Unix(0, 0), "1.0000000000", time.Unix(0, 1)},
		{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), "9223372036854775807.0000000000", time.Unix(0, 1<<63-1)},
	} {
		got := database.TimestampOf(c.from)
		if got.String() != c.want || !got.Time().Equal(c.back) || got.Time().Location() != time.UTC {
			t.Errorf("%s became %s, %s; want %s", c.from, got, got.Time(), c.want)
		}
	}
}

func TestTimestampsHaveAnOrder(t *testing.T) {
	t.Parallel()
	var inOrder []database.Timestamp
	for _, text := range []string{"1.0000000000", "1.0000000009", "1.2147483647", "2.0000000000", "2.0000000001"} {
		at, err := database.ParseTimestamp(text)
		if err != nil {
			t.Fatal(err)
		}
		inOrder = append(inOrder, at)
	}
	for i, a := range inOrder {
		for j, b := range inOrder {
			if a.Compare(b) != cmp.Compare(i, j) || a.Before(b) != (i < j) {
				t.Errorf("%s and %s: %d, before is %v", a, b, a.Compare(b), a.Before(b))
			}
		}
	}
	if next := inOrder[3].Next(); next != inOrder[4] {
		t.Errorf("after %s comes %s", inOrder[3], next)
	}
	if next := inOrder[2].Next(); next != inOrder[3] {
		t.Errorf("after %s, the last of its nanosecond, comes %s", inOrder[2], next)
	}
}
