package gateway_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"florin/internal/cashback/gateway"
)

const stripePayload = `{"id":"evt_1"}`

// then is when the examples were signed.
var then = time.Unix(1_700_000_000, 0)

// stripeCode is what was computed of stripePayload, then and stripeSecret by another
// program than this one.
const stripeCode = "3e2ed3a139962e7ba1ad885606b38f5f63eda5de7d2a5d5286d9cb6da50a8b91"

func sum(key []byte, text string) []byte {
	code := hmac.New(sha256.New, key)
	code.Write([]byte(text))
	return code.Sum(nil)
}

func TestStripesSignatureIsChecked(t *testing.T) {
	t.Parallel()
	shop := source(t, "shop")
	other := strings.Repeat("00", 32)
	for name, c := range map[string]struct {
		values []string
		now    time.Time
		want   string // problem; empty when it is good
	}{
		"good":                     {values: []string{"t=1700000000,v1=" + stripeCode}},
		"blanks":                   {values: []string{"t=1700000000, v1=" + stripeCode}},
		"two secrets":              {values: []string{"t=1700000000,v1=" + other + ",v1=" + stripeCode + ",v0=" + other}},
		"one of them is none":      {values: []string{"t=1700000000,v1=zz,v1=" + stripeCode}},
		"five minutes old":         {values: []string{"t=1700000000,v1=" + stripeCode}, now: then.Add(5 * time.Minute)},
		"five minutes ahead":       {values: []string{"t=1700000000,v1=" + stripeCode}, now: then.Add(-5 * time.Minute)},
		"older":                    {values: []string{"t=1700000000,v1=" + stripeCode}, now: then.Add(5*time.Minute + time.Second), want: "more than 5m0s"},
		"further ahead":            {values: []string{"t=1700000000,v1=" + stripeCode}, now: then.Add(-5*time.Minute - time.Second), want: "more than 5m0s"},
		"another time":             {values: []string{"t=1700000001,v1=" + stripeCode}, want: "no signature fits"},
		"another signature":        {values: []string{"t=1700000000,v1=" + other}, want: "no signature fits"},
		"shortened":                {values: []string{"t=1700000000,v1=" + stripeCode[:62]}, want: "there is no signature"},
		"another version":          {values: []string{"t=1700000000,v0=" + stripeCode}, want: "there is no signature"},
		"no signature":             {values: []string{"t=1700000000"}, want: "there is no signature"},
		"no time":                  {values: []string{"v1=" + stripeCode}, want: "has no time"},
		"two times":                {values: []string{"t=1700000000,t=1700000000,v1=" + stripeCode}, want: "two times"},
		"time with a sign":         {values: []string{"t=+1700000000,v1=" + stripeCode}, want: "seconds since 1970"},
		"time before 1970":         {values: []string{"t=-1,v1=" + stripeCode}, want: "seconds since 1970"},
		"time far beyond":          {values: []string{"t=99999999999999999999,v1=" + stripeCode}, want: "seconds since 1970"},
		"time that is far":         {values: []string{"t=1099511627775,v1=" + stripeCode}, want: "more than 5m0s"},
		"no time at all":           {values: []string{"t=now,v1=" + stripeCode}, want: "seconds since 1970"},
		"nothing that can be read": {values: []string{"signature"}, want: "must be like"},
		"empty":                    {values: []string{""}, want: "must be like"},
		"missing":                  {want: "is missing"},
		"given twice":              {values: []string{"t=1700000000,v1=" + stripeCode, "t=1700000000,v1=" + stripeCode}, want: "more than once"},
	} {
		now := c.now
		if now.IsZero() {
			now = then
		}
		err := shop.Verify(http.Header{"Stripe-Signature": c.values}, []byte(stripePayload), now)
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, gateway.ErrBadSignature) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if len(c.values) > 0 && shop.Verify(http.Header{"Stripe-Signature": c.values}, []byte(stripePayload+" "), now) == nil {
			t.Errorf("%s: it is good for another payload", name)
		}
	}
}

// The example that Standard Webhooks' libraries are tested with.
func TestStandardWebhooksSignatureIsChecked(t *testing.T) {
	t.Parallel()
	const (
		payload   = `{"test": 2432232314}`
		signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	)
	erp, signed := source(t, "erp"), time.Unix(1614265330, 0)
	headers := func(changes ...string) http.Header {
		h := http.Header{}
		h.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
		h.Set("webhook-timestamp", "1614265330")
		h.Set("webhook-signature", signature)
		for i := 0; i < len(changes); i += 2 {
			h.Del(changes[i])
			if changes[i+1] != "" {
				h.Set(changes[i], changes[i+1])
			}
		}
		return h
	}
	twice := headers()
	twice.Add("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	other := "v1," + base64.StdEncoding.EncodeToString(make([]byte, 32))
	for name, c := range map[string]struct {
		header http.Header
		now    time.Time
		want   string
	}{
		"good":                       {header: headers()},
		"another key's before":       {header: headers("webhook-signature", "v1a,AAAA "+other+" "+signature)},
		"one that is none before":    {header: headers("webhook-signature", "v1,?? "+signature)},
		"of another version":         {header: headers("webhook-signature", "v2"+signature[2:]), want: "there is no signature"},
		"another signature":          {header: headers("webhook-signature", other), want: "no signature fits"},
		"no signature":               {header: headers("webhook-signature", ""), want: "Webhook-Signature is missing"},
		"another id":                 {header: headers("webhook-id", "msg_other"), want: "no signature fits"},
		"no id":                      {header: headers("webhook-id", ""), want: "Webhook-Id is missing"},
		"an id with a point":         {header: headers("webhook-id", "a.b"), want: "without a point"},
		"an id with a blank":         {header: headers("webhook-id", "a b"), want: "without a point"},
		"a long id":                  {header: headers("webhook-id", strings.Repeat("a", 257)), want: "1 to 256"},
		"two ids":                    {header: twice, want: "more than once"},
		"another time":               {header: headers("webhook-timestamp", "1614265331"), want: "no signature fits"},
		"no time":                    {header: headers("webhook-timestamp", ""), want: "Webhook-Timestamp is missing"},
		"a time of another kind":     {header: headers("webhook-timestamp", "2021-02-25T15:02:10Z"), want: "seconds since 1970"},
		"too old":                    {header: headers(), now: signed.Add(6 * time.Minute), want: "more than 5m0s"},
		"from too far in the future": {header: headers(), now: signed.Add(-6 * time.Minute), want: "more than 5m0s"},
		"Stripe's":                   {header: http.Header{"Stripe-Signature": {"t=1,v1=" + stripeCode}}, want: "is missing"},
	} {
		now := c.now
		if now.IsZero() {
			now = signed
		}
		err := erp.Verify(c.header, []byte(payload), now)
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, gateway.ErrBadSignature) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Only who knows the secret can sign: whatever stands in the headers, it is refused
// unless it is the one signature.
func FuzzVerify(f *testing.F) {
	f.Add("t=1700000000,v1="+stripeCode, "msg_1", "1700000000", "v1,AAAA", []byte(stripePayload))
	f.Add("t=1700000000,v1=00,v0=11", "", "1700000000", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1a,x", []byte("{}"))
	f.Add(",,,==t=v1=", "a.b", "-0", "v1, v1,", []byte{})
	f.Fuzz(func(t *testing.T, stripe, id, at, signature string, payload []byte) {
		header := http.Header{
			"Stripe-Signature": {stripe}, "Webhook-Id": {id}, "Webhook-Timestamp": {at}, "Webhook-Signature": {signature},
		}
		shop, erp := source(t, "shop"), source(t, "erp")
		if err := shop.Verify(header, payload, then); err == nil && !strings.Contains(stripe, hex.EncodeToString(sum([]byte(stripeSecret), "1700000000."+string(payload)))) {
			// The time may differ by the tolerance; then its own signature must be there.
			_, rest, _ := strings.Cut(stripe, "t=")
			at, _, _ := strings.Cut(rest, ",")
			if !strings.Contains(strings.ToLower(stripe), hex.EncodeToString(sum([]byte(stripeSecret), at+"."+string(payload)))) {
				t.Errorf("%q is taken for the signature of %q", stripe, payload)
			}
		} else if err != nil && !errors.Is(err, gateway.ErrBadSignature) {
			t.Error(err)
		}
		key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(signedSecret, "whsec_"))
		want := base64.StdEncoding.EncodeToString(sum(key, id+"."+at+"."+string(payload)))
		if err := erp.Verify(header, payload, then); err == nil && !strings.Contains(signature, want[:42]) {
			t.Errorf("%q is taken for the signature of %q", signature, payload)
		} else if err != nil && !errors.Is(err, gateway.ErrBadSignature) {
			t.Error(err)
		}
	})
}
