package api

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"florin/internal/ledger"
	"florin/internal/platform/id"
)

// FuzzCursors makes up cursors for every way that one is read: what is taken is
// fit for a query, and what newCursor wrote is read as it was.
func FuzzCursors(f *testing.F) {
	f.Add("", "", "", int64(0))
	for _, cursor := range []string{
		placeCursor("approvals", time.Unix(1_800_000_000, 1000), "apr_a"), newCursor("users", noSnapshot, "user_a"),
		newCursor("postings", noSnapshot, "a", "17"), newCursor("users", noSnapshot, "' OR 1=1"), "AAAA", "!",
	} {
		f.Add(cursor, "approvals", "apr_a", int64(1_800_000_000_000_001))
	}
	f.Fuzz(func(t *testing.T, cursor, kind, text string, micros int64) {
		for name, read := range map[string]func() (string, time.Time, error){
			"place": func() (string, time.Time, error) { at, text, err := placeAfter(cursor, kind); return text, at, err },
			"id":    func() (string, time.Time, error) { text, err := idAfter(cursor, kind); return text, time.Time{}, err },
			"accounts": func() (string, time.Time, error) {
				_, text, err := (&Page{Cursor: cursor}).accountsAfter()
				return text, time.Time{}, err
			},
			"transactions": func() (string, time.Time, error) {
				_, p, err := (&Page{Cursor: cursor}).transfersBefore()
				return p.ID, p.CreatedAt, err
			},
			"postings": func() (string, time.Time, error) {
				_, seq, err := (&Page{Cursor: cursor}).postingsBefore(text)
				if err == nil && cursor != "" && seq < 1 {
					t.Fatalf("posting %d", seq)
				}
				return "", time.Time{}, err
			},
		} {
			got, at, err := read()
			if err != nil {
				continue
			}
			if got != "" && !id.IsPossible(got) || at.Year() > 9999 || at.Year() < 1 {
				t.Fatalf("%s: %q is %q at %s", name, cursor, got, at)
			}
		}
		at := time.UnixMicro(micros).UTC()
		if !id.IsPossible(text) || strings.Contains(kind, cursorSeparator) || at.Year() < 1 || at.Year() > 9999 {
			return
		}
		written, gotID, err := placeAfter(placeCursor(kind, at, text), kind)
		if err != nil || gotID != text || !written.Equal(at) {
			t.Fatalf("%s %s is read as %s %s, %v", at, text, written, gotID, err)
		}
		if _, err := idAfter(placeCursor(kind, at, text), kind); err == nil {
			t.Fatal("a place is taken for an id")
		}
	})
}

// problemsOf decodes a body as a request of the type.
func problemsOf[T object[T]](body []byte) []ledger.FieldError {
	var into T
	return decode(body, &into)
}

// FuzzBodies decodes anything as a request of every type that there is: it ends, and
// every problem has a field and can be written as JSON.
func FuzzBodies(f *testing.F) {
	decoders := map[string]func([]byte) []ledger.FieldError{
		"signUp": problemsOf[SignUpRequest], "email": problemsOf[EmailRequest], "mailToken": problemsOf[MailTokenRequest], "reset": problemsOf[ResetPasswordRequest],
		"signIn": problemsOf[SignInRequest], "proof": problemsOf[ProofRequest], "me": problemsOf[UpdateMeRequest], "password": problemsOf[ChangePasswordRequest],
		"code": problemsOf[CodeRequest], "link": problemsOf[LinkAccountRequest], "open": problemsOf[OpenMyAccountRequest], "bank": problemsOf[BankPaymentRequest],
		"pay": problemsOf[MyTransferRequest], "role": problemsOf[RoleRequest], "key": problemsOf[CreateKeyRequest], "rotate": problemsOf[RotateKeyRequest],
		"rule": problemsOf[RiskRuleTerms], "test": problemsOf[TestRuleRequest], "limits": problemsOf[SetLimitsRequest], "reason": problemsOf[ReasonRequest],
		"batch": problemsOf[BatchRequest], "hold": problemsOf[HoldRequest], "capture": problemsOf[CaptureRequest], "update": problemsOf[UpdateAccountRequest],
		"purchases": problemsOf[PurchaseBatchRequest], "returns": problemsOf[ReturnBatchRequest], "clicks": problemsOf[ClickBatchRequest], "customer": problemsOf[CashbackCustomerRequest],
		"campaign": problemsOf[CampaignRequest], "simulation": problemsOf[SimulationRequest], "program": problemsOf[CashbackProgramRequest],
	}
	for _, seed := range []string{
		"{}", "null", `{"email":"a@b.example","password":"x","name":"\u0000"}`, `{"scopes":["a","b",1,null],"networks":[]}`, `{"facts":{"amount":1e9,"sumDay":"1"},"expression":"a"}`,
		`{"to":{"email":"a","email":"b"},"amount":-0}`, `{"perTransfer":"none","daily":"1.5"}`, `{"overlapSeconds":9999999999}`, `{"overlapSeconds":1.5}`, `{"expiresAt":"9999-12-31T23:59:60Z"}`,
		`{"scopes":[` + strings.Repeat(`"a",`, 200) + `"b"]}`, `{"transfers":[{},{},[]]}`, `{"cookie":"true"}`, `{"enabled":null}`, `{"role":"admin","r\u006fle":"x"}`, strings.Repeat(`{"to":`, 200),
		`{"groups":{"a":"BEST","a":"SUM","":null},"tiers":[{"name":"gold","minSpend":-0}]}`, `{"reward":{"multipliers":{"gold":"2","g\u006fld":3},"steps":[{}]},"caps":null}`,
		`{"purchases":[{"lines":[{"quantity":1e3,"unitPrice":"0.00001"},null]}]}`, `{"returns":[{"lines":[{"line":-1},{"line":null}],"amount":""}]}`, `{"terms":{"terms":{}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for name, problems := range decoders {
			for _, p := range problems(body) {
				if p.Field == "" || p.Problem == "" || !utf8.ValidString(p.Field+p.Problem) || len(p.Field) > 1000 {
					t.Fatalf("%s: %q: %q", name, body, p)
				}
			}
		}
	})
}

// FuzzRequestID takes nothing of a caller's into headers and logs but harmless ids.
func FuzzRequestID(f *testing.F) {
	for _, seed := range []string{"", "abc-1", "a\r\nSet-Cookie: x", strings.Repeat("a", 65), "a b", "<b>", "é", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		id := requestID(given)
		if id == "" || len(id) > 64 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" {
			t.Fatalf("%q became %q", given, id)
		}
	})
}
