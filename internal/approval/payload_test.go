package approval

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzPayload: what is stored is what was sent, without blanks, and every reader
// of it sees the same.
func FuzzPayload(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"role":"admin"}`, "{ \"a\" : [1, 2.50, 1e400, \"\\u0000\"],\n\"b\":{\"c\":null} }", `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `[]`, `null`, `{"a":"\ud800"}`, `{"transactionId":"t","description":"for Ann","metadata":{"card":"lost"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		sent := bytes.Clone(payload)
		stored, err := compact(payload)
		if !bytes.Equal(sent, payload) {
			t.Fatal("the caller's bytes were changed")
		}
		if err != nil {
			return
		}
		if again, err := compact(stored); err != nil || !bytes.Equal(again, stored) {
			t.Fatalf("%q became %q, then %q, %v", sent, stored, again, err)
		}
		if read(t, sent) == nil || !reflect.DeepEqual(read(t, sent), read(t, stored)) {
			t.Fatalf("%q became %q", sent, stored)
		}
		shown := read(t, Approval{Request: Request{Payload: stored}}.terms())["payload"].(map[string]any)
		want := read(t, sent)
		delete(want, "description")
		delete(want, "metadata")
		if !reflect.DeepEqual(shown, want) {
			t.Fatalf("%q is shown as %v", sent, shown)
		}
		if !json.Valid(Approval{Request: Request{Payload: stored}}.terms()) {
			t.Fatalf("%q can't be shown", stored)
		}
	})
}

// read is what the standard library makes of JSON, numbers as they are written.
func read(t *testing.T, text []byte) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return object
}
