package main

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
)

// ingestCounts are what became of a file's lines so far.
type ingestCounts struct {
	Lines     int64            `json:"lines"` // read
	Purchases map[string]int64 `json:"purchases"`
	Returns   map[string]int64 `json:"returns"`    // by what became of them
	Rejected  map[string]int64 `json:"rejectedBy"` // lines, by reason
}

func newIngestCounts() ingestCounts {
	return ingestCounts{Purchases: map[string]int64{}, Returns: map[string]int64{}, Rejected: map[string]int64{}}
}

// add takes over what another one has.
func (c *ingestCounts) add(other ingestCounts) {
	c.Lines += other.Lines
	for _, m := range []struct{ to, from map[string]int64 }{{c.Purchases, other.Purchases}, {c.Returns, other.Returns}, {c.Rejected, other.Rejected}} {
		for name, n := range m.from {
			m.to[name] += n
		}
	}
}

func sum(counts map[string]int64) (n int64) {
	for one := range maps.Values(counts) {
		n += one
	}
	return n
}

// ingestState is how far a file was taken in: what a run that was interrupted left
// to the next one. It counts what lies before its position and nothing after.
type ingestState struct {
	Input         string         `json:"input"` // hash of the file and what it was read with
	Position      ingestPosition `json:"position"`
	RejectedBytes int64          `json:"rejectedBytes"` // of the report
	Counts        ingestCounts   `json:"counts"`
}

// inputHash tells a file that was changed, or is read in another way, from the one
// that a state is about.
func inputHash(path, url string, mapping ingestMapping) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	options, err := json.Marshal(struct {
		URL string
		ingestMapping
	}{url, mapping})
	if err != nil {
		return "", err
	}
	hash.Write(append(options, 0))
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// readIngestState returns the state of an input; a new one when there is none, or
// one of another input: what was sent before is then sent again, and changes
// nothing.
func readIngestState(path, input string) (s ingestState, isResumed bool, err error) {
	fresh := ingestState{Input: input, Counts: newIngestCounts()}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fresh, false, nil
	}
	if err != nil {
		return fresh, false, fmt.Errorf("state of an earlier run: %w", err)
	}
	s.Counts = newIngestCounts()
	isWhole := json.Unmarshal(content, &s) == nil
	if isWhole && s.Input == input && s.Position.Offset > 0 {
		return s, true, nil
	}
	return fresh, false, nil
}

// save replaces the file in one step, so that whoever dies leaves a whole one.
func (s *ingestState) save(path string) error {
	content, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return fmt.Errorf("keep how far the file was taken in: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("keep how far the file was taken in: %w", err)
	}
	return nil
}

// rejectedReport is the file of lines that were not taken: number, reason and
// message, and then the line itself under the names of its columns, so that what is
// corrected there can be taken in from there.
type rejectedReport struct {
	file    *os.File
	columns int
	size    int64
}

// openRejected opens a report that has size bytes which count; what an interrupted
// run wrote after them is cut off. A report of size 0 is written anew.
func openRejected(path string, header []string, size int64) (r *rejectedReport, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("report of rejected lines: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("report of rejected lines: %w", err), file.Close())
		}
	}()
	if err := file.Truncate(size); err != nil {
		return nil, err
	}
	if _, err := file.Seek(size, io.SeekStart); err != nil {
		return nil, err
	}
	r = &rejectedReport{file: file, columns: len(header), size: size}
	if size > 0 {
		return r, nil
	}
	return r, r.write(append([]string{"line", "reason", "message"}, header...))
}

// hasBytes says that a report is at least as long as a state says that it is.
func hasBytes(path string, size int64) bool {
	found, err := os.Stat(path)
	return err == nil && found.Size() >= size
}

// add appends lines, those of one call in their order in the file. Lines that the
// server did not take stand where their purchase was sent.
func (r *rejectedReport) add(lines []*ingestLine) error {
	slices.SortStableFunc(lines, func(a, b *ingestLine) int { return int(a.number - b.number) })
	records := make([][]string, len(lines))
	for i, line := range lines {
		record := append([]string{strconv.FormatInt(line.number, 10), line.problem.code, line.problem.message}, line.fields...)
		for len(record) < 3+r.columns {
			record = append(record, "")
		}
		records[i] = record[:3+r.columns] // its message says that there were more
	}
	return r.write(records...)
}

func (r *rejectedReport) write(records ...[]string) error {
	out := csv.NewWriter(r)
	if err := out.WriteAll(records); err != nil {
		return fmt.Errorf("report of rejected lines: %w", err)
	}
	return nil
}

// Write counts what it appends.
func (r *rejectedReport) Write(p []byte) (int, error) {
	n, err := r.file.Write(p)
	r.size += int64(n)
	return n, err
}

func (r *rejectedReport) close() error { return r.file.Close() }
