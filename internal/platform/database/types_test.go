package database_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

// The short way of encoding and decoding gives what the engine means by the same
// text, for every decimal that a ledger can hold and for those it can't.
func TestDecimalsAndArraysTravelExactly(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		db := dbtest.Open(t, url, database.Options{MaxConns: 1})
		decimals := rapid.Custom(func(t *rapid.T) decimal.Decimal {
			exponent := rapid.Int32Range(-7, 2).Draw(t, "exponent")
			switch rapid.IntRange(0, 3).Draw(t, "size") {
			case 0:
				return decimal.New(rapid.Int64Range(-20_000, 20_000).Draw(t, "coefficient"), exponent)
			case 1: // powers of ten and their neighbours
				power := decimal.New(1, rapid.Int32Range(-4, 15).Draw(t, "power"))
				return power.Add(decimal.New(rapid.Int64Range(-1, 1).Draw(t, "off"), exponent))
			case 2:
				return decimal.New(rapid.Int64().Draw(t, "coefficient"), exponent).Mul(decimal.New(1, 3))
			}
			return decimal.New(rapid.Int64().Draw(t, "coefficient"), exponent)
		})
		rapid.Check(t, func(rt *rapid.T) {
			values := rapid.SliceOfN(decimals, 0, 8).Draw(rt, "values")
			texts := rapid.SliceOfN(rapid.StringMatching(`[a-zA-Zäöü€{},"\\ ]{0,9}`), 0, 4).Draw(rt, "texts")
			numbers := rapid.SliceOfN(rapid.Int64(), 0, 4).Draw(rt, "numbers")
			times := []time.Time{{}, time.Date(2026, 2, 28, 23, 59, 59, 999_999_000, time.UTC), time.Unix(0, 0).UTC()}
			hashes := [][]byte{{}, {0, 255}, []byte(strings.Repeat("x", 40))}
			var asText []string
			var back []decimal.Decimal
			var textsBack []string
			var numbersBack []int64
			var timesBack []time.Time
			var hashesBack [][]byte
			err := db.QueryRow(t.Context(), `
				SELECT (SELECT coalesce(array_agg(v::text ORDER BY i), '{}') FROM unnest($1::decimal[]) WITH ORDINALITY AS u (v, i)),
				       $1::decimal[], $2::text[], $3::bigint[], $4::timestamptz[], $5::bytea[]`,
				values, texts, numbers, times, hashes,
			).Scan(&asText, &back, &textsBack, &numbersBack, &timesBack, &hashesBack)
			if err != nil {
				rt.Fatal(err)
			}
			if len(back) != len(values) || !slices.Equal(textsBack, texts) || !slices.Equal(numbersBack, numbers) ||
				!slices.EqualFunc(timesBack, times, time.Time.Equal) ||
				!slices.EqualFunc(hashesBack, hashes, func(a, b []byte) bool { return string(a) == string(b) }) {
				rt.Fatalf("got %v %q %v %v %v; want %v %q %v %v %v", back, textsBack, numbersBack, timesBack, hashesBack, values, texts, numbers, times, hashes)
			}
			for i, value := range values {
				if !back[i].Equal(value) || !decimal.RequireFromString(asText[i]).Equal(value) {
					rt.Fatalf("%s came back as %s, the engine reads %s", value, back[i], asText[i])
				}
				var one, column decimal.Decimal
				var none, some decimal.NullDecimal
				err := db.QueryRow(t.Context(), "SELECT $1::decimal, $1::decimal(40, 8), NULL::decimal, $1::decimal", value).Scan(&one, &column, &none, &some)
				if err != nil || !one.Equal(value) || !column.Equal(value) || none.Valid || !some.Valid || !some.Decimal.Equal(value) {
					rt.Fatalf("%s came back as %s, %s, %v and %v, %v", value, one, column, none, some, err)
				}
			}
		})
		// As a money column holds it: no more decimals than need be.
		var column decimal.Decimal
		if err := db.QueryRow(t.Context(), "SELECT $1::decimal(19, 4)", decimal.RequireFromString("1500.50")).Scan(&column); err != nil || column.Exponent() < -2 {
			t.Errorf("1500.50 came back with exponent %d, %v", column.Exponent(), err)
		}
		var empty, null []string
		if err := db.QueryRow(t.Context(), "SELECT $1::text[], $2::text[]", []string{}, []string(nil)).Scan(&empty, &null); err != nil || empty == nil || null != nil {
			t.Errorf("an empty array came back as %#v, none as %#v, %v", empty, null, err)
		}
	})
}
