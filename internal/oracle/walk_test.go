package oracle

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// walk makes a random stream of messages, legal ones and others, and knows how often PostgreSQL says ReadyForQuery to it. Every row
// carries the client's name and a number that grows.
type walk struct {
	dice *rand.Rand
	name string
	row  int // the number of the last row

	messages []message
	owed     int  // ReadyForQuery
	status   byte // as the next ReadyForQuery will tell it
	skipping bool // PostgreSQL reads over everything up to Sync
	open     bool // requests without a Sync
	unnamed  bool // there is an unnamed statement
	named    bool // this session prepares named statements
	names    int
}

// The transaction status as ReadyForQuery tells it.
const (
	idle   = 'I'
	inside = 'T'
	failed = 'E'
)

// unit makes the next messages, all of which are answered by the last one of owed ReadyForQuery.
func (w *walk) unit() (messages []message, owed int) {
	w.messages, w.owed = nil, 0
	for range 1 + w.dice.IntN(6) {
		w.pick([]func(){w.simple, w.simple, w.batch, w.batch, w.batch, w.copy, w.odd})
	}
	w.sync()
	if w.owed == 0 {
		w.query("select "+w.id(), false, 0)
	}
	return w.messages, w.owed
}

func (w *walk) pick(moves []func()) { moves[w.dice.IntN(len(moves))]() }

func (w *walk) add(m ...message) { w.messages = append(w.messages, m...) }

// id is the name and number of the next row, as a literal.
func (w *walk) id() string {
	w.row++
	return fmt.Sprintf("'%s:%d'", w.name, w.row)
}

func (w *walk) sync() {
	if w.open || w.dice.IntN(8) == 0 {
		w.add(sync())
		w.owed++
		w.open, w.skipping = false, false
	}
}

// query sends a simple query. after is the status that it leaves when it is carried out; 0: as before.
func (w *walk) query(sql string, fails bool, after byte) {
	w.add(query(sql))
	w.queried(fails, after)
}

func (w *walk) queried(fails bool, after byte) {
	if w.skipping {
		return
	}
	w.owed++
	w.open, w.unnamed = false, false
	w.carriedOut(fails, after)
}

func (w *walk) carriedOut(fails bool, after byte) {
	switch {
	case after == idle:
		w.status = idle
	case fails && w.status == inside:
		w.status = failed
	case !fails && after != 0 && w.status == idle:
		w.status = after
	}
}

func (w *walk) simple() {
	w.pick([]func(){
		func() {
			w.query("select "+w.id()+", current_setting('timezone'), current_setting('datestyle')", false, 0)
		},
		func() {
			w.query(fmt.Sprintf("select %s; select %s, current_setting('application_name')", w.id(), w.id()), false, 0)
		},
		func() {
			w.query(fmt.Sprintf("select %s || ':' || n, repeat('x', %d) from generate_series(1, %d) n", w.id(), w.dice.IntN(3000), w.dice.IntN(40)), false, 0)
		},
		func() { w.query("select "+w.id()+"; select 1/0", true, 0) },
		func() { w.query("selekt", true, 0) },
		func() { w.query(";", false, 0) },
		func() { w.query("begin", false, inside) },
		func() { w.query("commit", false, idle) },
		func() { w.query("rollback", false, idle) },
		func() { w.query("set timezone = '"+w.zone()+"'", false, 0) },
		func() { w.query("set application_name = '"+w.name+w.zone()+"'", false, 0) },
		func() {
			w.query("set datestyle = '"+[]string{"German", "ISO, MDY", "SQL"}[w.dice.IntN(3)]+"'", false, 0)
		},
		func() { w.query("set timezone = 'Nowhere'", true, 0) },
	})
}

func (w *walk) zone() string { return []string{"UTC", "Asia/Tokyo", "Europe/Vienna"}[w.dice.IntN(3)] }

// request sends requests of the extended protocol, the last of which fails if any does.
func (w *walk) request(fails bool, m ...message) {
	w.add(m...)
	w.open = true
	if w.skipping {
		return
	}
	if fails || w.status == failed {
		w.skipping = true
		if w.status == inside {
			w.status = failed
		}
	}
}

// close sends what is allowed even in a transaction that has failed.
func (w *walk) close(m ...message) {
	w.add(m...)
	w.open = true
}

// parse sends a Parse of the unnamed statement. PostgreSQL drops the old one before it looks at the new one.
func (w *walk) parse(sql string, fails bool) {
	if !w.skipping {
		w.unnamed = !fails && w.status != failed
	}
	w.request(fails, parse("", sql))
}

func (w *walk) batch() {
	for range 1 + w.dice.IntN(4) {
		w.pick([]func(){w.select1, w.select1, w.again, w.portions, w.control, w.wrong, w.namedOne})
		if w.dice.IntN(6) == 0 {
			w.add(flush())
		}
	}
	if w.dice.IntN(5) > 0 {
		w.sync()
	}
}

func (w *walk) select1() {
	w.parse("select '"+w.name+":' || $1, repeat($1, 10), current_setting('timezone')", false)
	if w.dice.IntN(2) == 0 {
		w.request(false, describeStatement(""))
	}
	if w.dice.IntN(3) == 0 {
		w.sync()
	}
	w.again()
}

// again uses the unnamed statement that there is, be it from long ago.
func (w *walk) again() {
	w.row++
	w.request(!w.unnamed, bind("", "", strconv.Itoa(w.row)))
	w.request(false, describePortal(""), execute("", uint32(w.dice.IntN(3))))
}

func (w *walk) portions() {
	w.parse(fmt.Sprintf("select %s || ':' || n from generate_series(1, 5) n", w.id()), false)
	w.request(false, bind("", ""), execute("", 2), execute("", 2), execute("", 0))
	w.unnamedTakesNoValue()
}

// unnamedTakesNoValue makes the next use of the unnamed statement a Parse: this one has no parameter.
func (w *walk) unnamedTakesNoValue() {
	w.close(closeStatement(""))
	if !w.skipping {
		w.unnamed = false
	}
}

// control begins or ends a transaction in a batch of its own.
func (w *walk) control() {
	w.sync()
	sql, after := "begin", byte(inside)
	if w.dice.IntN(3) > 0 {
		sql, after = "rollback", idle
	}
	if w.open || w.status == failed && after == inside {
		return
	}
	w.add(parse("", sql), bind("", ""), execute("", 0), closeStatement(""), sync())
	w.owed++
	w.unnamed = false
	w.carriedOut(false, after)
}

func (w *walk) wrong() {
	w.pick([]func(){
		func() { w.parse("selekt", true) },
		func() {
			w.parse("select 1/0", false)
			w.request(true, bind("", ""))
			if w.skipping && w.unnamed { // the statement is good, its value is not: it may not be used again
				w.sync()
				w.add(closeStatement(""), sync())
				w.owed++
				w.unnamed = false
			}
		},
		func() { w.request(true, bind("", "nothing")) },
		func() { w.request(true, describePortal("nothing")) },
		func() { w.request(true, &pgproto3.Describe{ObjectType: 'X'}) },
		func() { w.request(true, execute("nothing", 0)) },
	})
}

// namedOne prepares a statement and uses it at once.
func (w *walk) namedOne() {
	if !w.named {
		return
	}
	w.names++
	w.row++
	name := fmt.Sprintf("s%d", w.names)
	w.request(false, parse(name, "select '"+w.name+":' || $1"))
	w.request(false, bind("p", name, strconv.Itoa(w.row)))
	w.request(false, execute("p", 0), closePortal("p"), closeStatement(name))
}

func (w *walk) copy() {
	if w.open { // whether the COPY begins at all is not worth the trouble here
		w.sync()
	}
	if w.open || w.skipping {
		return
	}
	w.pick([]func(){
		func() { w.query("copy (select "+w.id()+") to stdout", false, 0) },
		func() { w.copyIn("copy sink from stdin", copyDone(), false) },
		func() { w.copyIn("copy sink from stdin", copyFail("enough"), true) },
		func() { w.copyIn("copy t from stdin", copyDone(), true) },
	})
}

func (w *walk) copyIn(sql string, end message, fails bool) {
	w.add(query(sql))
	for range w.dice.IntN(4) {
		w.add(data(strings.Repeat("x", w.dice.IntN(100)) + "\n"))
	}
	if sql == "copy t from stdin" {
		w.add(data("not a number\n"))
	}
	w.add(end)
	w.queried(fails, 0)
}

// odd sends what a client ought not to send, and what PostgreSQL reads over.
func (w *walk) odd() {
	w.pick([]func(){
		func() { w.add(copyDone()) },
		func() { w.add(data("late\n"), copyFail("late")) },
		func() { w.add(flush(), flush()) },
		func() { w.close(closeStatement("nothing"), closePortal("nothing")) },
		func() { w.add(sync(), sync()); w.owed += 2; w.open, w.skipping = false, false },
	})
}
