package export

import (
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/shopspring/decimal"

	"florin/internal/money"
)

const (
	// rowGroup bounds what a Parquet part holds in memory while it is written.
	rowGroup = 20_000
	// decimalBytes hold 19 digits and a sign.
	decimalBytes = 9
)

// parquetRow has the columns of the text formats under the same names.
type parquetRow struct {
	AccountID             string             `parquet:"accountId"`
	Seq                   int64              `parquet:"seq"`
	TransactionID         string             `parquet:"transactionId"`
	Kind                  string             `parquet:"kind,dict"`
	CounterpartyAccountID string             `parquet:"counterpartyAccountId"`
	Amount                [decimalBytes]byte `parquet:"amount,decimal(4:19)"`
	Balance               [decimalBytes]byte `parquet:"balance,decimal(4:19)"`
	Currency              string             `parquet:"currency,dict"`
	CreatedAt             int64              `parquet:"createdAt,timestamp(microsecond)"`
	EffectiveAt           *int64             `parquet:"effectiveAt,optional,timestamp(microsecond)"`
	Description           string             `parquet:"description"`
	ReversesTransactionID *string            `parquet:"reversesTransactionId,optional"`
	HoldID                *string            `parquet:"holdId,optional"`
	CommittedAt           *int64             `parquet:"committedAt,optional,timestamp(microsecond)"`
}

type parquetEncoder struct {
	writer *parquet.GenericWriter[parquetRow]
	buffer [1]parquetRow
}

func newParquetEncoder(w io.Writer) encoder {
	return &parquetEncoder{writer: parquet.NewGenericWriter[parquetRow](w,
		parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(rowGroup), parquet.CreatedBy("florin", "1", ""))}
}

func (e *parquetEncoder) Encode(r Row) error {
	amount, err := toParquetDecimal(r.Amount)
	if err != nil {
		return err
	}
	balance, err := toParquetDecimal(r.Balance)
	if err != nil {
		return err
	}
	e.buffer[0] = parquetRow{
		AccountID: r.AccountID, Seq: r.Seq, TransactionID: r.TransactionID, Kind: r.Kind,
		CounterpartyAccountID: r.CounterpartyAccountID, Amount: amount, Balance: balance, Currency: string(r.Currency),
		CreatedAt: r.CreatedAt.UnixMicro(), EffectiveAt: optionalMicros(r.EffectiveAt), Description: r.Description,
		ReversesTransactionID: orNil(r.ReversesTransactionID), HoldID: orNil(r.HoldID), CommittedAt: optionalMicros(r.CommittedAt),
	}
	_, err = e.writer.Write(e.buffer[:])
	return err
}

func (e *parquetEncoder) Close() error { return e.writer.Close() }

func decodeParquet(file *os.File, each func(Row) error) (err error) {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	// The library panics on some broken files.
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("no readable Parquet: %v", problem)
		}
	}()
	opened, err := parquet.OpenFile(file, info.Size())
	if err != nil {
		return err
	}
	reader := parquet.NewGenericReader[parquetRow](opened)
	defer reader.Close()
	rows := make([]parquetRow, 1000)
	for {
		n, err := reader.Read(rows)
		for _, p := range rows[:n] {
			if err := each(p.row()); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (p parquetRow) row() Row {
	return Row{
		AccountID: p.AccountID, Seq: p.Seq, TransactionID: p.TransactionID, Kind: p.Kind,
		CounterpartyAccountID: p.CounterpartyAccountID, Amount: fromParquetDecimal(p.Amount), Balance: fromParquetDecimal(p.Balance),
		Currency: money.Currency(p.Currency), CreatedAt: time.UnixMicro(p.CreatedAt).UTC(), EffectiveAt: timeOfMicros(p.EffectiveAt),
		Description: p.Description, ReversesTransactionID: orZero(p.ReversesTransactionID), HoldID: orZero(p.HoldID),
		CommittedAt: timeOfMicros(p.CommittedAt),
	}
}

// toParquetDecimal is the amount times 10,000 as a big-endian two's complement.
func toParquetDecimal(value decimal.Decimal) (encoded [decimalBytes]byte, err error) {
	scaled := value.Shift(money.MaxDecimals)
	if !scaled.IsInteger() || value.Abs().GreaterThanOrEqual(money.Limit) {
		return encoded, LedgerInconsistent.Failure("%s is no amount of the ledger: run florin verify", value)
	}
	number := scaled.BigInt()
	if number.Sign() < 0 {
		number.Add(number, twoToDecimalBits)
	}
	number.FillBytes(encoded[:])
	return encoded, nil
}

func fromParquetDecimal(encoded [decimalBytes]byte) decimal.Decimal {
	number := new(big.Int).SetBytes(encoded[:])
	if encoded[0]&0x80 != 0 {
		number.Sub(number, twoToDecimalBits)
	}
	return decimal.NewFromBigInt(number, -money.MaxDecimals)
}

var twoToDecimalBits = new(big.Int).Lsh(big.NewInt(1), 8*decimalBytes)

func optionalMicros(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	micros := t.UnixMicro()
	return &micros
}

func timeOfMicros(micros *int64) time.Time {
	if micros == nil {
		return time.Time{}
	}
	return time.UnixMicro(*micros).UTC()
}
