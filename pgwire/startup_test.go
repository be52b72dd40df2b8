package pgwire_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/pgwire"
)

const hello = "user\x00kam\x00database\x00voip\x00\x00"

// feedOne feeds one packet and returns its event.
func feedOne(t *testing.T, s *pgwire.Startup, b []byte) pgwire.StartupEvent {
	t.Helper()
	used, ev, err := s.Feed(b)
	if err != nil || used != len(b) {
		t.Fatalf("used %d of %d, %v", used, len(b), err)
	}
	return ev
}

func TestAStartupMessageIsReadInOrder(t *testing.T) {
	body := "user\x00kam\x00TimeZone\x00UTC\x00database\x00voip\x00options\x00-c a.b=1\x00_pq_.x\x001\x00application_name\x00one\x00" +
		"replication\x00off\x00APPLICATION_NAME\x00two\x00search_path\x00a, \"b\"\x00\x00"
	var s pgwire.Startup
	ev := feedOne(t, &s, packet(0x00030002, body))
	want := pgwire.StartupMessage{
		Major: 3, Minor: 2, User: "kam", Database: "voip", Options: "-c a.b=1", Unknown: []string{"_pq_.x"},
		Params: []pgwire.Param{{Name: "TimeZone", Value: "UTC"}, {Name: "APPLICATION_NAME", Value: "two"}, {Name: "search_path", Value: "a, \"b\""}},
	}
	if ev.Kind != pgwire.EventMessage {
		t.Fatalf("event %v", ev.Kind)
	}
	if diff := cmp.Diff(want, ev.Message); diff != "" {
		t.Error(diff)
	}
	if v, ok := ev.Message.Param("timezone"); v != "UTC" || !ok {
		t.Errorf("Param: %q, %v", v, ok)
	}
	if v, ok := ev.Message.Param("user"); v != "" || ok {
		t.Errorf("Param of what is none: %q, %v", v, ok)
	}
}

func TestAMessageTellsWhetherItNeedsNegotiation(t *testing.T) {
	for _, c := range []struct {
		m     pgwire.StartupMessage
		needs bool
		minor uint16
		key   int
	}{
		{pgwire.StartupMessage{}, false, 0, 4}, {pgwire.StartupMessage{Minor: 1}, false, 1, 4}, {pgwire.StartupMessage{Minor: 2}, false, 2, 32},
		{pgwire.StartupMessage{Minor: 9999}, true, 2, 32}, {pgwire.StartupMessage{Unknown: []string{"_pq_.a"}}, true, 0, 4},
	} {
		minor := c.m.SpokenMinor()
		if needs, key := c.m.NeedsNegotiate(), pgwire.CancelKeyLen(minor); needs != c.needs || minor != c.minor || key != c.key {
			t.Errorf("%+v: %v, 3.%d, a key of %d bytes", c.m, needs, minor, key)
		}
	}
}

func TestReplicationIsABooleanOrDatabase(t *testing.T) {
	for values, want := range map[string]string{
		"true": "true", "T": "true", "tru": "true", "yes": "true", "y": "true", "ON": "true", "on": "true", "1": "true",
		"false": "", "f": "", "no": "", "of": "", "Off": "", "0": "",
		"database": "database", "database on": "database", "on database": "database", "database off": "", "off on": "true",
		"o": "!", "": "!", "2": "!", "truee": "!", "DATABASE": "!",
	} {
		body := "user\x00kam\x00"
		var bodySb75 strings.Builder
		for v := range strings.SplitSeq(values, " ") {
			bodySb75.WriteString("replication\x00" + v + "\x00")
		}
		body += bodySb75.String()
		var s pgwire.Startup
		_, ev, err := s.Feed(packet(0x00030000, body+"\x00"))
		got := ev.Message.Replication
		var e *pgwire.Error
		if errors.As(err, &e) && e.ID == pgwire.ErrReplicationValue {
			got = "!"
		}
		if got != want {
			t.Errorf("%q: %q, want %q (%v)", values, got, want, err)
		}
	}
}

func TestACancelRequestMayHaveAnyKeyOf4To256Bytes(t *testing.T) {
	for n := range 300 {
		key := bytes.Repeat([]byte{byte(n)}, n)
		var s pgwire.Startup
		_, ev, err := s.Feed(pgwire.AppendCancelRequest(nil, 0x80000001, key))
		if n < 4 || n > 256 {
			wantStartupError(t, err, pgwire.ErrStartupLength)
			continue
		}
		if err != nil || ev.Kind != pgwire.EventCancel || ev.PID != 0x80000001 || !bytes.Equal(ev.Key, key) {
			t.Errorf("key of %d bytes: %+v, %v", n, ev, err)
		}
	}
}

func TestACancelKeyIsACopy(t *testing.T) {
	b := pgwire.AppendCancelRequest(nil, 7, []byte("abcd"))
	var s pgwire.Startup
	ev := feedOne(t, &s, b)
	clear(b)
	if string(ev.Key) != "abcd" {
		t.Errorf("%q", ev.Key)
	}
}

func wantStartupError(t *testing.T, err error, id pgwire.ErrID) {
	t.Helper()
	var e *pgwire.Error
	if !errors.As(err, &e) || e.ID != id {
		t.Errorf("got %v, want %v", err, id)
	}
}

func TestWhatFollowsTheStartupMessageIsLeftToTheCaller(t *testing.T) {
	p := packet(0x00030000, hello)
	var s pgwire.Startup
	used, ev, err := s.Feed(append(slices.Clone(p), "password"...))
	if used != len(p) || ev.Kind != pgwire.EventMessage || err != nil {
		t.Errorf("%d, %v, %v", used, ev.Kind, err)
	}
	var split pgwire.Startup
	if used, ev, err = split.Feed(p[:9]); used != 9 || ev.Kind != pgwire.EventNeedMore || err != nil {
		t.Fatalf("%d, %v, %v", used, ev.Kind, err)
	}
	used, ev, err = split.Feed(append(slices.Clone(p[9:]), "password"...))
	if used != len(p)-9 || ev.Kind != pgwire.EventMessage || err != nil {
		t.Errorf("%d, %v, %v", used, ev.Kind, err)
	}
}

func TestALengthThatCannotBeIsRefusedBeforeThePacketCame(t *testing.T) {
	for _, word := range [][]byte{{0, 0, 0, 0}, {0, 0, 0, 7}, {0, 0, 0x27, 0x15}, {0xff, 0xff, 0xff, 0xff}, {0x80, 0, 0, 9}, []byte("GET "), {0x16, 3, 1, 2}} {
		var s pgwire.Startup
		_, _, err := s.Feed(word)
		wantStartupError(t, err, pgwire.ErrStartupLength)
		if e := err.(*pgwire.Error); !e.Silent() {
			t.Errorf("% x: %v would be sent", word, e)
		}
	}
}

func TestEncryptionRequestsAreRefusedOnceTLSStands(t *testing.T) {
	for _, request := range [][]byte{pgwire.AppendSSLRequest(nil), pgwire.AppendGSSENCRequest(nil)} {
		var s pgwire.Startup
		s.Encrypted()
		_, _, err := s.Feed(request)
		wantStartupError(t, err, pgwire.ErrProtocolVersion)
	}
}

func TestStuffedBytesAreRefusedInPieces(t *testing.T) {
	b := append(pgwire.AppendSSLRequest(nil), 'x')
	var s pgwire.Startup
	if _, ev, err := s.Feed(b[:5]); ev.Kind != pgwire.EventNeedMore || err != nil {
		t.Fatal(ev, err)
	}
	_, _, err := s.Feed(b[5:])
	wantStartupError(t, err, pgwire.ErrUnencryptedAfterSSL)
	if sent := pgwire.AppendError(nil, err.(*pgwire.Error)); !bytes.HasPrefix(sent, []byte("NE\x00")) {
		t.Errorf("the client waits for one byte first: %q", sent)
	}
}

func TestTheMachineIsOverAfterItsLastEvent(t *testing.T) {
	for _, last := range [][]byte{packet(0x00030000, hello), packet(0x00040000, hello), {0, 0, 0, 0}, pgwire.AppendCancelRequest(nil, 1, []byte("abcd"))} {
		var s pgwire.Startup
		_, _, _ = s.Feed(last)
		used, ev, err := s.Feed(packet(0x00030000, hello))
		if used != 0 || ev.Kind != pgwire.EventNeedMore || err == nil {
			t.Errorf("% x: %d, %v, %v", last[:4], used, ev, err)
		}
		if e := s.EOF(); e != nil {
			t.Errorf("% x: EOF: %v", last[:4], e)
		}
	}
}

func TestAnEndInTheMiddleOfAPacketIsTold(t *testing.T) {
	var s pgwire.Startup
	if e := s.EOF(); e != nil {
		t.Errorf("before the first byte: %v", e)
	}
	feedOne(t, &s, pgwire.AppendSSLRequest(nil))
	if e := s.EOF(); e != nil {
		t.Errorf("between packets: %v", e)
	}
	for _, n := range []int{1, 5} {
		var s pgwire.Startup
		feedOne(t, &s, packet(0x00030000, hello)[:n])
		if e := s.EOF(); e == nil || e.ID != pgwire.ErrStartupIncomplete || !e.Silent() {
			t.Errorf("after %d bytes: %v", n, e)
		}
	}
}

func TestDirectTLSIsSeenInTheFirstByte(t *testing.T) {
	if !pgwire.IsDirectTLS(0x16) || pgwire.IsDirectTLS(0) {
		t.Error("wrong")
	}
}

// The oracle: what pgproto3 builds we read, what we build pgproto3 reads.
func TestStartupAgreesWithPgproto3(t *testing.T) {
	theirs, err := (&pgproto3.StartupMessage{ProtocolVersion: 0x00030002, Parameters: map[string]string{"user": "kam", "database": "voip", "TimeZone": "UTC"}}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	var s pgwire.Startup
	m := feedOne(t, &s, theirs).Message
	if m.User != "kam" || m.Database != "voip" || m.Minor != 2 || !slices.Equal(m.Params, []pgwire.Param{{Name: "TimeZone", Value: "UTC"}}) {
		t.Errorf("%+v", m)
	}
	ours := pgwire.AppendStartup(nil, []pgwire.Param{{Name: "user", Value: "kam"}, {Name: "database", Value: "voip"}})
	var back pgproto3.StartupMessage
	if err := back.Decode(ours[4:]); err != nil {
		t.Fatal(err)
	}
	if back.ProtocolVersion != pgproto3.ProtocolVersion30 || back.Parameters["user"] != "kam" || back.Parameters["database"] != "voip" {
		t.Errorf("%+v", back)
	}
}

// run feeds a whole input in pieces of at most size bytes, as a caller would, and tells what happened.
func run(input []byte, size int) (events []string, rest []byte, err error) {
	var s pgwire.Startup
	for len(input) > 0 {
		used, ev, err := s.Feed(input[:min(size, len(input))])
		if used > min(size, len(input)) {
			panic("more was used than was there")
		}
		input = input[used:]
		if err != nil {
			return events, input, err
		}
		switch ev.Kind {
		case pgwire.EventNeedMore:
		case pgwire.EventCancel, pgwire.EventMessage:
			return append(events, fmt.Sprintf("%+v", ev)), input, nil
		default:
			events = append(events, fmt.Sprintf("%+v", ev))
		}
	}
	return events, nil, nil
}

// FuzzStartup (its seeds lie in testdata/fuzz): bytes one by one give what the whole gives, except that bytes behind an encryption request are only seen when
// they came with it.
func FuzzStartup(f *testing.F) {
	f.Fuzz(func(t *testing.T, input []byte, size byte) {
		events, rest, err := run(input, max(len(input), 1))
		single, singleRest, singleErr := run(input, 1)
		pieces, _, piecesErr := run(input, int(max(size, 1)))
		if id := idOf(piecesErr); id == pgwire.ErrUnencryptedAfterSSL || id == pgwire.ErrUnencryptedAfterGSS {
			pieces = append(pieces, "?") // the request itself
		}
		if len(pieces) > len(single) {
			t.Errorf("pieces of %d: %q, bytes: %q", size, pieces, single)
		}
		if id := idOf(err); id == pgwire.ErrUnencryptedAfterSSL || id == pgwire.ErrUnencryptedAfterGSS {
			if len(single) <= len(events) || !slices.Equal(events, single[:len(events)]) {
				t.Errorf("whole: %q, bytes: %q", events, single)
			}
			return
		}
		if !slices.Equal(events, single) || !sameError(err, singleErr) || err == nil && !bytes.Equal(rest, singleRest) {
			t.Errorf("whole: %q, %q, %v\nbytes: %q, %q, %v", events, rest, err, single, singleRest, singleErr)
		}
		checkStartupError(t, err)
	})
}

// checkStartupError: every error is of the table, fatal, and what is sent can be read by a client.
func checkStartupError(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	e, ok := err.(*pgwire.Error)
	if !ok || e.ID == pgwire.ErrNone || !e.Fatal() {
		t.Fatalf("%#v", err)
	}
	b := pgwire.AppendError(nil, e)
	if e.OldStyle {
		if !bytes.HasPrefix(b, []byte("EFATAL:  ")) || b[len(b)-1] != 0 {
			t.Errorf("%q", b)
		}
		return
	}
	b = bytes.TrimPrefix(b, []byte("N"))
	if f, ok, err := pgwire.PeekBackend(b); !ok || err != nil || f.Len != len(b) {
		t.Errorf("%q: %v, %v", b, f, err)
	}
}

func idOf(err error) pgwire.ErrID {
	if e, ok := errors.AsType[*pgwire.Error](err); ok {
		return e.ID
	}
	return pgwire.ErrNone
}
