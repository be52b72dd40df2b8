package oracle

import (
	"slices"
	"strings"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// difference is what is not as on a direct connection, and why. An entry that differs no more fails the test.
type difference struct {
	why     string   // one sentence; "fault: " in front of what ought to be repaired
	modes   []string // of pools
	lacks   string   // the line that is not there, while all others are the same; "": hears is looked at
	hears   string   // what a line of the router's answer contains
	chance  bool     // it differs only when messages arrive apart from one another: an entry that differs no more is not noticed
	scripts []string
}

func (d *difference) covers(mode, script string) bool {
	return slices.Contains(d.modes, mode) && slices.Contains(d.scripts, script)
}

// explains reports whether a dialogue differs from the direct one as the entry says.
func (d *difference) explains(direct, got *wiretest.Dialogue) bool {
	if d.lacks != "" {
		return got.Same(direct.Without(d.lacks))
	}
	return slices.ContainsFunc(got.Lines(), func(line string) bool { return strings.Contains(line, d.hears) })
}

// differences are all that there are.
var differences = []difference{
	{
		why:   "Mode statement refuses transaction blocks.",
		modes: []string{statement}, hears: "FATAL 0A000 \"transaction blocks are not allowed in statement pooling mode\"",
		scripts: []string{
			"DEALLOCATE in a block that has failed", "a Parse of what is known in a block that has failed",
			"a begin in the middle of a query takes in what stands before", "a transaction block from begin to commit",
			"a block that failed refuses everything up to its end", "a block that ends and begins another one at once", "a begin inside of a block warns",
			"characteristics of a block end with it", "a block of the extended protocol", "a client that leaves its block",
			"cursors live as long as their block", "a deferred constraint fails at the commit", "the unnamed statement of a transaction that is rolled back stays",
			"a table changes in a pipeline, and a transaction fails at it",
			"a statement whose result has changed", "a portal of a transaction is read in many batches", "a batch that begins a block",
			"a function in a block that has failed", "a large object", "rows that come after the error in a block", "a COPY in a block",
			"a setting that is rolled back", "a setting of a transaction", "a setting back to a savepoint",
			"settings of the start-up that are reset in a block", "a temporary table of a transaction",
			"a lock of a transaction", "notifications wait for the commit", "a client that sends no more in a block",
			"a message of a kind that does not exist in a block", "SQL and the protocol share their names",
		},
	},
	{
		why:   "A block whose end has arrived before its beginning is answered passes in mode statement: nothing of it is left open.",
		modes: []string{statement}, hears: "FATAL 0A000 \"transaction blocks are not allowed in statement pooling mode\"", chance: true,
		scripts: []string{
			"savepoints bring a failed block back", "pipelined blocks", "a block that fails in the extended protocol", "two-phase commit where it is not enabled",
			"a whole block in one batch", "a notification that is rolled back", "DISCARD ALL",
			"a statement of SQL's outlives its transaction", "a statement of SQL's whose table is gone",
		},
	},
	{
		why:   "A login that fails ends before AuthenticationOk, so that libpq tries its next host.",
		modes: modes, lacks: " < AuthenticationOk",
		scripts: []string{
			"a login with an encoding that does not exist", "a time zone that does not exist", "a login with a value that is refused",
			"a parameter that does not exist", "a parameter that only the server sets", "a parameter that only a superuser sets",
			"a parameter that nobody sets", "a login with a role", "options with a value that is refused", "options that are none",
			"a database that does not exist", "a user who does not exist",
		},
	},
	{
		why:   "The router reads the word of options itself, and PostgreSQL's hint names its own binary.",
		modes: modes, hears: "FATAL 42601 \"invalid command-line argument for server process: -c\"",
		scripts: []string{"options that end in the middle"},
	},
	{
		why:   "A reset is heard twice where the session began with another value than the server: the server's default, and what it is given back.",
		modes: []string{transaction, statement}, hears: "ParameterStatus TimeZone=GMT",
		scripts: []string{"DISCARD ALL to the start-up", "a time zone of the start-up that is reset in a text of several statements"},
	},
	{
		why:   "Behind a RESET of the extended protocol, or in a text of several statements, the server's default counts until the unit of work ends.",
		modes: []string{transaction, statement}, hears: `DataRow "4MB"`,
		scripts: []string{"a setting of the start-up that is reset in a batch", "a setting of the start-up that is reset in a text of several statements"},
	},
	{
		why:   "The router speaks protocol 3.2 also where PostgreSQL does not yet.",
		modes: modes, hears: "NegotiateProtocolVersion 3.2",
		scripts: []string{"another minor version"},
	},
	{
		why:   "The router speaks protocol 3.2 also where PostgreSQL does not yet.",
		modes: modes, hears: "server supports 3.0 to 3.2",
		scripts: []string{"another major version", "an old major version", "a client that asks for encryption twice"},
	},
	{
		why:   "There is no encryption by GSSAPI.",
		modes: modes, hears: `< "N"`,
		scripts: []string{"a client that wants encryption by GSSAPI"},
	},
	{
		why:   "A request in the middle of a COPY ends the client at once, because what the server will answer cannot be known.",
		modes: modes, hears: "FATAL 08P01",
		scripts: []string{"a query in a COPY ends it", "a Parse in a COPY ends it", "a garbage message in a COPY"},
	},
	{
		why:   "The COPY of a client that has gone is ended by CopyFail, so that its server lives on.",
		modes: modes, hears: "ERROR 57014 \"COPY from stdin failed: the client has gone\"",
		scripts: []string{"a client that leaves its COPY", "a client that sends no more in its COPY"},
	},
	{
		why:   "A length that cannot be is answered with an error, where PostgreSQL closes the connection without a word.",
		modes: modes, hears: "FATAL 08P01 \"invalid message length\"",
		scripts: []string{"a length that is too small", "a length that is too large", "a length that is negative", "a short message that is too long"},
	},
}

// pins are the scripts whose client keeps its server at a mark in the modes transaction and statement, by the reason.
var pins = map[string][]string{
	"prepared_statement": {"names are used in texts of several statements"},
	"cursor":             {"a cursor with hold outlives its block"},
	"listen":             {"one's own notification"},
	"temp_table":         {"a temporary table"},
	"advisory_lock":      {"a lock of the session"},
	"setting":            {"a setting in code outlives a temporary table"},
	"uncertain": {
		"a FunctionCall in a batch that has failed is read over", "a function is called", "a function in a block that has failed",
		"Sync and Flush in a COPY are read over", "an unnamed statement of a megabyte", "a FunctionCall without anything",
		"a query in a batch that has failed is read over", "a query in a batch that has not failed ends it",
		"a query that fails in the middle of a batch",
	},
}
