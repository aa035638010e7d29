package admin

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"florin/internal/api"
)

// grouped writes a comma after every third digit before the point. It goes by the
// characters: nothing is rounded.
func grouped(amount string) string {
	sign := ""
	if strings.HasPrefix(amount, "-") {
		sign, amount = "-", amount[1:]
	}
	whole, fraction, hasFraction := strings.Cut(amount, ".")
	var out strings.Builder
	out.WriteString(sign)
	for i, digit := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			out.WriteByte(',')
		}
		out.WriteRune(digit)
	}
	if hasFraction {
		out.WriteString("." + fraction)
	}
	return out.String()
}

// tones of states: what is well, what waits, what is not well; what is over has
// none.
var tones = map[string]string{
	"ACTIVE": "good", "COMPLETED": "good", "APPROVED": "good", "CONFIRMED": "good", "PAID": "good", "RUNNING": "good", "ENABLED": "good", "CAPTURED": "good", "BALANCED": "good", "ACCEPTED": "good", "APPLIED": "good", "ALLOW": "good",
	"PENDING": "wait", "IN_PROGRESS": "wait", "IN_REVIEW": "wait", "PAUSED": "wait", "HELD": "wait", "PENDING_APPROVAL": "wait", "REVIEW": "wait", "ACCRUED": "wait", "LOCKED": "wait", "WAITING": "wait",
	"FAILED": "bad", "FROZEN": "bad", "REJECTED": "bad", "REFUSED": "bad", "DECLINED": "bad", "REVOKED": "bad", "UNBALANCED": "bad", "DECLINE": "bad",
}

// spoken writes IN_PROGRESS as people do: In progress.
func spoken(state string) string {
	if state == "" {
		return ""
	}
	words := strings.ToLower(strings.ReplaceAll(state, "_", " "))
	return strings.ToUpper(words[:1]) + words[1:]
}

// wordsOf writes a code as words within a line: insufficient funds.
func wordsOf(code string) string { return strings.ReplaceAll(code, "_", " ") }

// sentence begins a problem's detail like one, unless it begins with a name.
func sentence(text string) string {
	word, _, _ := strings.Cut(text, " ")
	if word == "" || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") != "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// membersOf are a JSON object's members in the order of their names, texts without
// their quotes.
func membersOf(m api.Metadata) []formField {
	var object map[string]json.RawMessage
	if json.Unmarshal(m, &object) != nil {
		return nil
	}
	var members []formField
	for _, name := range slices.Sorted(maps.Keys(object)) {
		value := string(object[name])
		var text string
		if json.Unmarshal(object[name], &text) == nil {
			value = text
		}
		members = append(members, formField{name, value})
	}
	return members
}

// atCursor is a list's URL at another page of it; at the first when cursor is "".
func atCursor(at *url.URL, cursor string) string {
	query := at.Query()
	query.Set("cursor", cursor)
	if cursor == "" {
		query.Del("cursor")
	}
	if len(query) == 0 {
		return at.EscapedPath()
	}
	return at.EscapedPath() + "?" + query.Encode()
}

// apiQuery are the parameters of a page that are the API's too, under the same
// names, as its query: "?status=ACTIVE", or "" when none is given.
func apiQuery(given url.Values, names ...string) string {
	query := url.Values{}
	for name, values := range given {
		if slices.Contains(names, name) && len(values) > 0 && values[0] != "" {
			query[name] = values[:1]
		}
	}
	if len(query) == 0 {
		return ""
	}
	return "?" + query.Encode()
}

// periodQuery is the query of a list of a period, of days that a person chose: to
// is the last of them. Parameters of other names are passed on.
func periodQuery(given url.Values, others ...string) string {
	query := url.Values{}
	for _, name := range others {
		query.Set(name, given.Get(name))
	}
	query.Set("from", dayOf(given.Get("from"), false))
	query.Set("to", dayOf(given.Get("to"), true))
	return apiQuery(query, slices.Concat(others, []string{"from", "to"})...)
}

// dayOf is when a day, in UTC, begins; or with isOver when it is over. What is no
// day is left to the API to refuse.
func dayOf(text string, isOver bool) string {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return text
	}
	if isOver {
		day = day.AddDate(0, 0, 1)
	}
	return day.Format(time.RFC3339)
}

// number is a count, grouped.
func number(n int64) string { return grouped(strconv.FormatInt(n, 10)) }

// counted is a count with its noun.
func counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// lasted is a length of time as people say it: two units at most.
func lasted(d time.Duration) string {
	seconds := int64(max(d, 0) / time.Second)
	minutes, hours, days := seconds/60, seconds/3600, seconds/86400
	two := func(n int64, unit string, m int64, smaller string) string {
		text := strconv.FormatInt(n, 10) + " " + unit
		if m > 0 {
			text += " " + strconv.FormatInt(m, 10) + " " + smaller
		}
		return text
	}
	switch {
	case days > 0:
		return two(days, "d", hours%24, "h")
	case hours > 0:
		return two(hours, "h", minutes%60, "min")
	case minutes > 0:
		return strconv.FormatInt(minutes, 10) + " min"
	}
	return strconv.FormatInt(seconds, 10) + " s"
}
