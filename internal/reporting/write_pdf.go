package reporting

import (
	"fmt"
	"io"
	"time"

	"github.com/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
)

// PDFLinesMax is how many lines a PDF can have: it is made in memory.
const PDFLinesMax = 20_000

const (
	pdfFont   = "Go"
	pdfMargin = 12.0 // mm
	pdfLine   = 4.6  // mm
)

// pdfColumn is a column of the printed statement, by its name in the report.
type pdfColumn struct {
	name, title string
	width       float64 // mm, of 273
	align       string
}

var pdfColumns = []pdfColumn{
	{"time", "Time (UTC)", 36, "L"},
	{"transactionId", "Transaction", 56, "L"},
	{"kind", "Kind", 20, "L"},
	{"counterparty", "Counterparty", 50, "L"},
	{"description", "Description", 51, "L"},
	{"amount", "Amount", 30, "R"},
	{"balance", "Balance", 30, "R"},
}

// pdfWriter prints a statement: for each account a table, and its sums at the end.
// Letters beyond Latin, Greek and Cyrillic have no glyphs in its font.
type pdfWriter struct {
	to      io.Writer
	pdf     *fpdf.Fpdf
	head    Head
	account string
	lines   int
}

// NewPDF prints a Statement as PDF. Nothing reaches out before End. Row returns
// TooLong after PDFLinesMax lines.
func NewPDF(to io.Writer) Writer { return &pdfWriter{to: to} }

func (w *pdfWriter) Begin(head Head) error {
	w.head, w.pdf = head, fpdf.New("L", "mm", "A4", "")
	w.pdf.AddUTF8FontFromBytes(pdfFont, "", goregular.TTF)
	w.pdf.AddUTF8FontFromBytes(pdfFont, "B", gobold.TTF)
	w.pdf.SetTitle("Statement", true)
	w.pdf.SetCreationDate(head.ReadAt)
	w.pdf.SetModificationDate(head.ReadAt)
	w.pdf.SetMargins(pdfMargin, pdfMargin, pdfMargin)
	w.pdf.SetAutoPageBreak(true, pdfMargin+6)
	w.pdf.SetHeaderFunc(w.printHead)
	w.pdf.SetFooterFunc(w.printFoot)
	w.pdf.AliasNbPages("")
	w.pdf.AddPage()
	return w.pdf.Error()
}

// pdfTime is how times are printed.
const pdfTime = "2006-01-02 15:04:05"

func (w *pdfWriter) printHead() {
	w.pdf.SetFont(pdfFont, "B", 14)
	w.pdf.CellFormat(0, 8, "Statement", "", 1, "L", false, 0, "")
	w.pdf.SetFont(pdfFont, "", 8)
	w.pdf.CellFormat(0, pdfLine, fmt.Sprintf("%s until before %s UTC, as the books were at %s UTC",
		w.head.From.Format(pdfTime), w.head.To.Format(pdfTime), w.head.ReadAt.Format(pdfTime)), "", 1, "L", false, 0, "")
	w.pdf.Ln(2)
	if w.account != "" {
		w.printTitles()
	}
}

func (w *pdfWriter) printFoot() {
	w.pdf.SetY(-pdfMargin - 2)
	w.pdf.SetFont(pdfFont, "", 7)
	w.pdf.CellFormat(0, pdfLine, fmt.Sprintf("%d / {nb}", w.pdf.PageNo()), "", 0, "R", false, 0, "")
}

func (w *pdfWriter) printTitles() {
	w.pdf.SetFont(pdfFont, "B", 9)
	w.pdf.CellFormat(0, pdfLine+1.5, "Account "+w.account, "", 1, "L", false, 0, "")
	w.pdf.SetFont(pdfFont, "B", 7)
	for _, column := range pdfColumns {
		w.pdf.CellFormat(column.width, pdfLine, column.title, "B", 0, column.align, false, 0, "")
	}
	w.pdf.Ln(-1)
	w.pdf.SetFont(pdfFont, "", 7)
}

func (w *pdfWriter) Row(cells []string) error {
	if w.lines++; w.lines > PDFLinesMax {
		return TooLong.Failure("the statement has more than %d lines, too many for a PDF: ask for CSV, or for a shorter period", PDFLinesMax)
	}
	values := map[string]string{}
	for i, column := range w.head.Columns {
		values[column.Name] = cells[i]
	}
	if account := values["accountId"]; account != w.account {
		w.account = account
		w.pdf.Ln(3)
		w.printTitles()
	}
	if at, err := time.Parse(time.RFC3339Nano, values["time"]); err == nil {
		values["time"] = at.Format("2006-01-02 15:04:05.000")
	}
	values["amount"] += " " + values["currency"]
	for _, column := range pdfColumns {
		w.pdf.CellFormat(column.width, pdfLine, w.fit(values[column.name], column.width-2), "", 0, column.align, false, 0, "")
	}
	w.pdf.Ln(-1)
	return w.pdf.Error()
}

// fit shortens a text to a width.
func (w *pdfWriter) fit(text string, width float64) string {
	if w.pdf.GetStringWidth(text) <= width {
		return text
	}
	runes := []rune(text)
	for len(runes) > 0 && w.pdf.GetStringWidth(string(runes)+"…") > width {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}

func (w *pdfWriter) Total(cells []string) error {
	w.account = "" // no titles of lines on a new page
	w.pdf.Ln(3)
	w.pdf.SetFont(pdfFont, "B", 8)
	w.pdf.CellFormat(0, pdfLine+1, cells[0]+", "+cells[1], "T", 1, "L", false, 0, "")
	w.pdf.SetFont(pdfFont, "", 8)
	for i, column := range w.head.Totals[2:] {
		w.pdf.CellFormat(30, pdfLine, column.Name, "", 0, "L", false, 0, "")
		w.pdf.CellFormat(40, pdfLine, cells[i+2], "", 1, "R", false, 0, "")
	}
	return w.pdf.Error()
}

func (w *pdfWriter) End() error { return w.pdf.Output(w.to) }
