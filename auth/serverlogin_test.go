package auth

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"github.com/pgrouter/pgrouter/pgwire"
)

// scramOracle is a SCRAM server that is not ours.
func scramOracle(tb testing.TB, stored string) *scram.ServerConversation {
	tb.Helper()
	v := secretOf(tb, stored).v.verifier
	s, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) {
		return scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: string(v.salt), Iters: v.iterations}, StoredKey: v.stored[:], ServerKey: v.server[:],
		}, nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return s.NewConversation()
}

// feed gives a message that the server side of this repository builds to the login.
func feed(l *ServerLogin, message []byte) (out []byte, done bool, err error) {
	return l.Next(message[pgwire.HeaderLen:])
}

// saslData returns the SCRAM text of a SASLInitialResponse or SASLResponse.
func saslData(tb testing.TB, message []byte) string {
	tb.Helper()
	body := message[pgwire.HeaderLen:]
	if mechanism, rest, ok := pgwire.CString(body); ok && string(mechanism) == scramName {
		if int(binary.BigEndian.Uint32(rest)) != len(rest)-4 {
			tb.Fatal("the length of the initial response is wrong")
		}
		return string(rest[4:])
	}
	return string(body)
}

// scramWith plays SCRAM against the oracle to the end.
func scramWith(tb testing.TB, l *ServerLogin, oracle *scram.ServerConversation) error {
	tb.Helper()
	out, done, err := feed(l, pgwire.AppendAuthSASL(nil, "SCRAM-SHA-256-PLUS", scramName))
	for err == nil && !done && len(out) > 0 {
		var challenge string
		if challenge, err = oracle.Step(saslData(tb, out)); err != nil {
			return fmt.Errorf("oracle: %w", err)
		}
		if oracle.Done() {
			out, done, err = feed(l, pgwire.AppendAuthSASLFinal(nil, []byte(challenge)))
			continue
		}
		out, done, err = feed(l, pgwire.AppendAuthSASLContinue(nil, []byte(challenge)))
	}
	if err != nil {
		return err
	}
	_, done, err = feed(l, pgwire.AppendAuthOk(nil))
	if err == nil && (!done || !l.Done() || !oracle.Valid()) {
		tb.Errorf("done %v, oracle valid %v", done, oracle.Valid())
	}
	return err
}

func TestServerLoginWithSCRAM(t *testing.T) {
	stored := verifierOf(t, "right")
	v := secretOf(t, stored).v.verifier
	keys, err := deriveKeys("right", v.salt, v.iterations)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		secret Secret
		want   LoginFault // 0: in
	}{
		{"password", PlainSecret("right"), 0},
		{"keys", keysSecret(v, keys.client), 0},
		{"nothing", Secret{}, FaultSecret},
		{"md5", secretOf(t, md5Secret("u", "right")), FaultSecret},
		{"verifier alone", secretOf(t, stored), FaultSecret},
		{"keys of another verifier", keysSecret(secretOf(t, strings.Replace(stored, "$64:", "$65:", 1)).v.verifier, keys.client), FaultSecret},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := scramWith(t, NewServerLogin("u", tt.secret), scramOracle(t, stored))
			wantFault(t, err, tt.want)
		})
	}
	if err := scramWith(t, NewServerLogin("u", PlainSecret("wrong")), scramOracle(t, stored)); err == nil {
		t.Error("the oracle lets a wrong password in")
	}
}

func wantFault(t *testing.T, err error, want LoginFault) {
	t.Helper()
	var login *LoginError
	if want == 0 {
		if err != nil {
			t.Error(err)
		}
		return
	}
	if !errors.As(err, &login) || login.Fault != want {
		t.Errorf("error %v, want a %v", err, want)
	}
	if err != nil && strings.Contains(err.Error(), "right") {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestAClientsKeysOpenTheServerThatStoresTheSameVerifier(t *testing.T) {
	stored := verifierOf(t, "right")
	v, _, err := exchange(t, MethodSCRAM, userlist(t, fmt.Sprintf(`"u" %q`, stored)), "u", "right", nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the keys are not used up
		if err := scramWith(t, NewServerLogin("u", v.ServerSecret), scramOracle(t, stored)); err != nil {
			t.Error(err)
		}
	}
}

func TestServerLoginWithoutSCRAM(t *testing.T) {
	salt := [4]byte{1, 2, 3, 4}
	digest := pgwire.AppendPassword(nil, md5Answer(md5Secret("u", "right"), salt))
	plain, md5 := PlainSecret("right"), secretOf(t, md5Secret("u", "right"))
	verifier := secretOf(t, verifierOf(t, "right"))
	tests := []struct {
		name   string
		secret Secret
		asks   []byte
		want   []byte
		fault  LoginFault
	}{
		{"password for clear text", plain, pgwire.AppendAuthCleartextPassword(nil), pgwire.AppendPassword(nil, "right"), 0},
		{"password for md5", plain, pgwire.AppendAuthMD5Password(nil, salt), digest, 0},
		{"md5 for md5", md5, pgwire.AppendAuthMD5Password(nil, salt), digest, 0},
		{"md5 for clear text", md5, pgwire.AppendAuthCleartextPassword(nil), nil, FaultSecret},
		{"verifier for clear text", verifier, pgwire.AppendAuthCleartextPassword(nil), nil, FaultSecret},
		{"verifier for md5", verifier, pgwire.AppendAuthMD5Password(nil, salt), nil, FaultSecret},
		{"nothing for clear text", Secret{}, pgwire.AppendAuthCleartextPassword(nil), nil, FaultSecret},
		{"nothing for md5", Secret{}, pgwire.AppendAuthMD5Password(nil, salt), nil, FaultSecret},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := NewServerLogin("u", tt.secret)
			out, done, err := feed(l, tt.asks)
			wantFault(t, err, tt.fault)
			if string(out) != string(tt.want) || done {
				t.Errorf("answer %q, done %v", out, done)
			}
			_, done, err = feed(l, pgwire.AppendAuthOk(nil))
			if done != (tt.fault == 0) || (err == nil) != done {
				t.Errorf("after Ok: done %v, %v", done, err)
			}
			if _, _, err := feed(l, pgwire.AppendAuthOk(nil)); err == nil {
				t.Error("a second Ok is accepted")
			}
		})
	}
}

func TestAServerMayTrustUs(t *testing.T) {
	for _, s := range []Secret{{}, PlainSecret("x")} {
		if _, done, err := feed(NewServerLogin("u", s), pgwire.AppendAuthOk(nil)); !done || err != nil {
			t.Errorf("%v: %v, %v", s, done, err)
		}
	}
}

func TestHostileServers(t *testing.T) {
	auth := func(code uint32, data string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, code), data...)
	}
	sasl := "SCRAM-SHA-256\x00\x00"
	first := func(nonce string) string { return "r=" + nonce + ",s=c2FsdHNhbHQ=,i=64" }
	tests := []struct {
		name  string
		sends []string // SCRAM messages after the mechanisms; MINE stands for our nonce
		want  LoginFault
	}{
		{"nonce of 500 bytes", []string{first("MINE" + strings.Repeat("x", 500))}, FaultProtocol},
		{"nonce of 300 bytes", []string{first("MINE" + strings.Repeat("x", 300))}, FaultProtocol},
		{"nonce not ours", []string{first("other")}, FaultProtocol},
		{"nonce not longer", []string{first("MINE")}, FaultProtocol},
		{"nonce with control characters", []string{first("MINE\x01")}, FaultProtocol},
		{"no nonce", []string{"s=c2FsdA==,i=64"}, FaultProtocol},
		{"no salt", []string{"r=MINEx,i=64"}, FaultProtocol},
		{"empty salt", []string{"r=MINEx,s=,i=64"}, FaultProtocol},
		{"salt no base64", []string{"r=MINEx,s=!!!,i=64"}, FaultProtocol},
		{"no iterations", []string{"r=MINEx,s=c2FsdA=="}, FaultProtocol},
		{"iterations 0", []string{"r=MINEx,s=c2FsdA==,i=0"}, FaultProtocol},
		{"iterations negative", []string{"r=MINEx,s=c2FsdA==,i=-4096"}, FaultProtocol},
		{"iterations of a billion", []string{"r=MINEx,s=c2FsdA==,i=1000000000"}, FaultProtocol},
		{"iterations no number", []string{"r=MINEx,s=c2FsdA==,i=4096x"}, FaultProtocol},
		{"extension", []string{"r=MINEx,s=c2FsdA==,i=64,x=y"}, FaultProtocol},
		{"mandatory extension", []string{"m=x,r=MINEx,s=c2FsdA==,i=64"}, FaultProtocol},
		{"empty", []string{""}, FaultProtocol},
		{"too long", []string{"r=MINEx,s=" + strings.Repeat("A", maxSASLLen) + ",i=64"}, FaultProtocol},
		{"wrong signature", []string{first("MINEx"), "v=" + base64.StdEncoding.EncodeToString(make([]byte, 32))}, FaultUnproven},
		{"short signature", []string{first("MINEx"), "v=AAAA"}, FaultUnproven},
		{"empty signature", []string{first("MINEx"), "v="}, FaultUnproven},
		{"error", []string{first("MINEx"), "e=other-error"}, FaultProtocol},
		{"final garbage", []string{first("MINEx"), "hello"}, FaultProtocol},
		{"final extension", []string{first("MINEx"), "v=AAAA,x=y"}, FaultProtocol},
		{"Ok instead of the signature", []string{first("MINEx"), "OK"}, FaultUnproven},
		{"Ok instead of the challenge", []string{"OK"}, FaultProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := NewServerLogin("u", PlainSecret("right"))
			out, _, err := l.Next(auth(pgwire.AuthSASL, sasl))
			if err != nil {
				t.Fatal(err)
			}
			mine := strings.TrimPrefix(saslData(t, out), "n,,n=,r=")
			done := false
			for i, text := range tt.sends {
				body := auth(pgwire.AuthSASLContinue+uint32(i), strings.ReplaceAll(text, "MINE", mine))
				if text == "OK" {
					body = auth(pgwire.AuthOk, "")
				}
				_, done, err = l.Next(body)
			}
			wantFault(t, err, tt.want)
			if _, again, err := l.Next(auth(pgwire.AuthOk, "")); done || again || err == nil || l.Done() {
				t.Error("the login succeeds after a fault")
			}
		})
	}
}

func TestServersThatAskForNonsense(t *testing.T) {
	auth := func(code uint32, data string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, code), data...)
	}
	tests := []struct {
		name string
		body []byte
		want LoginFault
	}{
		{"short", []byte{0, 0}, FaultProtocol},
		{"Ok with data", auth(pgwire.AuthOk, "x"), FaultProtocol},
		{"md5 without salt", auth(pgwire.AuthMD5Password, ""), FaultProtocol},
		{"md5 with a long salt", auth(pgwire.AuthMD5Password, "12345"), FaultProtocol},
		{"mechanisms without end", auth(pgwire.AuthSASL, "SCRAM-SHA-256"), FaultProtocol},
		{"no mechanism", auth(pgwire.AuthSASL, "\x00"), FaultUnsupported},
		{"plus only", auth(pgwire.AuthSASL, "SCRAM-SHA-256-PLUS\x00\x00"), FaultUnsupported},
		{"GSSAPI", auth(pgwire.AuthGSS, ""), FaultUnsupported},
		{"SSPI", auth(pgwire.AuthSSPI, ""), FaultUnsupported},
		{"unknown", auth(99, ""), FaultUnsupported},
		{"challenge first", auth(pgwire.AuthSASLContinue, "r=x,s=AAAA,i=1"), FaultProtocol},
		{"signature first", auth(pgwire.AuthSASLFinal, "v=AAAA"), FaultProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, done, err := NewServerLogin("u", PlainSecret("right")).Next(tt.body)
			wantFault(t, err, tt.want)
			if done {
				t.Error("done")
			}
		})
	}
}

func FuzzServerLogin(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00"), "MINEx,s=c2FsdA==,i=2", []byte("\x00\x00\x00\x0cv=AAAA"))
	f.Add([]byte("\x00\x00\x00\x05abcd"), "", []byte("\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x03"), "", []byte{})
	f.Fuzz(func(t *testing.T, one []byte, first string, last []byte) {
		if _, err := parseServerFirst("r="+first, "MINE"); err == nil && len(first) > maxSASLLen {
			t.Error("a long message is accepted")
		}
		l := NewServerLogin("u", PlainSecret("right"))
		out, done, err := l.Next(one)
		code, _, _ := pgwire.ParseAuthentication(one)
		if err != nil || done || code != pgwire.AuthSASL {
			return
		}
		first = strings.ReplaceAll(first, "MINE", strings.TrimPrefix(saslData(t, out), "n,,n=,r="))
		if m, err := parseServerFirst("r="+first, l.nonce); err == nil && m.iterations > testIterations {
			return // slow, not wrong
		}
		if _, _, err = l.Next(append([]byte{0, 0, 0, 11}, "r="+first...)); err != nil {
			return
		}
		if _, done, err = l.Next(last); done || err == nil {
			t.Error("a server that does not know the password is believed")
		}
	})
}
