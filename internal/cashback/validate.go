package cashback

import (
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"florin/internal/cashback/rules"
	"florin/internal/money"
	"florin/internal/platform/id"
)

// Limits of what is reported. They are part of the API.
const (
	MaxQuantity          = 1_000_000 // of a line
	MaxProductLength     = 100       // characters; also of a category
	MaxDescriptionLength = 500
	MaxMCCLength         = 4
	MaxReferenceLength   = 255 // of a payment's
	MaxSourceLength      = 50
)

var (
	// MaxUnitPrice is the most that one of a line costs: all that a purchase can come to.
	MaxUnitPrice = decimal.New(999_999_999_999, 0)
	// maxPurchase is the first amount that is too large for a purchase.
	maxPurchase = decimal.New(1, 12)

	// firstTime is when purchases, returns and clicks may have been at the earliest.
	firstTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
)

const (
	// aheadMax is how far ahead of this server's clock a time may be: clocks and
	// time zones of shops are not always right.
	aheadMax = 24 * time.Hour
	// problemsMax bounds what one answer tells of a large request.
	problemsMax = 20
)

// problems gathers what is wrong with the fields of a request.
type problems struct {
	item   string // "purchases", of a batch; empty for a single one
	index  int    // in the batch
	now    time.Time
	fields []FieldError
}

func (p *problems) add(field, format string, args ...any) {
	if p.item != "" {
		field = fmt.Sprintf("%s[%d].%s", p.item, p.index, field)
	}
	p.fields = append(p.fields, FieldError{Field: field, Problem: fmt.Sprintf(format, args...)})
}

func (p *problems) isMany() bool { return len(p.fields) >= problemsMax }

func (p *problems) err() error {
	if len(p.fields) == 0 {
		return nil
	}
	return &InvalidInput{Fields: p.fields}
}

const wantID = "must have 1 to %d characters of A-Z a-z 0-9 _ - . and :"

func (p *problems) id(field, text string) {
	if !id.IsPossible(text) {
		p.add(field, wantID, id.MaxLength)
	}
}

func (p *problems) optionalID(field, text string) {
	if text != "" {
		p.id(field, text)
	}
}

func (p *problems) text(field, text string, most int) {
	if len(text) > most && utf8.RuneCountInString(text) > most || !rules.IsPlainText(text) {
		p.add(field, "must have at most %d characters, none of them control characters", most)
	}
}

// moment checks a time, and brings it to what the database keeps: UTC, microseconds.
func (p *problems) moment(field string, at time.Time) time.Time {
	at = at.UTC().Truncate(time.Microsecond)
	if at.Before(firstTime) || at.After(p.now.Add(aheadMax)) {
		p.add(field, "must be from the year 2000 to one day from now")
	}
	return at
}

// stored brings an amount to its stored form, without zeros after the decimals that
// the database keeps. fits is false when it has more than those.
func stored(d decimal.Decimal) (short decimal.Decimal, fits bool) {
	if -d.Exponent() <= money.MaxDecimals {
		return d, true
	}
	short = d.Truncate(money.MaxDecimals)
	return short, short.Equal(d)
}

// check brings the request to its stored form, and returns the purchase's amount.
func (r *PurchaseRequest) check(p *problems) decimal.Decimal {
	p.id("purchaseId", r.ID)
	p.id("merchantId", r.MerchantID)
	p.id("customerId", r.CustomerID)
	p.optionalID("clickId", r.ClickID)
	if _, err := money.ParseCurrency(string(r.Currency)); err != nil {
		p.add("currency", "%v", err)
	}
	p.text("country", r.Country, MaxCountryLength)
	p.text("paymentReference", r.PaymentReference, MaxReferenceLength)
	p.text("source", r.Source, MaxSourceLength)
	r.At = p.moment("timestamp", r.At)
	if len(r.Lines) == 0 || len(r.Lines) > MaxLines {
		p.add("lines", "must be 1 to %d, not %d", MaxLines, len(r.Lines))
		return decimal.Zero
	}
	// The caller's stay as they are: prices are brought to how they are stored, and the
	// intake may keep lines longer than the caller waits.
	r.Lines = slices.Clone(r.Lines)
	amount := decimal.Zero
	isSound := true
	for i := range r.Lines {
		if p.isMany() {
			break
		}
		if isSound = r.checkLine(p, i) && isSound; isSound {
			amount = amount.Add(r.Lines[i].Amount())
		}
	}
	if isSound && amount.GreaterThanOrEqual(maxPurchase) {
		p.add("lines", "must amount to less than %s", maxPurchase)
	}
	return amount
}

func (r *PurchaseRequest) checkLine(p *problems, i int) (isSound bool) {
	line, before := &r.Lines[i], len(p.fields)
	field := func(name string) string { return fmt.Sprintf("lines[%d].%s", i, name) }
	if line.Quantity < 1 || line.Quantity > MaxQuantity {
		p.add(field("quantity"), "must be 1 to %d", MaxQuantity)
	}
	if line.UnitPrice.IsNegative() || line.UnitPrice.GreaterThan(MaxUnitPrice) {
		p.add(field("unitPrice"), "must be 0 to %s", MaxUnitPrice)
	} else if price, fits := stored(line.UnitPrice); !fits {
		p.add(field("unitPrice"), "must have at most %d decimals", money.MaxDecimals)
	} else {
		line.UnitPrice = price
	}
	for _, text := range []struct {
		name, value string
		most        int
	}{
		{"product", line.Product, MaxProductLength}, {"category", line.Category, MaxProductLength},
		{"description", line.Description, MaxDescriptionLength}, {"mcc", line.MCC, MaxMCCLength},
	} {
		if text.value != "" && (len(text.value) > text.most || !isASCII(text.value)) {
			p.text(field(text.name), text.value, text.most)
		}
	}
	return len(p.fields) == before
}

// isASCII says that a text is printable ASCII: nearly all are, and this is cheap to
// find out.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// check brings the request to its stored form.
func (r *ReturnRequest) check(p *problems) {
	p.id("returnId", r.ID)
	p.optionalID("purchaseId", r.PurchaseID)
	p.text("source", r.Source, MaxSourceLength)
	r.At = p.moment("timestamp", r.At)
	if r.PurchaseID == "" {
		p.id("customerId", r.CustomerID)
		p.id("merchantId", r.MerchantID)
		if r.Amount.Valid {
			p.add("amount", "must be absent without a purchaseId: a return that names no purchase names products")
		}
		if len(r.Lines) == 0 {
			p.add("lines", "must be present without a purchaseId")
		}
	} else {
		p.optionalID("customerId", r.CustomerID)
		p.optionalID("merchantId", r.MerchantID)
	}
	if r.Amount.Valid {
		r.checkAmount(p)
	}
	if len(r.Lines) > MaxLines {
		p.add("lines", "must be at most %d, not %d", MaxLines, len(r.Lines))
		return
	}
	for i := range r.Lines {
		if p.isMany() {
			break
		}
		r.checkLine(p, i)
	}
}

func (r *ReturnRequest) checkAmount(p *problems) {
	if len(r.Lines) > 0 {
		p.add("amount", "must be absent where lines are returned")
		return
	}
	if !r.Amount.Decimal.IsPositive() || r.Amount.Decimal.GreaterThanOrEqual(maxPurchase) {
		p.add("amount", "must be above 0 and less than %s", maxPurchase)
		return
	}
	amount, fits := stored(r.Amount.Decimal)
	if !fits {
		p.add("amount", "must have at most %d decimals", money.MaxDecimals)
	}
	r.Amount.Decimal = amount
}

func (r *ReturnRequest) checkLine(p *problems, i int) {
	line := &r.Lines[i]
	field := func(name string) string { return fmt.Sprintf("lines[%d].%s", i, name) }
	if line.Quantity < 1 || line.Quantity > MaxQuantity {
		p.add(field("quantity"), "must be 1 to %d", MaxQuantity)
	}
	switch {
	case line.Line == nil && line.Product == "":
		p.add(field("product"), "must be present, or line")
	case line.Line != nil && line.Product != "":
		p.add(field("line"), "must be absent where a product is named")
	case line.Line != nil && r.PurchaseID == "":
		p.add(field("line"), "must be absent without a purchaseId")
	case line.Line != nil && (*line.Line < 0 || *line.Line >= MaxLines):
		p.add(field("line"), "must be 0 to %d", MaxLines-1)
	}
	p.text(field("product"), line.Product, MaxProductLength)
}

// check brings the request to its stored form.
func (r *ClickRequest) check(p *problems) {
	p.id("clickId", r.ID)
	p.id("customerId", r.CustomerID)
	p.id("merchantId", r.MerchantID)
	p.id("campaignId", r.CampaignID)
	r.At = p.moment("timestamp", r.At)
}
