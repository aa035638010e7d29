// Package failure is the shape in which every module says that it refuses: a
// stable code of the module's own, and words for people (Of), or the fields of a
// request that make no sense (Invalid). It knows no codes; each module names its
// own, and says of which failures its operations are.
package failure

import (
	"errors"
	"fmt"
	"time"
)

// Of is a refusal with a code of type C, the codes of one module: the request was
// understood and can't be done. It is an error; errors.Is compares the code alone,
// so that it holds for any text. Codes of two modules are never equal, even when
// they read alike.
type Of[C ~string] struct {
	Code    C
	Message string // one line for people
	// RetryAfter is how long to wait before it may be asked again; 0 when no time
	// is known.
	RetryAfter time.Duration
}

// New is a failure with this code, its message made as by fmt.Sprintf.
func New[C ~string](code C, format string, args ...any) *Of[C] {
	return &Of[C]{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error is the code and the message, for logs.
func (f *Of[C]) Error() string { return string(f.Code) + ": " + f.Message }

// Is compares codes of one module. A type that embeds Of is compared too.
func (f *Of[C]) Is(target error) bool {
	other, ok := target.(interface{ code() C })
	return ok && other.code() == f.Code
}

func (f *Of[C]) code() C { return f.Code }

func (f *Of[C]) plain() Of[string] { return Of[string]{string(f.Code), f.Message, f.RetryAfter} }

// In returns the first failure, of whichever module, that err is or wraps, with its
// code as text; the outermost where one wraps another. It is for who answers for
// all modules. isThere is false when there is none, also for nil.
func In(err error) (first Of[string], isThere bool) {
	found, isThere := errors.AsType[interface {
		error
		plain() Of[string]
	}](err)
	if !isThere {
		return Of[string]{}, false
	}
	return found.plain(), true
}
