package pgwire_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/pgwire"
)

// built is a message as we build it and as pgproto3, the oracle, does.
type built struct {
	name   string
	ours   func(dst []byte) []byte
	oracle interface{ Encode([]byte) ([]byte, error) }
}

func clientMessages() []built {
	sasl, key := []byte("n,,n=,r=abc"), []byte("abcd")
	types := []uint32{23, 25}
	params := [][]byte{[]byte("1"), nil, {}}
	one := []pgwire.Param{{Name: "user", Value: "kam"}}
	return []built{
		{"StartupMessage", func(d []byte) []byte { return pgwire.AppendStartup(d, one) },
			&pgproto3.StartupMessage{ProtocolVersion: 0x00030000, Parameters: map[string]string{"user": "kam"}}},
		{"StartupMessage of 3.2", func(d []byte) []byte { return pgwire.AppendStartupVersion(d, 3, 2, one) },
			&pgproto3.StartupMessage{ProtocolVersion: 0x00030002, Parameters: map[string]string{"user": "kam"}}},
		{"SSLRequest", pgwire.AppendSSLRequest, &pgproto3.SSLRequest{}},
		{"GSSENCRequest", pgwire.AppendGSSENCRequest, &pgproto3.GSSEncRequest{}},
		{"CancelRequest", func(d []byte) []byte { return pgwire.AppendCancelRequest(d, 9, key) }, &pgproto3.CancelRequest{ProcessID: 9, SecretKey: key}},
		{"PasswordMessage", func(d []byte) []byte { return pgwire.AppendPassword(d, "geheim") }, &pgproto3.PasswordMessage{Password: "geheim"}},
		{"SASLInitialResponse", func(d []byte) []byte { return pgwire.AppendSASLInitialResponse(d, "SCRAM-SHA-256", sasl) },
			&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: sasl}},
		{"SASLResponse", func(d []byte) []byte { return pgwire.AppendSASLResponse(d, sasl) }, &pgproto3.SASLResponse{Data: sasl}},
		{"Query", func(d []byte) []byte { return pgwire.AppendQuery(d, "SELECT 1") }, &pgproto3.Query{String: "SELECT 1"}},
		{"Parse", func(d []byte) []byte { return pgwire.AppendParse(d, "s", "SELECT $1", types) },
			&pgproto3.Parse{Name: "s", Query: "SELECT $1", ParameterOIDs: types}},
		{"Bind", func(d []byte) []byte { return pgwire.AppendBind(d, "p", "s", params) },
			&pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "s", Parameters: params}},
		{"Describe", func(d []byte) []byte { return pgwire.AppendDescribe(d, pgwire.TargetStatement, "s") }, &pgproto3.Describe{ObjectType: 'S', Name: "s"}},
		{"Close", func(d []byte) []byte { return pgwire.AppendClose(d, pgwire.TargetPortal, "p") }, &pgproto3.Close{ObjectType: 'P', Name: "p"}},
		{"Execute", func(d []byte) []byte { return pgwire.AppendExecute(d, "p", 10) }, &pgproto3.Execute{Portal: "p", MaxRows: 10}},
		{"Sync", pgwire.AppendSync, &pgproto3.Sync{}},
		{"Flush", pgwire.AppendFlush, &pgproto3.Flush{}},
		{"Terminate", pgwire.AppendTerminate, &pgproto3.Terminate{}},
		{"CopyFail", func(d []byte) []byte { return pgwire.AppendCopyFail(d, "no") }, &pgproto3.CopyFail{Message: "no"}},
	}
}

func serverMessages() []built {
	key, long := []byte("abcd"), bytes.Repeat([]byte("k"), 256)
	values := []string{"1", "", "drei"}
	nullable := [][]byte{[]byte("1"), nil, {}}
	names, unknown := []string{"a", "bb"}, []string{"_pq_.x"}
	types := []uint32{23, 25}
	columns := []pgwire.Column{{Name: "a"}, {Name: "b", OID: pgwire.OIDInt8}, {Name: "c", OID: pgwire.OIDInt4}, {Name: "d", OID: pgwire.OIDFloat8}}
	failure := pgwire.ErrHoldTimeout.New("held 8 s")
	return []built{
		{"AuthenticationOk", pgwire.AppendAuthOk, &pgproto3.AuthenticationOk{}},
		{"AuthenticationCleartextPassword", pgwire.AppendAuthCleartextPassword, &pgproto3.AuthenticationCleartextPassword{}},
		{"AuthenticationMD5Password", func(d []byte) []byte { return pgwire.AppendAuthMD5Password(d, [4]byte{1, 2, 3, 4}) },
			&pgproto3.AuthenticationMD5Password{Salt: [4]byte{1, 2, 3, 4}}},
		{"AuthenticationSASL", func(d []byte) []byte { return pgwire.AppendAuthSASL(d, "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256") },
			&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}}},
		{"AuthenticationSASLContinue", func(d []byte) []byte { return pgwire.AppendAuthSASLContinue(d, key) }, &pgproto3.AuthenticationSASLContinue{Data: key}},
		{"AuthenticationSASLFinal", func(d []byte) []byte { return pgwire.AppendAuthSASLFinal(d, key) }, &pgproto3.AuthenticationSASLFinal{Data: key}},
		{"NegotiateProtocolVersion", func(d []byte) []byte { return pgwire.AppendNegotiate(d, 2, unknown) },
			&pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: 0x00030002, UnrecognizedOptions: unknown}},
		{"ParameterStatus", func(d []byte) []byte { return pgwire.AppendParameterStatus(d, "TimeZone", "UTC") }, &pgproto3.ParameterStatus{Name: "TimeZone", Value: "UTC"}},
		{"BackendKeyData", func(d []byte) []byte { return pgwire.AppendBackendKeyData(d, 9, key) }, &pgproto3.BackendKeyData{ProcessID: 9, SecretKey: key}},
		{"BackendKeyData of 3.2", func(d []byte) []byte { return pgwire.AppendBackendKeyData(d, 9, long) }, &pgproto3.BackendKeyData{ProcessID: 9, SecretKey: long}},
		{"ReadyForQuery", func(d []byte) []byte { return pgwire.AppendReadyForQuery(d, pgwire.StatusFailed) }, &pgproto3.ReadyForQuery{TxStatus: 'E'}},
		{"CommandComplete", func(d []byte) []byte { return pgwire.AppendCommandComplete(d, "SELECT 1") }, &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}},
		{"EmptyQueryResponse", pgwire.AppendEmptyQueryResponse, &pgproto3.EmptyQueryResponse{}},
		{"ParseComplete", pgwire.AppendParseComplete, &pgproto3.ParseComplete{}},
		{"BindComplete", pgwire.AppendBindComplete, &pgproto3.BindComplete{}},
		{"CloseComplete", pgwire.AppendCloseComplete, &pgproto3.CloseComplete{}},
		{"NoData", pgwire.AppendNoData, &pgproto3.NoData{}},
		{"ParameterDescription", func(d []byte) []byte { return pgwire.AppendParameterDescription(d, types) }, &pgproto3.ParameterDescription{ParameterOIDs: types}},
		{"RowDescription", func(d []byte) []byte { return pgwire.AppendRowDescription(d, names) }, &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{
			{Name: []byte("a"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1}, {Name: []byte("bb"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1}}}},
		{"RowDescription with types", func(d []byte) []byte { return pgwire.AppendColumns(d, columns) }, &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{
			{Name: []byte("a"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1}, {Name: []byte("b"), DataTypeOID: 20, DataTypeSize: 8, TypeModifier: -1},
			{Name: []byte("c"), DataTypeOID: 23, DataTypeSize: 4, TypeModifier: -1}, {Name: []byte("d"), DataTypeOID: 701, DataTypeSize: 8, TypeModifier: -1}}}},
		{"DataRow", func(d []byte) []byte { return pgwire.AppendDataRow(d, values) }, &pgproto3.DataRow{Values: [][]byte{[]byte("1"), {}, []byte("drei")}}},
		{"DataRow with NULL", func(d []byte) []byte { return pgwire.AppendDataRowBytes(d, nullable) }, &pgproto3.DataRow{Values: nullable}},
		{"ErrorResponse", func(d []byte) []byte { return pgwire.AppendError(d, failure) }, &pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL",
			Code: "57P03", Message: failure.Message, Detail: "held 8 s", Hint: failure.Hint}},
		{"NoticeResponse", func(d []byte) []byte { return pgwire.AppendNotice(d, failure) }, &pgproto3.NoticeResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL",
			Code: "57P03", Message: failure.Message, Detail: "held 8 s", Hint: failure.Hint}},
	}
}

func TestMessagesAreBuiltAsPgproto3BuildsThem(t *testing.T) {
	for _, m := range append(clientMessages(), serverMessages()...) {
		t.Run(m.name, func(t *testing.T) {
			want, err := m.oracle.Encode([]byte("before"))
			if err != nil {
				t.Fatal(err)
			}
			if got := m.ours([]byte("before")); !bytes.Equal(got, want) {
				t.Errorf("ours   %q\noracle %q", got, want)
			}
		})
	}
}

func TestMessagesAreFramesOfTheirSide(t *testing.T) {
	unframed := map[string]bool{"StartupMessage": true, "StartupMessage of 3.2": true, "SSLRequest": true, "GSSENCRequest": true, "CancelRequest": true}
	for _, side := range []struct {
		messages []built
		peek     peek
	}{{clientMessages(), pgwire.PeekFrontend}, {serverMessages(), pgwire.PeekBackend}} {
		for _, m := range side.messages {
			b := m.ours(nil)
			if f, ok, err := side.peek(b); !unframed[m.name] && (!ok || err != nil || f.Len != len(b)) {
				t.Errorf("%s: %v, %v, %v", m.name, f, ok, err)
			}
		}
	}
}

func TestBuildingDoesNotAllocateWhenThereIsRoom(t *testing.T) {
	room := make([]byte, 0, 4096)
	for _, m := range append(clientMessages(), serverMessages()...) {
		if n := testing.AllocsPerRun(50, func() { _ = m.ours(room) }); n != 0 {
			t.Errorf("%s: %v allocations", m.name, n)
		}
	}
}

func TestAStringEndsAtItsFirstNUL(t *testing.T) {
	got := pgwire.AppendStartup(nil, []pgwire.Param{{Name: "user", Value: "kam\x00database\x00postgres"}})
	if want := packet(0x00030000, "user\x00kam\x00\x00"); !bytes.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got, want := pgwire.AppendQuery(nil, "SELECT 1\x00; DROP"), pgwire.AppendQuery(nil, "SELECT 1"); !bytes.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestMessagesAreReadBack(t *testing.T) {
	body := func(b []byte) []byte { return b[pgwire.HeaderLen:] }
	name, value, err := pgwire.ParseParameterStatus(body(pgwire.AppendParameterStatus(nil, "TimeZone", "")))
	if string(name) != "TimeZone" || string(value) != "" || err != nil {
		t.Errorf("ParameterStatus: %q, %q, %v", name, value, err)
	}
	pid, key, err := pgwire.ParseBackendKeyData(body(pgwire.AppendBackendKeyData(nil, 9, []byte("abcdef"))))
	if pid != 9 || string(key) != "abcdef" || err != nil {
		t.Errorf("BackendKeyData: %d, %q, %v", pid, key, err)
	}
	code, data, err := pgwire.ParseAuthentication(body(pgwire.AppendAuthSASL(nil, "A", "B")))
	if code != pgwire.AuthSASL || err != nil {
		t.Errorf("Authentication: %d, %v", code, err)
	}
	if names, err := pgwire.ParseMechanisms(data); len(names) != 2 || names[0] != "A" || names[1] != "B" || err != nil {
		t.Errorf("mechanisms: %q, %v", names, err)
	}
	minor, unknown, err := pgwire.ParseNegotiate(body(pgwire.AppendNegotiate(nil, 2, []string{"_pq_.x", "_pq_.y"})))
	if minor != 2 || len(unknown) != 2 || unknown[1] != "_pq_.y" || err != nil {
		t.Errorf("Negotiate: %d, %q, %v", minor, unknown, err)
	}
	row, err := pgwire.ParseDataRow(nil, body(pgwire.AppendDataRowBytes(nil, [][]byte{[]byte("t"), nil, {}})))
	if diff := cmp.Diff([][]byte{[]byte("t"), nil, {}}, row); diff != "" || err != nil {
		t.Errorf("DataRow: %v\n%s", err, diff)
	}
}

func TestBrokenBodiesAreRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		read func(b []byte) error
		body string
	}{
		{"ParameterStatus without a value", readParameterStatus, "TimeZone\x00"},
		{"ParameterStatus without an end", readParameterStatus, "TimeZone\x00UTC"},
		{"ParameterStatus without anything", readParameterStatus, ""},
		{"ParameterStatus with more", readParameterStatus, "TimeZone\x00UTC\x00x"},
		{"BackendKeyData with a short key", readKey, "\x00\x00\x00\x01abc"},
		{"BackendKeyData with a long key", readKey, "\x00\x00\x00\x01" + string(make([]byte, 257))},
		{"Authentication without a code", readAuth, "\x00\x00\x00"},
		{"mechanisms without an end", readMechanisms, "A\x00B\x00"},
		{"Negotiate that is short", readNegotiate, "\x00\x03\x00\x00\x00\x00\x00"},
		{"Negotiate with fewer names than told", readNegotiate, "\x00\x03\x00\x00\xff\xff\xff\xffa\x00"},
		{"DataRow without a count", readRow, "\x00"},
		{"DataRow with fewer values than told", readRow, "\x00\x02\xff\xff\xff\xff"},
		{"DataRow with a value that is cut", readRow, "\x00\x01\x00\x00\x00\x02a"},
	} {
		if err := c.read([]byte(c.body)); err == nil {
			t.Errorf("%s was accepted", c.name)
		}
	}
}

func readParameterStatus(b []byte) error { _, _, err := pgwire.ParseParameterStatus(b); return err }
func readKey(b []byte) error             { _, _, err := pgwire.ParseBackendKeyData(b); return err }
func readAuth(b []byte) error            { _, _, err := pgwire.ParseAuthentication(b); return err }
func readMechanisms(b []byte) error      { _, err := pgwire.ParseMechanisms(b); return err }
func readNegotiate(b []byte) error       { _, _, err := pgwire.ParseNegotiate(b); return err }
func readRow(b []byte) error             { _, err := pgwire.ParseDataRow(nil, b); return err }

// FuzzBodies: no body of a message makes a reader fail but with its error, and what is borrowed stays inside of it.
func FuzzBodies(f *testing.F) {
	for _, m := range serverMessages() {
		f.Add(m.ours(nil)[pgwire.HeaderLen:])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, read := range []func([]byte) error{readParameterStatus, readKey, readAuth, readMechanisms, readNegotiate} {
			_ = read(body)
		}
		row, err := pgwire.ParseDataRow(nil, body)
		var oracle pgproto3.DataRow
		if theirs := oracle.Decode(body); err == nil && theirs == nil {
			if diff := cmp.Diff(oracle.Values, row); diff != "" && len(row) > 0 {
				t.Error(diff)
			}
		}
	})
}
