package proxy

import (
	"bytes"
	"strconv"

	"github.com/pgrouter/pgrouter/relay"
	"github.com/pgrouter/pgrouter/state"
)

// What SQL's PREPARE has made on a server is read back when a unit of work that has changed it is over (relay.AskPrepared).

// preparedTexts asks what SQL has prepared: names and query strings, each ended by the sign below; nothing where it is too much.
func preparedTexts() string {
	return "(SELECT CASE WHEN pg_catalog.sum(pg_catalog.octet_length(statement)) OPERATOR(pg_catalog.<=) " + strconv.Itoa(relay.PreparationsLimit) +
		" THEN pg_catalog.string_agg(pg_catalog.concat(name,pg_catalog.chr(1),statement,pg_catalog.chr(1)),'') ELSE '' END" +
		" FROM pg_catalog.pg_prepared_statements WHERE from_sql HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0)"
}

// preparedNames asks whether there are statements of the protocol under names that are not the router's.
const preparedNames = "EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE NOT from_sql AND name OPERATOR(pg_catalog.!~) '^" + state.StatementPrefix + "')"

// preparedEnd stands behind each name and each query string.
const preparedEnd = 1

// askPrepared puts into the postlude what SQL has prepared.
func (s *Session) askPrepared(q *postlude) {
	var texts []byte
	q.ask(preparedTexts(), func(value []byte) { texts = value })
	q.ask(preparedNames, func(value []byte) {
		rows, known := preparedRows(texts)
		s.link.HavePrepared(rows, known, string(value) != "f", s.vector)
	})
}

// preparedRows reads the answer; known is false when it was too much, or a text has the sign in it.
func preparedRows(texts []byte) (rows []relay.PreparedRow, known bool) {
	if texts == nil {
		return nil, true
	}
	parts := bytes.Split(texts, []byte{preparedEnd})
	if len(parts)%2 == 0 || len(parts) == 1 {
		return nil, false
	}
	for i := 0; i+1 < len(parts); i += 2 {
		rows = append(rows, relay.PreparedRow{Name: parts[i], SQL: parts[i+1]})
	}
	return rows, true
}
