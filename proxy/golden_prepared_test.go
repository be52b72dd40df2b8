package proxy_test

import (
	"github.com/jackc/pgx/v5/pgproto3"
)

var closed = &pgproto3.CloseComplete{}

// preparedScenarios are about named prepared statements.
var preparedScenarios = []scenario{
	{"prepared_moves",
		"A named statement goes with its client: a server that does not have it is given its Parse first, under the router's own " +
			"name. Nobody is pinned.",
		nil, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			a.says(parse("mine", "select $1"), describeStatement("mine"), &pgproto3.Sync{})
			n1.hears("PDS")
			n1.says(parsed, &pgproto3.ParameterDescription{}, columns("v"), ready('I'))
			a.hears("1tTZ")
			b.does(n1, "begin", "BEGIN", 'T')
			a.says(bind("mine", "x"), describe(), execute(), &pgproto3.Sync{})
			n2 := n.opensFor("b keeps n.1")
			n2.hears("PDH")
			n2.says(parsed, &pgproto3.ParameterDescription{}, columns("v"))
			n2.hears("BDES")
			n2.says(bound, columns("v"), row("x"), complete("SELECT 1"), ready('I'))
			a.hears("2TDCZ")
			b.does(n1, "commit", "COMMIT", 'I')
		}},
	{"prepared_is_shared",
		"Two clients that prepare the same text share it on the servers. The second Parse is sent as a Close of a name that nobody " +
			"has; its answer is shown as that of a Parse. A client's Close closes nothing for the other.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.says(parse("mine", "select 1"), &pgproto3.Sync{})
			n1.hears("PS")
			n1.says(parsed, ready('I'))
			a.hears("1Z")
			b.says(parse("yours", "select 1"), bind("yours"), execute(), &pgproto3.Sync{})
			n1.hears("CBES")
			n1.says(closed, bound, row("1"), complete("SELECT 1"), ready('I'))
			b.hears("12DCZ")
			b.says(closeStatement("yours"), &pgproto3.Sync{})
			n1.hears("CS")
			n1.says(closed, ready('I'))
			b.hears("3Z")
			a.says(bind("mine"), execute(), &pgproto3.Sync{})
			n1.hears("BES")
			n1.says(bound, row("1"), complete("SELECT 1"), ready('I'))
			a.hears("2DCZ")
		}},
	{"prepared_twice",
		"A Parse of a name that the client has already fails on the server, with whatever else PostgreSQL has to say of it first; the " +
			"error names what the client has named.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.says(parse("mine", "select 1"), &pgproto3.Sync{})
			n1.hears("PS")
			n1.says(parsed, ready('I'))
			a.hears("1Z")
			a.says(parse("mine", "select 2"), bind("mine"), execute(), &pgproto3.Sync{})
			n1.hears("CPPBES")
			n1.says(closed, parsed, failure("42P05", `prepared statement "pgr!" already exists`), ready('I'))
			a.hears("EZ")
		}},
	{"prepared_by_nobody",
		"A name that the client has not prepared is PostgreSQL's to refuse, in the client's words. One that looks like the router's own " +
			"reaches nobody's statement.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.says(parse("mine", "delete from t"), &pgproto3.Sync{})
			n1.hears("PS")
			n1.says(parsed, ready('I'))
			a.hears("1Z")
			b.says(bind("mine"), execute(), &pgproto3.Sync{})
			n1.hears("BES")
			n1.says(failure("26000", `prepared statement "mine" does not exist`), ready('I'))
			b.hears("EZ")
			b.says(bind("pgr1"), execute(), &pgproto3.Sync{})
			n1.hears("BES")
			n1.says(failure("26000", `prepared statement "pgr?" does not exist`), ready('I'))
			b.hears("EZ")
		}},
	{"prepared_too_many",
		"A server keeps so many statements and no more: the one that was not used for longest is closed for another.",
		func(r *router) {
			withOneServer(r)
			r.policy.MaxPrepared = 1
		}, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.says(parse("one", "select 1"), &pgproto3.Sync{})
			n1.hears("PS")
			n1.says(parsed, ready('I'))
			a.hears("1Z")
			a.says(parse("two", "select 2"), &pgproto3.Sync{})
			n1.hears("CPS")
			n1.says(closed, parsed, ready('I'))
			a.hears("1Z")
			a.says(bind("one"), execute(), &pgproto3.Sync{})
			n1.hears("CPBES")
			n1.says(closed, parsed, bound, row("1"), complete("SELECT 1"), ready('I'))
			a.hears("2DCZ")
		}},
	{"prepared_lost_on_the_server",
		"A server has lost a statement to something that hid the word DEALLOCATE. Nothing of the unit was run or shown: it is sent " +
			"again, behind the Parse.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			preparesMine(a, n1)
			a.says(bind("mine"), execute(), &pgproto3.Sync{})
			n1.hears("BES")
			n1.says(failure("26000", `prepared statement "pgr1" does not exist`), ready('I'))
			n1.hears("PBES")
			n1.says(parsed, bound, row("1"), complete("SELECT 1"), ready('I'))
			a.hears("2DCZ")
		}},
	{"prepared_of_a_changed_table",
		"The rows of a statement would look different, because its table was changed. The client asks what they look like, and so the " +
			"statement is prepared anew, and the unit sent again.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			preparesMine(a, n1)
			a.says(bind("mine"), describe(), execute(), &pgproto3.Sync{})
			n1.hears("BDES")
			n1.says(planChanged(), ready('I'))
			n1.hears("PBDES")
			n1.says(parsed, bound, columns("v"), row("1"), complete("SELECT 1"), ready('I'))
			a.hears("2TDCZ")
		}},
	{"prepared_of_a_changed_table_described_before",
		"The same of a client that was told before what the rows look like, and does not ask now: it gets PostgreSQL's error. What it " +
			"prepares afterwards is new.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.says(parse("mine", "select v from t"), describeStatement("mine"), &pgproto3.Sync{})
			n1.hears("PDS")
			n1.says(parsed, &pgproto3.ParameterDescription{}, columns("v"), ready('I'))
			a.hears("1tTZ")
			a.says(bind("mine"), execute(), &pgproto3.Sync{})
			n1.hears("BES")
			n1.says(planChanged(), ready('I'))
			a.hears("EZ")
			a.says(parse("another", "select v from t"), &pgproto3.Sync{})
			n1.hears("PS")
			n1.says(parsed, ready('I'))
			a.hears("1Z")
		}},
	{"prepared_of_another_shape_elsewhere",
		"The same on a server that has not prepared the statement: it parses it and is asked what the rows look like, before the client's " +
			"Bind is sent. They are not what the client was told, and so its Bind is one that fails. It gets the words of PostgreSQL.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.says(parse("mine", "select v from t"), describeStatement("mine"), &pgproto3.Sync{})
			n1.hears("PDS")
			n1.says(parsed, &pgproto3.ParameterDescription{}, columns("v"), ready('I'))
			a.hears("1tTZ")
			b.does(n1, "deallocate all", "DEALLOCATE ALL", 'I')
			a.says(bind("mine"), execute(), &pgproto3.Sync{})
			n1.hears("PDH")
			n1.says(parsed, &pgproto3.ParameterDescription{}, columns("w"))
			n1.hears("BES")
			n1.says(failure("26000", `prepared statement "pgr?" does not exist`), ready('I'))
			a.hears("EZ")
			b.does(n1, "deallocate all", "DEALLOCATE ALL", 'I')
			a.says(bind("mine"), execute(), &pgproto3.Sync{})
			n1.hears("PDH")
			n1.says(parsed, &pgproto3.ParameterDescription{}, columns("v"))
			n1.hears("BES")
			n1.says(bound, row("1"), complete("SELECT 1"), ready('I'))
			a.hears("2DCZ")
		}},
	{"prepared_deallocate",
		"DEALLOCATE of what the protocol has prepared: the server has it under another name, and so gets something under the client's " +
			"name that it can drop. Nothing of that is shown.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			preparesMine(a, n1)
			a.asks("deallocate mine")
			n1.hears("CPSQ")
			n1.says(closed, parsed, ready('I'), complete("DEALLOCATE"), ready('I'))
			a.hears("CZ")
			b.isAnswered(n1, "select 1", "1")
			a.says(bind("mine"), execute(), &pgproto3.Sync{})
			n1.hears("BES")
			n1.says(failure("26000", `prepared statement "mine" does not exist`), ready('I'))
			a.hears("EZ")
		}},
	{"prepared_execute",
		"EXECUTE of what the protocol has prepared: the server gets it under the client's own name, and the client keeps the server.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			preparesMine(a, n1)
			a.asks("execute mine")
			n1.hears("CPSQ")
			n1.says(closed, parsed, ready('I'), columns("v"), row("1"), complete("SELECT 1"), ready('I'))
			a.hears("TDCZ")
			a.saysGoodbye()
			n1.isReset()
		}},
	{"prepared_deallocate_all",
		"DEALLOCATE ALL is really done on the server; the client's names are gone, and those of others are prepared there again.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			preparesMine(a, n1)
			b.does(n1, "deallocate all", "DEALLOCATE ALL", 'I')
			a.says(bind("mine"), execute(), &pgproto3.Sync{})
			n1.hears("PBES")
			n1.says(parsed, bound, row("1"), complete("SELECT 1"), ready('I'))
			a.hears("2DCZ")
			a.settled(n1, "discard all", "DISCARD ALL", "none", "app", "f", "--")
			a.says(bind("mine"), execute(), &pgproto3.Sync{})
			n1.hears("BES")
			n1.says(failure("26000", `prepared statement "mine" does not exist`), ready('I'))
			a.hears("EZ")
		}},
}

// preparesMine lets a client prepare a statement that is called mine.
func preparesMine(a, server *actor) {
	a.stage.t.Helper()
	a.says(parse("mine", "select v from t"), &pgproto3.Sync{})
	server.hears("PS")
	server.says(parsed, ready('I'))
	a.hears("1Z")
}

func describeStatement(name string) *pgproto3.Describe {
	return &pgproto3.Describe{ObjectType: 'S', Name: name}
}

func closeStatement(name string) *pgproto3.Close {
	return &pgproto3.Close{ObjectType: 'S', Name: name}
}

// planChanged is what PostgreSQL says when the rows of a statement would not look as they did.
func planChanged() *pgproto3.ErrorResponse {
	e := failure("0A000", "cached plan must not change result type")
	e.Routine = "RevalidateCachedQuery"
	return e
}
