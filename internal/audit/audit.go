// Package audit is the record of who changed what: an append-only table whose
// rows are chained by hash, so that a row which is changed, taken out or put in
// later shows.
//
// A change and its row are committed together: whoever changes something writes
// the row in the same transaction. Nothing in it is a secret, and nothing is
// personal beyond the actor's id and address: what is written here can't be
// taken back.
//
// Rows are numbered and chained in journals, each of one writer at a time, so that
// nobody waits for another's chain. A day that is over is sealed: its seal names
// the end of each journal and is chained to the seal before. Whoever can write the
// database can compute hashes too, so the newest root is also logged: kept
// elsewhere, it proves all days up to its own (VerifyOptions.Anchors). What is
// taken off the end of a journal before its day is sealed does not show, but for
// a journal that is written on.
package audit

import (
	"context"
	"encoding/json"
	"time"
)

// SystemActor is the ActorKind of what nobody asked for: the program's own work.
const SystemActor = "system"

// Origin is who a change is made by, and from where.
type Origin struct {
	ActorKind string // "user", "key", "gateway", "anonymous" or "system"
	ActorID   string // of the user or the key, never the key itself
	Role      string
	Address   string // IP address of the caller; "" when there is none
	RequestID string // as in the log and in answers
}

// Event is one change, or one refused change that was recorded as such.
type Event struct {
	Action     string // noun and past tense: "account.opened"
	TargetKind string // "account", "transaction", "user", ...
	TargetID   string
	// Before and After are JSON objects of what changed; nil where there is
	// nothing to show. No secrets, no personal data: names of changed fields
	// stand for those.
	Before, After json.RawMessage
	// Result is "ok", or the code of the refusal.
	Result string
	Origin Origin
	// At is when it was recorded, in UTC and microseconds. It is what a search
	// answers; the recorder's clock says it, whatever stands here.
	At time.Time
}

// OK is the result of what was done.
const OK = "ok"

type originKey struct{}

// With says who what is done under ctx is done by.
func With(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// From returns who acts under ctx; false when nobody does, as in the program's
// own background work.
func From(ctx context.Context) (Origin, bool) {
	o, found := ctx.Value(originKey{}).(Origin)
	return o, found
}
