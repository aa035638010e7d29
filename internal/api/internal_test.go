package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5/pgconn"

	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/database"
)

func TestErrorsBecomeTheirProblems(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   code
	}{
		{ledger.InsufficientFunds.Failure("x"), 422, code(ledger.InsufficientFunds)},
		{recordedFailure{fmt.Errorf("in vain: %w", ledger.AccountFrozen.Failure("x")), ledger.Transfer{}}, 409, code(ledger.AccountFrozen)},
		{ledger.Code("brand_new").Failure("x"), 500, codeInternalError},
		{&ledger.InvalidInput{}, 400, codeInvalidRequest},
		{fmt.Errorf("%w: x", database.ErrSnapshotGone), 410, codeCursorExpired},
		{fmt.Errorf("%w: x", database.ErrSnapshotInFuture), 400, codeInvalidRequest},
		{database.ErrNoPast, 400, codeInvalidRequest},
		{fmt.Errorf("in vain: %w", ledger.ErrOverloaded), 503, codeOverloaded},
		{ledger.ErrShuttingDown, 503, codeShuttingDown},
		{fmt.Errorf("%w: %w", database.ErrConflict, context.DeadlineExceeded), 503, codeConflictRetry},
		{fmt.Errorf("%w: %w", database.ErrUnavailable, context.DeadlineExceeded), 503, codeDatabaseUnavailable},
		{fmt.Errorf("%w: %w", database.ErrCommitUnknown, errors.New("x")), 503, codeOutcomeUnknown},
		{context.DeadlineExceeded, 503, codeTimeout},
		{context.Canceled, 503, codeTimeout},
		{fmt.Errorf("list: %w", &pgconn.PgError{Code: "57014"}), 503, codeTimeout},
		{ErrUnauthenticated, 401, codeUnauthenticated},
		{errors.New("password=secret"), 500, codeInternalError},
	} {
		ctx := context.WithValue(t.Context(), requestKey{}, &request{id: "r"})
		got := problemFor(ctx, c.err)
		if got.Status != c.status || got.Code != c.code || got.RequestID != "r" || got.Detail == "" || got.Title == "" {
			t.Errorf("%v became %+v; want %d %s", c.err, got, c.status, c.code)
		}
		text, _ := json.Marshal(got)
		if strings.Contains(string(text), "secret") {
			t.Errorf("%v is told: %s", c.err, text)
		}
		if retry := got.GetHeaders().Get("Retry-After"); (retry != "") != (c.status == 503) {
			t.Errorf("%v: Retry-After %q", c.err, retry)
		}
		if logged := requestFrom(ctx).err; (logged != nil) != (c.status >= 500) {
			t.Errorf("%v: %v is logged", c.err, logged)
		}
	}
}

// Every code of the ledger has its row in the table of errors.
func TestEveryCodeOfTheLedgerIsKnown(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../ledger/failure.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, isSpec := n.(*ast.ValueSpec)
		if !isSpec || len(spec.Values) != 1 {
			return true
		}
		if name, isName := spec.Type.(*ast.Ident); isName && name.Name == "Code" {
			text, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if codes++; errorKindOf[code(text)].status == 0 {
				t.Errorf("%s has no row", text)
			}
		}
		return true
	})
	if codes < 20 {
		t.Errorf("found %d codes", codes)
	}
}

// What a request type documents is what its decoder takes.
func TestSchemasAgreeWithTheDecoder(t *testing.T) {
	agree[OpenAccountRequest](t)
	agree[UpdateAccountRequest](t)
	agree[TransferRequest](t)
	agree[BatchRequest](t)
	agree[HoldRequest](t)
	agree[CaptureRequest](t)
	agree[ReversalRequest](t)
}

func agree[T object[T]](t *testing.T) {
	var zero T
	registry := huma.NewMapRegistry("#/", huma.DefaultSchemaNamer)
	schema := registry.Schema(reflect.TypeFor[T](), false, "")
	names := map[string]bool{}
	var required []string
	for _, m := range zero.members() {
		names[m.name] = true
		if m.required {
			required = append(required, m.name)
		}
	}
	if got, want := slices.Sorted(maps.Keys(schema.Properties)), slices.Sorted(maps.Keys(names)); !slices.Equal(got, want) {
		t.Errorf("%T documents %v; takes %v", zero, got, want)
	}
	slices.Sort(required)
	documented := slices.Sorted(slices.Values(schema.Required))
	if !slices.Equal(documented, required) {
		t.Errorf("%T documents %v as required; asks for %v", zero, documented, required)
	}
	if schema.AdditionalProperties != false {
		t.Errorf("%T documents other members", zero)
	}
}

// Enumerations in the documentation are the ledger's.
func TestEnumerationsAgreeWithTheLedger(t *testing.T) {
	registry := huma.NewMapRegistry("#/", huma.DefaultSchemaNamer)
	enum := func(of reflect.Type, property string) string {
		return fmt.Sprint(registry.Schema(of, false, "").Properties[property].Enum)
	}
	for got, want := range map[string]string{
		enum(reflect.TypeFor[Account](), "accountType"):            fmt.Sprint(ledger.AccountTypes),
		enum(reflect.TypeFor[OpenAccountRequest](), "accountType"): fmt.Sprint(ledger.AccountTypes),
		enum(reflect.TypeFor[Transfer](), "status"):                fmt.Sprint(ledger.TransferStatuses),
		enum(reflect.TypeFor[Hold](), "status"):                    fmt.Sprint(ledger.HoldStatuses),
	} {
		if got != want {
			t.Errorf("documented %s; the ledger has %s", got, want)
		}
	}
}

func TestProblemsNameTheirField(t *testing.T) {
	for text, want := range map[string]string{
		`{"transfers":[{"transactionId":"a","sourceAccountId":"b","destinationAccountId":"c","amount":1},{"amount":"x"}]}`:    "transfers[1].amount transfers[1].transactionId transfers[1].sourceAccountId transfers[1].destinationAccountId",
		`{"transfers":[{"transactionId":"a","sourceAccountId":"b","destinationAccountId":"c","amount":1,"metadata":{"x":}}]}`: "transfers[0].metadata",
		`{"transfers":[{"transactionId":"a" "amount":1}]}`:                                                                    "transfers[0].transactionId",
		`{"transfers":[{]}`:                "transfers[0]",
		`{"transfers":[],}`:                "transfers",
		`{"transfers":[}`:                  "transfers",
		`{"transfers":null}`:               "transfers",
		`{"transfers"}`:                    "transfers",
		` {"a":1,"b":2} `:                  "a b transfers",
		`{"transfers":[]} {}`:              "body",
		`{"transfers":[],"\u0061tomic":1}`: "atomic",
		`{"transfers":[{"3":1}]}`:          "transfers[0].3 transfers[0].transactionId transfers[0].sourceAccountId transfers[0].destinationAccountId transfers[0].amount",
		`{"a/b~":{"x":[1,{"y":}]}}`:        "a/b~",
		`{"transfers":[],"transfers":[]}`:  "transfers",
	} {
		var r BatchRequest
		var got []string
		for _, p := range decode([]byte(text), &r) {
			got = append(got, p.Field)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v; want %s", text, got, want)
		}
	}
}

func TestProblemsAreTold20AtMost(t *testing.T) {
	var r BatchRequest
	if got := len(decode([]byte(`{"transfers":[`+strings.Repeat(`{},`, 100)+`{}]}`), &r)); got != problemsMax {
		t.Errorf("%d problems", got)
	}
}

// The decoder takes only what encoding/json takes, and sees the same in it.
func FuzzDecode(f *testing.F) {
	const others = `"transactionId":"t1","sourceAccountId":"a","destinationAccountId":"b"`
	for _, seed := range []string{
		`{` + others + `,"amount":"1.50","metadata":{"a":[1,2.5e3,null,true,"x\u00e4\ud83d\ude00"]}}`,
		`{` + others + `,"amount":-0.10,"description":"\\\"\/\b\f\n\r\t","timestamp":"2026-01-31T00:00:00.5+01:00"}`,
		`{"amount":-0.1e+5,"transactionId":null}`, `{`, `{"amount":01}`, `{"amount":1,}`, `[`, `{"a":"\ud800"}`, "{\"a\":\"\x01\"}",
		`{"metadata":{"a":{"a":{}}}}`, `{"description":"\u12"}`, `{""`, `{"amount":1,"\u0061mount":2}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var r TransferRequest
		problems := decode([]byte(text), &r)
		for _, p := range problems {
			if p.Field == "" || p.Problem == "" || !utf8.ValidString(p.Field+p.Problem) {
				t.Fatalf("%q: %q", text, p)
			}
		}
		if len(problems) > 0 {
			return
		}
		var same struct {
			TransactionID, Description string
			Amount                     any
			Metadata                   json.RawMessage
		}
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&same); err != nil || !json.Valid([]byte(text)) {
			t.Fatalf("took what is no JSON: %q: %v", text, err)
		}
		if same.TransactionID != string(r.TransactionID) || same.Description != r.Description {
			t.Fatalf("%q: %q %q; want %q %q", text, r.TransactionID, r.Description, same.TransactionID, same.Description)
		}
		if amount, err := money.Parse(fmt.Sprint(same.Amount)); err != nil || !amount.Equal(r.Amount.Decimal) {
			t.Fatalf("%q: amount %v; want %v %v", text, r.Amount, amount, err)
		}
		if r.Metadata != nil && string(r.Metadata) != string(same.Metadata) {
			t.Fatalf("%q: metadata %q; want %q", text, r.Metadata, same.Metadata)
		}
	})
}

// Any JSON object that is UTF-8 and not too deep is taken as metadata, as it is
// written.
func FuzzMetadata(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":[1,-0,1.5e-7,"a\\"]}`, ` { "a" : tru }`, `{"a":}`, `{"a":[,]}`, `{"a":1,}`, `{"a":"\x"}`, `{"a":1,"a":2}`, `{"":"\ud83d\ude00"}`,
		strings.Repeat(`{"a":`, depthMax-1) + `{}` + strings.Repeat(`}`, depthMax-1), strings.Repeat(`{"a":`, depthMax) + `[]` + strings.Repeat(`}`, depthMax),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var r ReversalRequest
		problems := decode([]byte(`{"metadata":`+text+`}`), &r)
		written := strings.Trim(text, " \t\r\n")
		if !json.Valid([]byte(text)) || !strings.HasPrefix(written, "{") || !utf8.ValidString(text) || strings.Contains(strings.ToLower(text), `\ud`) {
			return // what is taken of the rest is FuzzDecode's
		}
		depth, deepest := 0, 0
		for _, c := range regexp.MustCompile(`"(\\.|[^"\\])*"|[][{}]`).FindAllString(text, -1) {
			switch c {
			case "{", "[":
				depth++
				deepest = max(deepest, depth)
			case "}", "]":
				depth--
			}
		}
		if taken := len(problems) == 0; taken != (deepest <= depthMax) || taken && string(r.Metadata) != written {
			t.Fatalf("%q: %q %v", text, r.Metadata, problems)
		}
	})
}

func batchText(n int) string {
	var b strings.Builder
	b.WriteString(`{"atomic":false,"transfers":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"transactionId":"bench-0123456789-%06d","sourceAccountId":"acc-000000%04d","destinationAccountId":"acc-000001%04d","amount":"12.34","currency":"USD","description":"bench"}`, i, i, i)
	}
	b.WriteString("]}")
	return b.String()
}

func BenchmarkDecodeBatchOf500(b *testing.B) {
	text := []byte(batchText(500))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		var r BatchRequest
		if problems := decode(text, &r); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
}

// What huma would do with the same body: decode to any, validate, decode again.
func BenchmarkHumaDecodeBatchOf500(b *testing.B) {
	type item struct {
		TransactionID        string `json:"transactionId" pattern:"^[A-Za-z0-9_.:-]{1,50}$"`
		SourceAccountID      string `json:"sourceAccountId"`
		DestinationAccountID string `json:"destinationAccountId"`
		Amount               string `json:"amount"`
		Currency             string `json:"currency,omitempty"`
		Description          string `json:"description,omitempty" maxLength:"500"`
	}
	type batch struct {
		Atomic    bool   `json:"atomic,omitempty"`
		Transfers []item `json:"transfers"`
	}
	text := []byte(batchText(500))
	registry := huma.NewMapRegistry("#/", huma.DefaultSchemaNamer)
	schema := registry.Schema(reflect.TypeFor[batch](), false, "")
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		var parsed any
		_ = json.Unmarshal(text, &parsed)
		result := huma.ValidateResult{}
		huma.Validate(registry, schema, huma.NewPathBuffer([]byte{}, 0), huma.ModeWriteToServer, parsed, &result)
		if len(result.Errors) > 0 {
			b.Fatal(result.Errors)
		}
		var r batch
		if err := json.Unmarshal(text, &r); err != nil {
			b.Fatal(err)
		}
	}
}
