package wiretest

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/jackc/pgx/v5/pgproto3"
)

// tables are the numbers of the tables that users have made, in the order in which a dialogue names them first. That order is
// compared, not the numbers: a table that is made once more has another one.
type tables []uint32

// firstNormalObjectID is where PostgreSQL begins to number what users make.
const firstNormalObjectID = 16384

// renumbered returns the body of a RowDescription in which the numbers of users' tables are their places in the list.
func (t *tables) renumbered(body []byte, v *pgproto3.RowDescription) string {
	const count, number, restOfField = 2, 4, 14 // lengths in bytes; a field is its name, the table's number and the rest
	b := bytes.Clone(body)
	at := count
	for _, f := range v.Fields {
		at += len(f.Name) + 1
		if f.TableOID >= firstNormalObjectID {
			binary.BigEndian.PutUint32(b[at:], t.place(f.TableOID))
		}
		at += number + restOfField
	}
	return string(b)
}

func (t *tables) place(table uint32) uint32 {
	i := slices.Index(*t, table)
	if i < 0 {
		i = len(*t)
		*t = append(*t, table)
	}
	return uint32(firstNormalObjectID + i)
}
