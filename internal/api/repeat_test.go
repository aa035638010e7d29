package api_test

import (
	"net/http"
	"strings"
	"testing"

	"florin/internal/identity"
	"florin/internal/platform/id"
)

func TestIdempotencyKeyStandsForAnID(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		from, to := s.open("100"), s.open("0")
		completed := func() string {
			return s.post("/api/v1/transfers", transfer(id.New("t"), from, to, 1)).want(http.StatusCreated).header.Get("Location")
		}
		hold := s.post("/api/v1/holds", object{"sourceAccountId": from, "destinationAccountId": to, "amount": 1}).want(http.StatusCreated).header.Get("Location")
		for _, c := range []struct {
			path          string
			body, another object
			conflict      string
		}{
			{"/api/v1/accounts", object{"balance": 5, "metadata": object{"a": "b"}}, object{"balance": 6}, "account_exists"},
			{"/api/v1/holds", object{"sourceAccountId": from, "destinationAccountId": to, "amount": 2}, object{"sourceAccountId": from, "destinationAccountId": to, "amount": 3}, "duplicate_hold"},
			{hold + "/capture", object{"description": "one"}, object{"description": "two"}, "duplicate_transaction"},
			{completed() + "/reversal", object{"description": "one", "force": true}, object{"description": "two"}, "duplicate_transaction"},
		} {
			key := id.New("key") + "!~"
			first := s.post(c.path, c.body, "Idempotency-Key", key).want(http.StatusCreated)
			if again := s.post(c.path, c.body, "Idempotency-Key", key).want(http.StatusCreated); again.text != first.text || again.header.Get("Location") != first.header.Get("Location") {
				t.Errorf("%s again: %s; first %s", c.path, again.text, first.text)
			}
			s.post(c.path, c.another, "Idempotency-Key", key).wantProblem(http.StatusConflict, c.conflict, "")
			for _, bad := range []string{strings.Repeat("k", 256), "a b", "ä"} {
				s.post(c.path, c.body, "Idempotency-Key", bad).wantProblem(http.StatusBadRequest, "invalid_request", "Idempotency-Key")
			}
		}
	})
}

func TestASavedQueryIsSavedOnceForItsIdempotencyKey(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		finance, other := w.staff(identity.Finance), w.staff(identity.Finance)
		const path = "/api/v1/console/saved"
		key, terms := id.New("key"), object{"name": "Once", "query": "SELECT 1"}
		answers := make(chan answer, 8)
		for range cap(answers) {
			go func() { answers <- finance.post(path, terms, "Idempotency-Key", key) }()
		}
		first := finance.post(path, terms, "Idempotency-Key", key).want(http.StatusCreated)
		for range cap(answers) {
			if again := (<-answers).want(http.StatusCreated); again.text != first.text {
				t.Errorf("again: %s; first %s", again.text, first.text)
			}
		}
		if list := finance.get(path).want(http.StatusOK).object().list("data"); len(list) != 1 {
			t.Errorf("%d queries were saved", len(list))
		}
		finance.post(path, object{"name": "Twice", "query": "SELECT 1"}, "Idempotency-Key", key).wantProblem(http.StatusConflict, "saved_query_exists", "")
		if text(other.post(path, terms, "Idempotency-Key", key).want(http.StatusCreated).object(), "queryId") == text(first.object(), "queryId") {
			t.Error("two actors' keys saved one query")
		}
		finance.put(path+"/"+text(first.object(), "queryId"), object{"version": 1, "name": "Changed", "query": "SELECT 1"}).want(http.StatusOK)
		finance.post(path, terms, "Idempotency-Key", key).wantProblem(http.StatusConflict, "saved_query_exists", "")
	})
}

func TestAnAPIKeyIsMadeOnceForItsIdempotencyKey(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		admin, other := w.staff(identity.Admin).prove(), w.staff(identity.Admin).prove()
		const path = "/api/v1/api-keys"
		key, wanted := id.New("key"), object{"name": "once", "role": "support"}
		made := admin.post(path, wanted, "Idempotency-Key", key).want(http.StatusCreated).object()
		again := admin.post(path, wanted, "Idempotency-Key", key)
		again.wantProblem(http.StatusConflict, "key_exists", "")
		if !strings.Contains(again.text, text(made, "keyId")) || strings.Contains(again.text, text(made, "key")) {
			t.Errorf("again: %s", again.text)
		}
		if text(other.post(path, wanted, "Idempotency-Key", key).want(http.StatusCreated).object(), "keyId") == text(made, "keyId") {
			t.Error("two actors' keys made one API key")
		}
		(&caller{w: w, address: someAddress(), token: text(made, "key")}).get("/api/v1/auth/caller").want(http.StatusOK).wantFields(object{"id": text(made, "keyId"), "role": "support"})
	})
}

func TestIdempotencyKeysBelongToTheirActor(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		key := id.New("key")
		mine := s.post("/api/v1/accounts", "{}", "Idempotency-Key", key).want(http.StatusCreated).header.Get("Location")
		theirs := s.post("/api/v1/accounts", "{}", "Idempotency-Key", key, "Authorization", "bearer "+otherKey).want(http.StatusCreated).header.Get("Location")
		if mine == theirs {
			t.Errorf("two actors' keys opened one account, %s", mine)
		}
	})
}

func TestIdempotencyKeysOfTwoPathsDiffer(t *testing.T) {
	each(t, func(_ *testing.T, s *server) {
		from, to := s.open("100"), s.open("0")
		key := id.New("key")
		for range 2 {
			hold := s.post("/api/v1/holds", object{"sourceAccountId": from, "destinationAccountId": to, "amount": 1}).want(http.StatusCreated).header.Get("Location")
			s.post(hold+"/capture", nil, "Idempotency-Key", key).want(http.StatusCreated)
		}
	})
}

func TestFinalStatusIsCachedForGood(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		from, to := s.open("100"), s.open("0")
		path := s.post("/api/v1/transfers", transfer(id.New("t"), from, to, 1)).want(http.StatusCreated).header.Get("Location")
		status := s.get(path + "/status").want(http.StatusOK).wantFields(object{"status": "COMPLETED", "failureCode": nil})
		tag := status.header.Get("ETag")
		if !strings.HasPrefix(tag, `"`) || !strings.Contains(status.header.Get("Cache-Control"), "max-age=") {
			t.Fatalf("headers %v", status.header)
		}
		for _, known := range []string{tag, `"other", ` + tag, "W/" + tag, "*"} {
			cached := s.get(path+"/status", "If-None-Match", known).want(http.StatusNotModified)
			if cached.text != "" || cached.header.Get("ETag") != tag {
				t.Errorf("304 for %s with %v %q", known, cached.header, cached.text)
			}
		}
		s.get(path+"/status", "If-None-Match", `"other"`).want(http.StatusOK)

		full := s.get(path).want(http.StatusOK)
		tag = full.header.Get("ETag")
		if full.header.Get("Cache-Control") != "private, no-cache" {
			t.Errorf("Cache-Control %q", full.header.Get("Cache-Control"))
		}
		s.get(path, "If-None-Match", tag).want(http.StatusNotModified)
		s.post(path+"/reversal", nil).want(http.StatusCreated)
		if reversed := s.get(path, "If-None-Match", tag).want(http.StatusOK); reversed.header.Get("ETag") == tag {
			t.Error("a reversal left the ETag as it was")
		}
	})
}
