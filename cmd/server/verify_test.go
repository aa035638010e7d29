package main

import (
	"testing"
	"time"
)

func TestAsOfIsATimeOrHowLongAgo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 11, 0, 0, 0, time.UTC)
	want := time.Date(2026, 1, 31, 9, 30, 0, 125_000_000, time.UTC)
	for _, text := range []string{"2026-01-31T09:30:00.125Z", "2026-01-31T10:30:00.125+01:00", "1h29m59.875s"} {
		if got, err := parseAsOf(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s became %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0s", "-5s", "10", "yesterday", "2026-01-31", "2026-01-31T09:30:00", "1769851800"} {
		if got, err := parseAsOf(text, now); err == nil {
			t.Errorf("%q was taken as %s", text, got)
		}
	}
}
