package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"florin/internal/money"
	"florin/internal/platform/id"
)

// Limits of a request. They are part of the API.
const (
	MaxDescriptionLength = 500   // characters
	MaxMetadataBytes     = 8_192 // of compact JSON
	MaxBatch             = 10_000
)

var emptyObject = json.RawMessage("{}")

// fields gathers the problems of a request's fields.
type fields struct {
	prefix   string
	problems []FieldError
}

func (f *fields) add(field, format string, args ...any) {
	f.problems = append(f.problems, FieldError{Field: f.prefix + field, Problem: fmt.Sprintf(format, args...)})
}

func (f *fields) err() error {
	if len(f.problems) == 0 {
		return nil
	}
	return &InvalidInput{Fields: f.problems}
}

func invalid(field, format string, args ...any) error {
	var f fields
	f.add(field, format, args...)
	return f.err()
}

func (f *fields) id(field, text string) {
	if !id.IsPossible(text) {
		f.add(field, "must have 1 to %d characters of A-Z a-z 0-9 _ - . :", id.MaxLength)
	}
}

// transferID is an id for a new transfer: those of works are not a caller's.
func (f *fields) transferID(field, text string) {
	f.id(field, text)
	if isHouseID(text) {
		f.add(field, "must not begin with %q", housePrefix)
	}
}

// amount checks a positive amount; currency may be empty, the account's is then
// checked by the executor.
func (f *fields) amount(field string, amount decimal.Decimal, currency money.Currency) {
	if !amount.IsPositive() {
		f.add(field, "must be above zero")
	}
	if err := money.Check(amount, currency); err != nil {
		f.add(field, "%v", err)
	}
}

func (f *fields) currency(currency money.Currency) {
	if currency == "" {
		return
	}
	if _, err := money.ParseCurrency(string(currency)); err != nil {
		f.add("currency", "%v", err)
	}
}

func (f *fields) description(text string) {
	if utf8.RuneCountInString(text) > MaxDescriptionLength {
		f.add("description", "must have at most %d characters", MaxDescriptionLength)
	}
	if strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
		f.add("description", "must be text without NUL characters")
	}
}

// metadata brings a JSON object into one form and returns it; nil stays nil.
func (f *fields) metadata(data json.RawMessage) json.RawMessage {
	if len(data) == 0 || string(data) == "null" {
		return nil
	}
	if len(data) > rawMetadataMax {
		f.add("metadata", "must have at most %d bytes", MaxMetadataBytes)
		return nil
	}
	canonical, err := canonicalObject(data)
	if err != nil {
		f.add("metadata", "%v", err)
	}
	return canonical
}

var errNotAnObject = errors.New("must be a JSON object")

// rawMetadataMax bounds metadata before it is parsed: blanks and escapes may go,
// but not much else.
const rawMetadataMax = 2 * MaxMetadataBytes

// canonicalObject writes a JSON object with its keys sorted and without blanks,
// numbers as they are.
func canonicalObject(data json.RawMessage) (json.RawMessage, error) {
	object, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	canonical, err := marshalPlain(object)
	if err != nil {
		return nil, err
	}
	if len(canonical) > MaxMetadataBytes {
		return nil, fmt.Errorf("must have at most %d bytes", MaxMetadataBytes)
	}
	return canonical, nil
}

func parseObject(data json.RawMessage) (map[string]any, error) {
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil || object == nil {
		return nil, errNotAnObject
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotAnObject
	}
	normal, err := normalJSON(object)
	if err != nil {
		return nil, err
	}
	return normal.(map[string]any), nil
}

// normalJSON refuses what JSON allows and the engines' JSONB does not hold, and
// writes numbers in the one form that both can give back: digits without an
// exponent, with the decimals they came with.
func normalJSON(value any) (any, error) {
	var err error
	switch v := value.(type) {
	case string:
		return v, storable(v)
	case json.Number:
		return normalNumber(v)
	case []any:
		for i := range v {
			if v[i], err = normalJSON(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key := range v {
			if err := storable(key); err != nil {
				return nil, err
			}
			if v[key], err = normalJSON(v[key]); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

func storable(text string) error {
	if strings.ContainsRune(text, 0) {
		return errors.New("must not contain NUL characters")
	}
	return nil
}

// numberDigitsMax bounds the zeros that an exponent stands for, on either side
// of the point: a few bytes must not become many.
const numberDigitsMax = 40

func normalNumber(n json.Number) (json.Number, error) {
	outOfRange := fmt.Errorf("number %.20s is out of range", n)
	if len(n) > MaxMetadataBytes {
		return "", outOfRange
	}
	value, err := decimal.NewFromString(n.String())
	if err != nil || value.Exponent() > numberDigitsMax {
		return "", outOfRange
	}
	decimals := -value.Exponent()
	if decimals <= 0 {
		return json.Number(value.String()), nil
	}
	if int(decimals) > max(numberDigitsMax, len(n)) {
		return "", outOfRange
	}
	return json.Number(value.StringFixed(decimals)), nil
}

func marshalPlain(value any) (json.RawMessage, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

// mergePatch applies a JSON Merge Patch (RFC 7396) to an object's top level and
// below.
func mergePatch(target, patch json.RawMessage) (json.RawMessage, error) {
	into, err := parseObject(target)
	if err != nil {
		return nil, fmt.Errorf("stored metadata: %w", err)
	}
	with, err := parseObject(patch)
	if err != nil {
		return nil, err
	}
	merged, err := marshalPlain(merge(into, with))
	if err == nil && len(merged) > MaxMetadataBytes {
		return nil, invalid("metadata", "must have at most %d bytes after merging", MaxMetadataBytes)
	}
	return merged, err
}

func merge(into, with map[string]any) map[string]any {
	for key, value := range with {
		object, isObject := value.(map[string]any)
		switch {
		case value == nil:
			delete(into, key)
		case isObject:
			below, _ := into[key].(map[string]any)
			if below == nil {
				below = map[string]any{}
			}
			into[key] = merge(below, object)
		default:
			into[key] = value
		}
	}
	return into
}

func (o *OpenAccount) validate() error {
	if o.Type == "" {
		o.Type = Checking
	}
	if o.Currency == "" {
		o.Currency = "USD"
	}
	var f fields
	f.id("accountId", o.ID)
	if isHouseID(o.ID) {
		f.add("accountId", "must not begin with %q, which is kept for the ledger's own accounts", housePrefix)
	}
	if !slices.Contains(AccountTypes, o.Type) {
		f.add("accountType", "must be one of %s", list(AccountTypes))
	}
	f.currency(o.Currency)
	if o.OwnerID != "" {
		f.id("ownerId", o.OwnerID)
		if o.Type.IsHouse() {
			f.add("ownerId", "must be absent: accounts of type %s are the house's", o.Type)
		}
	}
	if o.Balance.IsNegative() {
		f.add("balance", "must not be negative")
	}
	if err := money.Check(o.Balance, o.Currency); err != nil {
		f.add("balance", "%v", err)
	}
	if !o.OverdraftLimit.Valid && !o.Type.IsHouse() {
		o.OverdraftLimit = decimal.NewNullDecimal(decimal.Zero)
	}
	f.limit("overdraftLimit", o.OverdraftLimit.Decimal, o.Currency)
	if o.Metadata = f.metadata(o.Metadata); o.Metadata == nil {
		o.Metadata = emptyObject
	}
	return f.err()
}

func (f *fields) limit(field string, limit decimal.Decimal, currency money.Currency) {
	if limit.IsNegative() {
		f.add(field, "must not be negative")
	}
	if err := money.Check(limit, currency); err != nil {
		f.add(field, "%v", err)
	}
}

// byOwner refuses what an owner may not decide for his own account: money out of
// nothing, and terms that are there to bind him.
func (o *OpenAccount) byOwner() error {
	var f fields
	if o.Type.IsHouse() {
		f.add("accountType", "must be one of %s", list(customerTypes))
	}
	if o.Balance.IsPositive() {
		f.add("balance", "must be zero: an owner can't give himself an opening balance")
	}
	if o.OverdraftLimit.Decimal.IsPositive() {
		f.add("overdraftLimit", "must be zero: an owner can't set it himself")
	}
	return f.err()
}

func (u *UpdateAccount) byOwner() error {
	var f fields
	for _, term := range []struct {
		field   string
		isAsked bool
	}{
		{"status", u.Status != nil},
		{"overdraftLimit", u.OverdraftLimit != nil},
		{"transferLimit", u.TransferLimit != nil},
		{"dailyLimit", u.DailyLimit != nil},
	} {
		if term.isAsked {
			f.add(term.field, "can't be changed by the account's owner")
		}
	}
	return f.err()
}

func (u *UpdateAccount) validate() error {
	var f fields
	if u.Status != nil && *u.Status != Active && *u.Status != Frozen {
		f.add("status", "must be ACTIVE or FROZEN; delete the account to close it")
	}
	if u.OverdraftLimit != nil {
		f.limit("overdraftLimit", *u.OverdraftLimit, "")
	}
	if u.TransferLimit != nil {
		f.limit("transferLimit", u.TransferLimit.Decimal, "")
	}
	if u.DailyLimit != nil {
		f.limit("dailyLimit", u.DailyLimit.Decimal, "")
	}
	u.Metadata = f.metadata(u.Metadata)
	return f.err()
}

// Check says whether the request makes sense, whatever the books hold. Returns the
// InvalidInput that Transfer would.
func (r *TransferRequest) Check() error {
	asked := *r // to look changes nothing
	return asked.validate("")
}

func (r *TransferRequest) validate(prefix string) error {
	f := fields{prefix: prefix}
	f.transferID("transactionId", r.ID)
	f.id("sourceAccountId", r.SourceAccountID)
	f.id("destinationAccountId", r.DestinationAccountID)
	f.currency(r.Currency)
	f.amount("amount", r.Amount, r.Currency)
	f.description(r.Description)
	r.EffectiveAt = f.moment("timestamp", r.EffectiveAt)
	r.Metadata = f.metadata(r.Metadata)
	r.hash = requestHash("transfer", r.SourceAccountID, r.DestinationAccountID, plain(r.Amount),
		string(r.Currency), stamp(r.EffectiveAt), r.Description, string(r.Metadata))
	return f.err()
}

func (r *HoldRequest) validate() error {
	var f fields
	f.id("holdId", r.ID)
	f.id("sourceAccountId", r.SourceAccountID)
	f.id("destinationAccountId", r.DestinationAccountID)
	f.currency(r.Currency)
	f.amount("amount", r.Amount, r.Currency)
	f.description(r.Description)
	r.Metadata = f.metadata(r.Metadata)
	r.ExpiresAt = f.moment("expiresAt", r.ExpiresAt)
	r.hash = requestHash("hold", r.SourceAccountID, r.DestinationAccountID, plain(r.Amount),
		string(r.Currency), stamp(r.ExpiresAt), r.Description, string(r.Metadata))
	return f.err()
}

func (c *Capture) validate() error {
	var f fields
	f.transferID("transactionId", c.ID)
	amount := ""
	if c.Amount.Valid {
		f.amount("amount", c.Amount.Decimal, "")
		amount = plain(c.Amount.Decimal)
	}
	f.description(c.Description)
	c.Metadata = f.metadata(c.Metadata)
	c.hash = requestHash("capture", c.HoldID, amount, c.Description, string(c.Metadata))
	return f.err()
}

func (r *Reversal) validate() error {
	var f fields
	f.transferID("transactionId", r.ID)
	f.description(r.Description)
	r.Metadata = f.metadata(r.Metadata)
	r.hash = requestHash("reversal", r.TargetID, strconv.FormatBool(r.Force), r.Description, string(r.Metadata))
	return f.err()
}

// requestHash is what two requests under one id are compared by: 16 bytes of
// SHA-256 over the parts, each with its length before it so that no two lists of
// parts read alike.
func requestHash(parts ...string) []byte {
	buffer := make([]byte, 0, 256)
	for _, part := range parts {
		buffer = binary.AppendUvarint(buffer, uint64(len(part)))
		buffer = append(buffer, part...)
	}
	sum := sha256.Sum256(buffer)
	return sum[:16]
}

// plain writes equal amounts alike: 10 and 10.00 are the same request.
func plain(amount decimal.Decimal) string {
	return amount.StringFixed(money.MaxDecimals)
}

// moment brings a time to what the database keeps, UTC and microseconds.
func (f *fields) moment(field string, t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	in := t.UTC().Truncate(time.Microsecond)
	// Year 10000 has no RFC 3339 form, and the zero time stands for none.
	if in.Year() > 9999 || !in.After(time.Time{}) {
		f.add(field, "must be a time of the years 1 to 9999")
	}
	return &in
}

func stamp(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func list[T ~string](all []T) string {
	names := make([]string, len(all))
	for i, each := range all {
		names[i] = string(each)
	}
	return strings.Join(names, ", ")
}

func batchPrefix(i int) string { return fmt.Sprintf("transfers[%d].", i) }

// join adds the problems of another InvalidInput.
func (f *fields) join(err error) {
	if other := (*InvalidInput)(nil); errors.As(err, &other) {
		f.problems = append(f.problems, other.Fields...)
	}
}
