package proxy_test

import (
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// hasPrepared makes the answer to the question what SQL has prepared on a server: names, each with its text.
func hasPrepared(texts ...string) []pgproto3.Message {
	var all []byte
	if len(texts) > 0 {
		all = []byte(strings.Join(texts, "\x01") + "\x01")
	}
	return []pgproto3.Message{columns("case"), &pgproto3.DataRow{Values: [][]byte{all, []byte("f")}}, complete("SELECT 1"), ready('I')}
}

// sqlPrepares lets a client prepare p by SQL.
func sqlPrepares(a, n1 *actor) {
	const text = "prepare p as select 1"
	a.asks(text)
	n1.hears("Q")
	n1.says(wiretest.Done("PREPARE", 'I')...)
	a.hears("C")
	n1.hears("Q")
	n1.says(hasPrepared("p", text)...)
	a.hears("Z")
}

// replayed is how a server answers a replay.
var replayed = []pgproto3.Message{closed, parsed, bound, complete("PREPARE"), ready('I')}

// preparationScenarios are about what SQL's PREPARE makes.
var preparationScenarios = []scenario{
	{"sql_prepared_moves",
		"What SQL's PREPARE has made goes with its client: at the end of the unit of work the server is asked what that is, and a server " +
			"that does not have it gets the PREPARE first, in a batch of its own. Nobody is pinned.",
		nil, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			sqlPrepares(a, n1)
			b.does(n1, "begin", "BEGIN", 'T')
			a.asks("execute p")
			n2 := n.opensFor("b keeps n.1")
			n2.hears("CPBESQ")
			n2.says(replayed...)
			n2.says(wiretest.Row("v", "1")...)
			a.hears("TDCZ")
			a.isAnswered(n2, "execute p", "1")
			b.does(n1, "commit", "COMMIT", 'I')
		}},
	{"sql_prepared_by_a_stranger",
		"What a client has prepared stays on its server when others use that. Who sends something that could find it does not: it is " +
			"closed first. Its owner gets it back.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			sqlPrepares(a, n1)
			b.isAnswered(n1, "select 1", "1")
			a.isAnswered(n1, "execute p", "1")
			b.asks("execute p")
			n1.hears("CQ")
			n1.says(closed, failure("26000", `prepared statement "p" does not exist`), ready('I'))
			b.hears("EZ")
			a.asks("execute p")
			n1.hears("CPBESQ")
			n1.says(replayed...)
			n1.says(wiretest.Row("v", "1")...)
			a.hears("TDCZ")
		}},
	{"sql_prepared_no_more",
		"A PREPARE that cannot be repeated, because its table is gone: the client is told why when it uses the statement, and it is tried " +
			"again with the next unit of work.",
		nil, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			sqlPrepares(a, n1)
			b.does(n1, "begin", "BEGIN", 'T')
			a.asks("execute p")
			n2 := n.opensFor("b keeps n.1")
			n2.hears("CPBESQ")
			n2.says(closed, parsed, bound, failure("42P01", `relation "t" does not exist`), ready('I'))
			n2.says(failure("26000", `prepared statement "p" does not exist`), ready('I'))
			a.hears("EZ")
			a.asks("execute p")
			n2.hears("CPBESQ")
			n2.says(replayed...)
			n2.says(wiretest.Row("v", "1")...)
			a.hears("TDCZ")
			b.does(n1, "commit", "COMMIT", 'I')
		}},
	{"sql_prepared_again",
		"What could not be prepared on a server that its client keeps is tried again in front of each unit of work: the client may have " +
			"made the table meanwhile. Behind BEGIN an error would end the client's transaction.",
		nil, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			sqlPrepares(a, n1)
			b.does(n1, "begin", "BEGIN", 'T')
			a.asks("create temp table t(n int)")
			n2 := n.opensFor("b keeps n.1")
			n2.hears("CPBESQ")
			n2.says(closed, parsed, bound, failure("42P01", `relation "t" does not exist`), ready('I'))
			n2.says(wiretest.Done("CREATE TABLE", 'I')...)
			a.hears("CZ")
			a.asks("begin")
			n2.hears("CPBESQ")
			n2.says(closed, parsed, bound, failure("42703", `column "v" does not exist`), ready('I'))
			n2.says(wiretest.Done("BEGIN", 'T')...)
			a.hears("CZ")
			a.asks("execute p")
			n2.hears("Q")
			n2.says(failure("26000", `prepared statement "p" does not exist`), ready('E'))
			a.hears("EZ")
			a.does(n2, "rollback", "ROLLBACK", 'I')
			a.asks("execute p")
			n2.hears("CPBESQ")
			n2.says(replayed...)
			n2.says(wiretest.Row("v", "1")...)
			a.hears("TDCZ")
			a.isAnswered(n2, "execute p", "1")
			b.does(n1, "commit", "COMMIT", 'I')
			a.saysGoodbye()
			n2.isReset()
		}},
	{"sql_prepared_takes_a_name",
		"A Parse of a name that SQL has taken is tried under that name first: PostgreSQL refuses it, in its own words.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			sqlPrepares(a, n1)
			a.says(parse("p", "select 2"), &pgproto3.Sync{})
			n1.hears("PCPS")
			n1.says(failure("42P05", `prepared statement "p" already exists`), ready('I'))
			a.hears("EZ")
		}},
}
