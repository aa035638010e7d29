package failure_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"florin/internal/platform/failure"
)

type bookCode string

type riskCode string

// brief is a failure that prints in another way.
type brief struct{ failure.Of[bookCode] }

func (b *brief) Error() string { return b.Message }

func TestFailuresOfOneModuleAreEqualByTheirCodes(t *testing.T) {
	t.Parallel()
	frozen := failure.New(bookCode("frozen"), "account %s is frozen", "alice")
	if got := frozen.Error(); got != "frozen: account alice is frozen" {
		t.Errorf("it reads %q", got)
	}
	for _, c := range []struct {
		name   string
		target error
		want   bool
	}{
		{"the same code in other words", failure.New(bookCode("frozen"), ""), true},
		{"a type that embeds it", &brief{*failure.New(bookCode("frozen"), "")}, true},
		{"another code", failure.New(bookCode("closed"), "account alice is frozen"), false},
		{"another module's code of the same name", failure.New(riskCode("frozen"), ""), false},
		{"another error", errors.New("frozen: account alice is frozen"), false},
	} {
		if got := errors.Is(fmt.Errorf("pay: %w", frozen), c.target); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if embedded := error(&brief{*frozen}); errors.Is(embedded, c.target) != c.want {
			t.Errorf("embedded, %s: %v", c.name, !c.want)
		}
	}
}

func TestTheFirstFailureIsFoundWhicheverModuleItIsOf(t *testing.T) {
	t.Parallel()
	slow := &failure.Of[riskCode]{Code: "slow_down", Message: "too often", RetryAfter: time.Minute}
	want := failure.Of[string]{Code: "slow_down", Message: "too often", RetryAfter: time.Minute}
	closed := &brief{*failure.New(bookCode("closed"), "for good")}
	for name, err := range map[string]error{
		"itself":                slow,
		"wrapped":               fmt.Errorf("pay: %w", slow),
		"before another":        fmt.Errorf("%w: %w", slow, closed),
		"joined to other kinds": errors.Join(errors.New("x"), slow),
	} {
		if got, isThere := failure.In(err); !isThere || got != want {
			t.Errorf("%s: %+v, %v", name, got, isThere)
		}
	}
	if got, isThere := failure.In(errors.Join(closed, slow)); !isThere || got.Code != "closed" || got.Message != "for good" {
		t.Errorf("embedded: %+v, %v", got, isThere)
	}
	for name, err := range map[string]error{"no error": nil, "none": errors.New("slow_down: too often")} {
		if got, isThere := failure.In(err); isThere || got != (failure.Of[string]{}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
