package internal_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"florin/internal/identity"
)

const securityDocument = "../docs/security.md"

func TestTheTableOfPermissionsIsTheCodes(t *testing.T) {
	text := read(t, securityDocument)
	_, rest, _ := strings.Cut(text, "<!-- permissions -->\n")
	table, _, found := strings.Cut(rest, "<!-- end of permissions -->")
	if !found {
		t.Fatal("the document has no table of permissions")
	}
	if want := permissionTable(); table != want {
		t.Errorf("%s has another table than internal/identity/permission.go. It should be\n%s", securityDocument, want)
	}
}

func permissionTable() string {
	var table strings.Builder
	table.WriteString("| |")
	for _, role := range identity.Roles {
		fmt.Fprintf(&table, " %s |", role)
	}
	table.WriteString("\n|---|" + strings.Repeat("---|", len(identity.Roles)) + "\n")
	for _, permission := range identity.AllPermissions {
		fmt.Fprintf(&table, "| `%s` |", permission)
		for _, role := range identity.Roles {
			if role.May(permission) {
				table.WriteString(" yes |")
			} else {
				table.WriteString(" |")
			}
		}
		table.WriteString("\n")
	}
	return table.String()
}

var (
	namedTest = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)")
	madeTest  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]+)\(`)
	namedFile = regexp.MustCompile("`((?:internal|cmd|sql|docs|scripts|tools)/[A-Za-z0-9_./-]+)`")
)

// What a document names as its proof must be there.
func TestDocumentsNameTestsAndFilesThatThereAre(t *testing.T) {
	made := map[string]bool{}
	for _, tree := range []string{".", "../cmd"} {
		err := filepath.WalkDir(tree, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, match := range madeTest.FindAllStringSubmatch(read(t, path), -1) {
				made[match[1]] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	adrs, err := filepath.Glob("../docs/adr/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range append(adrs, securityDocument, "../ARCHITECTURE.md", "../CONTRIBUTING.md", "../README.md") {
		text := read(t, document)
		for _, match := range namedTest.FindAllStringSubmatch(text, -1) {
			if !made[match[1]] {
				t.Errorf("%s names the test %s, which there is not", document, match[1])
			}
		}
		for _, match := range namedFile.FindAllStringSubmatch(text, -1) {
			if strings.Contains(match[1], "NNNNN") { // stands for a number
				continue
			}
			if _, err := os.Stat("../" + match[1]); err != nil {
				t.Errorf("%s names %s, which there is not", document, match[1])
			}
		}
	}
	if !made["TestDocumentsNameTestsAndFilesThatThereAre"] {
		t.Error("the tests were not read")
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
