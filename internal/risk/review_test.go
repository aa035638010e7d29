package risk_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"florin/internal/audit"
	"florin/internal/platform/dbtest"
	"florin/internal/risk"
)

func TestReviewsAreAQueueWhoWaitsLongestFirst(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newEmptyWorld(t, url)
		var waiting []string
		var last risk.Decision
		for i := range 7 {
			s := someSubject()
			if i == 3 {
				s.UserID = "usr_cay"
			}
			last = w.decide(t, s, toReview)
			waiting = append(waiting, last.ID)
			w.decide(t, someSubject(), unchanged) // allowed: not to review
			w.pass(time.Second)
		}
		var listed []string
		var after risk.Position
		for {
			page, err := w.Reviews(t.Context(), risk.ReviewFilter{}, after, 3)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, d := range page {
				listed = append(listed, d.ID)
			}
			after = page[len(page)-1].Position()
		}
		if !slices.Equal(listed, waiting) {
			t.Fatalf("%s; want %s", listed, waiting)
		}
		for _, c := range []struct {
			filter risk.ReviewFilter
			want   int
		}{
			{risk.ReviewFilter{UserID: "usr_cay"}, 1},
			{risk.ReviewFilter{UserID: "usr_ann"}, 6},
			{risk.ReviewFilter{AccountID: last.AccountID}, 1},
			{risk.ReviewFilter{AccountID: last.AccountID, UserID: "usr_cay"}, 0},
			{risk.ReviewFilter{Status: risk.ReviewApproved}, 0},
		} {
			if page, err := w.Reviews(t.Context(), c.filter, risk.Position{}, 100); err != nil || len(page) != c.want {
				t.Errorf("%+v: %d, %v", c.filter, len(page), err)
			}
		}
		for _, bad := range []risk.ReviewFilter{{Status: "X"}, {UserID: "a\x00"}, {AccountID: "' OR 1=1"}} {
			var invalid *risk.InvalidInput
			if _, err := w.Reviews(t.Context(), bad, risk.Position{}, 100); !errors.As(err, &invalid) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		if _, err := w.Resolve(as(t, "user", "usr_eve"), waiting[2], true, ""); err != nil {
			t.Fatal(err)
		}
		if page, err := w.Reviews(t.Context(), risk.ReviewFilter{}, risk.Position{}, 100); err != nil || len(page) != 6 {
			t.Fatal(len(page), err)
		}
		if page, err := w.Reviews(t.Context(), risk.ReviewFilter{Status: risk.ReviewApproved}, risk.Position{}, 100); err != nil || len(page) != 1 || page[0].ID != waiting[2] {
			t.Fatal(page, err)
		}
	})
}

func TestAReviewEndsOnceAndSaysByWhom(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		d := w.decide(t, someSubject(), toReview)
		w.pass(time.Minute)
		approved, err := w.Resolve(as(t, "user", "usr_eve"), d.ID, true, "called the customer")
		want := risk.ReviewState{Status: risk.ReviewApproved, By: "usr_eve", ByKind: "user", Reason: "called the customer", At: w.time()}
		if err != nil || approved.Review != want {
			t.Fatalf("%+v, %v", approved.Review, err)
		}
		again, err := w.Resolve(as(t, "key", "key_of_eve"), d.ID, true, "another reason")
		if err != nil || again.Review != want {
			t.Fatalf("%+v, %v", again.Review, err)
		}
		if _, err := w.Resolve(as(t, "user", "usr_eve"), d.ID, false, ""); !errors.Is(err, risk.AlreadyReviewed.Failure("")) {
			t.Fatal(err)
		}
		// The decision that Decide answers has what became of its review.
		if repeat := w.decide(t, d.Subject, toReview); repeat.Review != want {
			t.Fatalf("%+v", repeat.Review)
		}
		if events := w.events(t, d.ID); !slices.Equal(events, []string{"risk_review.approved by usr_eve"}) {
			t.Error(events)
		}
		other := w.decide(t, someSubject(), toReview)
		if rejected, err := w.Resolve(as(t, "key", "key_of_eve"), other.ID, false, ""); err != nil || rejected.Review.Status != risk.ReviewRejected || rejected.Review.ByKind != "key" {
			t.Fatalf("%+v, %v", rejected, err)
		}
		allowed := w.decide(t, someSubject(), unchanged)
		if _, err := w.Resolve(as(t, "user", "usr_eve"), allowed.ID, false, ""); !errors.Is(err, risk.NotUnderReview.Failure("")) {
			t.Fatal(err)
		}
		for _, unknown := range []string{"", "dec_unknown", "a\x00", strings.Repeat("x", 1000)} {
			if _, err := w.Resolve(as(t, "user", "usr_eve"), unknown, true, ""); !errors.Is(err, risk.DecisionNotFound.Failure("")) {
				t.Errorf("%q: %v", unknown, err)
			}
		}
		for _, reason := range []string{"a\x00", "two\nlines", "\xff", strings.Repeat("ä", risk.MaxReasonLength+1)} {
			var invalid *risk.InvalidInput
			if _, err := w.Resolve(as(t, "user", "usr_eve"), d.ID, true, reason); !errors.As(err, &invalid) || invalid.Fields[0].Field != "reason" {
				t.Errorf("%q: %v", reason, err)
			}
		}
	})
}

func TestNobodyReviewsAPaymentOfHisOwn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		d := w.decide(t, someSubject(), toReview) // from ann to bob
		for _, who := range [][2]string{{"user", "usr_ann"}, {"user", "usr_bob"}, {"key", "key_of_ann"}} {
			for _, approve := range []bool{true, false} {
				if _, err := w.Resolve(as(t, who[0], who[1]), d.ID, approve, ""); !errors.Is(err, risk.OwnReview.Failure("")) {
					t.Errorf("%s: %v", who, err)
				}
			}
		}
		// A key behind which nobody is known could be the payer's.
		if _, err := w.Resolve(as(t, "key", "key_x"), d.ID, true, ""); !errors.Is(err, risk.NotAPerson.Failure("")) {
			t.Errorf("a key of nobody: %v", err)
		}
		// Nobody, and the program itself, are no reviewers.
		if _, err := w.Resolve(t.Context(), d.ID, true, ""); err == nil {
			t.Error("nobody has approved it")
		}
		for _, origin := range []audit.Origin{{}, {ActorKind: "system"}, {ActorKind: "user"}, {ActorKind: "key"}} {
			if _, err := w.Resolve(audit.With(t.Context(), origin), d.ID, true, ""); err == nil {
				t.Errorf("%+v has approved it", origin)
			}
		}
		if still, err := w.Decision(t.Context(), d.ID); err != nil || still.Review.Status != risk.ReviewPending {
			t.Fatal(still, err)
		}
		if events := w.events(t, d.ID); len(events) > 0 {
			t.Error(events)
		}
	})
}

func TestOfTwoReviewersOneIsFirst(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		for range 5 {
			d := w.decide(t, someSubject(), toReview)
			var results [4]error
			var all sync.WaitGroup
			for i := range results {
				all.Go(func() { _, results[i] = w.replica().Resolve(as(t, "user", "usr_eve"), d.ID, i%2 == 0, "") })
			}
			all.Wait()
			final, err := w.Decision(t.Context(), d.ID)
			if err != nil {
				t.Fatal(err)
			}
			for i, err := range results {
				agreed := (i%2 == 0) == (final.Review.Status == risk.ReviewApproved)
				if agreed != (err == nil) || err != nil && !errors.Is(err, risk.AlreadyReviewed.Failure("")) {
					t.Errorf("%s, and reviewer %d was told %v", final.Review.Status, i, err)
				}
			}
			if events := w.events(t, d.ID); len(events) != 1 {
				t.Error(events)
			}
		}
	})
}
