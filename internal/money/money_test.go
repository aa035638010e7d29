package money_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"florin/internal/money"
)

func TestParseIsExact(t *testing.T) {
	for text, want := range map[string]string{
		"0.1": "0.1", "1000.50": "1000.5", "0": "0", "-3": "-3", "007": "7",
		"999999999999999.9999": "999999999999999.9999",
		"1.00000000":           "1", // zeros at the end lose nothing
		"-0001.5000":           "-1.5",
		"-0":                   "0",
		"0.0":                  "0",
	} {
		got, err := money.Parse(text)
		if err != nil || !got.Equal(decimal.RequireFromString(want)) {
			t.Errorf("Parse(%q) = %s, %v; want %s", text, got, err, want)
		}
	}
}

func TestParseRefusesWhatIsNoPlainAmount(t *testing.T) {
	for text, want := range map[string]error{
		"": money.ErrNotANumber, ".": money.ErrNotANumber, "1.": money.ErrNotANumber, ".5": money.ErrNotANumber,
		"1e3": money.ErrNotANumber, "+1": money.ErrNotANumber, "1,000": money.ErrNotANumber, " 1": money.ErrNotANumber,
		"NaN": money.ErrNotANumber, "Infinity": money.ErrNotANumber, "--1": money.ErrNotANumber, "1.2.3": money.ErrNotANumber,
		"٣":                     money.ErrNotANumber,
		"1000000000000000":      money.ErrTooLarge,
		strings.Repeat("9", 40): money.ErrTooLarge,
		"0.00001":               money.ErrTooManyDecimals,
	} {
		if got, err := money.Parse(text); !errors.Is(err, want) {
			t.Errorf("Parse(%q) = %s, %v; want %v", text, got, err, want)
		}
	}
}

// A request is as long as its body may be: neither its time nor an error's text may
// grow faster.
func TestParseIsQuickAndBriefWhateverItsLength(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"zeros at the end":        {"1." + strings.Repeat("0", 10_000_000), nil},
		"zeros at both ends":      {"-" + strings.Repeat("0", 10_000_000) + "7." + strings.Repeat("0", 10_000_000), nil},
		"a one after many zeros":  {"1." + strings.Repeat("0", 10_000_000) + "1", money.ErrTooManyDecimals},
		"nines":                   {strings.Repeat("9", 10_000_000), money.ErrTooLarge},
		"nines, then no number":   {strings.Repeat("9", 10_000_000) + "x", money.ErrNotANumber},
		"an exponent after zeros": {"1." + strings.Repeat("0", 10_000_000) + "e9", money.ErrNotANumber},
	} {
		start := time.Now()
		got, err := money.Parse(c.text)
		if !errors.Is(err, c.want) || err == nil && got.NumDigits() != 1 || err != nil && len(err.Error()) > 200 {
			t.Errorf("%s: %d digits, %.300v", name, got.NumDigits(), err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: it took %s", name, took)
		}
	}
}

// Whatever is taken is the number that the text says, and within the limits.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"0.1", "-0", "1000.50", "007", "1.", ".5", "1e9", "999999999999999.9999", "1." + strings.Repeat("0", 1000), strings.Repeat("0", 1000) + "1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, err := money.Parse(text)
		if err != nil {
			if len(err.Error()) > 200 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if want, err := decimal.NewFromString(text); err != nil || !value.Equal(want) {
			t.Fatalf("Parse(%q) = %s; want %s, %v", text, value, want, err)
		}
		if value.Abs().GreaterThanOrEqual(money.Limit) || -value.Exponent() > money.MaxDecimals {
			t.Fatalf("Parse(%q) = %s", text, value)
		}
	})
}

func TestCheckKnowsEachCurrencysDecimals(t *testing.T) {
	for _, c := range []struct {
		amount   string
		currency money.Currency
		want     error
	}{
		{"10", "JPY", nil},
		{"10.0", "JPY", nil},
		{"10.5", "JPY", money.ErrTooManyDecimals},
		{"10.55", "USD", nil},
		{"10.555", "USD", money.ErrTooManyDecimals},
		{"10.555", "BHD", nil},
		{"10.5555", "CLF", nil},
		{"1000000000000000", "USD", money.ErrTooLarge},
	} {
		if err := money.Check(decimal.RequireFromString(c.amount), c.currency); !errors.Is(err, c.want) {
			t.Errorf("Check(%s %s) = %v; want %v", c.amount, c.currency, err, c.want)
		}
	}
}

func TestFormatWritesExactlyTheCurrencysDecimals(t *testing.T) {
	for _, c := range []struct {
		amount   string
		currency money.Currency
		want     string
	}{
		{"1000.5", "USD", "1000.50"},
		{"1001", "JPY", "1001"},
		{"-0.001", "BHD", "-0.001"},
		{"0.005", "USD", "0.005"}, // shown in full, never rounded
	} {
		if got := money.Format(decimal.RequireFromString(c.amount), c.currency); got != c.want {
			t.Errorf("Format(%s, %s) = %q; want %q", c.amount, c.currency, got, c.want)
		}
	}
}

func TestFormatAndParseAreInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		currency := rapid.SampledFrom([]money.Currency{"JPY", "USD", "BHD", "CLF"}).Draw(t, "currency")
		minorUnits := rapid.Int64Range(-999_999_999_999_999, 999_999_999_999_999).Draw(t, "minorUnits")
		value := decimal.New(minorUnits, -currency.Decimals())
		back, err := money.Parse(money.Format(value, currency))
		if err != nil || !back.Equal(value) {
			t.Fatalf("%s %s came back as %s, %v", value, currency, back, err)
		}
	})
}

func TestParseCurrency(t *testing.T) {
	for _, code := range []string{"USD", "GBP", "JPY", "CLF"} {
		if _, err := money.ParseCurrency(code); err != nil {
			t.Error(err)
		}
	}
	for _, code := range []string{"", "usd", "XXX", "XAU", "US", "BTC", "USD "} {
		if _, err := money.ParseCurrency(code); !errors.Is(err, money.ErrUnknownCurrency) {
			t.Errorf("ParseCurrency(%q) = %v; want ErrUnknownCurrency", code, err)
		}
	}
}
