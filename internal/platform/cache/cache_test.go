package cache_test

import (
	"errors"
	"testing"
	"time"

	"florin/internal/platform/cache"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestAValueIsReadAgainWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	var v cache.Value[int]
	reads := 0
	read := func(last int) (int, error) {
		if last != reads*10 {
			t.Errorf("read %d is given %d", reads, last)
		}
		reads++
		return reads * 10, nil
	}
	for _, c := range []struct {
		at   time.Duration
		want int
	}{{0, 10}, {4 * time.Second, 10}, {5 * time.Second, 20}, {9 * time.Second, 20}, {time.Minute, 30}} {
		if got, err := v.Get(noon.Add(c.at), 5*time.Second, read); err != nil || got != c.want {
			t.Errorf("after %s: %d, %v; want %d", c.at, got, err, c.want)
		}
	}
	v.Forget()
	if got, err := v.Get(noon.Add(time.Minute), 5*time.Second, read); err != nil || got != 40 {
		t.Error("after Forget:", got, err)
	}
}

func TestAnErrorIsNotRemembered(t *testing.T) {
	t.Parallel()
	var v cache.Value[string]
	away := errors.New("database is away")
	if _, err := v.Get(noon, time.Minute, func(string) (string, error) { return "half", away }); !errors.Is(err, away) {
		t.Fatal(err)
	}
	got, err := v.Get(noon, time.Minute, func(last string) (string, error) { return last + "whole", nil })
	if err != nil || got != "whole" {
		t.Fatal(got, err)
	}
}

// A value read before a change, and returned after it, must not live on.
func TestWhatIsReadDuringAForgetIsNotRemembered(t *testing.T) {
	t.Parallel()
	var v cache.Value[string]
	old, err := v.Get(noon, time.Minute, func(string) (string, error) {
		v.Forget()
		return "old", nil
	})
	if err != nil || old != "old" {
		t.Fatal(old, err)
	}
	got, err := v.Get(noon, time.Minute, func(string) (string, error) { return "new", nil })
	if err != nil || got != "new" {
		t.Fatal(got, err)
	}
}
