package relay

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// said makes a message of a server's, be it one that no server sends.
func said(kind byte, body string) []byte {
	n := len(body) + 4
	return append([]byte{kind, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

var (
	answered  = pgwire.AppendCommandComplete(nil, "SELECT 1")
	readyIdle = pgwire.AppendReadyForQuery(nil, StatusIdle)
	begunThen = join(pgwire.AppendCommandComplete(nil, "BEGIN"), pgwire.AppendReadyForQuery(nil, StatusBlock))
)

// TestAnswersThatNobodyIsOwedEndTheServer: each is what a server says to requests, and what the last of its messages is taken for.
// What is wrong only to the client's own eyes may pass: it is his answer, and the next one's place in the line is known.
func TestAnswersThatNobodyIsOwedEndTheServer(t *testing.T) {
	batch := join(parse("", "select 1"), bindTo("", ""), execute("", 0), syncMsg())
	failed := said('E', "SERROR\x00C42601\x00Mno\x00\x00")
	for name, tc := range map[string]struct {
		asked, says []byte
		want        Verb
	}{
		"ready before the answer":            {query("select 1"), readyIdle, Violation},
		"ready before a function's result":   {functionCall, readyIdle, Violation},
		"ready in the middle of a batch":     {batch, readyIdle, Violation},
		"ready twice":                        {query("select 1"), join(answered, readyIdle, readyIdle), Violation},
		"ready without a question":           {nil, readyIdle, Violation},
		"ready in a state that nobody knows": {query("select 1"), join(answered, said('Z', "X")), Violation},
		"ready in state 0":                   {syncMsg(), said('Z', "\x00"), Violation},
		"complete for a Sync":                {syncMsg(), answered, Violation},
		"complete twice for an Execute":      {batch, join(pgwire.AppendParseComplete(nil), pgwire.AppendBindComplete(nil), answered, answered), Violation},
		"parsed for a Query":                 {query("select 1"), pgwire.AppendParseComplete(nil), Violation},
		"bound before parsed":                {batch, pgwire.AppendBindComplete(nil), Violation},
		"a row for a Parse":                  {batch, pgwire.AppendDataRow(nil, []string{"x"}), Violation},
		"a row without a question":           {nil, pgwire.AppendDataRow(nil, []string{"x"}), Violation},
		"an error without a question":        {nil, failed, Violation},
		"a login":                            {query("select 1"), pgwire.AppendAuthOk(nil), Violation},
		"a key":                              {query("select 1"), pgwire.AppendBackendKeyData(nil, 1, []byte("1234")), Violation},
		"replication":                        {query("select 1"), said('W', "\x00\x00\x00"), Violation},
		"a kind that does not exist":         {query("select 1"), said('?', "abc"), Violation},
		"an error without its end":           {query("select 1"), said('E', "SERROR\x00Mcut"), Violation},
		"an error with bytes behind its end": {query("select 1"), said('E', "SERROR\x00\x00behind"), Violation},
		"a FATAL without its end":            {query("select 1"), said('E', "SFATAL\x00C57P01\x00Mcut"), Violation},
		"a parameter without a value":        {query("select 1"), said('S', "TimeZone\x00"), Violation},

		"ready after the answer":      {query("select 1"), join(answered, readyIdle), UnitEnd},
		"ready after an error":        {query("select 1"), join(failed, readyIdle), UnitEnd},
		"ready after nothing":         {query(""), join(said('I', ""), readyIdle), UnitEnd},
		"ready after a result":        {functionCall, join(said('V', "\x00\x00\x00\x00"), readyIdle), UnitEnd},
		"a row that nobody described": {query("select 1"), pgwire.AppendDataRow(nil, []string{"x"}), More},
		"complete twice for a Query":  {query("select 1; select 2"), join(answered, answered, readyIdle), UnitEnd},
		"a row after an error":        {query("select 1"), join(failed, pgwire.AppendDataRow(nil, []string{"x"}), readyIdle), UnitEnd},
		"an error without a code":     {query("select 1"), join(said('E', "SERROR\x00Mno code\x00\x00"), readyIdle), UnitEnd},
		"an error without fields":     {query("select 1"), join(said('E', "\x00"), readyIdle), UnitEnd},
		"a FATAL without a code":      {query("select 1"), said('E', "SFATAL\x00Mno code\x00\x00"), Fatal},
	} {
		for _, step := range []int{1, 7, 1 << 20} {
			l := linked(t, false, event.PinNone, tc.asked)
			if _, last := feedAll(t, tc.says, step, l, l.FromServer); last != tc.want {
				t.Errorf("%s, in pieces of %d: %v, want %v", name, step, last, tc.want)
			}
		}
	}
}

// TestAPreludeIsDoneOnlyWhenTheServerSaysSo: what it answers is nobody else's, and leaves it outside of a transaction.
func TestAPreludeIsDoneOnlyWhenTheServerSaysSo(t *testing.T) {
	set := pgwire.AppendCommandComplete(nil, "SET")
	for name, tc := range map[string]struct {
		says []byte
		want Verb
	}{
		"done":             {join(set, readyIdle), PreludeDone},
		"not a word":       {readyIdle, Violation},
		"in a transaction": {join(set, pgwire.AppendReadyForQuery(nil, StatusBlock)), Violation},
		"out of order":     {pgwire.AppendParseComplete(nil), Violation},
		"malformed error":  {said('E', "SERROR\x00Mcut"), Violation},
	} {
		l := linked(t, false, event.PinNone)
		l.Prelude()
		if _, last := feedAll(t, tc.says, len(tc.says), l, l.FromServer); last != tc.want {
			t.Errorf("%s: %v, want %v", name, last, tc.want)
		}
	}
}

// TestAnImpossibleLengthIsFoundAtItsHeader whatever kind of message it stands in, and whatever is asked.
func TestAnImpossibleLengthIsFoundAtItsHeader(t *testing.T) {
	for kind := range 256 {
		for _, length := range []uint32{0, 1, 3, 0x40000003, 0x7fffffff, 0x80000000, 0xffffffff} {
			for _, asked := range [][]byte{nil, query("select 1"), syncMsg()} {
				l := linked(t, false, event.PinNone, asked)
				header := binary.BigEndian.AppendUint32([]byte{byte(kind)}, length)
				if out, last := feedAll(t, header, 1, l, l.FromServer); last != Violation || len(out) > 0 {
					t.Errorf("%q of length %#x: %v, %d bytes forwarded", byte(kind), length, last, len(out))
				}
			}
		}
	}
}

// TestANotificationReachesOnlyWhoListens: the server may listen for somebody who had it before.
func TestANotificationReachesOnlyWhoListens(t *testing.T) {
	news := said('A', "\x00\x00\x00\x01news\x00text\x00")
	for name, tc := range map[string]struct {
		pin   event.PinReason
		asked []byte
		hears bool
	}{
		"asks":            {event.PinNone, query("select 1"), false},
		"asks nothing":    {event.PinNone, nil, false},
		"listens":         {event.PinNone, query("listen news"), true},
		"may have before": {event.PinSession, query("select 1"), true},
	} {
		for _, step := range []int{1, len(news)} {
			stray := &strays{}
			l := &Link{Observer: stray}
			l.Attach(false, tc.pin)
			feedAll(t, tc.asked, len(tc.asked)+1, l, l.FromClient)
			out, _ := feedAll(t, news, step, l, l.FromServer)
			if hears := bytes.Equal(out, news); hears != tc.hears || len(out) > 0 != tc.hears || stray.n > 0 == tc.hears {
				t.Errorf("a client that %s: got %q, %d strays", name, out, stray.n)
			}
		}
	}
}

// strays counts notifications that nobody has asked for.
type strays struct {
	deaf
	n int
}

func (s *strays) Stray() { s.n++ }

// TestAServerCannotMakeUsKeepALongMessage: what is awaited whole is short; of an error that is not the beginning says what it is.
func TestAServerCannotMakeUsKeepALongMessage(t *testing.T) {
	huge := func(kind byte) []byte { return []byte{kind, 0x3f, 0xff, 0xff, 0} }
	for _, kind := range "ENSA" {
		l := linked(t, false, event.PinNone, query("begin"), begunThen)
		if _, last := feedAll(t, huge(byte(kind)), pgwire.HeaderLen, l, l.FromServer); last != Violation {
			t.Errorf("%c of a gigabyte in a transaction in which nothing is asked: %v", kind, last)
		}
	}
	long := strings.Repeat("x", 3*holdLimit)
	for name, tc := range map[string]struct {
		says []byte
		want Verb
	}{
		"error":  {said('E', "SERROR\x00C25006\x00M"+long+"\x00\x00"), More},
		"FATAL":  {said('E', "SFATAL\x00C57P01\x00M"+long+"\x00\x00"), Violation},
		"notice": {said('N', "SNOTICE\x00C00000\x00M"+long+"\x00\x00"), More},
	} {
		l := linked(t, false, event.PinNone, query("select 1"))
		out, last := feedAll(t, tc.says, 1000, l, l.FromServer)
		if last != tc.want || tc.want == More && !bytes.Equal(out, tc.says) {
			t.Errorf("a long %s: %v, %d of %d bytes", name, last, len(out), len(tc.says))
		}
	}
}
