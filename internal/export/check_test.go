package export_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"florin/internal/export"
	"florin/internal/platform/dbtest"
)

// forge is a folder that somebody tampers with.
type forge struct {
	t   *testing.T
	dir string
}

func (f forge) path(part int, ending string) string {
	return filepath.Join(f.dir, fmt.Sprintf("part-%08d.%s", part, ending))
}

func (f forge) read(path string) []byte {
	f.t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		f.t.Fatal(err)
	}
	return content
}

func (f forge) write(path string, content []byte) {
	f.t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// newest is the number of the newest part.
func (f forge) newest() int { return len(matches(f, "part-*.manifest.json")) }

func (f forge) remove(paths ...string) {
	f.t.Helper()
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f forge) swap(a, b string) {
	f.t.Helper()
	contentA, contentB := f.read(a), f.read(b)
	f.write(a, contentB)
	f.write(b, contentA)
}

// manifest changes a manifest, and makes those after it follow.
func (f forge) manifest(part int, change func(*export.Manifest)) {
	f.t.Helper()
	for previous := ""; ; part++ {
		text, err := os.ReadFile(f.path(part, "manifest.json"))
		if os.IsNotExist(err) {
			return
		}
		var m export.Manifest
		if err := json.Unmarshal(text, &m); err != nil {
			f.t.Fatal(err)
		}
		if change != nil {
			change(&m)
			change = nil
		} else {
			m.PreviousManifestSHA256 = previous
		}
		text, _ = json.MarshalIndent(m, "", "  ")
		text = append(text, '\n')
		sum := sha256.Sum256(text)
		previous = hex.EncodeToString(sum[:])
		f.write(f.path(part, "manifest.json"), text)
	}
}

// data changes a part's data, and its manifest so that it vouches for it.
func (f forge) data(part int, change func(lines []string) []string) {
	f.t.Helper()
	path := f.path(part, "ndjson")
	lines := strings.SplitAfter(strings.TrimSuffix(string(f.read(path)), "\n"), "\n")
	lines[len(lines)-1] += "\n"
	before := len(lines)
	content := []byte(strings.Join(change(lines), ""))
	f.write(path, content)
	sum := sha256.Sum256(content)
	grown := int64(bytes.Count(content, []byte("\n")) - before)
	f.manifest(part, func(m *export.Manifest) {
		m.SHA256, m.Bytes, m.Rows, m.TotalRows = hex.EncodeToString(sum[:]), int64(len(content)), m.Rows+grown, m.TotalRows+grown
	})
}

func seqOf(t *testing.T, line string) int64 {
	t.Helper()
	var row struct{ Seq int64 }
	if err := json.Unmarshal([]byte(line), &row); err != nil {
		t.Fatal(err)
	}
	return row.Seq
}

// replaceIn replaces text in the lines that have it.
func replaceIn(lines []string, old, new string) []string {
	for i, line := range lines {
		lines[i] = strings.Replace(line, old, new, 1)
	}
	return lines
}

var tamperings = map[string]struct {
	tamper       func(f forge)
	want         string // in a problem
	onlyDatabase bool
}{
	"altered byte": {func(f forge) {
		content := f.read(f.path(2, "ndjson"))
		content[len(content)/2] ^= 1
		f.write(f.path(2, "ndjson"), content)
	}, "checksum", false},
	"altered amount, checksum recomputed": {func(f forge) {
		f.data(2, func(lines []string) []string {
			lines[0] = strings.Replace(lines[0], `"amount":"-`, `"amount":"-9`, 1)
			return lines
		})
	}, "does not sum to zero", false},
	"altered amounts of both legs, checksum recomputed": {func(f forge) {
		f.data(2, func(lines []string) []string {
			for i := range lines {
				sign := []string{"-", ""}[i%2] // the debit, the credit
				lines[i] = strings.Replace(lines[i], `"amount":"`+sign, `"amount":"`+sign+"1", 1)
			}
			return lines
		})
	}, "its balance is", false},
	"altered description, checksum recomputed": {func(f forge) {
		f.data(2, func(lines []string) []string { return replaceIn(lines, `"description":"`, `"description":"forged `) })
	}, "not as in the database", true},
	"other account, checksum recomputed": {func(f forge) {
		f.data(2, func(lines []string) []string {
			return replaceIn(lines, lines[0][:len(`{"accountId":"`)+8], `{"accountId":"a_nobody`)
		})
	}, "don't name each other's accounts", false},
	"dropped part": {func(f forge) { f.remove(f.path(2, "ndjson"), f.path(2, "manifest.json")) }, "missing", false},
	"dropped data": {func(f forge) { f.remove(f.path(2, "ndjson")) }, "missing", false},
	"dropped part, the rest renumbered and chained again": {func(f forge) {
		newest := f.newest()
		f.remove(f.path(2, "ndjson"), f.path(2, "manifest.json"))
		for part := 3; part <= newest; part++ {
			for _, ending := range []string{"ndjson", "manifest.json"} {
				if err := os.Rename(f.path(part, ending), f.path(part-1, ending)); err != nil {
					f.t.Fatal(err)
				}
			}
			var m export.Manifest
			if err := json.Unmarshal(f.read(f.path(part-1, "manifest.json")), &m); err != nil {
				f.t.Fatal(err)
			}
			m.Part, m.File = int64(part-1), filepath.Base(f.path(part-1, "ndjson"))
			text, _ := json.Marshal(m)
			f.write(f.path(part-1, "manifest.json"), text)
		}
		f.manifest(1, func(*export.Manifest) {})
	}, "account", false},
	"swapped data": {func(f forge) { f.swap(f.path(2, "ndjson"), f.path(3, "ndjson")) }, "checksum", false},
	"swapped parts": {func(f forge) {
		f.swap(f.path(2, "ndjson"), f.path(3, "ndjson"))
		f.swap(f.path(2, "manifest.json"), f.path(3, "manifest.json"))
	}, "not as it was written", false},
	"truncated tail": {func(f forge) {
		newest := f.newest()
		f.remove(f.path(newest, "ndjson"), f.path(newest, "manifest.json"))
	}, "the newest parts are missing", true},
	"doubled transaction, checksum recomputed": {func(f forge) {
		f.data(2, func(lines []string) []string { return append(lines, lines[0], lines[1]) })
	}, "it is there twice", false},
	"doubled row": {func(f forge) {
		f.data(2, func(lines []string) []string { return append(lines, lines[0]) })
	}, "stands alone", false},
	"left out transaction, checksum recomputed": {func(f forge) {
		f.data(2, func(lines []string) []string {
			oldest := 0
			for i := 0; i < len(lines); i += 2 {
				if seqOf(f.t, lines[i]) < seqOf(f.t, lines[oldest]) {
					oldest = i
				}
			}
			return slices.Delete(lines, oldest, oldest+2)
		})
	}, "are missing", false},
	"edited manifest": {func(f forge) {
		text := f.read(f.path(2, "manifest.json"))
		f.write(f.path(2, "manifest.json"), bytes.Replace(text, []byte(`"turnover": "`), []byte(`"turnover": "1`), 1))
	}, "it says the sums", false},
	"edited resolved time, chained again": {func(f forge) {
		f.manifest(f.newest(), func(m *export.Manifest) { m.ResolvedAt = m.ResolvedAt.AddDate(-1, 0, 0) })
	}, "resolved time", false},
	"rewritten manifest": {func(f forge) {
		f.write(f.path(2, "manifest.json"), append(f.read(f.path(2, "manifest.json")), ' '))
	}, "not as it was written", false},
	"file of nobody": {func(f forge) { f.write(f.path(99, "ndjson"), nil) }, "belongs to no part", false},
	"all of it":      {func(f forge) { f.remove(matches(f, "part-*")...) }, "there are no parts", false},
}

// Every way to tamper with a folder is named by the check. Some leave a folder
// that is whole in itself: only the database tells.
func TestCheckFindsTampering(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		w.acts(100)
		w.settle()
		o := w.options(export.NDJSON)
		o.PartRows = 40
		w.once(o)
		w.acts(20)
		w.settle()
		w.once(o)
		w.wantWhole(o)
		for name, c := range tamperings {
			t.Run(name, func(t *testing.T) {
				f := forge{t, filepath.Join(t.TempDir(), "export")}
				if err := os.CopyFS(f.dir, os.DirFS(dirOf(o))); err != nil {
					t.Fatal(err)
				}
				c.tamper(f)
				offline, err := export.Check(t.Context(), f.dir, nil)
				if err != nil {
					t.Fatal(err)
				}
				if c.onlyDatabase && len(offline.Problems) > 0 {
					t.Errorf("without the database: %v", offline.Problems)
				}
				if !c.onlyDatabase && !says(offline, c.want) {
					t.Errorf("without the database: want %q in %v", c.want, offline.Problems)
				}
				online, err := export.Check(t.Context(), f.dir, w.db)
				if err != nil {
					t.Fatal(err)
				}
				if !says(online, c.want) {
					t.Errorf("with the database: want %q in %v", c.want, online.Problems)
				}
			})
		}
	})
}

func says(r export.Report, want string) bool {
	return slices.ContainsFunc(r.Problems, func(p export.Problem) bool { return strings.Contains(p.Subject+": "+p.Detail, want) })
}

func matches(f forge, pattern string) []string {
	f.t.Helper()
	found, err := filepath.Glob(filepath.Join(f.dir, pattern))
	if err != nil {
		f.t.Fatal(err)
	}
	return found
}
