package identity

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The examples of SWIFT's IBAN registry.
var registryIBANs = strings.Fields(`
	AD1200012030200359100100 AE070331234567890123456 AL47212110090000000235698741 AT611904300234573201 AZ21NABZ00000000137010001944
	BA391290079401028494 BE68539007547034 BG80BNBG96611020345678 BH67BMAG00001299123456 BI4210000100010000332045181
	BR1800360305000010009795493C1 BY13NBRB3600900000002Z00AB00 CH9300762011623852957 CR05015202001026284066 CY17002001280000001200527600
	CZ6508000000192000145399 DE89370400440532013000 DJ2100010000000154000100186 DK5000400440116243 DO28BAGR00000001212453611324
	EE382200221020145685 EG380019000500000000263180002 ES9121000418450200051332 FI2112345600000785 FK88SC123456789012 FO6264600001631634
	FR1420041010050500013M02606 GB29NWBK60161331926819 GE29NB0000000101904917 GI75NWBK000000007099453 GL8964710001000206
	GR1601101250000000012300695 GT82TRAJ01020000001210029690 HR1210010051863000160 HU42117730161111101800000000 IE29AIBK93115212345678
	IL620108000000099999999 IQ98NBIQ850123456789012 IS140159260076545510730339 IT60X0542811101000000123456 JO94CBJO0010000000000131000302
	KW81CBKU0000000000001234560101 KZ86125KZT5004100100 LB62099900000001001901229114 LC55HEMM000100010012001200023015 LI21088100002324013AA
	LT121000011101001000 LU280019400644750000 LV80BANK0000435195001 LY83002048000020100120361 MC5811222000010123456789030 MD24AG000225100013104168
	ME25505000012345678951 MK07250120000058984 MN121234123456789123 MR1300020001010000123456753 MT84MALT011000012345MTLCAST001S
	MU17BOMM0101101030300200000MUR NI45BAPR00000013000003558124 NL91ABNA0417164300 NO9386011117947 OM810180000001299123456
	PK36SCBL0000001123456702 PL61109010140000071219812874 PS92PALS000000000400123456702 PT50000201231234567890154 QA58DOHB00001234567890ABCDEFG
	RO49AAAA1B31007593840000 RS35260005601001611379 SA0380000000608010167519 SC18SSCB11010000000000001497USD SD8811123456789012 SE4550000000058398257466
	SI56263300012039086 SK3112000000198742637541 SM86U0322509800000000270100 SO211000001001000100141 ST23000100010051845310146 SV62CENR00000000000000700025
	TL380080012345678910157 TN5910006035183598478831 TR330006100519786457841326 UA213223130000026007233566001 VA59001123000012345678
	VG96VPVG0000012345678901 XK051212012345678906 YE15CBYE0001018861234567891234`)

func TestIBANsOfTheRegistryAreTaken(t *testing.T) {
	t.Parallel()
	for _, iban := range registryIBANs {
		if problem := ibanProblem(iban); problem != "" {
			t.Errorf("%s %s", iban, problem)
		}
	}
	if len(registryIBANs) < len(ibanLengths)-5 {
		t.Errorf("%d of %d countries are tried", len(registryIBANs), len(ibanLengths))
	}
}

// ISO 7064 finds every digit that is another, every letter that is another, and
// every two neighbours of a kind that changed places.
func TestAMistypedIBANIsRefused(t *testing.T) {
	t.Parallel()
	for _, iban := range registryIBANs {
		for i := range len(iban) {
			for _, c := range []byte("0123456789AZ") {
				if c != iban[i] && isDigit(c) == isDigit(iban[i]) {
					if wrong := iban[:i] + string(c) + iban[i+1:]; ibanProblem(wrong) == "" {
						t.Errorf("%s, of %s", wrong, iban)
					}
				}
			}
			if i+1 < len(iban) && iban[i] != iban[i+1] && isDigit(iban[i]) == isDigit(iban[i+1]) {
				if wrong := iban[:i] + string(iban[i+1]) + string(iban[i]) + iban[i+2:]; ibanProblem(wrong) == "" {
					t.Errorf("%s, of %s", wrong, iban)
				}
			}
			if ibanProblem(iban[:i]) == "" {
				t.Errorf("%s was taken", iban[:i])
			}
		}
		if ibanProblem(iban+"0") == "" {
			t.Errorf("%s0 was taken", iban)
		}
	}
	for _, bad := range []string{"", "D", "DE", "DE89", "US89370400440532013000", "XX000000", "DE8937040044053201300\x00", "DE89370400440532013٠٠", "ＤＥ89370400440532013000"} {
		if ibanProblem(bad) == "" {
			t.Errorf("%q was taken", bad)
		}
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func TestRoutingNumbers(t *testing.T) {
	t.Parallel()
	for _, real := range []string{"021000021", "011401533", "091000019", "122105155", "322271627", "121000248", "800000006"} {
		if problem := routingNumberProblem(real); problem != "" {
			t.Errorf("%s %s", real, problem)
		}
		for i := range len(real) {
			for c := byte('0'); c <= '9'; c++ {
				if c != real[i] && routingNumberProblem(real[:i]+string(c)+real[i+1:]) == "" {
					t.Errorf("digit %d of %s as %c", i, real, c)
				}
			}
		}
	}
	for _, bad := range []string{"", "0", "000000000", "02100002", "0210000210", "02100002a", "131000003", "999999992", "02100٠021", "-21000021"} {
		if routingNumberProblem(bad) == "" {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestLinkedAccountsAreNormalized(t *testing.T) {
	t.Parallel()
	n, err := NewLinkedAccount{Kind: IBANAccount, BankName: " Bank ", IBAN: "de89 3704 0044 0532 0130 00"}.validated()
	if err != nil || n.IBAN != "DE89370400440532013000" || n.BankName != "Bank" || n.details().lastFour() != "3000" {
		t.Errorf("%+v, %v", n.details(), err)
	}
	n, err = NewLinkedAccount{Kind: USAccount, BankName: "B", RoutingNumber: "0210-0002-1", AccountNumber: "0001 2345"}.validated()
	if err != nil || n.details().identity() != "US:021000021:00012345" || n.details().lastFour() != "2345" {
		t.Errorf("%+v, %v", n.details(), err)
	}
	for number, want := range map[string]string{"1234": "34", "12345": "45", "1234567": "567", "12345678": "5678"} {
		if got := (BankDetails{Kind: USAccount, AccountNumber: number}).lastFour(); got != want {
			t.Errorf("%s is shown as %s", number, got)
		}
	}
}

func TestBadLinkedAccountsAreRefusedByField(t *testing.T) {
	t.Parallel()
	us := NewLinkedAccount{Kind: USAccount, BankName: "B", RoutingNumber: "021000021", AccountNumber: "123456789"}
	iban := NewLinkedAccount{Kind: IBANAccount, BankName: "B", IBAN: "DE89370400440532013000"}
	for name, test := range map[string]struct {
		of     NewLinkedAccount
		change func(*NewLinkedAccount)
		fields []string
	}{
		"no kind":         {us, func(n *NewLinkedAccount) { n.Kind = "" }, []string{"kind"}},
		"unknown kind":    {us, func(n *NewLinkedAccount) { n.Kind = "us" }, []string{"kind"}},
		"no bank":         {us, func(n *NewLinkedAccount) { n.BankName = " " }, []string{"bankName"}},
		"long bank":       {iban, func(n *NewLinkedAccount) { n.BankName = strings.Repeat("ü", 101) }, []string{"bankName"}},
		"line in bank":    {iban, func(n *NewLinkedAccount) { n.BankName = "a\r\nb" }, []string{"bankName"}},
		"bad numbers":     {us, func(n *NewLinkedAccount) { n.RoutingNumber, n.AccountNumber = "021000022", "12" }, []string{"routingNumber", "accountNumber"}},
		"zero account":    {us, func(n *NewLinkedAccount) { n.AccountNumber = "0000000" }, []string{"accountNumber"}},
		"long account":    {us, func(n *NewLinkedAccount) { n.AccountNumber = strings.Repeat("1", 18) }, []string{"accountNumber"}},
		"letters":         {us, func(n *NewLinkedAccount) { n.AccountNumber = "12345O" }, []string{"accountNumber"}},
		"both":            {us, func(n *NewLinkedAccount) { n.IBAN = iban.IBAN }, []string{"iban"}},
		"both, otherwise": {iban, func(n *NewLinkedAccount) { n.RoutingNumber, n.AccountNumber = us.RoutingNumber, "1" }, []string{"routingNumber", "accountNumber"}},
		"bad IBAN":        {iban, func(n *NewLinkedAccount) { n.IBAN = "DE88370400440532013000" }, []string{"iban"}},
		"injection":       {iban, func(n *NewLinkedAccount) { n.IBAN = "'; DROP TABLE linked_accounts; --" }, []string{"iban"}},
	} {
		test.change(&test.of)
		_, err := test.of.validated()
		var input *InvalidInput
		if !errors.As(err, &input) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var fields []string
		for _, f := range input.Fields {
			fields = append(fields, f.Field)
		}
		if !slices.Equal(fields, test.fields) {
			t.Errorf("%s: %v", name, fields)
		}
	}
	// Nothing that prints shows a number.
	details := us.details()
	for _, printed := range []string{fmt.Sprint(us), fmt.Sprintf("%+v %#v", us, us), fmt.Sprint(details), fmt.Sprintf("%+v %#v", details, details), details.LogValue().String()} {
		if strings.Contains(printed, us.RoutingNumber) || strings.Contains(printed, us.AccountNumber) {
			t.Error(printed)
		}
	}
}

func FuzzIBAN(f *testing.F) {
	for _, seed := range append(registryIBANs[:8:8], "", "DE", "DE00", strings.Repeat("9", 200)) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := NewLinkedAccount{Kind: IBANAccount, BankName: "B", IBAN: text}.validated()
		if err != nil {
			if len(text) > 8 && strings.Contains(err.Error(), text) {
				t.Errorf("the error repeats %q", text)
			}
			return
		}
		again, err := NewLinkedAccount{Kind: IBANAccount, BankName: "B", IBAN: strings.ToLower(n.IBAN)}.validated()
		if err != nil || again.IBAN != n.IBAN || len(n.IBAN) != ibanLengths[n.IBAN[:2]] {
			t.Errorf("%q: %q, then %q, %v", text, n.IBAN, again.IBAN, err)
		}
	})
}

func FuzzUSAccount(f *testing.F) {
	f.Add("021000021", "1234")
	f.Add("021-000-021", " 00012345678901234 ")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, routing, account string) {
		n, err := NewLinkedAccount{Kind: USAccount, BankName: "B", RoutingNumber: routing, AccountNumber: account}.validated()
		if err == nil && (len(n.RoutingNumber) != 9 || !isDigits(n.RoutingNumber+n.AccountNumber) || 2*len(n.details().lastFour()) > len(n.AccountNumber)) {
			t.Errorf("%q %q: %+v", routing, account, n)
		}
	})
}
