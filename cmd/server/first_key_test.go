package main_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/dbtest/secrets"
)

// A server whose errors go to a log must not leave an administrator's key there.
func TestTheFirstKeyIsNotShownToALog(t *testing.T) {
	t.Parallel()
	url := dev(t, "postgres", migrated(t, "postgres")).databaseURL()
	secrets.Register(t, "encryption key", testSealer)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), "UPDATE api_keys SET revoked_at = now()"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "serve", "--addr", "127.0.0.1:0", "--ops-addr", "")
	cmd.Env = append(os.Environ(), "FLORIN_DATABASE_URL="+url, "FLORIN_ENCRYPTION_KEYS="+testSealer, "FLORIN_BOOTSTRAP_API_KEY=")
	out, err := logged(t, cmd)
	if err == nil || !strings.Contains(out, "set FLORIN_BOOTSTRAP_API_KEY") || strings.Contains(out, "florin_live_") {
		t.Errorf("%v\n%s", err, out)
	}
	var keys int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM api_keys WHERE revoked_at IS NULL").Scan(&keys); err != nil || keys != 0 {
		t.Errorf("%d keys were made, %v", keys, err)
	}
}
