package api

import "net/http"

// securityHeader is a header of every answer. Handlers may replace it, so the
// values are never changed in place.
type securityHeader struct {
	name   string // in canonical form
	values []string
}

// apiPolicy lets a browser that shows an answer as a page do nothing with it.
const apiPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// SecurityHeaders are those of every answer of the API, for what is served beside
// it. Its Content-Security-Policy is for answers that are no pages: replace it.
func SecurityHeaders(overTLS bool) http.Header {
	header := http.Header{}
	for _, h := range securityHeaders(overTLS) {
		header[h.name] = h.values
	}
	return header
}

// securityHeaders tell browsers to be careful with what they are given.
func securityHeaders(overTLS bool) []securityHeader {
	headers := []securityHeader{
		{"Cache-Control", []string{"no-store"}}, // unless a handler knows better
		{"Content-Security-Policy", []string{apiPolicy}},
		{"Cross-Origin-Opener-Policy", []string{"same-origin"}},
		{"Cross-Origin-Resource-Policy", []string{"same-origin"}},
		{"Permissions-Policy", []string{"camera=(), geolocation=(), microphone=(), payment=(), usb=()"}},
		{"Referrer-Policy", []string{"no-referrer"}},
		{"X-Content-Type-Options", []string{"nosniff"}},
		{"X-Frame-Options", []string{"DENY"}},
	}
	if overTLS {
		headers = append(headers, securityHeader{"Strict-Transport-Security", []string{"max-age=31536000; includeSubDomains"}})
	}
	return headers
}
