package api_test

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

const snapshot = "consistency=snapshot"

// awaitSnapshot waits until a new snapshot shows so many postings of an account.
func (s *server) awaitSnapshot(account string, postings int) {
	s.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		page := s.get("/api/v1/accounts/" + account + "/postings?limit=500&" + snapshot)
		if page.status == http.StatusOK && len(page.object().list("data")) >= postings {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("a snapshot still answers %d %.300s", page.status, page.text)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// readAt is the time that a list's page says it shows.
func (a answer) readAt() time.Time {
	a.t.Helper()
	text, _ := a.want(http.StatusOK).object()["readAt"].(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || at.Location() != time.UTC {
		a.t.Fatalf("readAt %q: %v", text, err)
	}
	return at
}

func TestListsOfTheLatestTellWhenTheyWereRead(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		account := s.open("1")
		for _, path := range []string{"/api/v1/accounts?", "/api/v1/transactions?", "/api/v1/accounts/" + account + "/postings?"} {
			for _, consistency := range []string{"", "consistency=latest"} {
				before := time.Now().Add(-time.Millisecond)
				if at := s.get(path + consistency).readAt(); at.Before(before) || at.After(time.Now()) {
					t.Errorf("%s: read at %s", path, at)
				}
			}
		}
	})
}

// All pages of a snapshot show the time of the first, whatever is booked between.
func TestPagesOfASnapshotShowOneTime(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		group := id.New("g")
		accounts := make([]string, 5)
		for i := range accounts {
			accounts[i] = id.New("a")
			s.post("/api/v1/accounts", object{"accountId": accounts[i], "balance": "10", "metadata": object{"group": group}}).want(http.StatusCreated)
		}
		slices.Sort(accounts)
		first, last := accounts[0], accounts[len(accounts)-1]
		for range 4 {
			s.post("/api/v1/transfers", transfer(id.New("t"), first, last, 1)).want(http.StatusCreated)
		}
		s.awaitSnapshot(first, 5)
		for path, rows := range map[string]int{
			"/api/v1/accounts/" + first + "/postings?limit=2":                         5,
			"/api/v1/accounts?limit=2&metadata=%7B%22group%22:%22" + group + "%22%7D": len(accounts),
			"/api/v1/transactions?limit=2&accountId=" + first:                         5,
		} {
			path += "&" + snapshot
			isAccounts := strings.Contains(path, "metadata")
			if s.db.Engine == database.Postgres && !strings.Contains(path, "/postings") {
				s.get(path).wantProblem(http.StatusBadRequest, "invalid_request", "consistency")
				continue
			}
			// The more it is paged, the more there is that must not be seen.
			page := s.get(path)
			at, seen, held := page.readAt(), 0, decimal.Zero
			for {
				if shown := page.readAt(); !shown.Equal(at) {
					t.Errorf("%s: a page is of %s; the first of %s", path, shown, at)
				}
				for _, row := range page.object().list("data") {
					seen++
					if isAccounts {
						held = held.Add(decimal.RequireFromString(row["balance"].(string)))
					}
				}
				cursor, _ := page.object()["nextCursor"].(string)
				if cursor == "" {
					break
				}
				s.post("/api/v1/transfers", transfer(id.New("t"), last, first, 1)).want(http.StatusCreated)
				page = s.get(path + "&cursor=" + cursor)
			}
			if seen < rows {
				t.Errorf("%s: %d rows; want at least %d", path, seen, rows)
			}
			if isAccounts && !held.Equal(decimal.NewFromInt(int64(10*len(accounts)))) {
				t.Errorf("%s: the accounts have %s together", path, held)
			}
		}
	})
}

// forged replaces the time in a snapshot's cursor.
func forged(t *testing.T, cursor, at string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), "\n")
	parts[1] = at
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(parts, "\n")))
}

func TestACursorIsGoodForItsSnapshotOnly(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		from, to := s.open("10"), s.open("0")
		for range 4 {
			s.post("/api/v1/transfers", transfer(id.New("t"), from, to, 1)).want(http.StatusCreated)
		}
		s.awaitSnapshot(from, 5)
		for _, path := range []string{
			"/api/v1/accounts/" + from + "/postings?limit=2", "/api/v1/accounts?limit=1", "/api/v1/transactions?limit=2&accountId=" + from,
		} {
			latest, _ := s.get(path).want(http.StatusOK).object()["nextCursor"].(string)
			if s.db.Engine == database.Postgres && !strings.Contains(path, "/postings") {
				continue
			}
			kept, _ := s.get(path + "&" + snapshot).want(http.StatusOK).object()["nextCursor"].(string)
			s.get(path + "&" + snapshot + "&cursor=" + kept).want(http.StatusOK)
			s.get(path+"&cursor="+kept).wantProblem(http.StatusBadRequest, "invalid_request", "cursor")
			s.get(path+"&"+snapshot+"&cursor="+latest).wantProblem(http.StatusBadRequest, "invalid_request", "cursor")
			for _, at := range []string{
				database.TimestampOf(time.Now().Add(time.Hour)).String(), "9223372036854775807.2147483647",
				"0.0000000000", "-1.0000000000", "1e18.0000000000", "1; SELECT 1", "", "2026-01-01T00:00:00Z",
			} {
				s.get(path+"&"+snapshot+"&cursor="+forged(t, kept, at)).wantProblem(http.StatusBadRequest, "invalid_request", "cursor")
			}
			for _, at := range []string{"1.0000000000", database.TimestampOf(time.Now().AddDate(-1, 0, 0)).String()} {
				s.get(path+"&"+snapshot+"&cursor="+forged(t, kept, at)).wantProblem(http.StatusGone, "cursor_expired", "")
			}
		}
		s.get("/api/v1/accounts?consistency=strong").wantProblem(http.StatusBadRequest, "invalid_request", "consistency")
	})
}
