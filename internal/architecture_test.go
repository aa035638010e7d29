// Package internal_test holds what is true of all packages together.
package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ranks are the layers of the house, highest first. A package imports packages
// of lower ranks only; those of one rank don't know each other.
var ranks = [][]string{
	{"cmd/server"},
	{"internal/bench", "internal/seed"},
	{"internal/admin"},
	{"internal/api"},
	{"internal/wallet", "internal/cashback", "internal/reporting"},
	{"internal/export"},
	{"internal/ledger", "internal/identity", "internal/risk", "internal/approval"},
	{"internal/mail", "internal/audit"},
	{"internal/platform"},
	{"internal/money"},
	{"sql"},
}

// platformMayImport: platform is a leaf, but for the schema that it migrates.
var platformMayImport = map[string]bool{"sql": true}

type goPackage struct {
	ImportPath string
	Imports    []string
}

// TestImportsPointDown checks ARCHITECTURE.md's rule on every package that is
// built, tests left out.
func TestImportsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.ImportPath, "florin/")
		for _, imported := range p.Imports {
			to, isOurs := strings.CutPrefix(imported, "florin/")
			if !isOurs || module(from) == module(to) {
				continue
			}
			if rank(t, to) <= rank(t, from) {
				t.Errorf("%s imports %s, which is not below it", from, to)
			}
			if module(from) == "internal/platform" && !platformMayImport[module(to)] {
				t.Errorf("%s imports %s: platform knows nothing of the rest", from, to)
			}
		}
	}
}

// TestAModulesTablesAreWrittenByItsOwnQueries reads the queries of each module.
func TestAModulesTablesAreWrittenByItsOwnQueries(t *testing.T) {
	owners := map[string]string{
		"accounts": "ledger", "transfers": "ledger", "postings": "ledger", "holds": "ledger",
		"ledger_activity": "ledger", "proofs": "ledger", "proof_turns": "ledger",
		"users": "identity", "sessions": "identity", "user_tokens": "identity",
		"second_factors": "identity", "recovery_codes": "identity", "sign_in_throttle": "identity",
		"api_keys": "identity", "linked_accounts": "identity", "mails": "mail", "exports": "export",
		"audit_events": "audit", "audit_days": "audit",
		"risk_rules": "risk", "risk_decisions": "risk", "role_limits": "risk", "approvals": "approval",
		"wallet_payments": "wallet", "saved_queries": "reporting",
		"campaigns": "cashback", "campaign_totals": "cashback", "cashback_programs": "cashback", "cashback_customers": "cashback",
		"customer_spend": "cashback", "tier_changes": "cashback", "segment_members": "cashback", "reward_caps": "cashback",
		"clicks": "cashback", "purchases": "cashback", "purchase_returns": "cashback", "rewards": "cashback",
	}
	writes := regexp.MustCompile(`(?:INSERT INTO|UPDATE|DELETE FROM)\s+([a-z_]+)`)
	files, err := filepath.Glob("../sql/queries/*/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("no queries", err)
	}
	for _, file := range files {
		queries, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		module := filepath.Base(filepath.Dir(file))
		for _, match := range writes.FindAllStringSubmatch(string(queries), -1) {
			if owner, known := owners[match[1]]; !known || owner != module {
				t.Errorf("%s writes table %s, which belongs to %q", file, match[1], owner)
			}
		}
	}
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "florin/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		t.Fatal("no packages")
	}
	return all
}

// module is the first two parts of a package's path: what owns it.
func module(path string) string {
	parts := strings.SplitN(path, "/", 3)
	if len(parts) < 2 {
		return path
	}
	return parts[0] + "/" + parts[1]
}

func rank(t *testing.T, path string) int {
	t.Helper()
	for i, modules := range ranks {
		for _, m := range modules {
			if m == module(path) {
				return i
			}
		}
	}
	if path == "internal" {
		return -1
	}
	t.Errorf("%s stands in no layer: name it in ranks", path)
	return -1
}
