package main_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"florin/internal/platform/dbtest/secrets"
	"florin/internal/platform/seal"
)

// hidden stands in all secrets of the environment that the commands are run with.
const hidden = "hunter2isnottobeshownanywhere"

// secretEnvironment is one with every secret set, and then with changes.
func secretEnvironment(changes ...string) []string {
	return append(append(os.Environ(),
		"FLORIN_BOOTSTRAP_API_KEY="+hidden, "FLORIN_API_KEY="+hidden, "FLORIN_ENCRYPTION_KEYS="+secretKey,
		"FLORIN_SMTP_URL=smtp://florin:"+hidden+"@127.0.0.1:1", "FLORIN_DATABASE_URL=postgres://florin:"+hidden+"@127.0.0.1:1/florin?connect_timeout=2",
		"FLORIN_EXPORT_DESTINATIONS=s3://books/daily?AWS_ACCESS_KEY_ID=florin&AWS_SECRET_ACCESS_KEY="+hidden,
		"FLORIN_INGEST_SOURCES=shop=stripe:whsec_"+hidden,
		"FLORIN_REPORTING_URL=postgres://florin:"+hidden+"@127.0.0.1:1/florin?connect_timeout=2",
	), changes...)
}

var secretKey = seal.NewKey("hidden")

// said is what a command prints, after it was searched for the secrets.
func said(t *testing.T, env []string, args ...string) (out string, err error) {
	t.Helper()
	secrets.Register(t, "secret of the environment", hidden, secretKey)
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = env
	return logged(t, cmd)
}

func TestHelpShowsNoSecretOfTheEnvironment(t *testing.T) {
	t.Parallel()
	for _, command := range []string{
		"", "dev", "serve", "migrate", "seed", "bench", "ingest", "verify", "export", "export run", "user", "user create", "user list", "reporting", "reporting role", "secrets", "secrets new", "secrets rotate",
	} {
		t.Run(command, func(t *testing.T) {
			out, err := said(t, secretEnvironment(), append(strings.Fields(command), "--help")...)
			if err != nil || !strings.Contains(out, "Usage: florin "+command) {
				t.Errorf("%v\n%s", err, out)
			}
			if command == "serve" && !strings.Contains(out, "FLORIN_ENCRYPTION_KEYS") {
				t.Errorf("no word of the keys:\n%s", out)
			}
		})
	}
}

func TestErrorsShowNoSecretOfTheEnvironment(t *testing.T) {
	t.Parallel()
	const databaseAt = "FLORIN_DATABASE_URL="
	for name, c := range map[string]struct {
		args []string
		env  []string
		want string
	}{
		"unknown flag":              {args: []string{"serve", "--nothing"}, want: "--nothing"},
		"bad duration":              {args: []string{"serve", "--session-idle", "soon"}, want: "--session-idle"},
		"bad environment":           {args: []string{"serve"}, env: []string{"FLORIN_ENV=moon"}, want: "--env"},
		"refused number":            {args: []string{"serve", "--executor-workers", "0"}, want: "--executor-workers"},
		"mails twice":               {args: []string{"serve", "--mail-folder", "x"}, want: "--smtp-url"},
		"key is no base64":          {args: []string{"serve"}, env: []string{"FLORIN_ENCRYPTION_KEYS=k1:" + hidden}, want: "FLORIN_ENCRYPTION_KEYS"},
		"key without id":            {args: []string{"serve"}, env: []string{"FLORIN_ENCRYPTION_KEYS=" + hidden}, want: "FLORIN_ENCRYPTION_KEYS"},
		"key twice":                 {args: []string{"serve"}, env: []string{"FLORIN_ENCRYPTION_KEYS=" + secretKey + "," + secretKey}, want: "FLORIN_ENCRYPTION_KEYS"},
		"key of a tool":             {args: []string{"secrets", "rotate"}, env: []string{"FLORIN_ENCRYPTION_KEYS=k1:" + hidden}, want: "FLORIN_ENCRYPTION_KEYS"},
		"no key":                    {args: []string{"serve"}, env: []string{"FLORIN_ENCRYPTION_KEYS="}, want: "florin secrets new"},
		"mail server's scheme":      {args: []string{"serve"}, env: []string{"FLORIN_SMTP_URL=http://florin:" + hidden + "@x"}, want: "--smtp-url"},
		"mail server's URL":         {args: []string{"serve"}, env: []string{"FLORIN_SMTP_URL=smtp://florin:" + hidden + "%@x"}, want: "--smtp-url"},
		"mail server's port":        {args: []string{"serve"}, env: []string{"FLORIN_SMTP_URL=smtp://florin:" + hidden + "@x:port"}, want: "--smtp-url"},
		"export's scheme":           {args: []string{"serve"}, env: []string{"FLORIN_EXPORT_DESTINATIONS=x3://b?AWS_SECRET_ACCESS_KEY=" + hidden}, want: "--export-destinations"},
		"export's URL":              {args: []string{"serve"}, env: []string{"FLORIN_EXPORT_DESTINATIONS=s3://b%?AWS_SECRET_ACCESS_KEY=" + hidden}, want: "--export-destinations"},
		"source without a format":   {args: []string{"serve"}, env: []string{"FLORIN_INGEST_SOURCES=shop=" + hidden}, want: "--ingest-sources"},
		"source's secret":           {args: []string{"serve"}, env: []string{"FLORIN_INGEST_SOURCES=erp=signed:whsec_" + hidden}, want: "--ingest-sources"},
		"server of a file":          {args: []string{"ingest", "x.csv", "--url", "https://florin:" + hidden + "@pay.example.com"}, want: "--url"},
		"console's URL":             {args: []string{"serve"}, env: []string{"FLORIN_REPORTING_URL=postgres://florin:" + hidden + "%@127.0.0.1/x"}, want: "--reporting-url"},
		"role without a database":   {args: []string{"reporting", "role", "x"}, want: "127.0.0.1"},
		"public URL":                {args: []string{"serve"}, env: []string{"FLORIN_PUBLIC_URL=https://florin:" + hidden + "@pay.example.com"}, want: "--public-url"},
		"database does not answer":  {args: []string{"migrate"}, want: "127.0.0.1"},
		"verify without a database": {args: []string{"verify"}, want: "127.0.0.1"},
		"tool without a database":   {args: []string{"user", "list"}, want: "127.0.0.1"},
		"database's port":           {args: []string{"migrate"}, env: []string{databaseAt + "postgres://florin:" + hidden + "@127.0.0.1:port/x"}, want: "database URL: "},
		"database's URL":            {args: []string{"migrate"}, env: []string{databaseAt + "postgres://florin:" + hidden + "%@127.0.0.1/x"}, want: "database URL: "},
		"database's blanks":         {args: []string{"migrate"}, env: []string{databaseAt + "postgres://florin: " + hidden + "@127.0.0.1:1/x"}, want: "database"},
		"database's settings":       {args: []string{"migrate"}, env: []string{databaseAt + "host=127.0.0.1 port=x password=" + hidden}, want: "database URL: "},
		"database's quotes":         {args: []string{"migrate"}, env: []string{databaseAt + "host=127.0.0.1 password='a b" + hidden}, want: "database URL: "},
		"database's odd password":   {args: []string{"migrate"}, env: []string{databaseAt + "postgres://florin:a/" + hidden + "%@127.0.0.1:1/x"}, want: "database URL"},
		"database's two passwords":  {args: []string{"migrate"}, env: []string{databaseAt + "postgres://florin:a@" + hidden + ":b@127.0.0.1:1/x"}, want: "database URL"},
		"database's two modes":      {args: []string{"migrate"}, env: []string{databaseAt + "postgres://florin@" + hidden + ":b@127.0.0.1:1/x?sslmode=require&sslmode=moon"}, want: "database URL"},
		"database's pool":           {args: []string{"migrate"}, env: []string{databaseAt + "postgres://florin:" + hidden + "@127.0.0.1:1/x?pool_max_conns=many"}, want: "pool_max_conns"},
		"database's parameter":      {args: []string{"migrate"}, env: []string{databaseAt + "postgres://127.0.0.1:1/x?sslmode=moon&password=" + hidden}, want: "database URL: "},
		"database's mode":           {args: []string{"migrate"}, env: []string{databaseAt + "postgres://florin:" + hidden + "@127.0.0.1:1/x?sslmode=moon"}, want: "database URL: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := said(t, secretEnvironment(c.env...), c.args...)
			if err == nil || !strings.Contains(out, c.want) {
				t.Errorf("%v, want %q:\n%s", err, c.want, out)
			}
		})
	}
}
