package auth

import (
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/pgrouter/pgrouter/pgwire"
)

// LoginFault says why our login to a server failed without the server having refused it.
type LoginFault uint8

// The faults.
const (
	FaultProtocol    LoginFault = iota + 1 // the server sent what is malformed, out of order or beyond the limits
	FaultUnsupported                       // the server asks for a method that pgrouter does not speak (GSSAPI, SSPI…)
	FaultSecret                            // the secret at hand does not fit what the server asks for
	FaultUnproven                          // the server could not prove that it knows the user's verifier: it may be an impostor
)

// String returns a word for the fault.
func (f LoginFault) String() string {
	switch f {
	case FaultProtocol:
		return "protocol violation"
	case FaultUnsupported:
		return "unsupported method"
	case FaultSecret:
		return "no fitting secret"
	case FaultUnproven:
		return "server not proven"
	}
	return "unknown"
}

// LoginError is why our login to a server failed without the server having refused it. It never contains a secret.
type LoginError struct {
	Fault LoginFault
	Err   error
}

// Error says what happened.
func (e *LoginError) Error() string {
	return "server login: " + e.Fault.String() + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *LoginError) Unwrap() error { return e.Err }

// ServerLogin is our login to a server as a step machine, fed with the server's Authentication messages. It answers what
// the server asks for: nothing, a password, an md5 digest, or SCRAM-SHA-256 with a password or with a ClientKey; under
// SCRAM it insists on the server's signature. It is not safe for use by several goroutines.
type ServerLogin struct {
	user   string
	secret Secret
	step   loginStep
	nonce  string
	bare   string // client-first-message-bare
	proof  string // the signature that the server owes us, in base64
	done   bool
}

// loginStep is what the server may send next.
type loginStep uint8

const (
	stepMethod   loginStep = iota // any method, or Ok; → stepOk, stepContinue
	stepContinue                  // AuthenticationSASLContinue; → stepFinal
	stepFinal                     // AuthenticationSASLFinal; → stepOk
	stepOk                        // AuthenticationOk
	stepNothing                   // done, or failed
)

// NewServerLogin returns a login as user. The zero Secret opens only servers that trust us.
func NewServerLogin(user string, s Secret) *ServerLogin { return &ServerLogin{user: user, secret: s} }

// Next takes the body of an Authentication message and returns the whole message to be sent in answer, which may be empty.
// done is true once AuthenticationOk has come in its place. The error is a *LoginError; the connection is to be closed.
func (l *ServerLogin) Next(body []byte) (out []byte, done bool, err error) {
	step := l.step
	l.step = stepNothing
	code, data, err := pgwire.ParseAuthentication(body)
	if err != nil {
		return nil, false, &LoginError{FaultProtocol, err}
	}
	switch {
	case code == pgwire.AuthOk && (step == stepMethod || step == stepOk) && len(data) == 0:
		l.done = true
		return nil, true, nil
	case step == stepMethod:
		out, err = l.method(code, data)
	case step == stepContinue && code == pgwire.AuthSASLContinue:
		out, err = l.scramContinue(string(data))
	case step == stepFinal && code == pgwire.AuthSASLFinal:
		err = l.scramFinal(string(data))
	case step == stepFinal && code == pgwire.AuthOk:
		err = fault(FaultUnproven, "the server ended SCRAM without its signature")
	default:
		err = fault(FaultProtocol, "an Authentication message came out of order")
	}
	return out, false, err
}

// Done reports whether the server has let us in.
func (l *ServerLogin) Done() bool { return l.done }

func (l *ServerLogin) method(code uint32, data []byte) ([]byte, error) {
	switch code {
	case pgwire.AuthCleartextPassword:
		return l.cleartext()
	case pgwire.AuthMD5Password:
		return l.md5(data)
	case pgwire.AuthSASL:
		return l.scramStart(data)
	case pgwire.AuthSASLContinue, pgwire.AuthSASLFinal, pgwire.AuthGSSContinue, pgwire.AuthOk:
		return nil, fault(FaultProtocol, "an Authentication message came out of order")
	case pgwire.AuthKerberosV5, pgwire.AuthGSS, pgwire.AuthSSPI:
		return nil, fault(FaultUnsupported, "the server asks for Kerberos, GSSAPI or SSPI")
	}
	return nil, fault(FaultUnsupported, "the server asks for an unknown authentication method")
}

func (l *ServerLogin) cleartext() ([]byte, error) {
	if l.secret.Kind() != SecretPlain {
		return nil, l.unfit("a password in clear text")
	}
	l.step = stepOk
	return pgwire.AppendPassword(nil, l.secret.v.text), nil
}

func (l *ServerLogin) md5(data []byte) ([]byte, error) {
	var salt [4]byte
	if len(data) != len(salt) {
		return nil, fault(FaultProtocol, "the md5 salt has not 4 bytes")
	}
	copy(salt[:], data)
	var stored string
	switch l.secret.Kind() {
	case SecretPlain:
		stored = md5Secret(l.user, l.secret.v.text)
	case SecretMD5:
		stored = l.secret.v.text
	case SecretNone, SecretVerifier, SecretKeys:
		return nil, l.unfit("an md5 digest")
	}
	l.step = stepOk
	return pgwire.AppendPassword(nil, md5Answer(stored, salt)), nil
}

func (l *ServerLogin) scramStart(data []byte) ([]byte, error) {
	mechanisms, err := pgwire.ParseMechanisms(data)
	if err != nil {
		return nil, &LoginError{FaultProtocol, err}
	}
	if !slices.Contains(mechanisms, scramName) {
		return nil, fault(FaultUnsupported, "the server does not offer SCRAM-SHA-256")
	}
	if kind := l.secret.Kind(); kind != SecretPlain && kind != SecretKeys {
		return nil, l.unfit("SCRAM-SHA-256")
	}
	l.step = stepContinue
	l.nonce = newNonce()
	l.bare = "n=,r=" + l.nonce
	return pgwire.AppendSASLInitialResponse(nil, scramName, []byte(gs2None+l.bare)), nil
}

func (l *ServerLogin) scramContinue(message string) ([]byte, error) {
	first, err := parseServerFirst(message, l.nonce)
	if err != nil {
		return nil, &LoginError{FaultProtocol, err}
	}
	keys, err := l.keys(first)
	if err != nil {
		return nil, err
	}
	final := "c=" + base64.StdEncoding.EncodeToString([]byte(gs2None)) + ",r=" + first.nonce
	authMessage := l.bare + "," + message + "," + final
	proof := keys.client.xor(mac(keys.stored[:], authMessage))
	signature := mac(keys.server[:], authMessage)
	l.proof = base64.StdEncoding.EncodeToString(signature[:])
	l.step = stepFinal
	return pgwire.AppendSASLResponse(nil, []byte(final+",p="+base64.StdEncoding.EncodeToString(proof[:]))), nil
}

// keys returns the keys for the server's salt and iterations. A ClientKey fits only the verifier that it was proven against.
func (l *ServerLogin) keys(first serverFirst) (scramKeys, error) {
	if l.secret.Kind() == SecretPlain {
		keys, err := l.secret.keysFor(first.salt, first.iterations)
		if err != nil {
			return scramKeys{}, &LoginError{FaultSecret, err}
		}
		return keys, nil
	}
	v := l.secret.v.verifier
	if v.iterations != first.iterations || string(v.salt) != string(first.salt) {
		return scramKeys{}, fault(FaultSecret, "the server stores another SCRAM verifier than the one the client was checked against")
	}
	return scramKeys{client: l.secret.v.clientKey, stored: v.stored, server: v.server}, nil
}

func (l *ServerLogin) scramFinal(message string) error {
	if strings.HasPrefix(message, "e=") {
		return fault(FaultProtocol, "the server ended SCRAM with an error of the mechanism")
	}
	signature, _, last, err := attribute(message, 'v')
	if err != nil || !last {
		return fault(FaultProtocol, "the server's last SCRAM message is malformed")
	}
	if !hmac.Equal([]byte(signature), []byte(l.proof)) {
		return fault(FaultUnproven, "the server's signature is wrong")
	}
	l.step = stepOk
	return nil
}

func (l *ServerLogin) unfit(asked string) error {
	if l.secret.Kind() == SecretNone {
		return fault(FaultSecret, "the server asks for "+asked+" and no secret is known for the user")
	}
	return fault(FaultSecret, "the server asks for "+asked+" and of the user only a "+l.secret.Kind().String()+" secret is known")
}

func fault(f LoginFault, text string) error { return &LoginError{f, errors.New(text)} }
