package cashback_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"florin/internal/cashback"
	"florin/internal/cashback/rules"
)

func someProgram() rules.Program {
	return rules.Program{
		Groups: map[string]rules.Policy{"season": rules.Sum},
		Tiers:  []rules.Tier{{Name: "silver", MinSpend: dec("100")}, {Name: "gold", MinSpend: dec("1000")}}, TierDays: 90, TierCurrency: "USD",
		Segments: map[string]string{"regulars": "purchases >= 10"},
	}
}

func TestAChangeOfTheProgramIsItsNextVersion(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		empty, err := w.Program(t.Context())
		if err != nil || empty.Version != 0 || len(empty.Tiers) != 0 || empty.CreatedBy != "" {
			t.Fatalf("%+v, %v", empty, err)
		}
		first, err := w.ChangeProgram(as(t, "usr_ann"), 0, someProgram())
		if err != nil || first.Version != 1 || first.CreatedBy != "usr_ann" || !first.CreatedAt.Equal(noon) || first.Tiers[1].Name != "gold" {
			t.Fatalf("%+v, %v", first, err)
		}
		w.pass(time.Minute)
		same := someProgram() // in other words
		same.Version, same.Tiers[0].MinSpend = 17, dec("100.00")
		for _, version := range []int64{0, 1} {
			if again, err := w.ChangeProgram(as(t, "usr_bob"), version, same); err != nil || again.Version != 1 || again.CreatedBy != "usr_ann" {
				t.Errorf("%+v, %v", again, err)
			}
		}
		second := someProgram()
		second.Tiers, second.TierDays, second.TierCurrency = nil, 0, ""
		for _, version := range []int64{0, 2} {
			_, err := w.ChangeProgram(as(t, "usr_bob"), version, second)
			wantFailure(t, err, cashback.ProgramChanged)
		}
		if changed, err := w.ChangeProgram(as(t, "usr_bob"), 1, second); err != nil || changed.Version != 2 || changed.CreatedBy != "usr_bob" {
			t.Fatalf("%+v, %v", changed, err)
		}
		read, err := w.replica().Program(t.Context())
		if err != nil || read.Version != 2 || len(read.Tiers) != 0 || read.Groups["season"] != rules.Sum || read.Segments["regulars"] == "" {
			t.Errorf("%+v, %v", read, err)
		}
		events := w.events("program")
		if len(events) != 2 || events[0].Action != "cashback_program.changed" || len(events[0].Before) > 0 || events[1].Origin.ActorID != "usr_bob" ||
			!strings.Contains(string(events[1].Before), `"gold"`) || strings.Contains(string(events[1].After), `"gold"`) {
			t.Errorf("%+v", events)
		}
		wrong := someProgram()
		wrong.Segments["regulars"] = "purchases"
		_, err = w.ChangeProgram(as(t, "usr_bob"), 2, wrong)
		wantInvalid(t, err, `segments["regulars"]`)
	})
}

func TestOfManyWhoChangeTheProgramOneMakesTheNextVersion(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		other := w.replica()
		for version := range int64(3) {
			var made atomic.Int64
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					c := w.Cashback
					if i%2 == 0 {
						c = other
					}
					program := someProgram()
					program.TierDays = 100*int(version+1) + i
					if _, err := c.ChangeProgram(as(t, fmt.Sprint("usr_", i)), version, program); err == nil {
						made.Add(1)
					} else {
						wantFailure(t, err, cashback.ProgramChanged)
					}
				})
			}
			all.Wait()
			if current, err := w.Program(t.Context()); err != nil || made.Load() != 1 || current.Version != version+1 {
				t.Fatalf("%d made version %d: %v", made.Load(), current.Version, err)
			}
		}
	})
}
