package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"florin/internal/cashback"
)

const (
	// recordMax bounds a record of the file in bytes: a quote that is never closed
	// would have all the rest taken for one field.
	recordMax = 64 << 10
	// looseMax bounds the lines behind one of a purchase that can't be told to be of
	// any.
	looseMax = 1000
)

// The names of what a line says: the API's.
const (
	colPurchase = iota
	colMerchant
	colCustomer
	colProduct
	colDescription
	colCategory
	colMCC
	colQuantity
	colPrice
	colCurrency
	colTime
	colCountry
	columnCount
)

var ingestColumns = [columnCount]string{
	"purchaseId", "merchantId", "customerId", "product", "description", "category", "mcc", "quantity", "unitPrice", "currency", "timestamp", "country",
}

// isOptionalColumn says of which columns a file may have none.
var isOptionalColumn = [columnCount]bool{colProduct: true, colDescription: true, colCategory: true, colMCC: true, colCountry: true}

// ingestLine is a line of the file, or several when a quoted field has breaks.
type ingestLine struct {
	number  int64    // of its first, from 1
	fields  []string // as they stand there; one, the whole line, when it is no CSV
	values  [columnCount]string
	problem *lineProblem // why it can't be taken
}

// lineProblem is why a line is rejected.
type lineProblem struct{ code, message string }

// ingestGroup are adjacent lines of one purchase id, with what stands between them,
// and what is to be sent in their place.
type ingestGroup struct {
	id    string // empty when it can't be told: each line is for itself then
	lines []*ingestLine
	own   int // of the first lines: the purchase's, with what stands between them
	items []ingestItem
	end   ingestPosition // behind them
}

// ingestPosition is a place between two groups of a file.
type ingestPosition struct {
	Offset int64 `json:"offset"` // bytes of the text
	Line   int64 `json:"line"`   // that comes next
}

// ingestReader reads a file's groups, in its order. It holds one at a time, and what
// is scattered.
type ingestReader struct {
	file      *os.File
	consumed  *atomic.Int64 // bytes of the file
	scattered scattered
	guard     *guard
	csv       *csv.Reader
	header    []string
	source    [columnCount]int // index of the column; -1 for none
	constant  [columnCount]string
	at        ingestPosition
	start     ingestPosition // where csv began
	// isCounted says that start.Line is the line at start, not that of the first
	// record after it: blank lines may stand between.
	isCounted bool
	next      *ingestLine    // read ahead
	nextAt    ingestPosition // before it
}

// ingestMapping says where values come from: a column of another name, or one value
// for all lines.
type ingestMapping struct {
	Column map[string]string `json:"column"`
	Set    map[string]string `json:"set"`
}

func (m ingestMapping) check() error {
	for flag, names := range map[string]map[string]string{"--column": m.Column, "--set": m.Set} {
		for name := range names {
			if !slices.Contains(ingestColumns[:], name) {
				return fmt.Errorf("%s names %q; there are %s", flag, name, strings.Join(ingestColumns[:], ", "))
			}
		}
	}
	for name := range m.Set {
		if _, both := m.Column[name]; both {
			return fmt.Errorf("--column and --set both say what %s is", name)
		}
	}
	return nil
}

// openIngest opens a file of which it is known what is scattered, and reads its header.
// It goes on at a position that an earlier reader of the same file and mapping
// returned; the zero one is the beginning. Close the reader after use.
func openIngest(path string, mapping ingestMapping, apart scattered, at ingestPosition) (r *ingestReader, err error) {
	if err := mapping.check(); err != nil {
		return nil, err
	}
	r = &ingestReader{scattered: apart, at: at}
	header, begin, err := readHeader(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := r.bind(header, mapping); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if at.Offset == 0 {
		r.at, r.isCounted = begin, true
	}
	text, file, err := openText(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r.file, r.consumed = file, text.read
	if _, err := io.CopyN(io.Discard, text, r.at.Offset); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: go on at byte %d: %w", path, r.at.Offset, err), file.Close())
	}
	r.guard = &guard{Reader: text}
	r.csv, r.start = csv.NewReader(r.guard), r.at
	r.csv.FieldsPerRecord = len(header)
	return r, nil
}

func (r *ingestReader) close() { _ = r.file.Close() } // it was only read

// bind finds each value's column.
func (r *ingestReader) bind(header []string, mapping ingestMapping) error {
	r.header = header
	for i, name := range ingestColumns {
		r.source[i] = -1
		if value, isSet := mapping.Set[name]; isSet {
			r.constant[i] = value
			continue
		}
		column, isNamed := mapping.Column[name]
		if !isNamed {
			column = name
		}
		r.source[i] = slices.Index(header, column)
		if r.source[i] < 0 && (isNamed || !isOptionalColumn[i]) {
			return fmt.Errorf("there is no column %q for %s; there are %s: name one with --column %s=NAME, or give one value for all lines with --set %s=VALUE",
				column, name, strings.Join(header, ", "), name, name)
		}
	}
	return nil
}

// fileText is a file's text, whether it is compressed or not.
type fileText struct {
	io.Reader
	read *atomic.Int64
}

func openText(path string) (*fileText, *os.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	counted := &countedReader{Reader: file}
	buffered := bufio.NewReaderSize(counted, 64<<10)
	text := &fileText{Reader: buffered, read: &counted.read}
	if magic, _ := buffered.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, nil, errors.Join(err, file.Close())
		}
		text.Reader = unzipped
	}
	return text, file, nil
}

// countedReader tells how far a file was read while others look.
type countedReader struct {
	io.Reader
	read atomic.Int64
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// readHeader reads the names of the columns; begin is where the lines do.
func readHeader(path string) (header []string, begin ingestPosition, err error) {
	text, file, err := openText(path)
	if err != nil {
		return nil, begin, err
	}
	defer file.Close()
	buffered := bufio.NewReader(&guard{Reader: text, left: recordMax})
	// Spreadsheets begin UTF-8 with a mark of it.
	if mark, _ := buffered.Peek(3); string(mark) == "\ufeff" {
		begin.Offset, _ = io.CopyN(io.Discard, buffered, 3)
	}
	lines := csv.NewReader(buffered)
	header, err = lines.Read()
	if errors.Is(err, io.EOF) {
		return nil, begin, errors.New("it is empty: its first line must name the columns")
	}
	if err != nil {
		return nil, begin, fmt.Errorf("the names of the columns: %w", err)
	}
	for i, name := range header {
		if name != "" && slices.Contains(header[:i], name) {
			return nil, begin, fmt.Errorf("two columns are called %q", name)
		}
	}
	last := len(header) - 1
	line, _ := lines.FieldPos(last)
	begin.Line = int64(line+strings.Count(header[last], "\n")) + 1
	begin.Offset += lines.InputOffset()
	return header, begin, nil
}

// errRecordTooLong says that a record has no end.
var errRecordTooLong = fmt.Errorf("is longer than %d bytes: a quote may not be closed", recordMax)

// guard ends a record that is too long, and keeps the text of one, for what is no
// CSV.
type guard struct {
	io.Reader
	left int
	text []byte // read and not passed yet
	at   int64  // of text, in bytes read
}

func (g *guard) Read(p []byte) (int, error) {
	if g.left <= 0 {
		return 0, errRecordTooLong
	}
	n, err := g.Reader.Read(p[:min(len(p), g.left)])
	g.left -= n
	g.text = append(g.text, p[:n]...)
	return n, err
}

// begin says that a record begins after so many bytes.
func (g *guard) begin(at int64) {
	g.left = recordMax
	g.text, g.at = g.text[at-g.at:], at
}

// record is the text from where it was begun.
func (g *guard) record(end int64) string {
	return strings.Trim(strings.ToValidUTF8(string(g.text[:end-g.at]), "\ufffd"), "\r\n")
}

// group is the next one, and what is to be sent of it; io.EOF after the last. A
// purchase is taken whole or not at all.
func (r *ingestReader) group() (*ingestGroup, error) {
	g, err := r.read()
	if err != nil || g.own == 0 {
		return g, err
	}
	own := g.lines[:g.own]
	p := r.scattered[g.id]
	if p == nil {
		p = &filePurchase{}
		p.add(own)
	}
	if p.isRejected() {
		p.reject(own)
	} else {
		g.items = p.items(own)
	}
	return g, nil
}

// read is group without a judgement of its lines together.
func (r *ingestReader) read() (*ingestGroup, error) {
	first, err := r.line()
	if err != nil {
		return nil, err
	}
	g := &ingestGroup{id: first.values[colPurchase], lines: []*ingestLine{first}}
	loose := 0 // at the end
	for {
		line, err := r.peek()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		isLoose := line.values[colPurchase] == ""
		if !isLoose && (line.values[colPurchase] != g.id || len(g.lines) >= cashback.MaxLines) || loose >= looseMax {
			break
		}
		if isLoose {
			loose++
		} else {
			loose = 0
		}
		g.lines = append(g.lines, line)
		r.next = nil
	}
	if g.id != "" {
		g.own = len(g.lines) - loose
	}
	if r.next != nil {
		r.at = r.nextAt
	}
	g.end = r.at
	return g, nil
}

// compare rejects a line that says something else of its purchase than the first.
// The time may differ, and the first one's counts: long baskets are written down
// over a minute.
func (l *ingestLine) compare(first *ingestLine) {
	for _, column := range []int{colMerchant, colCustomer, colCurrency, colCountry} {
		if l.values[column] != first.values[column] {
			l.reject("line_differs", "%s is %.60q; on line %d of the same purchase it is %.60q", ingestColumns[column], l.values[column], first.number, first.values[column])
		}
	}
}

// reject gives a line a reason, if it has none yet.
func (l *ingestLine) reject(code, format string, args ...any) {
	if l.problem == nil {
		l.problem = &lineProblem{code, fmt.Sprintf(format, args...)}
	}
}

func (r *ingestReader) peek() (*ingestLine, error) {
	if r.next == nil {
		next, err := r.readLine()
		if err != nil {
			return nil, err
		}
		r.next = next
	}
	return r.next, nil
}

func (r *ingestReader) line() (*ingestLine, error) {
	line, err := r.peek()
	r.next = nil
	return line, err
}

// readLine reads a line. What is wrong with it stands in it; an error ends the reading.
func (r *ingestReader) readLine() (*ingestLine, error) {
	r.nextAt.Offset = r.start.Offset + r.csv.InputOffset()
	r.guard.begin(r.csv.InputOffset())
	fields, err := r.csv.Read()
	after := r.start.Offset + r.csv.InputOffset()
	if errors.Is(err, errRecordTooLong) {
		return nil, fmt.Errorf("the record at byte %d of the text %w", r.nextAt.Offset, errRecordTooLong)
	}
	bad := (*csv.ParseError)(nil)
	if err != nil && !errors.As(err, &bad) {
		if !errors.Is(err, io.EOF) {
			err = fmt.Errorf("read on at byte %d of the text: %w", r.nextAt.Offset, err)
		} else {
			r.at.Offset = after
		}
		return nil, err
	}
	line := &ingestLine{fields: fields, number: r.lineNumber(bad)}
	r.nextAt.Line = line.number
	if bad != nil {
		line.reject("line_invalid", "%v", bad.Err)
		if errors.Is(bad.Err, csv.ErrFieldCount) {
			line.problem.message = fmt.Sprintf("it has %d fields, and the first line %d", len(fields), len(r.header))
		} else {
			line.fields = []string{r.guard.record(r.csv.InputOffset())} // as it stands there
		}
		return line, nil
	}
	if slices.ContainsFunc(fields, func(field string) bool { return !utf8.ValidString(field) }) {
		line.reject("line_invalid", "it is not UTF-8")
		return line, nil
	}
	for i := range columnCount {
		if line.values[i] = r.constant[i]; r.source[i] >= 0 {
			line.values[i] = fields[r.source[i]]
		}
		if i != colDescription { // of which no blank is lost
			line.values[i] = strings.TrimSpace(line.values[i])
		}
	}
	line.check()
	return line, nil
}

// lineNumber is where the record that was just read begins, or the bad one.
func (r *ingestReader) lineNumber(bad *csv.ParseError) int64 {
	var line int
	if bad != nil {
		line = bad.StartLine
	} else {
		line, _ = r.csv.FieldPos(0)
	}
	if !r.isCounted {
		r.start.Line -= int64(line) - 1
		r.isCounted = true
	}
	return r.start.Line + int64(line) - 1
}
