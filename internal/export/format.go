package export

import (
	"io"
	"os"
)

// Format is how a part's rows are written.
type Format string

// The formats. docs/exports.md lists the columns.
const (
	NDJSON  Format = "ndjson" // one JSON object a line
	CSV     Format = "csv"    // RFC 4180, with a header
	Parquet Format = "parquet"
)

func (f Format) validate() error {
	switch f {
	case NDJSON, CSV, Parquet:
		return nil
	}
	return InvalidFormat.Failure("the format %q is none of ndjson, csv and parquet", string(f))
}

// encoder writes rows. Close writes what is left; it does not close the file.
type encoder interface {
	Encode(Row) error
	Close() error
}

func (f Format) encode(w io.Writer) (encoder, error) {
	switch f {
	case CSV:
		return newCSVEncoder(w)
	case Parquet:
		return newParquetEncoder(w), nil
	}
	return newJSONEncoder(w), nil
}

// decode calls each for every row of a part, in order, and ends with each's
// first error. Whatever an encoder would not have written is an error.
func (f Format) decode(file *os.File, each func(Row) error) error {
	switch f {
	case CSV:
		return decodeCSV(file, each)
	case Parquet:
		return decodeParquet(file, each)
	}
	return decodeJSON(file, each)
}
