package failure

import (
	"fmt"
	"strings"
)

// Invalid says that a request makes no sense, whatever is stored. Nothing of it
// was stored.
type Invalid struct{ Fields []Field }

// Field is one field's problem: what is wrong with it and what the limit is. It
// never repeats a secret.
type Field struct {
	Field   string // its name in the API, such as "amount"; in a batch "transfers[3].amount"
	Problem string
}

// Invalidf is one field's problem, made as by fmt.Sprintf.
func Invalidf(field, format string, args ...any) *Invalid {
	return &Invalid{Fields: []Field{{Field: field, Problem: fmt.Sprintf(format, args...)}}}
}

// Error names all fields, for logs.
func (e *Invalid) Error() string {
	if len(e.Fields) == 0 {
		return "invalid input"
	}
	texts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		texts[i] = f.Field + ": " + f.Problem
	}
	return "invalid " + strings.Join(texts, "; ")
}
