package identity

import (
	"fmt"
	"log/slog"
	"strings"
	"unicode/utf8"
)

// BankNameMax bounds the name of a bank, in characters.
const BankNameMax = 100

// NewLinkedAccount is an account at a bank as its owner types it. Blanks and
// hyphens between digits are ignored.
type NewLinkedAccount struct {
	Kind     LinkedAccountKind
	BankName string
	// RoutingNumber and AccountNumber are of the kind US.
	RoutingNumber, AccountNumber string
	// IBAN is of the kind IBAN.
	IBAN string
}

// String hides the numbers.
func (n NewLinkedAccount) String() string { return "new linked account (" + string(n.Kind) + ")" }

// GoString is String.
func (n NewLinkedAccount) GoString() string { return n.String() }

// LogValue is String.
func (n NewLinkedAccount) LogValue() slog.Value { return slog.StringValue(n.String()) }

// validated returns it in its normal form. Returns InvalidInput with all that is
// wrong; no problem repeats a number.
func (n NewLinkedAccount) validated() (NewLinkedAccount, error) {
	var wrong InvalidInput
	check := func(field, problem string) {
		if problem != "" {
			wrong.Fields = append(wrong.Fields, FieldError{Field: field, Problem: problem})
		}
	}
	n.BankName = strings.TrimSpace(n.BankName)
	n.RoutingNumber, n.AccountNumber, n.IBAN = compact(n.RoutingNumber), compact(n.AccountNumber), strings.ToUpper(compact(n.IBAN))
	check("bankName", bankNameProblem(n.BankName))
	switch n.Kind {
	case USAccount:
		check("routingNumber", routingNumberProblem(n.RoutingNumber))
		check("accountNumber", accountNumberProblem(n.AccountNumber))
		if n.IBAN != "" {
			check("iban", "is not for this kind")
		}
	case IBANAccount:
		check("iban", ibanProblem(n.IBAN))
		if n.RoutingNumber != "" {
			check("routingNumber", "is not for this kind")
		}
		if n.AccountNumber != "" {
			check("accountNumber", "is not for this kind")
		}
	default:
		check("kind", "must be US or IBAN")
	}
	if len(wrong.Fields) > 0 {
		return n, &wrong
	}
	return n, nil
}

func (n NewLinkedAccount) details() BankDetails {
	return BankDetails{Kind: n.Kind, RoutingNumber: n.RoutingNumber, AccountNumber: n.AccountNumber, IBAN: n.IBAN}
}

// identity is the same for the same account, however it was typed.
func (b BankDetails) identity() string {
	if b.Kind == IBANAccount {
		return "IBAN:" + b.IBAN
	}
	return "US:" + b.RoutingNumber + ":" + b.AccountNumber
}

// lastFour is how the account is shown: its last four characters, and never more
// than half of them.
func (b BankDetails) lastFour() string {
	number := b.AccountNumber
	if b.Kind == IBANAccount {
		number = b.IBAN
	}
	return number[len(number)-min(4, len(number)/2):]
}

func compact(number string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, number)
}

func bankNameProblem(name string) string {
	switch {
	case name == "" || utf8.RuneCountInString(name) > BankNameMax:
		return fmt.Sprintf("must be 1 to %d characters", BankNameMax)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, isInvisible):
		return "must be one line of text"
	}
	return ""
}

// routingNumberProblem checks an ABA routing transit number: nine digits, the
// first two of a Federal Reserve district, the last one by the weights 3, 7, 1.
func routingNumberProblem(number string) string {
	if len(number) != 9 || !isDigits(number) {
		return "must be nine digits"
	}
	sum := 0
	for i, weight := range []int{3, 7, 1, 3, 7, 1, 3, 7, 1} {
		sum += weight * int(number[i]-'0')
	}
	district := int(number[0]-'0')*10 + int(number[1]-'0')
	isDistrict := district >= 1 && district <= 12 || // banks
		district >= 21 && district <= 32 || // thrifts
		district >= 61 && district <= 72 || // electronic
		district == 80 // traveller's cheques
	if sum%10 != 0 || !isDistrict {
		return "is not a routing number: check its digits"
	}
	return ""
}

// accountNumberProblem: up to the 17 characters that an ACH entry has for it.
func accountNumberProblem(number string) string {
	if len(number) < 4 || len(number) > 17 || !isDigits(number) {
		return "must be 4 to 17 digits"
	}
	if strings.Trim(number, "0") == "" {
		return "is not an account number"
	}
	return ""
}

// ibanProblem checks an IBAN, ISO 13616: a country of the registry, its length, and
// the check digits by modulo 97.
func ibanProblem(iban string) string {
	const wrong = "is not an IBAN: check its characters"
	if len(iban) < 5 || !isUpperAlphanumeric(iban) || !isDigits(iban[2:4]) {
		return wrong
	}
	length, isKnown := ibanLengths[iban[:2]]
	if !isKnown {
		return "begins with a country that has no IBANs"
	}
	if len(iban) != length {
		return fmt.Sprintf("must have %d characters in %s", length, iban[:2])
	}
	// 00, 01 and 99 can satisfy the modulus and are never given out.
	if check := iban[2:4]; check == "00" || check == "01" || check == "99" {
		return wrong
	}
	remainder := 0
	for _, c := range []byte(iban[4:] + iban[:4]) {
		if c >= 'A' {
			remainder = (remainder*100 + int(c-'A') + 10) % 97
		} else {
			remainder = (remainder*10 + int(c-'0')) % 97
		}
	}
	if remainder != 1 {
		return wrong
	}
	return ""
}

func isDigits(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}

func isUpperAlphanumeric(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return (r < '0' || r > '9') && (r < 'A' || r > 'Z') })
}

// ibanLengths are those of the countries in SWIFT's IBAN registry, release 99.
var ibanLengths = map[string]int{
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28,
	"CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
	"FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28,
	"IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
	"LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
	"NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24,
	"SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26,
	"UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}
