package api_test

import (
	"net/http"
	"strings"
	"testing"

	"florin/internal/platform/dbtest/secrets"
)

// logLines keeps what a server logs, which must show no secret of any test.
type logLines struct{ *secrets.Log }

// newLog must be made before the server that writes to it.
func newLog(t *testing.T) *logLines {
	t.Helper()
	secrets.Register(t, "API key", key, otherKey)
	return &logLines{secrets.NewLog(t)}
}

// Members of bodies that hold secrets.
var (
	secretsAsked    = []string{"password", "oldPassword", "newPassword", "token", "recoveryCode", "accountNumber", "iban"}
	secretsAnswered = []string{"token", "key", "secret", "otpauthUrl", "recoveryCodes"}
)

// noteSecrets registers the secrets of a request, if it told any, and of its answer.
// What was refused for its form, as nonsense that a test makes up, is none.
func noteSecrets(t *testing.T, sent string, r *http.Request, got answer) {
	t.Helper()
	isAuth := strings.Contains(r.URL.Path, "/auth/") || strings.Contains(r.URL.Path, "/users/me") || strings.Contains(r.URL.Path, "/api-keys")
	if !isAuth {
		return
	}
	if got.status < 300 || got.status == http.StatusUnauthorized {
		secrets.RegisterMembers(t, []byte(sent), secretsAsked...)
	}
	if got.status >= 300 {
		return
	}
	secrets.RegisterMembers(t, []byte(got.text), secretsAnswered...)
	// Those of the tests' own roles, merchant:OWNER, are names.
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && !strings.Contains(token, ":") {
		secrets.Register(t, "credential", token)
	}
	for _, cookie := range (&http.Response{Header: got.header}).Cookies() {
		secrets.Register(t, "cookie", cookie.Value)
	}
}
