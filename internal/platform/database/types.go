package database

import (
	"encoding/binary"
	"fmt"
	"time"

	pgxdecimal "github.com/jackc/pgx-shopspring-decimal"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/shopspring/decimal"
)

// registerTypes teaches a connection decimals, and the arrays that the executor
// sends by the thousand. What pgx does for these by reflection and math/big takes
// a third of the executor's time; the formats are PostgreSQL's binary ones
// (src/backend/utils/adt: numeric_recv, array_recv), and whatever does not fit the
// short way goes pgx's.
func registerTypes(m *pgtype.Map) {
	pgxdecimal.Register(m)
	m.RegisterType(&pgtype.Type{Name: "numeric", OID: pgtype.NumericOID, Codec: numericCodec{}})
	for array, element := range map[uint32]uint32{
		pgtype.NumericArrayOID:     pgtype.NumericOID,
		pgtype.TextArrayOID:        pgtype.TextOID,
		pgtype.Int8ArrayOID:        pgtype.Int8OID,
		pgtype.ByteaArrayOID:       pgtype.ByteaOID,
		pgtype.TimestamptzArrayOID: pgtype.TimestamptzOID,
	} {
		own, _ := m.TypeForOID(array)
		elementType, _ := m.TypeForOID(element)
		m.RegisterType(&pgtype.Type{
			Name: own.Name, OID: array,
			Codec: arrayCodec{&pgtype.ArrayCodec{ElementType: elementType}},
		})
	}
}

// arrayCodec encodes slices of the usual types without looking at each element's
// type.
type arrayCodec struct{ *pgtype.ArrayCodec }

func (c arrayCodec) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if format == pgtype.BinaryFormatCode {
		element := c.ElementType.OID
		switch value.(type) {
		case []decimal.Decimal:
			if element == pgtype.NumericOID {
				return arrayPlan[decimal.Decimal]{element, appendNumeric}
			}
		case []string:
			if element == pgtype.TextOID {
				return arrayPlan[string]{element, func(buf []byte, text string) ([]byte, error) { return append(buf, text...), nil }}
			}
		case []int64:
			if element == pgtype.Int8OID {
				return arrayPlan[int64]{element, appendInt64}
			}
		case [][]byte:
			if element == pgtype.ByteaOID {
				return arrayPlan[[]byte]{element, func(buf, data []byte) ([]byte, error) { return append(buf, data...), nil }}
			}
		case []time.Time:
			if element == pgtype.TimestamptzOID {
				return arrayPlan[time.Time]{element, appendTime}
			}
		}
	}
	return c.ArrayCodec.PlanEncode(m, oid, format, value)
}

// arrayPlan writes a one-dimensional array without NULLs.
type arrayPlan[T any] struct {
	element uint32 // its type's OID
	write   func(buf []byte, value T) ([]byte, error)
}

func (p arrayPlan[T]) Encode(value any, buf []byte) ([]byte, error) {
	values := value.([]T)
	if values == nil {
		return nil, nil // NULL
	}
	dimensions := uint32(1)
	if len(values) == 0 {
		dimensions = 0
	}
	buf = binary.BigEndian.AppendUint32(buf, dimensions)
	buf = binary.BigEndian.AppendUint32(buf, 0) // no NULLs
	buf = binary.BigEndian.AppendUint32(buf, p.element)
	if len(values) == 0 {
		return buf, nil
	}
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(values)))
	buf = binary.BigEndian.AppendUint32(buf, 1) // the first index
	for _, v := range values {
		at := len(buf)
		buf = append(buf, 0, 0, 0, 0)
		var err error
		if buf, err = p.write(buf, v); err != nil {
			return nil, err
		}
		binary.BigEndian.PutUint32(buf[at:], uint32(len(buf)-at-4))
	}
	return buf, nil
}

func appendInt64(buf []byte, value int64) ([]byte, error) {
	return binary.BigEndian.AppendUint64(buf, uint64(value)), nil
}

// appendTime writes microseconds since the year 2000.
func appendTime(buf []byte, value time.Time) ([]byte, error) {
	const epoch = 946_684_800 // 2000-01-01 in Unix seconds
	micros := (value.Unix()-epoch)*1_000_000 + int64(value.Nanosecond())/1000
	return binary.BigEndian.AppendUint64(buf, uint64(micros)), nil
}

const (
	numericBase   = 10_000 // of the digits that PostgreSQL keeps numerics in
	numericPlaces = 4      // decimals of one such digit
	// shortDigits is how many decimal digits surely fit the short way: with four
	// decimals more they are still an int64.
	shortDigits = 14

	numericPositive = 0x0000
	numericNegative = 0x4000
)

// appendNumeric writes a decimal: number of digits, weight of the first, sign,
// decimals to show, then the digits to the base 10,000.
func appendNumeric(buf []byte, value decimal.Decimal) ([]byte, error) {
	exponent := value.Exponent()
	if exponent < -numericPlaces || exponent > 0 || value.NumDigits() > shortDigits {
		return appendLongNumeric(buf, value)
	}
	units := value.CoefficientInt64() // made one of 10^-4
	for range numericPlaces + exponent {
		units *= 10
	}
	sign := uint16(numericPositive)
	if units < 0 {
		sign, units = numericNegative, -units
	}
	fraction := uint16(units % numericBase)
	var whole [5]uint16 // the digits before the point, the lowest first
	n := 0
	for rest := units / numericBase; rest > 0; rest /= numericBase {
		whole[n] = uint16(rest % numericBase)
		n++
	}
	digits := n
	if fraction != 0 {
		digits++
	}
	buf = binary.BigEndian.AppendUint16(buf, uint16(digits))
	buf = binary.BigEndian.AppendUint16(buf, uint16(n-1)) // -1 without digits before the point
	buf = binary.BigEndian.AppendUint16(buf, sign)
	buf = binary.BigEndian.AppendUint16(buf, uint16(-exponent))
	for i := n - 1; i >= 0; i-- {
		buf = binary.BigEndian.AppendUint16(buf, whole[i])
	}
	if fraction != 0 {
		buf = binary.BigEndian.AppendUint16(buf, fraction)
	}
	return buf, nil
}

func appendLongNumeric(buf []byte, value decimal.Decimal) ([]byte, error) {
	plan := pgtype.NumericCodec{}.PlanEncode(nil, pgtype.NumericOID, pgtype.BinaryFormatCode, pgxdecimal.Decimal{})
	return plan.Encode(pgxdecimal.Decimal(value), buf)
}

// readNumeric reads what appendNumeric writes; false: it does not fit the short
// way.
func readNumeric(src []byte) (decimal.Decimal, bool) {
	if len(src) < 8 {
		return decimal.Decimal{}, false
	}
	digits := int(binary.BigEndian.Uint16(src))
	weight := int(int16(binary.BigEndian.Uint16(src[2:])))
	sign := binary.BigEndian.Uint16(src[4:])
	scale := binary.BigEndian.Uint16(src[6:])
	// At most sixteen decimal digits, four of them behind the point.
	short := digits == 0 || weight <= 2 && weight >= -1 && digits <= weight+2
	if !short || len(src) != 8+2*digits || scale > numericPlaces || sign != numericPositive && sign != numericNegative {
		return decimal.Decimal{}, false
	}
	var units int64
	for i := range digits {
		units = units*numericBase + int64(binary.BigEndian.Uint16(src[8+2*i:]))
	}
	for range weight + 2 - digits { // zeros at the end are not kept
		units *= numericBase
	}
	if sign == numericNegative {
		units = -units
	}
	switch { // as few decimals as pgx gives
	case units == 0:
		return decimal.Zero, true
	case units%numericBase == 0:
		return decimal.New(units/numericBase, 0), true
	case units%100 == 0:
		return decimal.New(units/100, -2), true
	}
	return decimal.New(units, -numericPlaces), true
}

// numericCodec reads and writes single decimals the short way.
type numericCodec struct{ pgxdecimal.NumericCodec }

func (c numericCodec) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if _, ok := value.(decimal.Decimal); ok && format == pgtype.BinaryFormatCode {
		return numericEncode{}
	}
	return c.NumericCodec.PlanEncode(m, oid, format, value)
}

type numericEncode struct{}

func (numericEncode) Encode(value any, buf []byte) ([]byte, error) {
	return appendNumeric(buf, value.(decimal.Decimal))
}

func (c numericCodec) PlanScan(m *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	if format == pgtype.BinaryFormatCode {
		switch target.(type) {
		case *decimal.Decimal:
			return numericScan{c.NumericCodec.PlanScan(m, oid, format, &pgxdecimal.Decimal{})}
		case *decimal.NullDecimal:
			return numericScan{c.NumericCodec.PlanScan(m, oid, format, &pgxdecimal.NullDecimal{})}
		}
	}
	return c.NumericCodec.PlanScan(m, oid, format, target)
}

type numericScan struct{ long pgtype.ScanPlan }

func (s numericScan) Scan(src []byte, target any) error {
	value, ok := readNumeric(src)
	switch target := target.(type) {
	case *decimal.Decimal:
		if ok {
			*target = value
			return nil
		}
		return s.long.Scan(src, (*pgxdecimal.Decimal)(target))
	case *decimal.NullDecimal:
		if ok {
			*target = decimal.NewNullDecimal(value)
			return nil
		}
		return s.long.Scan(src, (*pgxdecimal.NullDecimal)(target))
	}
	return fmt.Errorf("cannot scan a numeric into %T", target)
}
