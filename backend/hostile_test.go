package backend

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/auth"
	"github.com/pgrouter/pgrouter/pgwire"
)

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func message(kind byte, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body))), body...)
}

func TestHostileServersGetADefinedError(t *testing.T) {
	ok, ready := pgwire.AppendAuthOk(nil), pgwire.AppendReadyForQuery(nil, pgwire.StatusIdle)
	noCode := message('E', "SFATAL\x00Mno field C here\x00\x00")
	type hostile struct {
		name  string
		sends []byte
		op    Op
		want  string // in the text
	}
	tests := []hostile{
		{"HTTP", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), OpLogin, "impossible length"},
		{"SSH", []byte("SSH-2.0-OpenSSH_9.2\r\n"), OpLogin, "impossible length"},
		{"zeros", make([]byte, 64), OpLogin, "unknown message"},
		{"length 0", []byte{'R', 0, 0, 0, 0, 0, 0, 0, 0}, OpLogin, "impossible length"},
		{"length 3", []byte{'R', 0, 0, 0, 3, 0, 0, 0, 0}, OpLogin, "impossible length"},
		{"length of 2 GB", []byte{'R', 0x7f, 0xff, 0xff, 0xff}, OpLogin, "impossible length"},
		{"length negative", []byte{'R', 0xff, 0xff, 0xff, 0xff}, OpLogin, "impossible length"},
		{"a megabyte of login", []byte{'R', 0, 16, 0, 0, 0}, OpLogin, "message too long"},
		{"an answer to SSLRequest", []byte("SSSSSSSS"), OpLogin, "impossible length"},
		{"ready before login", ready, OpLogin, "unexpected message during login"},
		{"length of 4", message('R', ""), OpLogin, "impossible length"},
		{"key of no bytes", join(ok, message('K', "\x00\x00\x00\x01")), OpStartup, "impossible length"},
		{"key of 1000 bytes", join(ok, message('K', strings.Repeat("k", 1004))), OpStartup, "impossible length"},
		{"a kind that does not exist", join(ok, message('?', "abc")), OpStartup, "unknown message"},
		{"bytes behind Ok in its message", message('R', "\x00\x00\x00\x00more"), OpLogin, "out of order"},
		{"key before login", pgwire.AppendBackendKeyData(nil, 1, []byte("1234")), OpLogin, "unexpected message during login"},
		{"parameter before login", pgwire.AppendParameterStatus(nil, "a", "b"), OpLogin, "unexpected message during login"},
		{"row before login", pgwire.AppendDataRow(nil, []string{"x"}), OpLogin, "unexpected message during login"},
		{"negotiation", pgwire.AppendNegotiate(nil, 0, []string{"_pq_.x"}), OpLogin, "our version of the protocol"},
		{"unknown method", message('R', "\x00\x00\x00\x63"), OpLogin, "unsupported method"},
		{"SCM credentials", message('R', "\x00\x00\x00\x06"), OpLogin, "unsupported method"},
		{"SSPI", message('R', "\x00\x00\x00\x09"), OpLogin, "unsupported method"},
		{"Kerberos", message('R', "\x00\x00\x00\x02"), OpLogin, "unsupported method"},
		{"a method of the future", message('R', "\xff\xff\xff\xff"), OpLogin, "unsupported method"},
		{"SASL without mechanisms", message('R', "\x00\x00\x00\x0a\x00"), OpLogin, "does not offer SCRAM-SHA-256"},
		{"SASL with channel binding only", message('R', "\x00\x00\x00\x0aSCRAM-SHA-256-PLUS\x00\x00"), OpLogin, "does not offer SCRAM-SHA-256"},
		{"SASL without end", message('R', "\x00\x00\x00\x0a"), OpLogin, "protocol violation"},
		{"a password, then md5", join(pgwire.AppendAuthCleartextPassword(nil), message('R', "\x00\x00\x00\x05abcd")), OpLogin, "out of order"},
		{"GSSAPI", message('R', "\x00\x00\x00\x07"), OpLogin, "unsupported method"},
		{"short md5 salt", message('R', "\x00\x00\x00\x05ab"), OpLogin, "md5 salt"},
		{"mechanisms without end", message('R', "\x00\x00\x00\x0aSCRAM-SHA-256"), OpLogin, "protocol violation"},
		{"challenge first", message('R', "\x00\x00\x00\x0br=x,s=AAAA,i=1"), OpLogin, "out of order"},
		{"Ok twice", join(ok, ok), OpStartup, "unexpected message before the server was ready"},
		{"row before ready", join(ok, pgwire.AppendDataRow(nil, []string{"x"})), OpStartup, "unexpected message before"},
		{"ready in a transaction", join(ok, pgwire.AppendReadyForQuery(nil, 'T')), OpStartup, "not idle"},
		{"ready without status", join(ok, message('Z', "")), OpStartup, "impossible length"},
		{"parameter without value", join(ok, message('S', "name\x00value")), OpStartup, "malformed"},
		{"parameter without name", join(ok, message('S', "\x00value\x00")), OpStartup, "malformed"},
		{"short key", join(ok, message('K', "\x00\x00\x00\x01ab")), OpStartup, "impossible length"},
		{"error without fields", message('E', "\x00"), OpLogin, "FATAL"},
		{"error without code", noCode, OpLogin, "no field C here"},
		{"error without code, later", join(ok, noCode), OpStartup, "no field C here"},
		{"error without end", message('E', "SFATAL\x00Mcut"), OpLogin, "malformed"},
		{"flood of notices", bytes.Repeat(message('N', "SNOTICE\x00M"+strings.Repeat("x", 9000)+"\x00\x00"), 200), OpLogin, "too much"},
		{"flood of parameters", join(ok, bytes.Repeat(message('S', "a\x00"+strings.Repeat("x", 9000)+"\x00"), 200)), OpStartup, "too much"},
	}
	var names []byte
	for i := range maxParams + 1 {
		names = pgwire.AppendParameterStatus(names, "name"+strconv.Itoa(i), "x")
	}
	tests = append(tests, hostile{"flood of names", join(ok, names), OpStartup, "too many parameters"})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := dial(t, Target{Address: script(t, tt.sends)}, login("u", "s3cr3t"))
			var e *DialError
			if !errors.As(err, &e) {
				t.Fatalf("error %v is no DialError", err)
			}
			if e.Op != tt.op || !strings.Contains(err.Error(), tt.want) && tt.name != "error without fields" {
				t.Errorf("%s: %v; want %s, %q", e.Op, err, tt.op, tt.want)
			}
			if strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("the error shows the password: %v", err)
			}
			if isError := strings.HasPrefix(tt.name, "error without") && tt.name != "error without end"; isError != (e.ServerError() != nil) {
				t.Errorf("server error %v", e.ServerError())
			} else if isError && (e.Code() != "" || !e.Temporary()) {
				t.Errorf("code %q, temporary %v", e.Code(), e.Temporary())
			} else if !isError && e.Temporary() {
				t.Errorf("%v is called temporary", err)
			}
		})
	}
}

func TestAServerThatGoesAway(t *testing.T) {
	ok := pgwire.AppendAuthOk(nil)
	tests := []struct {
		name  string
		sends []byte
		op    Op
	}{
		{"at once", nil, OpLogin},
		{"in a header", []byte{'R', 0, 0}, OpLogin},
		{"in a body", []byte{'R', 0, 0, 0, 8, 0}, OpLogin},
		{"after Ok", ok, OpStartup},
		{"in a parameter", append(slices.Clip(ok), 'S', 0, 0, 0, 20, 'a'), OpStartup},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address := peer(t, func(c net.Conn) {
				_, _ = readStartup(c)
				_, _ = c.Write(tt.sends)
			})
			_, err := dial(t, Target{Address: address}, login("u", "p"))
			e := wantDialError(t, err, tt.op, true)
			if !errors.Is(e, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), address) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestAServerMayTakeItsTimeAndRepeatItself: one byte in each packet, notices between, and a key that is told twice, of which the last
// one counts.
func TestAServerMayTakeItsTimeAndRepeatItself(t *testing.T) {
	says := join(pgwire.AppendAuthOk(nil), pgwire.AppendBackendKeyData(nil, 1, []byte("old!")), message('N', "SNOTICE\x00Mslow\x00\x00"),
		greeting("in_hot_standby", "off")[9:])
	address := peer(t, func(c net.Conn) {
		_, _ = readStartup(c)
		for i := range says {
			_, _ = c.Write(says[i : i+1])
		}
		untilClosed(c)
	})
	c, err := dial(t, Target{Address: address, WantPrimary: true}, login("u", "p"))
	if err != nil {
		t.Fatal(err)
	}
	if c.PID != 4711 || !bytes.Equal(c.Key, []byte{1, 2, 3, 4}) {
		t.Errorf("pid %d, key %v", c.PID, c.Key)
	}
}

// TestAnyMessageMayBreakOff at its header and in its body: the connection was lost, whatever was to come.
func TestAnyMessageMayBreakOff(t *testing.T) {
	for _, whole := range [][]byte{
		pgwire.AppendAuthOk(nil), message('E', "SFATAL\x00C57P03\x00Mno\x00\x00"), message('N', "SNOTICE\x00Mno\x00\x00"),
		join(pgwire.AppendAuthOk(nil), pgwire.AppendParameterStatus(nil, "name", "value")),
		join(pgwire.AppendAuthOk(nil), pgwire.AppendBackendKeyData(nil, 1, []byte("1234"))),
		greeting(),
	} {
		for _, missing := range []int{1, 5} {
			address := peer(t, func(c net.Conn) {
				_, _ = readStartup(c)
				_, _ = c.Write(whole[:len(whole)-missing])
			})
			_, err := dial(t, Target{Address: address}, login("u", "p"))
			var e *DialError
			if !errors.As(err, &e) || !e.Temporary() || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q without its last %d bytes: %v", whole, missing, err)
			}
		}
	}
}

func TestAServerThatResetsTheConnection(t *testing.T) {
	address := peer(t, func(c net.Conn) {
		_, _ = readStartup(c)
		_ = c.(*net.TCPConn).SetLinger(0)
	})
	_, err := dial(t, Target{Address: address}, login("u", "p"))
	if e := wantDialError(t, err, OpLogin, true); !errors.Is(e, syscall.ECONNRESET) {
		t.Errorf("error %v", err)
	}
}

func TestOldStyleErrors(t *testing.T) {
	const text = "could not fork new process for connection: Cannot allocate memory\n"
	for name, ends := range map[string]string{"with NUL": "\x00", "with the end of the stream": ""} {
		t.Run(name, func(t *testing.T) {
			address := peer(t, func(c net.Conn) {
				_, _ = readStartup(c)
				_, _ = c.Write([]byte("E" + text + ends))
			})
			_, err := dial(t, Target{Address: address}, login("u", "p"))
			e := wantDialError(t, err, OpLogin, true)
			if e.Server == nil || e.Server.Message != strings.TrimSpace(text) {
				t.Errorf("error %v", err)
			}
		})
	}
	_, err := dial(t, Target{Address: script(t, []byte("E\xff\x01garbage\x02\x00"))}, login("u", "p"))
	wantDialError(t, err, OpLogin, false)
	_, err = dial(t, Target{Address: script(t, []byte("E"+strings.Repeat("x", 2*maxErrorLen)))}, login("u", "p"))
	wantDialError(t, err, OpLogin, false)
}

func TestServersThatTurnTheirSCRAMAround(t *testing.T) {
	const good = "r=MINEx,s=c2FsdA==,i=64"
	tests := map[string]struct{ challenge, final, want string }{
		"nonce of 500 bytes":      {"r=MINE" + strings.Repeat("x", 500) + ",s=c2FsdA==,i=64", "", "nonce"},
		"nonce of its own":        {"r=notmine,s=c2FsdA==,i=64", "", "nonce"},
		"nonce of ours alone":     {"r=MINE,s=c2FsdA==,i=64", "", "nonce"},
		"no nonce":                {"r=,s=c2FsdA==,i=64", "", "nonce"},
		"nonce with a NUL":        {"r=MINE\x00,s=c2FsdA==,i=64", "", "nonce"},
		"salt of 1000 bytes":      {"r=MINEx,s=" + strings.Repeat("c2Fs", 334) + ",i=64", "", "too long"},
		"no salt":                 {"r=MINEx,s=,i=64", "", "salt"},
		"salt that is no base64":  {"r=MINEx,s=!!!!,i=64", "", "salt"},
		"salt is missing":         {"r=MINEx,i=64", "", "attribute"},
		"no rounds":               {"r=MINEx,s=c2FsdA==,i=0", "", "iterations"},
		"less than no rounds":     {"r=MINEx,s=c2FsdA==,i=-1", "", "iterations"},
		"a billion rounds":        {"r=MINEx,s=c2FsdA==,i=1000000000", "", "iterations"},
		"all rounds of 31 bits":   {"r=MINEx,s=c2FsdA==,i=2147483647", "", "iterations"},
		"more rounds than 64 bit": {"r=MINEx,s=c2FsdA==,i=99999999999999999999", "", "iterations"},
		"rounds in words":         {"r=MINEx,s=c2FsdA==,i=many", "", "iterations"},
		"an extension":            {good + ",x=y", "", "extension"},
		"an extension in front":   {"m=must," + good, "", "attribute"},
		"nothing":                 {"", "", "attribute"},
		"no proof of itself":      {good, "v=AAAA", "server not proven"},
		"an empty proof":          {good, "v=", "server not proven"},
		"a proof and more":        {good, "v=AAAA,x=y", "malformed"},
		"an error for a proof":    {good, "e=other-error", "error of the mechanism"},
		"no words at the end":     {good, " ", "malformed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			address := peer(t, func(c net.Conn) {
				_, _ = readStartup(c)
				_, _ = c.Write(pgwire.AppendAuthSASL(nil, "SCRAM-SHA-256"))
				b := make([]byte, 1024)
				n, _ := c.Read(b)
				_, mine, _ := strings.Cut(string(b[:n]), "r=")
				_, _ = c.Write(pgwire.AppendAuthSASLContinue(nil, []byte(strings.ReplaceAll(tt.challenge, "MINE", mine))))
				if tt.final != "" {
					_, _ = c.Read(b)
					_, _ = c.Write(append(pgwire.AppendAuthSASLFinal(nil, []byte(tt.final)), greeting()...))
				}
				untilClosed(c)
			})
			_, err := dial(t, Target{Address: address}, login("u", "p"))
			e := wantDialError(t, err, OpLogin, false)
			var fault *auth.LoginError
			if !errors.As(e, &fault) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestSilentServersAreGivenUp(t *testing.T) {
	ok := pgwire.AppendAuthOk(nil)
	tests := []struct {
		name  string
		sends []byte
		op    Op
	}{
		{"after the start-up packet", nil, OpLogin},
		{"in the middle of a message", []byte{'R', 0, 0}, OpLogin},
		{"after Ok", ok, OpStartup},
		{"at the question of the admission", greeting(), OpAdmission},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address := script(t, tt.sends)
			givenUp(t, tt.op, func(limit time.Duration) error {
				_, err := Dial(t.Context(), Config{ConnectTimeout: testLimit, LoginTimeout: limit}, Target{Address: address}, login("u", "p"))
				if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), limit.String()) {
					t.Errorf("error %v", err)
				}
				return err
			})
			// The same through the caller's context.
			errGone := errors.New("nobody wants it any more")
			givenUp(t, tt.op, func(limit time.Duration) error {
				ctx, cancel := context.WithCancelCause(t.Context())
				timer := time.AfterFunc(limit, func() { cancel(errGone) })
				defer timer.Stop()
				_, err := Dial(ctx, testConfig(), Target{Address: address}, login("u", "p"))
				if !errors.Is(err, errGone) {
					t.Errorf("error %v", err)
				}
				return err
			})
		})
	}
}

// givenUp dials a server that falls silent at op. A busy machine may need longer to get there than a limit that is short.
func givenUp(t *testing.T, op Op, dial func(limit time.Duration) error) {
	t.Helper()
	for limit := 20 * time.Millisecond; ; limit *= 4 {
		err := dial(limit)
		var e *DialError
		if limit > testLimit || errors.As(err, &e) && e.Op == op {
			wantDialError(t, err, op, true)
			return
		}
	}
}

func TestAnEndedContextDialsNobody(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Dial(ctx, testConfig(), Target{Address: "127.0.0.1:1"}, login("u", "p"))
	if e := wantDialError(t, err, OpConnect, true); !errors.Is(e, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestAnAddressThatDoesNotAnswer(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(fd) }()
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}).String()
	cfg := Config{ConnectTimeout: 50 * time.Millisecond, LoginTimeout: 50 * time.Millisecond}
	for range 5 { // the first ones are taken by the backlog
		_, err = Dial(t.Context(), cfg, Target{Address: address}, login("u", "p"))
		var e *DialError
		if !errors.As(err, &e) || !e.Temporary() || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v", err)
		}
		if e.Op == OpConnect {
			return
		}
	}
	t.Errorf("the backlog took every connection: %v", err)
}

func TestImpossibleAddressesAndLogins(t *testing.T) {
	for _, address := range []string{"", "host", ":5432", "host:", "host:0", "host:65536", "host:pg", "/dir", "/dir:", "/dir:x", "@name"} {
		_, err := dial(t, Target{Address: address}, login("u", "p"))
		wantDialError(t, err, OpConnect, false)
	}
	params := func(p ...pgwire.Param) Login { return Login{User: "u", Database: "d", Params: p} }
	for name, l := range map[string]Login{
		"no user":         {Database: "d"},
		"no database":     {User: "u"},
		"NUL in the user": {User: "u\x00database\x00x", Database: "d"},
		"NUL in a name":   params(pgwire.Param{Name: "a\x00b", Value: "c"}),
		"NUL in a value":  params(pgwire.Param{Name: "a", Value: "b\x00user\x00postgres"}),
		"empty name":      params(pgwire.Param{Value: "x"}),
		"user again":      params(pgwire.Param{Name: "user", Value: "postgres"}),
		"too long":        params(pgwire.Param{Name: "a", Value: strings.Repeat("x", pgwire.MaxStartupLen)}),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dial(t, Target{Address: "127.0.0.1:1"}, l)
			wantDialError(t, err, OpLogin, false)
		})
	}
}

func TestCodesThatComeAgainArePermanent(t *testing.T) {
	for code, permanent := range map[string]bool{
		"28P01": true, "28000": true, "3D000": true, "42501": true, "42704": true, "22023": true, "0A000": true, "08P01": true, "55P02": true,
		"57P03": false, "57P01": false, "53300": false, "53200": false, "55000": false, "XX000": false, "08006": false, "": false, "2": false,
	} {
		if isPermanent(code) != permanent {
			t.Errorf("%s: permanent %v", code, isPermanent(code))
		}
	}
}

func TestVersionNumbers(t *testing.T) {
	for text, want := range map[string]int{
		"15.4 (Debian 15.4-1.pgdg120+1)": 150004, "15.14": 150014, "9.6.24": 90624, "18beta1": 180000, "19devel": 190000, "10": 100000,
		"": 0, "x": 0, "99999999999999999999": 0, "-1": 0, ".": 0,
	} {
		if got := versionNumber(text); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}

func FuzzDial(f *testing.F) {
	f.Add(greeting("in_hot_standby", "off"))
	f.Add(join(greeting(), pgwire.AppendRowDescription(nil, []string{"x"}), pgwire.AppendDataRow(nil, []string{"f"}),
		pgwire.AppendCommandComplete(nil, "SELECT 1"), pgwire.AppendReadyForQuery(nil, 'I')))
	f.Add([]byte("Etoo many connections\x00"))
	f.Add(pgwire.AppendAuthSASL(nil, "SCRAM-SHA-256"))
	f.Add(join(pgwire.AppendNegotiate(nil, 0, nil), greeting("in_hot_standby", "off")))
	f.Fuzz(func(t *testing.T, sends []byte) {
		c := &Conn{Target: Target{Address: "a", SystemID: 7, WantPrimary: true}}
		s := newConversation(&scripted{bytes.NewReader(sends)}, c, auth.NewServerLogin("u", auth.PlainSecret("p")))
		s.minor = pgwire.ProtocolMinor
		err := s.open([]byte("startup"), false)
		if err == nil {
			if c.HotStandby {
				t.Error("a standby is admitted as primary")
			}
			return
		}
		var failure Failure
		if !errors.As(s.failure(err), &failure) || failure.Error() == "" {
			t.Errorf("error %v is no Failure", err)
		}
	})
}

// scripted is a server that has said everything already.
type scripted struct{ io.Reader }

func (*scripted) Write(b []byte) (int, error) { return len(b), nil }
