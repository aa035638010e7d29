package reporting_test

import (
	"fmt"
	"strings"
	"testing"

	"florin/internal/reporting"
)

// The views are a contract: the document names each column, and both engines have it.
func TestTheViewsAreTheDocumentsOnBothEngines(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		views, err := w.console.Views(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, view := range views {
			fmt.Fprintf(&text, "%s:", view.Name)
			for _, column := range view.Columns {
				fmt.Fprintf(&text, " %s %s,", column.Name, column.Type)
			}
			text.WriteString("\n")
			for _, column := range view.Columns {
				for _, personal := range []string{"description", "metadata", "email", "phone", "message"} {
					if strings.Contains(column.Name, personal) {
						t.Errorf("%s shows %s", view.Name, column.Name)
					}
				}
			}
		}
		compare(t, "columns", "```\n"+text.String()+"```\n")
	})
}

func TestTheLibraryRunsOnBothEngines(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const currency = "CHF" // nobody else's in this database
		a, b := w.openIn(currency, "WALLET", "usr_1", "100.00"), w.openIn(currency, "MERCHANT", "usr_2", "0.00")
		w.pay(a, b, "30.25")
		w.settle()
		if len(reporting.Library()) < 8 {
			t.Fatal("the library is small")
		}
		for _, ready := range reporting.Library() {
			rows, result, err := w.run(ready.Query)
			if err != nil || ready.Title == "" || ready.Description == "" {
				t.Errorf("%s: %v", ready.Name, err)
				continue
			}
			if ready.Name == "trial-balance" && !strings.Contains(strings.Join(rows, "\n"), currency+"\tWALLET\t1\t0\t69.7500\t69.7500") {
				t.Errorf("%s: %q", ready.Name, rows)
			}
			if len(result.Columns) < 3 {
				t.Errorf("%s has %v", ready.Name, result.Columns)
			}
		}
		var days string
		if rows, _, err := w.run("SELECT transfers, volume FROM reporting.daily_volumes WHERE kind = 'TRANSFER' AND status = 'COMPLETED' AND currency = '" + currency + "' ORDER BY day"); err == nil {
			days = strings.Join(rows, ";")
		}
		if days != "1\t30.2500" {
			t.Errorf("%s: daily volumes %q", w.db.Engine, days)
		}
	})
}
