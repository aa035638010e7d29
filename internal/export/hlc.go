package export

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// hlc is CockroachDB's time of a commit: nanoseconds since 1970, and a count for
// what happened within one.
type hlc struct {
	wall    int64
	logical int32
}

// logicalDigits is how CockroachDB writes the count: as the decimals of a number.
const logicalDigits = 10

// parseHLC reads a timestamp as CockroachDB writes it, "1700000000000000000.0000000001".
func parseHLC(text string) (hlc, error) {
	wall, logical, _ := strings.Cut(text, ".")
	var t hlc
	var err error
	if t.wall, err = strconv.ParseInt(wall, 10, 64); err != nil || t.wall < 0 {
		return hlc{}, fmt.Errorf("%q is no HLC timestamp", text)
	}
	logical += strings.Repeat("0", max(0, logicalDigits-len(logical)))
	count, err := strconv.ParseInt(logical, 10, 32)
	if err != nil || count < 0 {
		return hlc{}, fmt.Errorf("%q is no HLC timestamp", text)
	}
	t.logical = int32(count)
	return t, nil
}

func (t hlc) String() string { return fmt.Sprintf("%d.%0*d", t.wall, logicalDigits, t.logical) }

func (t hlc) compare(other hlc) int {
	return cmp.Or(cmp.Compare(t.wall, other.wall), cmp.Compare(t.logical, other.logical))
}

func (t hlc) before(other hlc) bool { return t.compare(other) < 0 }

func (t hlc) time() time.Time { return time.Unix(0, t.wall).UTC() }
