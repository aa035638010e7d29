package approval_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"florin/internal/approval"
	"florin/internal/audit"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// world has a time of its own; its database is shared.
type world struct {
	*approval.Approvals
	db  *database.DB
	log *audit.Log

	mu  sync.Mutex
	now time.Time
}

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	w := &world{db: dbtest.Open(t, url, database.Options{MaxConns: 8}), now: clock.System()}
	w.log = audit.New(w.db, w.time)
	w.Approvals = w.replica()
	return w
}

func (w *world) replica() *approval.Approvals {
	return approval.New(w.db, approval.Options{Clock: w.time, Log: w.log, Required: []approval.Operation{approval.RoleChange}})
}

func (w *world) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

var (
	ann      = approval.Party{Kind: approval.User, ID: "usr_ann"}
	bob      = approval.Party{Kind: approval.User, ID: "usr_bob"}
	annsKey  = approval.Party{Kind: approval.Key, ID: "key_ann", PersonID: "usr_ann"}
	bobsKey  = approval.Party{Kind: approval.Key, ID: "key_bob", PersonID: "usr_bob"}
	someKey  = approval.Party{Kind: approval.Key, ID: "key_bootstrap"}
	nobodies = []approval.Party{
		{}, {Kind: approval.User}, {Kind: "system", ID: "x"}, {Kind: approval.User, ID: "a\x00"}, {Kind: approval.User, ID: "usr_bob", PersonID: "usr_cay"},
		{Kind: approval.Key, ID: "key", PersonID: "' OR 1=1"},
	}
)

func by(t *testing.T, p approval.Party) context.Context {
	t.Helper()
	return audit.With(t.Context(), audit.Origin{ActorKind: string(p.Kind), ActorID: p.ID, Role: "operator"})
}

func request(target string, who approval.Party) approval.Request {
	return approval.Request{Operation: approval.RoleChange, TargetID: target, Payload: json.RawMessage(`{"role": "finance", "limit": 10000000000000000001}`), By: who}
}

func (w *world) ask(t *testing.T, target string, who approval.Party) approval.Approval {
	t.Helper()
	a, err := w.Request(by(t, who), request(target, who))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (w *world) events(t *testing.T, approvalID string) []string {
	t.Helper()
	found, err := w.log.Search(t.Context(), audit.Filter{TargetID: approvalID}, audit.Position{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, event := range slices.Backward(found.Records) {
		actions = append(actions, event.Action+" by "+event.Origin.ActorID)
	}
	return actions
}

func TestWhatIsRequestedIsApprovedByAnotherAndExecutedOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		if !w.IsRequired(approval.RoleChange) || w.IsRequired(approval.ForcedReversal) {
			t.Error("what is required")
		}
		target := id.New("usr")
		a := w.ask(t, target, ann)
		if a.Status != approval.Pending || a.By.ID != "usr_ann" || a.TargetID != target || !a.ExpiresAt.Equal(w.time().Add(24*time.Hour)) ||
			string(a.Payload) != `{"role":"finance","limit":10000000000000000001}` {
			t.Fatalf("%+v", a)
		}
		if _, err := w.MarkExecuted(t.Context(), a.ID, "too early"); !errors.Is(err, approval.ErrNotApproved) {
			t.Fatal(err)
		}
		w.pass(time.Hour)
		approved, err := w.Approve(by(t, bob), a.ID, bob)
		if err != nil || approved.Status != approval.Approved || approved.DecidedBy != "usr_bob" || !approved.DecidedAt.Equal(w.time()) || !approved.ExecutedAt.IsZero() {
			t.Fatalf("%+v, %v", approved, err)
		}
		// The execution failed; another person has it go on.
		cay := approval.Party{Kind: approval.User, ID: "usr_cay"}
		if again, err := w.Approve(by(t, cay), a.ID, cay); err != nil || again.DecidedBy != "usr_bob" || !again.ExecutedAt.IsZero() {
			t.Fatalf("%+v, %v", again, err)
		}
		w.pass(time.Minute)
		executed, err := w.MarkExecuted(by(t, bob), a.ID, "role is finance")
		if err != nil || !executed.ExecutedAt.Equal(w.time()) || executed.Result != "role is finance" {
			t.Fatalf("%+v, %v", executed, err)
		}
		w.pass(48 * time.Hour)
		if again, err := w.MarkExecuted(t.Context(), a.ID, "twice"); err != nil || again.Result != "role is finance" || !again.ExecutedAt.Equal(executed.ExecutedAt) {
			t.Fatalf("%+v, %v", again, err)
		}
		if done, err := w.Approve(by(t, bob), a.ID, bob); err != nil || done.ExecutedAt.IsZero() {
			t.Fatalf("%+v, %v", done, err)
		}
		if _, err := w.Reject(by(t, bob), a.ID, bob, ""); !errors.Is(err, approval.ErrNotPending) {
			t.Fatal(err)
		}
		read, err := w.Get(t.Context(), a.ID)
		if err != nil || read.Status != approval.Approved || read.Result != "role is finance" {
			t.Fatalf("%+v, %v", read, err)
		}
		want := []string{"approval.requested by usr_ann", "approval.approved by usr_bob", "approval.executed by usr_bob"}
		if events := w.events(t, a.ID); !slices.Equal(events, want) {
			t.Error(events)
		}
		// What was executed can be asked for again.
		if next := w.ask(t, target, ann); next.ID == a.ID || next.Status != approval.Pending {
			t.Fatalf("%+v", next)
		}
	})
}

func TestOnePersonIsNotTwo(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		for name, c := range map[string]struct {
			requester, approver approval.Party
			target              string
			want                error
		}{
			"himself":                  {ann, ann, "", approval.ErrSamePerson},
			"the person behind a key":  {annsKey, ann, "", approval.ErrSamePerson},
			"by a key of his":          {ann, annsKey, "", approval.ErrNotAPerson},
			"by another's key":         {ann, bobsKey, "", approval.ErrNotAPerson},
			"by a key of nobody":       {ann, someKey, "", approval.ErrNotAPerson},
			"whose role it is":         {ann, bob, "usr_bob", approval.ErrSamePerson},
			"a second person":          {ann, bob, "", nil},
			"a second person to a key": {annsKey, bob, "", nil},
		} {
			target := c.target
			if target == "" {
				target = id.New("usr")
			}
			a := w.ask(t, target, c.requester)
			got, err := w.Approve(t.Context(), a.ID, c.approver)
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
			read, _ := w.Get(t.Context(), a.ID)
			if isApproved := read.Status == approval.Approved; isApproved != (c.want == nil) || isApproved && got.Status != approval.Approved {
				t.Errorf("%s: %s", name, read.Status)
			}
			if c.target != "" {
				if _, err := w.Reject(t.Context(), a.ID, c.requester, "taken back"); err != nil {
					t.Error(err)
				}
			}
		}
		if _, err := w.Request(by(t, someKey), request(id.New("usr"), someKey)); !errors.Is(err, approval.ErrNotAPerson) {
			t.Errorf("a key of nobody asks: %v", err)
		}
		for _, nobody := range nobodies {
			a := w.ask(t, id.New("usr"), ann)
			var invalid *approval.InvalidInput
			if _, err := w.Approve(t.Context(), a.ID, nobody); !errors.As(err, &invalid) || invalid.Fields[0].Field != "by" {
				t.Errorf("%+v: %v", nobody, err)
			}
			if _, err := w.Reject(t.Context(), a.ID, nobody, ""); !errors.As(err, &invalid) || invalid.Fields[0].Field != "by" {
				t.Errorf("%+v: %v", nobody, err)
			}
			if _, err := w.Request(t.Context(), request("x", nobody)); !errors.As(err, &invalid) || invalid.Fields[0].Field != "by" {
				t.Errorf("%+v: %v", nobody, err)
			}
		}
		// The database itself refuses one person, too.
		a := w.ask(t, id.New("usr"), annsKey)
		for _, person := range []string{"usr_ann", "key_ann"} {
			_, err := w.db.Exec(t.Context(), "UPDATE approvals SET status = 'APPROVED', decided_by = $2, decided_at = now() WHERE approval_id = $1", a.ID, person)
			if err == nil {
				t.Errorf("%s was written as the second person", person)
			}
		}
	})
}

func TestTheSameRequestIsPendingOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		target := id.New("usr")
		var ids [8]string
		var all sync.WaitGroup
		for i := range ids {
			all.Go(func() {
				r := request(target, []approval.Party{ann, bob}[i%2])
				if i%3 == 0 {
					r.Payload = json.RawMessage(" {\n \"role\" : \"finance\",\"limit\":10000000000000000001}\n")
				}
				a, err := w.replica().Request(t.Context(), r)
				if err != nil {
					t.Error(err)
				}
				ids[i] = a.ID
			})
		}
		all.Wait()
		if slices.ContainsFunc(ids[:], func(other string) bool { return other != ids[0] }) {
			t.Fatal(ids)
		}
		if events := w.events(t, ids[0]); len(events) != 1 {
			t.Error(events)
		}
		for name, change := range map[string]func(*approval.Request){
			"operation": func(r *approval.Request) { r.Operation = approval.LimitRaise },
			"target":    func(r *approval.Request) { r.TargetID += "x" },
			"payload": func(r *approval.Request) {
				r.Payload = json.RawMessage(`{"role":"admin","limit":10000000000000000001}`)
			},
			"a digit": func(r *approval.Request) {
				r.Payload = json.RawMessage(`{"role":"finance","limit":10000000000000000002}`)
			},
		} {
			r := request(target, ann)
			change(&r)
			if a, err := w.Request(t.Context(), r); err != nil || a.ID == ids[0] {
				t.Errorf("another %s: %v, %v", name, a, err)
			}
		}
		first, err := w.Get(t.Context(), ids[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Reject(t.Context(), first.ID, first.By, "taken back"); err != nil {
			t.Fatal(err)
		}
		if again := w.ask(t, target, ann); again.ID == first.ID {
			t.Error("a request that was taken back is still asked for")
		}
	})
}

func TestAnApprovalExpires(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		target := id.New("usr")
		a := w.ask(t, target, ann)
		approved := w.ask(t, target+"2", ann)
		if _, err := w.Approve(t.Context(), approved.ID, bob); err != nil {
			t.Fatal(err)
		}
		w.pass(approval.TimeToLive - time.Microsecond)
		if read, err := w.Get(t.Context(), a.ID); err != nil || read.Status != approval.Pending {
			t.Fatal(read, err)
		}
		w.pass(time.Microsecond)
		if read, err := w.Get(t.Context(), a.ID); err != nil || read.Status != approval.Lapsed {
			t.Fatal(read, err)
		}
		for _, expired := range []approval.Approval{a, approved} { // also what nobody executed in time
			if _, err := w.Approve(t.Context(), expired.ID, bob); !errors.Is(err, approval.ErrExpired) {
				t.Errorf("%s: %v", expired.ID, err)
			}
		}
		if _, err := w.Reject(t.Context(), a.ID, bob, ""); !errors.Is(err, approval.ErrExpired) {
			t.Error(err)
		}
		for status, want := range map[approval.Status]int{approval.Lapsed: 1, approval.Pending: 0, "": 1} {
			if list, err := w.List(t.Context(), approval.Filter{TargetID: target, Status: status}, approval.Position{}, 10); err != nil || len(list) != want {
				t.Errorf("%q: %d, %v", status, len(list), err)
			}
		}
		next := w.ask(t, target, ann)
		if next.ID == a.ID || next.Status != approval.Pending {
			t.Fatalf("%+v", next)
		}
		if list, err := w.List(t.Context(), approval.Filter{TargetID: target}, approval.Position{}, 10); err != nil || len(list) != 2 || list[0].ID != next.ID || list[1].Status != approval.Lapsed {
			t.Fatalf("%+v, %v", list, err)
		}
	})
}

func TestOfTwoWhoDecideOneIsFirst(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		for range 6 {
			a := w.ask(t, id.New("usr"), ann)
			var approve, reject error
			var all sync.WaitGroup
			all.Go(func() { _, approve = w.Approve(t.Context(), a.ID, bob) })
			all.Go(func() {
				_, reject = w.replica().Reject(t.Context(), a.ID, approval.Party{Kind: approval.User, ID: "usr_cay"}, "no")
			})
			all.Wait()
			read, err := w.Get(t.Context(), a.ID)
			if err != nil {
				t.Fatal(err)
			}
			winner, loser := approve, reject
			if read.Status == approval.Rejected {
				winner, loser = reject, approve
			}
			if winner != nil || !errors.Is(loser, approval.ErrNotPending) || len(w.events(t, a.ID)) != 2 {
				t.Errorf("%s: approve: %v, reject: %v", read.Status, approve, reject)
			}
		}
	})
}

func TestListsAreTheNewestFirstInPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		key := approval.Party{Kind: approval.Key, ID: id.New("key"), PersonID: "usr_ann"}
		var want []string
		for i := range 5 {
			a := w.ask(t, fmt.Sprint(id.New("usr"), i), key)
			want = append(want, a.ID)
			w.pass(time.Duration(i%2) * time.Second) // some at the same time
		}
		var got []string
		var before approval.Position
		for {
			page, err := w.List(t.Context(), approval.Filter{RequestedBy: key.ID, Operation: approval.RoleChange, Status: approval.Pending}, before, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for i, a := range page {
				if i > 0 && a.RequestedAt.After(page[i-1].RequestedAt) {
					t.Error("an older one first")
				}
				got = append(got, a.ID)
			}
			before = page[len(page)-1].Position()
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("%s; want %s", got, want)
		}
		for _, bad := range []approval.Filter{{Status: "X"}, {Operation: "x"}, {TargetID: "a\x00"}, {RequestedBy: "' OR 1=1"}} {
			var invalid *approval.InvalidInput
			if _, err := w.List(t.Context(), bad, approval.Position{}, 10); !errors.As(err, &invalid) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		for _, unknown := range []string{"", "apr_unknown", "a\x00", strings.Repeat("a", 1000)} {
			_, get := w.Get(t.Context(), unknown)
			_, approve := w.Approve(t.Context(), unknown, bob)
			if !errors.Is(get, approval.ErrNotFound) || !errors.Is(approve, approval.ErrNotFound) {
				t.Errorf("%q: %v, %v", unknown, get, approve)
			}
		}
	})
}

func TestRequestsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		for name, c := range map[string]struct {
			field  string
			change func(*approval.Request)
		}{
			"operation":       {"operation", func(r *approval.Request) { r.Operation = "rm" }},
			"no target":       {"targetId", func(r *approval.Request) { r.TargetID = "" }},
			"target":          {"targetId", func(r *approval.Request) { r.TargetID = "a b" }},
			"no payload":      {"payload", func(r *approval.Request) { r.Payload = nil }},
			"no JSON":         {"payload", func(r *approval.Request) { r.Payload = json.RawMessage(`{"a":`) }},
			"two values":      {"payload", func(r *approval.Request) { r.Payload = json.RawMessage(`{} {}`) }},
			"an array":        {"payload", func(r *approval.Request) { r.Payload = json.RawMessage(`[1]`) }},
			"null":            {"payload", func(r *approval.Request) { r.Payload = json.RawMessage(`null`) }},
			"a name twice":    {"payload", func(r *approval.Request) { r.Payload = json.RawMessage(`{"role":"support","role":"admin"}`) }},
			"a name in code":  {"payload", func(r *approval.Request) { r.Payload = json.RawMessage(`{"role":"support","r\u006fle":"admin"}`) }},
			"a name in depth": {"payload", func(r *approval.Request) { r.Payload = json.RawMessage(`{"a":[{"b":1,"b":2}]}`) }},
			"no UTF-8":        {"payload", func(r *approval.Request) { r.Payload = json.RawMessage("{\"a\":\"\xff\"}") }},
			"NUL":             {"payload", func(r *approval.Request) { r.Payload = json.RawMessage("{\"a\":\"\x00\"}") }},
			"too large": {"payload", func(r *approval.Request) {
				r.Payload = json.RawMessage(`{"a":"` + strings.Repeat("x", approval.MaxPayloadBytes) + `"}`)
			}},
			"too deep": {"payload", func(r *approval.Request) { r.Payload = json.RawMessage(strings.Repeat(`{"a":`, 20_000)) }},
		} {
			r := request(id.New("usr"), ann)
			c.change(&r)
			_, err := w.Request(t.Context(), r)
			if invalid := (*approval.InvalidInput)(nil); !errors.As(err, &invalid) || invalid.Fields[0].Field != c.field {
				t.Errorf("%s: %v", name, err)
			}
		}
		a := w.ask(t, id.New("usr"), ann)
		for _, text := range []string{"a\x00", "\xff", "a\nb", strings.Repeat("ä", 501)} {
			var invalid *approval.InvalidInput
			if _, err := w.Reject(t.Context(), a.ID, bob, text); !errors.As(err, &invalid) || invalid.Fields[0].Field != "reason" {
				t.Errorf("%q: %v", text, err)
			}
			if _, err := w.MarkExecuted(t.Context(), a.ID, text); !errors.As(err, &invalid) || invalid.Fields[0].Field != "result" {
				t.Errorf("%q: %v", text, err)
			}
		}
		// Text that only looks like NUL is kept as it is.
		r := request(id.New("usr"), ann)
		r.Payload = json.RawMessage(`{"a":"\u0000'; DROP TABLE approvals; --"}`)
		if a, err := w.Request(by(t, ann), r); err != nil || string(a.Payload) != string(r.Payload) {
			t.Errorf("%+v, %v", a, err)
		}
	})
}

// The API shows pages of up to 500, and asks for one more to tell that there is another.
func TestAListSaysThatThereIsMoreThanTheLargestPage(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		target := id.New("usr")
		a := w.ask(t, target, ann)
		_, err := w.db.Exec(t.Context(), `
			INSERT INTO approvals (approval_id, operation, target_id, payload, request_hash, requested_kind, requested_by, requested_person,
				requested_at, status, expires_at, decided_by, decided_at, reason, result)
			SELECT approval_id || i::text, operation, target_id, payload, request_hash, requested_kind, requested_by, requested_person,
				requested_at, 'REJECTED', expires_at, 'x', requested_at, reason, result
			FROM approvals, generate_series(1, 600) AS i WHERE approval_id = $1`, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := w.List(t.Context(), approval.Filter{TargetID: target}, approval.Position{}, 500+1); err != nil || len(found) != 501 {
			t.Errorf("%d, %v; want a page of 500 and one more", len(found), err)
		}
	})
}
