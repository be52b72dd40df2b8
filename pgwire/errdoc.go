package pgwire

import (
	"fmt"
	"io"
	"strings"
)

// errorSection is a part of the printed table.
type errorSection struct {
	from  ErrID
	title string
	below string // what has to be said of the rows
}

// errorSections are the headings of the printed table, in the order of the constants.
var errorSections = [...]errorSection{
	{ErrStartupLength, "Start-up", ""},
	{ErrExpectedPassword, "Login", ""},
	{ErrTooManyClients, "Limits", ""},
	{NoticeWaiting, "Waiting", ""},
	{ErrTransactionLost, "A server is lost", ""},
	{ErrProtocol, "What a client sent", ""},
	{ErrQueryTimeout, "Time limits", belowTimeLimits},
	{ErrAdminShutdown, "Operators", ""},
	{ErrConsoleLogin, "The console", ""},
	{errCount, "", ""},
}

const errorPreface = `# What a client sees

This file is printed from the table in ` + "`pgwire/errtable.go`" + `; a test keeps the two alike
(` + "`go test ./pgwire -run ErrorTable -update`" + ` prints it anew).

FATAL ends the session, ERROR and NOTICE do not; rows with "not yet" belong to features that this version lacks. Where PostgreSQL has a text and a SQLSTATE for a situation, pgrouter uses them.
The errors of a server are passed on as they are, FATAL ones too (25P03, 57P05, pg_terminate_backend and so on).

## What is no error

| Situation | What the client sees |
| --- | --- |
| The client is idle or waits, and its node goes away | Nothing. Its next work goes to the new node. |
| New work, and no node for the route | Latency, up to hold_timeout. |
| The same with no_primary = "read-only", and no primary for longer than no_primary_after | Reads are answered by a standby, writes with PostgreSQL's own ERROR 25006. With the next primary work goes there; pinned clients are told FATAL 57P01 when their unit of work is over, and connect again. |
| New work, and every server connection is taken | Latency, up to wait_timeout; a NOTICE after 5 s. |
| Work of which no byte was accepted by a server's socket | Latency. It is sent to another server. |
| One statement outside a transaction block that by its keywords only reads, on a server in hot standby, no byte of its answer forwarded yet | Latency. It is sent once more, elsewhere (replay = "never" turns it off). |
| A planned switchover | Latency. Nothing new starts, what runs may end (drain_timeout), then all goes on. |
| A login while no node is available, with cached credentials | Latency, up to login_hold_timeout, before AuthenticationOk. |

A lost connection after bytes were accepted is never taken for proof that nothing ran. What a client holds after 57P01 with the
words "during a transaction" is certainty that nothing was committed; after 08007 it is a question that only the database can answer.
`

const belowTimeLimits = `
A program that reads 57014 takes the statement for undone, and may repeat it: PostgreSQL says it of a statement that it has rolled back.
pgrouter does not know more of a server that it leaves than of one that it has lost, so that the same rules decide
(see "A server is lost"): 57014 where nothing can have been committed, 08007 where that is an open question, whatever the statement
was. It never asks the server to cancel: a COMMIT that waits for its synchronous standby would then be acknowledged without it. It
closes the connection; PostgreSQL 14 and later notice (client_connection_check_interval) and roll back what is not committed. Where
a part of a message has reached the client nothing can be put behind it, and the connection ends without a word: as with 08007.
`

// WriteErrorTable prints the table of the errors that pgrouter sends, as markdown.
func WriteErrorTable(w io.Writer) error {
	if _, err := io.WriteString(w, errorPreface); err != nil {
		return err
	}
	for i, section := range errorSections[:len(errorSections)-1] {
		if err := section.write(w, errorSections[i+1].from); err != nil {
			return err
		}
	}
	return nil
}

// write prints the section with the rows before another's first.
func (s *errorSection) write(w io.Writer, to ErrID) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n| SQLSTATE | Severity | Message | When | Name |\n| --- | --- | --- | --- | --- |\n", s.title)
	for id := s.from; id < to; id++ {
		r := id.row()
		fmt.Fprintf(&b, "| %s | %s | %s | %s | `%s` |\n", r.code, r.printedSeverity(), r.printedMessage(), r.situation, r.name)
	}
	b.WriteString(s.below)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r errorRow) printedSeverity() string {
	switch {
	case r.silent:
		return "not sent"
	case r.planned:
		return "not yet"
	}
	return r.severity
}

func (r errorRow) printedMessage() string {
	message := r.message
	for _, arg := range r.args {
		at := strings.IndexByte(message, '%')
		message = message[:at] + "⟨" + arg + "⟩" + message[at+2:]
	}
	if r.detail != "" {
		message += "<br>DETAIL: " + r.detail
	}
	if r.hint != "" {
		message += "<br>HINT: " + r.hint
	}
	return message
}
