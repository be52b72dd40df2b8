package relay

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/pgrouter/pgrouter/pgwire"
)

// act is what one SQL statement does, as a person who knows PostgreSQL would say.
type act uint8

const (
	actRead act = iota
	actWrite
	actBegin
	actCommit
	actCommitChain
	actRollback
	actPrepareTx      // PREPARE TRANSACTION
	actCommitPrepared // COMMIT PREPARED
	actProcedure      // CALL, DO: outside a block it commits on its own, and it reaches beyond the database
	actCopyIn
	actCopyRefused // COPY FROM that a trigger refuses before it reads anything
	actCopyOut
	actCopyProgram // COPY TO PROGRAM, to a file: nothing takes it back
	actFail
	actSavepoint
	actRollbackTo
	actSet
	actVacuum // commits at once, and is refused in a block
)

// mayEndBlock tells the statements that begin with a keyword which can end a transaction.
func (a act) mayEndBlock() bool {
	switch a {
	case actCommit, actCommitChain, actRollback, actPrepareTx, actCommitPrepared, actProcedure, actRollbackTo, actVacuum:
		return true
	default:
		return false
	}
}

// reads tells the statements that change nothing by themselves. COMMIT makes durable what others did.
func (a act) reads() bool {
	switch a {
	case actRead, actBegin, actCommit, actCommitChain, actRollback, actSavepoint, actRollbackTo, actSet, actFail:
		return true
	default:
		return false
	}
}

// The texts of the model, each with what it does. The router never sees this table.
var longInsert = "insert into t values ('" + strings.Repeat("x", 20*1024) + "')"

var acts = map[string][]act{
	"select 1":                               {actRead},
	"select ';commit'":                       {actRead},
	"select 1; select 2":                     {actRead, actRead},
	"insert into t values (1)":               {actWrite},
	"/* commit */ insert into t values (1);": {actWrite},
	longInsert:                               {actWrite},
	"begin":                                  {actBegin},
	"start transaction":                      {actBegin},
	"begin; insert into t values (1)":        {actBegin, actWrite},
	"commit":                                 {actCommit},
	"/* nothing */ End;":                     {actCommit},
	"commit and chain":                       {actCommitChain},
	"rollback":                               {actRollback},
	"abort":                                  {actRollback},
	"prepare transaction 'x'":                {actPrepareTx},
	"commit prepared 'x'":                    {actCommitPrepared},
	"insert into t values (1); commit; select 1": {actWrite, actCommit, actRead},
	"call p()": {actProcedure},
	"do $$begin insert into t values (1); commit; end$$": {actProcedure},
	"copy guarded from stdin":                            {actCopyRefused},
	"copy t from stdin; select 1":                        {actCopyIn, actRead},
	"copy t from stdin":                                  {actCopyIn},
	"copy t to program 'x'":                              {actCopyProgram},
	"/* out */ COPY t to program 'x'":                    {actCopyProgram},
	"copy t to stdout":                                   {actCopyOut},
	"select 1/0":                                         {actFail},
	"savepoint a":                                        {actSavepoint},
	"rollback to a":                                      {actRollbackTo},
	"set work_mem = '1MB'":                               {actSet},
	"listen x":                                           {actSet},
	"vacuum t":                                           {actVacuum},
	"":                                                   {},
}

// portal is a bound statement.
type portal struct {
	text string
	rows int // still to be fetched
	done bool
}

// truth is a small PostgreSQL that knows what is durable. It reads whole messages, one by one, and nothing of the router.
type truth struct {
	standby  bool
	promoted int    // the standby is promoted before it reads this message, counted from 1; 0 is never
	read     int    // how many messages it has read
	silent   bool   // it was promoted, and has not said so
	recovery bool   // the block was begun in recovery, so that it stays read-only
	noise    []byte // asynchronous messages, put in front of each answer

	status     byte
	dirty      []string // what the transaction under way has changed
	atSave     []string // the same when the savepoint was set
	saved      bool
	durable    []string // what outlives the server, in order
	outside    []string // what procedures and functions did beyond the database, where nothing takes it back
	ran        int      // how many statements were run
	zs         int      // how many ReadyForQuery were said
	enders     int      // how many statements were run that may end a block
	writers    int      // how many statements were run that may change the database
	ignoring   bool
	copying    byte  // 0, or the kind of message that began the COPY
	rest       []act // what the Query has behind its COPY
	statements map[string]string
	portals    map[string]*portal
	out        []byte
}

// promotion is what a standby says when it has been promoted.
var promotion = pgwire.AppendParameterStatus(nil, "in_hot_standby", "off")

// newTruth returns a server on which a stranger has left his unnamed statement.
func newTruth(standby bool, durable, outside []string) *truth {
	return &truth{
		standby: standby, status: StatusIdle, durable: slices.Clone(durable), outside: slices.Clone(outside),
		statements: map[string]string{"": "insert into t values (1)"}, portals: map[string]*portal{},
	}
}

// take processes one whole message and returns what it answers.
func (s *truth) take(msg []byte) []byte {
	s.out = nil
	if s.read++; s.read == s.promoted {
		s.standby, s.silent = false, true
	}
	s.message(msg[0], msg[pgwire.HeaderLen:])
	if len(s.out) > 0 {
		return append(slices.Clone(s.noise), s.out...)
	}
	return nil
}

func (s *truth) message(kind byte, body []byte) {
	if s.copying != 0 {
		s.inCopy(kind, body)
		return
	}
	switch kind {
	case pgwire.KindCopyData, pgwire.KindCopyDone, pgwire.KindCopyFail, pgwire.KindFlush:
		return
	case pgwire.KindSync:
		s.ignoring = false
		s.endOfCommand()
		return
	}
	if s.ignoring {
		return
	}
	switch kind {
	case pgwire.KindQuery:
		delete(s.statements, "")
		delete(s.portals, "")
		s.query(string(body[:len(body)-1]))
	case pgwire.KindFunctionCall:
		s.out = append(s.out, 'V', 0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff)
		s.ran++
		s.writers++
		s.dirty, s.outside = append(s.dirty, "function"), append(s.outside, "function")
		s.endOfCommand()
	default:
		s.extended(kind, body)
	}
}

// endOfCommand commits what is outside of a block, and says ReadyForQuery.
func (s *truth) endOfCommand() {
	if s.status == StatusIdle {
		s.commit()
	}
	s.zs++
	if s.silent { // PostgreSQL looks after that here and nowhere else
		s.silent = false
		s.out = append(s.out, promotion...)
	}
	s.out = pgwire.AppendReadyForQuery(s.out, s.status)
}

func (s *truth) commit() {
	if s.status != StatusFailed && !s.readOnly() {
		s.durable = append(s.durable, s.dirty...)
	}
	s.abort()
}

// readOnly reports whether what runs now cannot change the database. A block that began in recovery cannot until it ends.
func (s *truth) readOnly() bool { return s.standby || s.recovery && s.status != StatusIdle }

func (s *truth) abort() {
	s.dirty, s.saved = nil, false
	clear(s.portals)
}

func (s *truth) fail(code string, began byte) {
	if s.status == StatusIdle {
		s.abort()
	} else {
		s.status = StatusFailed
	}
	s.ignoring = began == 'E'
	s.out = pgwire.AppendError(s.out, &pgwire.Error{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: code, Message: "no"})
}

func (s *truth) complete(tag string) bool {
	s.out = pgwire.AppendCommandComplete(s.out, tag)
	return true
}

func (s *truth) query(text string) {
	list, known := acts[text]
	switch {
	case !known:
		s.fail("42601", 'Q')
	case len(list) == 0:
		s.out = pgwire.AppendEmptyQueryResponse(s.out)
	}
	s.list(list, len(list) > 1)
}

// list runs what is left of a Query.
func (s *truth) list(list []act, several bool) {
	for i, a := range list {
		if !s.run(a, 'Q', several) {
			s.rest = list[i+1:]
			break
		}
	}
	if s.copying == 0 {
		s.endOfCommand()
	}
}

// run executes one statement. It returns false when what stands behind it is not run now.
func (s *truth) run(a act, began byte, several bool) bool {
	s.ran++
	if a.mayEndBlock() {
		s.enders++
	}
	if !a.reads() {
		s.writers++
	}
	if s.status == StatusFailed && a != actCommit && a != actRollback && a != actRollbackTo {
		s.fail("25P02", began)
		return false
	}
	if s.readOnly() && (a == actWrite || a == actCopyIn || a == actCopyRefused || a == actVacuum || a == actCommitPrepared) {
		s.fail("25006", began)
		return false
	}
	switch a {
	case actBegin, actCommit, actCommitChain, actRollback, actPrepareTx, actCommitPrepared, actSavepoint, actRollbackTo:
		return s.runControl(a, began)
	case actRead:
		if began == 'Q' {
			s.out = pgwire.AppendRowDescription(s.out, []string{"n"})
		}
		s.out = pgwire.AppendDataRow(s.out, []string{"1"})
		return s.complete("SELECT 1")
	case actWrite:
		s.dirty = append(s.dirty, "write")
		return s.complete("INSERT 0 1")
	case actProcedure:
		s.dirty, s.outside = append(s.dirty, "procedure"), append(s.outside, "procedure")
		if s.status == StatusIdle && !several {
			s.commit()
		}
		return s.complete("CALL")
	case actCopyIn:
		s.copying = began
		s.out = append(s.out, 'G', 0, 0, 0, 7, 0, 0, 0)
		return false
	case actCopyOut:
		s.out = append(s.out, 'H', 0, 0, 0, 7, 0, 0, 0, 'd', 0, 0, 0, 5, 'x', 'c', 0, 0, 0, 4)
		return s.complete("COPY 1")
	case actCopyRefused:
		s.out = append(s.out, 'G', 0, 0, 0, 7, 0, 0, 0)
		s.fail("P0001", began)
		return false
	case actCopyProgram:
		s.outside = append(s.outside, "program")
		return s.complete("COPY 1")
	case actVacuum:
		if s.status != StatusIdle {
			s.fail("25001", began)
			return false
		}
		s.dirty = append(s.dirty, "vacuum")
		s.commit()
		return s.complete("VACUUM")
	case actSet:
		return s.complete("SET")
	default: // actFail
		s.fail("22012", began)
		return false
	}
}

// runControl executes what speaks of transactions.
func (s *truth) runControl(a act, began byte) bool {
	inBlock := s.status != StatusIdle
	switch a {
	case actBegin:
		s.status, s.recovery = StatusBlock, s.standby
		return s.complete("BEGIN")
	case actCommit, actCommitChain:
		if a == actCommitChain && !inBlock {
			s.fail("25P01", began)
			return false
		}
		s.commit()
		s.status = StatusIdle
		if a == actCommitChain {
			s.status = StatusBlock
		}
		return s.complete("COMMIT")
	case actRollback:
		s.abort()
		s.status = StatusIdle
		return s.complete("ROLLBACK")
	case actPrepareTx:
		s.commit() // it outlives the server, like a commit
		s.status = StatusIdle
		return s.complete("PREPARE TRANSACTION")
	case actCommitPrepared:
		if inBlock {
			s.fail("25001", began)
			return false
		}
		s.dirty = append(s.dirty, "prepared")
		s.commit()
		return s.complete("COMMIT PREPARED")
	case actSavepoint:
		s.atSave, s.saved = slices.Clone(s.dirty), true
		return s.complete("SAVEPOINT")
	default: // actRollbackTo
		if !s.saved {
			s.fail("3B001", began)
			return false
		}
		s.dirty, s.status = slices.Clone(s.atSave), StatusBlock
		return s.complete("ROLLBACK")
	}
}

func (s *truth) inCopy(kind byte, body []byte) {
	began := s.copying
	switch kind {
	case pgwire.KindSync, pgwire.KindFlush:
		return
	case pgwire.KindCopyData:
		if len(body) == 0 || body[0] != '!' {
			return
		}
		s.copying = 0
		s.fail("22P04", began) // the data are bad, and more may be on its way
	case pgwire.KindCopyDone:
		s.copying = 0
		s.dirty = append(s.dirty, "copy")
		s.complete("COPY 1")
		if began == 'Q' {
			s.list(s.rest, true)
			return
		}
	default: // CopyFail, and what has no place in a COPY
		s.copying = 0
		s.fail("57014", began)
	}
	if began == 'Q' {
		s.endOfCommand()
	}
}

// extended processes what only the extended protocol has.
func (s *truth) extended(kind byte, body []byte) {
	switch kind {
	case pgwire.KindParse:
		s.parse(body)
	case pgwire.KindBind:
		name, rest, _ := bytes.Cut(body, []byte{0})
		statement, _, _ := bytes.Cut(rest, []byte{0})
		text, known := s.statements[string(statement)]
		switch {
		case !known:
			s.fail("26000", 'E')
		case s.refusedInFailed(text):
			s.fail("25P02", 'E')
		default:
			s.portals[string(name)] = &portal{text: text, rows: 2}
			s.out = pgwire.AppendBindComplete(s.out)
		}
	case pgwire.KindDescribe:
		s.describe(body[0], string(body[1:len(body)-1]))
	case pgwire.KindExecute:
		name, rest, _ := bytes.Cut(body, []byte{0})
		s.execute(s.portals[string(name)], int(rest[3]))
	case pgwire.KindClose:
		if name := string(body[1 : len(body)-1]); body[0] == 'S' {
			delete(s.statements, name)
		} else {
			delete(s.portals, name)
		}
		s.out = pgwire.AppendCloseComplete(s.out)
	}
}

// refusedInFailed reports whether a failed block lets the text not even be prepared.
func (s *truth) refusedInFailed(text string) bool {
	if s.status != StatusFailed || len(acts[text]) == 0 {
		return false
	}
	a := acts[text][0]
	return a != actCommit && a != actRollback && a != actRollbackTo
}

func (s *truth) parse(body []byte) {
	name, rest, _ := bytes.Cut(body, []byte{0})
	sql, _, _ := bytes.Cut(rest, []byte{0})
	text := string(sql)
	if len(name) == 0 {
		delete(s.statements, "") // also when the new one fails
	}
	_, taken := s.statements[string(name)]
	_, known := acts[text]
	switch {
	case !known || len(acts[text]) > 1:
		s.fail("42601", 'E')
	case taken:
		s.fail("42P05", 'E')
	case s.refusedInFailed(text):
		s.fail("25P02", 'E')
	default:
		s.statements[string(name)] = text
		s.out = pgwire.AppendParseComplete(s.out)
	}
}

func (s *truth) describe(target byte, name string) {
	text, known := s.statements[name]
	if target == 'P' {
		p := s.portals[name]
		if known = p != nil; known {
			text = p.text
		}
	} else if known {
		s.out = pgwire.AppendParameterDescription(s.out, nil)
	}
	switch {
	case !known:
		s.fail("26000", 'E')
	case len(acts[text]) == 1 && acts[text][0] == actRead:
		s.out = pgwire.AppendRowDescription(s.out, []string{"n"})
	default:
		s.out = pgwire.AppendNoData(s.out)
	}
}

// execute runs a portal, a read by rows up to a limit.
func (s *truth) execute(p *portal, limit int) {
	switch {
	case p == nil:
		s.fail("34000", 'E')
	case len(acts[p.text]) == 0:
		s.out = pgwire.AppendEmptyQueryResponse(s.out)
	case acts[p.text][0] == actRead && s.status != StatusFailed:
		s.ran++
		n := p.rows
		if limit > 0 {
			n = min(n, limit)
		}
		for range n {
			s.out = pgwire.AppendDataRow(s.out, []string{"1"})
		}
		if p.rows -= n; limit > 0 && n == limit {
			s.out = append(s.out, pgwire.KindPortalSuspended, 0, 0, 0, 4)
			return
		}
		s.complete("SELECT " + strconv.Itoa(n))
	case p.done:
		s.fail("55000", 'E')
	default:
		p.done = true
		s.run(acts[p.text][0], 'E', false)
	}
}
