package export

import (
	"testing"
	"time"

	"florin/internal/platform/database"
)

func TestAnExportIsWhatItsJobSays(t *testing.T) {
	now := time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)
	at := database.TimestampOf(now.Add(-time.Minute))
	base := Export{Kind: Changefeed, Status: Running, JobID: 7, CreatedAt: now.Add(-time.Hour)}
	with := func(change func(*Export)) Export {
		e := base
		change(&e)
		return e
	}
	cases := []struct {
		name      string
		e         Export
		job       job
		want      Status
		wantError string
	}{
		{"running", base, job{id: 7, status: "running", resolved: at}, Running, ""},
		{"in trouble", base, job{id: 7, status: "running", error: "refused"}, Running, "refused"},
		{"paused", with(func(e *Export) { e.Status = Paused }), job{id: 7, status: "pause-requested"}, Paused, ""},
		{"paused by the database", base, job{id: 7, status: "paused", error: "no table"}, Failed, "no table"},
		{"resumed in the database", with(func(e *Export) { e.Status = Paused }), job{id: 7, status: "running"}, Running, ""},
		{"ended", base, job{id: 7, status: "failed", error: "gone"}, Failed, "the database ended its job (failed): gone; cancel the export and create it again"},
		{"forgotten", base, job{}, Failed, "the database does not know its job 7 any more: cancel the export and create it again"},
		{"about to be made", with(func(e *Export) { e.JobID, e.CreatedAt = 0, now }), job{}, Running, ""},
		{"never made", with(func(e *Export) { e.JobID = 0 }), job{}, Failed, "its job was never made: create the export again, with its credentials"},
		{"refused", with(func(e *Export) { e.JobID, e.Status, e.Error = 0, Failed, "refused" }), job{}, Failed, "refused"},
	}
	for _, test := range cases {
		got := test.e.asDelivered(test.job, now)
		if got.Status != test.want || got.Error != test.wantError {
			t.Errorf("%s: %s %q; want %s %q", test.name, got.Status, got.Error, test.want, test.wantError)
		}
		wantLag := time.Hour
		if !test.job.resolved.IsZero() {
			wantLag = time.Minute
		} else if test.name == "about to be made" {
			wantLag = 0
		}
		if got.Lag(now) != wantLag {
			t.Errorf("%s: lag %s; want %s", test.name, got.Lag(now), wantLag)
		}
	}
	if lag := (Export{Status: Finished, CreatedAt: now.Add(-time.Hour)}).Lag(now); lag != 0 {
		t.Errorf("a cancelled export lags by %s", lag)
	}
}
