package admin

import (
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5/pgproto3"
)

// columnType is the type that a column has on the wire.
type columnType uint8

// The types that PgBouncer's console uses. Tools go by them: a label must be text or an integer, a flag an integer.
const (
	typeText columnType = iota
	typeInt4
	typeInt8
	typeNumeric // never negative here, and whole
)

// column describes a column of a table: SHOW and docs/console.md are made from it. An empty value is NULL where it is no text.
type column struct {
	name string
	kind columnType
	doc  string
}

// oid returns the type's number in PostgreSQL's catalog, and its length there.
func (t columnType) oid() (oid uint32, size int16) {
	switch t {
	case typeInt4:
		return 23, 4
	case typeInt8:
		return 20, 8
	case typeNumeric:
		return 1700, -1
	case typeText:
	}
	return 25, -1
}

// String returns the type's name in SQL.
func (t columnType) String() string {
	switch t {
	case typeInt4:
		return "int4"
	case typeInt8:
		return "int8"
	case typeNumeric:
		return "numeric"
	case typeText:
	}
	return "text"
}

// Format codes of the protocol.
const (
	formatText   = 0
	formatBinary = 1
)

// formatOf returns the format of column i that the client asked for: one for all, one for each, or none, which is text.
func formatOf(formats []int16, i int) int16 {
	switch {
	case len(formats) == 1:
		return formats[0]
	case i < len(formats):
		return formats[i]
	}
	return formatText
}

// description names the columns.
func description(columns []column, formats []int16) *pgproto3.RowDescription {
	d := &pgproto3.RowDescription{}
	for i, c := range columns {
		oid, size := c.kind.oid()
		d.Fields = append(d.Fields, pgproto3.FieldDescription{
			Name: []byte(c.name), DataTypeOID: oid, DataTypeSize: size, TypeModifier: -1, Format: formatOf(formats, i),
		})
	}
	return d
}

// encode writes a value as the client asked for it; nil is NULL.
func (t columnType) encode(value string, format int16) []byte {
	if t == typeText {
		return []byte(value)
	}
	if value == "" {
		return nil
	}
	if format != formatBinary {
		return []byte(value)
	}
	n, _ := strconv.ParseUint(value, 10, 64) // the columns' tests hold that they are whole and not negative
	switch t {
	case typeInt4:
		return binary.BigEndian.AppendUint32(nil, uint32(n))
	case typeInt8:
		return binary.BigEndian.AppendUint64(nil, n)
	default:
		return binaryNumeric(n)
	}
}

// numericBase is the base of the digits in which PostgreSQL sends a numeric.
const numericBase = 10000

// binaryNumeric writes a whole number as PostgreSQL's numeric_send does: how many digits, the weight of the first, sign, scale,
// digits.
func binaryNumeric(n uint64) []byte {
	var digits []uint16
	for ; n > 0; n /= numericBase {
		digits = append(digits, uint16(n%numericBase))
	}
	slices.Reverse(digits)
	count := uint16(len(digits))
	weight := max(count, 1) - 1
	b := make([]byte, 0, 8+2*len(digits))
	for _, word := range append([]uint16{count, weight, 0, 0}, digits...) {
		b = binary.BigEndian.AppendUint16(b, word)
	}
	return b
}

// names returns the columns' names.
func names(columns []column) []string {
	var all []string
	for _, c := range columns {
		all = append(all, c.name)
	}
	return all
}
