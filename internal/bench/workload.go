package bench

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"florin/internal/money"
	"florin/internal/platform/id"
)

// What every transfer of every mode looks like.
const (
	benchCurrency    = money.Currency("USD")
	benchDescription = "Bench transfer"
	// openingUnits is what an account begins with: nobody runs out of money.
	openingUnits = 1_000_000
	hotUnits     = 1_000_000_000
)

// workload chooses who pays whom.
type workload struct {
	run      string   // names this run's accounts and transfers
	accounts []string // the first is the hot one, if any is
	hot      float64
}

func newWorkload(accounts int, hot float64) *workload {
	w := &workload{run: strings.TrimPrefix(id.New(""), "_")[:8], accounts: make([]string, accounts), hot: hot}
	for i := range w.accounts {
		w.accounts[i] = "bench:" + w.run + ":" + strconv.Itoa(i)
	}
	return w
}

// opening is the balance that account i begins with.
func (w *workload) opening(i int) decimal.Decimal {
	if i == 0 {
		return decimal.NewFromInt(hotUnits)
	}
	return decimal.NewFromInt(openingUnits)
}

// choice is one transfer to make.
type choice struct {
	id           string
	from, to     int
	amount       decimal.Decimal
	amountInText string
}

// caller is one of those who hand in transfers. It is used by one goroutine.
type caller struct {
	random     *rand.Rand
	connection *connection // over HTTP
	body       []byte      // likewise, used again for each request
}

func newCaller() *caller {
	return &caller{random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
}

func (c *caller) close() {
	if c.connection != nil {
		c.connection.close()
	}
}

const idAlphabet = "abcdefghijklmnopqrstuvwxyz234567"

// next chooses one transfer. Ids are random, as a client's would be.
func (w *workload) next(random *rand.Rand) choice {
	c := choice{id: w.transferID(random)}
	c.from, c.to = w.pair(random)
	cents := 1 + random.Int64N(500)
	c.amount = decimal.New(cents, -2)
	c.amountInText = fmt.Sprintf("%d.%02d", cents/100, cents%100)
	return c
}

func (w *workload) transferID(random *rand.Rand) string {
	text := make([]byte, 0, 40)
	text = append(text, w.run...)
	text = append(text, '-')
	for range 2 {
		for bits, i := random.Uint64(), 0; i < 8; i++ {
			text = append(text, idAlphabet[bits&31])
			bits >>= 5
		}
	}
	return string(text)
}

// pair chooses two accounts. The hot one pays as often as it is paid, in exactly
// its share of the transfers; all others are alike.
func (w *workload) pair(random *rand.Rand) (from, to int) {
	first := 0
	if w.hot > 0 {
		first = 1
		if random.Float64() < w.hot {
			other := 1 + random.IntN(len(w.accounts)-1)
			if random.Uint32()&1 == 0 {
				return 0, other
			}
			return other, 0
		}
	}
	others := len(w.accounts) - first
	from = random.IntN(others)
	to = random.IntN(others - 1)
	if to >= from {
		to++
	}
	return first + from, first + to
}
