package reporting

import (
	"bufio"
	"encoding/csv"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"florin/internal/platform/spreadsheet"
)

// jsonWriter writes one object: what the head says, the rows as data, the sums as
// totals, and whether rows were left out. Its end shows that it is whole.
type jsonWriter struct {
	out     *bufio.Writer
	head    Head
	line    []byte
	isFirst bool
	inTotal bool

	rowsMax     int // 0 for all
	rows        int // that were written
	isTruncated bool
}

// NewJSON writes a report as JSON: of its rows the first rowsMax, or all when that is
// 0; its sums are of all in either case, and isTruncated says whether rows were left
// out. Nothing reaches out before End, or 32 KiB.
func NewJSON(out io.Writer, rowsMax int) Writer {
	return &jsonWriter{out: bufio.NewWriterSize(out, 32<<10), rowsMax: rowsMax}
}

func (w *jsonWriter) Begin(head Head) error {
	w.head, w.isFirst = head, true
	w.line = append(w.line[:0], `{"report":"`+string(head.Report)+`","from":"`+timeText(head.From)+`","to":"`+timeText(head.To)+
		`","readAt":"`+timeText(head.ReadAt)+`","data":[`...)
	return w.flush()
}

func (w *jsonWriter) Row(cells []string) error {
	if w.rowsMax > 0 && w.rows == w.rowsMax {
		w.isTruncated = true
		return nil
	}
	w.rows++
	return w.object(w.head.Columns, cells)
}

func (w *jsonWriter) Total(cells []string) error {
	if err := w.beginTotals(); err != nil {
		return err
	}
	return w.object(w.head.Totals, cells)
}

func (w *jsonWriter) beginTotals() error {
	if w.inTotal {
		return nil
	}
	w.inTotal, w.isFirst = true, true
	_, err := w.out.WriteString(`],"totals":[`)
	return err
}

func (w *jsonWriter) End() error {
	if err := w.beginTotals(); err != nil {
		return err
	}
	if _, err := w.out.WriteString(`],"isTruncated":` + strconv.FormatBool(w.isTruncated) + "}\n"); err != nil {
		return err
	}
	return w.out.Flush()
}

func (w *jsonWriter) object(columns []Column, cells []string) error {
	w.line = w.line[:0]
	if !w.isFirst {
		w.line = append(w.line, ',')
	}
	w.isFirst = false
	for i, cell := range cells {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		w.line = append(w.line, separator, '"')
		w.line = append(w.line, columns[i].Name...)
		w.line = append(w.line, '"', ':')
		if columns[i].Kind == Count {
			w.line = append(w.line, cell...)
			continue
		}
		quoted, err := jsontext.AppendQuote(w.line, strings.ToValidUTF8(cell, "\uFFFD"))
		if err != nil {
			return err
		}
		w.line = quoted
	}
	w.line = append(w.line, '}', '\n')
	return w.flush()
}

func (w *jsonWriter) flush() error {
	_, err := w.out.Write(w.line)
	return err
}

// csvWriter writes a table whose first column says what a line is: ROW; TOTAL, the
// sums, which have columns of their own where they are of something else; and in the
// last line READ_AT, with the report's moment. A file without that was cut off.
type csvWriter struct {
	out     *csv.Writer
	head    Head
	totalAt []int // where each sum stands
	line    []string
}

// NewCSV writes a report as CSV (RFC 4180). Nothing reaches out before End, or 4 KiB.
func NewCSV(out io.Writer) Writer { return &csvWriter{out: newCSV(out)} }

func newCSV(out io.Writer) *csv.Writer {
	w := csv.NewWriter(out)
	w.UseCRLF = true
	return w
}

func (w *csvWriter) Begin(head Head) error {
	w.head, w.line = head, []string{"line"}
	for _, column := range head.Columns {
		w.line = append(w.line, column.Name)
	}
	for _, column := range head.Totals {
		at := slices.Index(w.line, column.Name)
		if at < 0 {
			at = len(w.line)
			w.line = append(w.line, column.Name)
		}
		w.totalAt = append(w.totalAt, at)
	}
	return w.out.Write(w.line)
}

func (w *csvWriter) Row(cells []string) error {
	clear(w.line)
	w.line[0] = "ROW"
	for i, cell := range cells {
		if w.head.Columns[i].Kind == Text {
			cell = spreadsheet.Safe(cell)
		}
		w.line[i+1] = cell
	}
	return w.out.Write(w.line)
}

func (w *csvWriter) Total(cells []string) error {
	clear(w.line)
	w.line[0] = "TOTAL"
	for i, cell := range cells {
		w.line[w.totalAt[i]] = cell
	}
	return w.out.Write(w.line)
}

func (w *csvWriter) End() error {
	clear(w.line)
	w.line[0], w.line[1] = "READ_AT", timeText(w.head.ReadAt)
	if err := w.out.Write(w.line); err != nil {
		return err
	}
	w.out.Flush()
	return w.out.Error()
}
