package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"florin/internal/cashback"
)

const ingestHeader = "purchaseId,merchantId,customerId,product,quantity,unitPrice,currency,timestamp\n"

// ingestFile writes a file of a test.
func ingestFile(t rapid.TB, folder, text string, isZipped bool) string {
	t.Helper()
	path, content := filepath.Join(folder, "file.csv"), []byte(text)
	if isZipped {
		var zipped bytes.Buffer
		w := gzip.NewWriter(&zipped)
		_, _ = w.Write(content)
		_ = w.Close()
		path, content = path+".gz", zipped.Bytes()
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// told is a group in short: each item with its lines, then what is rejected.
func told(g *ingestGroup) string {
	var out []string
	for _, item := range g.items {
		text := string(item.kind) + " " + item.lines[0].values[colPurchase] + ":"
		for _, line := range item.lines {
			text += fmt.Sprintf(" %d=%d", line.number, line.quantity())
		}
		out = append(out, text)
	}
	for _, line := range g.lines {
		if line.problem != nil {
			out = append(out, fmt.Sprintf("%d %s", line.number, line.problem.code))
		}
	}
	return strings.Join(out, "; ")
}

// groupsOf reads all of a file from a position on.
func groupsOf(t rapid.TB, path string, mapping ingestMapping, at ingestPosition) (groups []string, ends []ingestPosition, err error) {
	t.Helper()
	apart, err := findScattered(context.Background(), path, mapping, scatteredMax, func(int64) {})
	if err != nil {
		return nil, nil, err
	}
	r, err := openIngest(path, mapping, apart, at)
	if err != nil {
		return nil, nil, err
	}
	defer r.close()
	for {
		g, err := r.group()
		if errors.Is(err, io.EOF) {
			return groups, ends, nil
		}
		if err != nil {
			return groups, ends, err
		}
		groups, ends = append(groups, told(g)), append(ends, g.end)
	}
}

func TestLinesOfOneIDAreOnePurchase(t *testing.T) {
	t.Parallel()
	line := func(id, quantity string) string {
		return id + ",shop,ada,cup," + quantity + ",1.50,EUR,2026-01-31T09:30:00Z\n"
	}
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"none":                      {"", nil},
		"one":                       {line("p1", "1"), []string{"purchases p1: 2=1"}},
		"no break at the end":       {strings.TrimSuffix(line("p1", "1"), "\n"), []string{"purchases p1: 2=1"}},
		"several lines":             {line("p1", "1") + line("p1", "2") + line("p2", "3"), []string{"purchases p1: 2=1 3=2", "purchases p2: 4=3"}},
		"apart":                     {line("p1", "1") + line("p2", "2") + line("p1", "3"), []string{"purchases p1: 2=1 4=3", "purchases p2: 3=2", ""}},
		"in three places":           {line("p1", "1") + line("p2", "2") + line("p1", "3") + line("p2", "4") + line("p1", "5"), []string{"purchases p1: 2=1 4=3 6=5", "purchases p2: 3=2 5=4", "", "", ""}},
		"apart, come back":          {line("c1", "-1") + line("p2", "2") + line("c1", "-3"), []string{"returns c1: 2=-1 4=-3", "purchases p2: 3=2", ""}},
		"apart, come back later":    {line("p1", "1") + line("p2", "2") + line("p1", "-3") + line("p1", "4"), []string{"purchases p1: 2=1 5=4", "purchases p2: 3=2", "returns p1: 4=-3"}},
		"apart, a bad line first":   {line("p1", "1") + line("p1", "0") + line("p2", "2") + line("p1", "3"), []string{"2 purchase_incomplete; 3 quantity_invalid", "purchases p2: 4=2", "5 purchase_incomplete"}},
		"apart, a bad line later":   {line("p1", "1") + line("p2", "2") + line("p1", "0"), []string{"2 purchase_incomplete", "purchases p2: 3=2", "4 quantity_invalid"}},
		"apart, another customer":   {line("p1", "1") + line("p2", "2") + "p1,shop,bob,cup,1,1.50,EUR,2026-01-31T09:30:00Z\n", []string{"2 purchase_incomplete", "purchases p2: 3=2", "4 line_differs"}},
		"apart, a broken one":       {line("p1", "1") + "p1,shop\n" + line("p2", "2") + line("p1", "3"), []string{"purchases p1: 2=1 5=3; 3 line_invalid", "purchases p2: 4=2", ""}},
		"a long product":            {"p1,shop,ada," + strings.Repeat("é", 101) + ",1,1.50,EUR,2026-01-31T09:30:00Z\n", []string{"2 text_too_long"}},
		"a product just as long":    {"p1,shop,ada," + strings.Repeat("é", 100) + ",1,1.50,EUR,2026-01-31T09:30:00Z\n", []string{"purchases p1: 2=1"}},
		"what came back":            {line("c1", "-1") + line("c1", "-2"), []string{"returns c1: 2=-1 3=-2"}},
		"bought and come back":      {line("p1", "1") + line("p1", "-2") + line("p1", "3"), []string{"purchases p1: 2=1 4=3; returns p1: 3=-2"}},
		"blank lines":               {"\n\n" + line("p1", "1") + "\n" + line("p1", "2") + "\n\n\n" + line("p2", "3"), []string{"purchases p1: 4=1 6=2", "purchases p2: 10=3"}},
		"breaks in a field":         {"\"p1\",shop,ada,\"a\ncup\",1,1.50,EUR,2026-01-31T09:30:00Z\n" + line("p1", "2"), []string{"purchases p1: 2=1 4=2"}},
		"ends of lines of Windows":  {strings.ReplaceAll(line("p1", "1")+line("p1", "2"), "\n", "\r\n"), []string{"purchases p1: 2=1 3=2"}},
		"blanks around":             {" p1 ,shop, ada,cup, 1,1.50 ,EUR,2026-01-31T09:30:00Z\n", []string{"purchases p1: 2=1"}},
		"a bad line spoils the id":  {line("p1", "1") + line("p1", "0") + line("p2", "1"), []string{"2 purchase_incomplete; 3 quantity_invalid", "purchases p2: 4=1"}},
		"a broken one in between":   {line("p1", "1") + "p1,shop\n" + line("p1", "2"), []string{"2 purchase_incomplete; 3 line_invalid; 4 purchase_incomplete"}},
		"a broken one beside":       {line("p1", "1") + "p1,shop\n" + line("p2", "2"), []string{"purchases p1: 2=1; 3 line_invalid", "purchases p2: 4=2"}},
		"a broken one first":        {"p1,shop\n" + line("p1", "1"), []string{"2 line_invalid", "purchases p1: 3=1"}},
		"no id":                     {line("", "1") + line("", "2") + line("p1", "2"), []string{"2 purchase_id_missing; 3 purchase_id_missing", "purchases p1: 4=2"}},
		"no id in between":          {line("p1", "1") + line("", "1") + line("p1", "2"), []string{"2 purchase_incomplete; 3 purchase_id_missing; 4 purchase_incomplete"}},
		"a quote in a field":        {line("p1", "1") + "p2,sh\"op,ada,cup,1,1.50,EUR,2026-01-31T09:30:00Z\n" + line("p3", "1"), []string{"purchases p1: 2=1; 3 line_invalid", "purchases p3: 4=1"}},
		"not UTF-8":                 {"p1,shop,ada,c\xffp,1,1.50,EUR,2026-01-31T09:30:00Z\n" + line("p2", "1"), []string{"2 line_invalid", "purchases p2: 3=1"}},
		"another minute":            {line("p1", "1") + "p1,shop,ada,cup,1,1.50,EUR,2026-01-31T09:31:00Z\n", []string{"purchases p1: 2=1 3=1"}},
		"another customer":          {line("p1", "1") + "p1,shop,bob,cup,1,1.50,EUR,2026-01-31T09:30:00Z\n", []string{"2 purchase_incomplete; 3 line_differs"}},
		"another currency":          {line("p1", "1") + "p1,shop,ada,cup,1,1.50,USD,2026-01-31T09:30:00Z\n", []string{"2 purchase_incomplete; 3 line_differs"}},
		"no customer":               {"p1,shop,,cup,1,1.50,EUR,2026-01-31T09:30:00Z\n", []string{"2 customer_missing"}},
		"no possible customer":      {"p1,shop,a b,cup,1,1.50,EUR,2026-01-31T09:30:00Z\n", []string{"2 customer_invalid"}},
		"no merchant":               {"p1,,ada,cup,1,1.50,EUR,2026-01-31T09:30:00Z\n", []string{"2 merchant_missing"}},
		"no possible id":            {"p/1,shop,ada,cup,1,1.50,EUR,2026-01-31T09:30:00Z\n", []string{"2 purchase_id_invalid"}},
		"half a thing":              {line("p1", "0.5"), []string{"2 quantity_invalid"}},
		"too many things":           {line("p1", "1000001") + line("p2", "-1000001"), []string{"2 quantity_invalid", "3 quantity_invalid"}},
		"price below zero":          {"p1,shop,ada,cup,1,-1.50,EUR,2026-01-31T09:30:00Z\n", []string{"2 price_invalid"}},
		"price with five decimals":  {"p1,shop,ada,cup,1,1.50001,EUR,2026-01-31T09:30:00Z\n", []string{"2 price_invalid"}},
		"price that is none":        {"p1,shop,ada,cup,1,1e3,EUR,2026-01-31T09:30:00Z\n", []string{"2 price_invalid"}},
		"free":                      {"p1,shop,ada,cup,1,0,EUR,2026-01-31T09:30:00Z\n", []string{"purchases p1: 2=1"}},
		"no such currency":          {"p1,shop,ada,cup,1,1.50,eur,2026-01-31T09:30:00Z\n", []string{"2 currency_invalid"}},
		"no time":                   {"p1,shop,ada,cup,1,1.50,EUR,31.01.2026\n", []string{"2 time_invalid"}},
		"no product":                {"p1,shop,ada,,1,1.50,EUR,2026-01-31T09:30:00Z\n", []string{"purchases p1: 2=1"}},
		"no product that came back": {"p1,shop,ada,,-1,1.50,EUR,2026-01-31T09:30:00Z\n", []string{"2 product_missing"}},
	} {
		for _, begin := range []string{"", "\ufeff"} {
			path := ingestFile(t, t.TempDir(), begin+ingestHeader+c.text, begin != "")
			got, _, err := groupsOf(t, path, ingestMapping{}, ingestPosition{})
			if err != nil || strings.Join(got, " | ") != strings.Join(c.want, " | ") {
				t.Errorf("%s: %q, %v\nwant %q", name, got, err, c.want)
			}
		}
	}
}

func TestColumnsAreFound(t *testing.T) {
	t.Parallel()
	const text = "No,Who,What,N,Price,When,Description\np1,ada,cup,2,1.50,2026-01-31T09:30:00Z,A cup\n"
	columns := map[string]string{"purchaseId": "No", "customerId": "Who", "product": "What", "quantity": "N", "unitPrice": "Price", "timestamp": "When", "description": "Description"}
	set := map[string]string{"merchantId": "shop", "currency": "EUR", "country": "DE"}
	path := ingestFile(t, t.TempDir(), text, false)
	r, err := openIngest(path, ingestMapping{columns, set}, nil, ingestPosition{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	g, err := r.group()
	if err != nil {
		t.Fatal(err)
	}
	if want := [columnCount]string{"p1", "shop", "ada", "cup", "A cup", "", "", "2", "1.50", "EUR", "2026-01-31T09:30:00Z", "DE"}; g.lines[0].values != want {
		t.Errorf("%q", g.lines[0].values)
	}
}

func TestWhatCanNotBeReadIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	all := map[string]string{}
	for want, c := range map[string]struct {
		text    string
		mapping ingestMapping
	}{
		"its first line must name the columns": {"", ingestMapping{}},
		`there is no column "purchaseId"`:      {"a,b\n", ingestMapping{}},
		`there is no column "nr"`:              {ingestHeader, ingestMapping{Column: map[string]string{"purchaseId": "nr"}}},
		`there is no column "category"`:        {ingestHeader, ingestMapping{Column: map[string]string{"category": "category"}}},
		`--column names "purchaseID"`:          {ingestHeader, ingestMapping{Column: map[string]string{"purchaseID": "nr"}, Set: all}},
		`--set names "price"`:                  {ingestHeader, ingestMapping{Set: map[string]string{"price": "1"}}},
		"--column and --set both":              {ingestHeader, ingestMapping{Column: map[string]string{"currency": "currency"}, Set: map[string]string{"currency": "EUR"}}},
		`two columns are called "currency"`:    {strings.TrimSuffix(ingestHeader, "\n") + ",currency\n", ingestMapping{}},
		"the names of the columns":             {"\"" + strings.Repeat("x", 1<<20), ingestMapping{}},
		"a quote may not be closed":            {ingestHeader + "\"" + strings.Repeat("x\n", 1<<20), ingestMapping{}},
	} {
		path := ingestFile(t, t.TempDir(), c.text, false)
		if _, _, err := groupsOf(t, path, c.mapping, ingestPosition{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	path := ingestFile(t, t.TempDir(), ingestHeader+strings.Repeat("p1,shop,ada,cup,1,1.50,EUR,2026-01-31T09:30:00Z\n", 1000), true)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content[:len(content)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := groupsOf(t, path, ingestMapping{}, ingestPosition{}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut off: %v", err)
	}
}

// What is too long for a purchase is rejected without being held, wherever a run
// goes on.
func TestAPurchaseWithTooManyLinesIsRejectedInAll(t *testing.T) {
	t.Parallel()
	line := "p1,shop,ada,cup,1,1.50,EUR,2026-01-31T09:30:00Z\n"
	after := "p2" + line[2:]
	type place struct{ before, after int } // lines of it, before and after another purchase
	for lines, want := range map[place]int{
		{cashback.MaxLines, 0}: 0, {cashback.MaxLines + 1, 0}: cashback.MaxLines + 1, {2*cashback.MaxLines + 5, 0}: 2*cashback.MaxLines + 5,
		{cashback.MaxLines - 1, 1}: 0, {cashback.MaxLines, 1}: cashback.MaxLines + 1, {1, 2 * cashback.MaxLines}: 2*cashback.MaxLines + 1,
	} {
		path := ingestFile(t, t.TempDir(), ingestHeader+strings.Repeat(line, lines.before)+after+strings.Repeat(line, lines.after), false)
		var groups []string
		for at := (ingestPosition{}); ; {
			rest, ends, err := groupsOf(t, path, ingestMapping{}, at)
			if err != nil {
				t.Fatal(err)
			}
			if len(rest) == 0 {
				break
			}
			groups, at = append(groups, rest[0]), ends[0] // one at a time
		}
		all := strings.Join(groups, ";")
		if got := strings.Count(all, "too_many_lines"); got != want {
			t.Errorf("of %v lines %d are too many, want %d", lines, got, want)
		}
		if !strings.Contains(all, fmt.Sprintf("purchases p2: %d=1", lines.before+2)) || strings.Contains(all, "purchases p1") != (want == 0) {
			t.Errorf("%v: %.200s", lines, all)
		}
	}
}

// However lines are scattered, each purchase and return is sent once, with all its
// lines, where the first of them stands.
func TestScatteredLinesAreGathered(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		text, n := ingestHeader, 1
		var order []string
		want := map[string]string{}
		for range rapid.IntRange(0, 40).Draw(t, "lines") {
			n++
			id := rapid.SampledFrom([]string{"p1", "p2", "p3", "p4"}).Draw(t, "id")
			quantity := rapid.SampledFrom([]string{"1", "-1", "7"}).Draw(t, "quantity")
			text += id + ",shop,ada,cup," + quantity + ",1.50,EUR,2026-01-31T09:30:00Z\n"
			item := "purchases " + id + ":"
			if quantity == "-1" {
				item = "returns " + id + ":"
			}
			if want[item] == "" {
				order = append(order, item)
			}
			want[item] += fmt.Sprintf(" %d=%s", n, quantity)
		}
		groups, _, err := groupsOf(t, ingestFile(t, folder, text, false), ingestMapping{}, ingestPosition{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, group := range groups {
			if group != "" {
				got = append(got, strings.Split(group, "; ")...)
			}
		}
		for i, item := range order {
			order[i] = item + want[item]
		}
		// Of what begins in one group, purchases come before returns.
		slices.Sort(got)
		slices.Sort(order)
		if !slices.Equal(got, order) {
			t.Fatalf("%q\nwant %q\nof\n%s", got, order, text)
		}
	})
}

func TestAFileInNoOrderHasToBeSorted(t *testing.T) {
	t.Parallel()
	text := ingestHeader
	for range 2 {
		for i := range 50 {
			text += fmt.Sprintf("p%d,shop,ada,cup,1,1.50,EUR,2026-01-31T09:30:00Z\n", i)
		}
	}
	path := ingestFile(t, t.TempDir(), text, true)
	for most, isTooMuch := range map[int]bool{20_000: true, 100_000: false} {
		apart, err := findScattered(t.Context(), path, ingestMapping{}, most, func(int64) {})
		if isTooMuch && (err == nil || !strings.Contains(err.Error(), "sort the file")) || !isTooMuch && (err != nil || len(apart) != 50) {
			t.Errorf("with %d bytes: %d purchases, %v", most, len(apart), err)
		}
	}
}

// What the filter takes for an id that it knows is looked at again.
func TestAFilterForgetsNothing(t *testing.T) {
	t.Parallel()
	f := newFilter(0)
	mistaken := 0
	for i := range 20_000 { // three bits for each
		if f.add(fmt.Sprint("p", i)) {
			mistaken++
		}
	}
	if mistaken == 0 || mistaken == 20_000 {
		t.Errorf("%d are mistaken", mistaken)
	}
	for i := range 20_000 {
		if !f.add(fmt.Sprint("p", i)) {
			t.Fatalf("p%d is forgotten", i)
		}
	}
}

func TestNothingIsScatteredThatOnlySeemsSo(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString(ingestHeader)
	for i := range 20_000 { // some of which the filter takes for others
		fmt.Fprintf(&text, "p%d,shop,ada,cup,1,1.50,EUR,2026-01-31T09:30:00Z\n", i)
	}
	text.WriteString("p7,shop,ada,cup,1,1.50,EUR,2026-01-31T09:30:00Z\n")
	path := ingestFile(t, t.TempDir(), text.String(), true)
	apart, err := findScattered(t.Context(), path, ingestMapping{}, scatteredMax, func(int64) {})
	if err != nil || len(apart) != 1 || apart["p7"] == nil {
		t.Errorf("%d purchases, %v", len(apart), err)
	}
}

// A run can go on behind every group, and reads there what it would have read.
func TestReadingGoesOnWhereItEnded(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		if rapid.Bool().Draw(t, "mark") {
			text.WriteString("\ufeff")
		}
		text.WriteString(rapid.SampledFrom([]string{ingestHeader, "\n\n" + ingestHeader, strings.Replace(ingestHeader, "timestamp", "timestamp,\"a\nb\"", 1)}).Draw(t, "header"))
		last := ""
		if strings.Contains(text.String(), "\"") {
			last = ",x"
		}
		for range rapid.IntRange(0, 25).Draw(t, "lines") {
			id := rapid.SampledFrom([]string{"p1", "p2", "p3", ""}).Draw(t, "id")
			quantity := rapid.SampledFrom([]string{"1", "-1", "0", "7"}).Draw(t, "quantity")
			product := rapid.SampledFrom([]string{"cup", "\"a\nb\"", "é", "x\"y"}).Draw(t, "product")
			text.WriteString(rapid.SampledFrom([]string{
				id + ",shop,ada," + product + "," + quantity + ",1.50,EUR,2026-01-31T09:30:00Z" + last + "\n", "\n", "p1,short\n", "\r\n",
			}).Draw(t, "line"))
		}
		path := ingestFile(t, folder, text.String(), rapid.Bool().Draw(t, "zipped"))
		all, ends, err := groupsOf(t, path, ingestMapping{}, ingestPosition{})
		if err != nil {
			t.Fatal(err)
		}
		for i, end := range ends {
			rest, _, err := groupsOf(t, path, ingestMapping{}, end)
			if err != nil || strings.Join(rest, " | ") != strings.Join(all[i+1:], " | ") {
				t.Fatalf("behind group %d of %q: %q, %v\nof\n%s", i, all, rest, err, text.String())
			}
		}
	})
}
