// Package approval has sensitive operations wait until a second person agrees.
//
// It records who asks for what and who agrees, and sees to it that these are two
// persons. It executes nothing: the caller does what was approved, from the
// payload recorded, by ids that make doing it twice the same as once, and says so
// by MarkExecuted. When it could not, it approves again and goes on.
package approval

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"florin/internal/approval/internal/approvaldb"
	"florin/internal/audit"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
)

// Operation is something that can need a second person.
type Operation string

// The operations.
const (
	ForcedReversal Operation = "forced_reversal" // a reversal although the money is gone
	RoleChange     Operation = "role_change"     // of a user
	LimitRaise     Operation = "limit_raise"     // of an account or a role
	CampaignChange Operation = "campaign_change" // of a campaign, a new one too, or of what campaigns share
)

// Operations are all of them.
var Operations = []Operation{ForcedReversal, RoleChange, LimitRaise, CampaignChange}

// ParseOperation returns the operation with this name. Returns InvalidInput.
func ParseOperation(name string) (Operation, error) {
	if !slices.Contains(Operations, Operation(name)) {
		return "", invalid("operation", "must be one of %s", Operations)
	}
	return Operation(name), nil
}

// Status is where an approval is.
type Status string

// The statuses.
const (
	Pending  Status = "PENDING"
	Approved Status = "APPROVED" // to be executed, or executed: ExecutedAt
	Rejected Status = "REJECTED"
	Lapsed   Status = "EXPIRED" // nobody decided in time
)

// PartyKind is what a party is.
type PartyKind string

// The kinds.
const (
	User PartyKind = "user"
	Key  PartyKind = "key" // an API key
)

// Party is who asks or decides.
type Party struct {
	Kind PartyKind
	ID   string // of the user or the key
	// PersonID is the user behind a key: who made it, or whom it belongs to; ""
	// when nobody is known. Of a user it may be left empty.
	PersonID string
}

// Request is what somebody wants done.
type Request struct {
	Operation Operation
	TargetID  string // what it is done to: a transfer, a user, an account, a role, a campaign
	// Payload is a JSON object that says all that is needed to do it, and nothing
	// secret. Its members have unique names.
	Payload json.RawMessage
	By      Party
}

// Approval is a request and what became of it.
type Approval struct {
	ID string
	Request
	RequestedAt time.Time
	Status      Status
	ExpiresAt   time.Time // neither approved nor executed afterwards
	DecidedBy   string    // the user who approved; the user or key that rejected
	DecidedAt   time.Time
	Reason      string    // of the decision
	ExecutedAt  time.Time // zero until it is done
	Result      string    // of the execution, in the caller's words
}

// Limits of a request. They are part of the API.
const (
	MaxPayloadBytes = 262_144 // room for a campaign that names all the merchants it can
	MaxReasonLength = 500     // characters
	MaxResultLength = 500     // characters
	// MaxPage is the most rows of a list: a page of the API's, and the one that says that
	// there is another.
	MaxPage = 501
)

// TimeToLive is how long an approval can be given and executed, unless Options say
// otherwise.
const TimeToLive = 24 * time.Hour

// Options configure New.
type Options struct {
	Clock clock.Clock
	// Log takes what is asked and decided.
	Log *audit.Log
	// Required are the operations that need a second person; none by default.
	Required []Operation
	// TimeToLive is how long an approval can be given and executed; 0 is the
	// constant of that name.
	TimeToLive time.Duration
}

// Approvals are those in a database. Safe for concurrent use. Its methods open
// transactions of their own.
type Approvals struct {
	db         *database.DB
	queries    *approvaldb.Queries
	clock      clock.Clock
	log        *audit.Log
	required   []Operation
	timeToLive time.Duration
}

// New makes Approvals.
func New(db *database.DB, o Options) *Approvals {
	a := &Approvals{
		db: db, queries: approvaldb.New(db), clock: o.Clock, log: o.Log,
		required: slices.Clone(o.Required), timeToLive: o.TimeToLive,
	}
	if a.timeToLive <= 0 {
		a.timeToLive = TimeToLive
	}
	return a
}

// IsRequired says whether the operation needs a second person.
func (a *Approvals) IsRequired(o Operation) bool { return slices.Contains(a.required, o) }

var idPattern = regexp.MustCompile(`^[A-Za-z0-9_.:/-]{1,100}$`)

func (p Party) validate() error {
	if p.Kind != User && p.Kind != Key {
		return invalid("by", "must be a user or a key")
	}
	if !idPattern.MatchString(p.ID) || p.PersonID != "" && !idPattern.MatchString(p.PersonID) {
		return invalid("by", "must have an id of 1 to 100 characters of A-Z a-z 0-9 _ - . : /")
	}
	if p.Kind == User && p.PersonID != "" && p.PersonID != p.ID {
		return invalid("by", "a user is nobody but himself")
	}
	return nil
}

// person is the id of the user that the party is, or "".
func (p Party) person() string {
	if p.Kind == User {
		return p.ID
	}
	return p.PersonID
}

// validate checks a request and returns its payload without blanks.
func (r Request) validate() (json.RawMessage, error) {
	if _, err := ParseOperation(string(r.Operation)); err != nil {
		return nil, err
	}
	if !idPattern.MatchString(r.TargetID) {
		return nil, invalid("targetId", "must have 1 to 100 characters of A-Z a-z 0-9 _ - . : /")
	}
	if err := r.By.validate(); err != nil {
		return nil, err
	}
	return compact(r.Payload)
}

// compact is a payload without blanks. A name that stands twice is refused: who
// approves could read one value, and who executes the other.
func compact(payload json.RawMessage) (json.RawMessage, error) {
	if len(payload) > MaxPayloadBytes {
		return nil, invalid("payload", "must have up to %d bytes", MaxPayloadBytes)
	}
	value := jsontext.Value(slices.Clone(payload))
	if !value.IsValid() || value.Kind() != '{' {
		return nil, invalid("payload", "must be a JSON object in UTF-8 with unique names")
	}
	if err := value.Compact(); err != nil {
		return nil, invalid("payload", "%v", err)
	}
	return json.RawMessage(value), nil
}

// hash tells the same request again from another one, whoever makes it.
func (r Request) hash() []byte {
	h := sha256.New()
	for _, part := range []string{string(r.Operation), r.TargetID, string(r.Payload)} {
		_ = binary.Write(h, binary.BigEndian, int64(len(part))) // a hash takes everything
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}

func validateText(field, text string, lengthMax int) error {
	if !utf8.ValidString(text) || utf8.RuneCountInString(text) > lengthMax {
		return invalid(field, "must have up to %d characters", lengthMax)
	}
	for _, r := range text {
		if unicode.IsControl(r) {
			return invalid(field, "must have no control characters")
		}
	}
	return nil
}

// statusAt is what holds at a time: a request that nobody decided expires by itself.
func statusAt(row approvaldb.Approval, now time.Time) Status {
	if Status(row.Status) == Pending && !now.Before(row.ExpiresAt) {
		return Lapsed
	}
	return Status(row.Status)
}

func fromRow(row approvaldb.Approval, now time.Time) Approval {
	return Approval{
		ID: row.ApprovalID,
		Request: Request{
			Operation: Operation(row.Operation), TargetID: row.TargetID, Payload: json.RawMessage(row.Payload),
			By: Party{Kind: PartyKind(row.RequestedKind), ID: row.RequestedBy, PersonID: row.RequestedPerson},
		},
		RequestedAt: row.RequestedAt.UTC(), Status: statusAt(row, now), ExpiresAt: row.ExpiresAt.UTC(),
		DecidedBy: row.DecidedBy, DecidedAt: orZero(row.DecidedAt), Reason: row.Reason,
		ExecutedAt: orZero(row.ExecutedAt), Result: row.Result,
	}
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func notFound(approvalID string) error {
	return NotFound.Failure("there is no approval %q", approvalID)
}

// event is an audit event about an approval.
func (a Approval) event(action string, before *Approval) audit.Event {
	event := audit.Event{Action: action, TargetKind: "approval", TargetID: a.ID, After: a.terms(), Result: audit.OK}
	if before != nil {
		event.Before = before.terms()
	}
	return event
}

// terms are what the audit trail shows of an approval: not what people wrote about
// a payment, which has no place in a trail that nobody may change.
func (a Approval) terms() json.RawMessage {
	text, err := json.Marshal(struct {
		Operation Operation       `json:"operation"`
		TargetID  string          `json:"targetId"`
		Payload   json.RawMessage `json:"payload"`
		Status    Status          `json:"status"`
		Result    string          `json:"result,omitempty"`
	}{a.Operation, a.TargetID, withoutTexts(a.Payload), a.Status, a.Result})
	if err != nil {
		panic(fmt.Sprintf("approval: the payload was checked: %v", err))
	}
	return text
}

// withoutTexts is a payload without its free texts.
func withoutTexts(payload json.RawMessage) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(payload, &members) != nil {
		return json.RawMessage("{}")
	}
	delete(members, "description")
	delete(members, "metadata")
	text, err := json.Marshal(members)
	if err != nil {
		return json.RawMessage("{}")
	}
	return text
}
