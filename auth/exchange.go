package auth

import (
	"crypto/hmac"
	"crypto/rand"

	"github.com/pgrouter/pgrouter/pgwire"
)

// Verdict is the outcome of a login. The zero value means denied.
type Verdict struct {
	User         string
	Method       Method // how the user proved it; MethodSCRAM also where the md5 method fell back to it
	ServerSecret Secret // with what pgrouter may log in to servers as this user; zero when nothing is known
}

// DeniedError is why a client does not get in. The client is sent Reply and nothing else; Reason is for the log: it tells what
// Reply must not (that the user is unknown), but never a secret.
type DeniedError struct {
	User   string // as the client named itself: quote it before showing it
	Reason string // constant text
	Reply  *pgwire.Error
}

// Error returns the reason.
func (d *DeniedError) Error() string { return "client authentication: " + d.Reason }

// Unwrap returns what the client is told.
func (d *DeniedError) Unwrap() error { return d.Reply }

// Reasons of DeniedError.
const (
	reasonUnknownUser  = "the user is unknown"
	reasonNoSecret     = "the user has no secret that fits the method"
	reasonWrongSecret  = "the password is wrong"
	reasonNoMethod     = "no authentication method is set"
	reasonEmpty        = "the password is empty"
	reasonOutOfOrder   = "a message came when none was expected"
	reasonWrongMessage = "another message came instead of a password"
	reasonMalformed    = "the message is malformed"
	reasonDerive       = "the keys of the password could not be derived"
)

// Exchange is one client's login as a step machine. It is not safe for use by several goroutines.
//
//	out, done, err := x.Start()
//	for err == nil && !done { send(out); kind, body := receive(); out, done, err = x.Next(kind, body) }
//
// With err, a *DeniedError, its Reply is all that is to be sent. When done, out (it may be empty) is to be sent before
// AuthenticationOk, which is the caller's to send when the session can really begin. The caller bounds the time and reads
// messages of no more than pgwire allows for KindPassword.
type Exchange struct {
	method Method
	entry  Entry
	ring   *KeyRing
	step   func(body []byte) (out []byte, done bool, err error) // what the next message is fed to; nil: none is expected
	salt   [4]byte                                              // md5
	scram  scramServer
	done   bool
	result Verdict
}

// NewExchange returns the login of a client that calls itself user. users nil knows nobody. ring, which may be nil, gets to
// know the ClientKeys that clients with a stored verifier reveal.
func NewExchange(method Method, user string, users Users, ring *KeyRing) *Exchange {
	x := &Exchange{method: method, ring: ring, entry: Entry{name: user}}
	if users != nil {
		x.entry = users.Entry(user)
	}
	if x.entry.check.iterations == 0 { // of a Users that has no verifiers to show
		x.entry.check, x.entry.real = NewSeed().mock(user, DefaultIterations), false
	}
	return x
}

// Start returns what is sent to the client first.
func (x *Exchange) Start() (out []byte, done bool, err error) {
	switch x.method {
	case MethodTrust:
		return x.trust()
	case MethodPassword:
		x.step = x.password
		return pgwire.AppendAuthCleartextPassword(nil), false, nil
	case MethodMD5:
		if x.wantsMD5() {
			_, _ = rand.Read(x.salt[:]) // never fails
			x.step = x.md5
			return pgwire.AppendAuthMD5Password(nil, x.salt), false, nil
		}
		return x.startSCRAM()
	case MethodSCRAM:
		return x.startSCRAM()
	case MethodNone:
	}
	return nil, false, x.deny(reasonNoMethod)
}

// Next takes a message of the client and returns what is sent in answer.
func (x *Exchange) Next(kind byte, body []byte) (out []byte, done bool, err error) {
	step := x.step
	x.step = nil
	switch {
	case step == nil:
		return nil, false, x.refuse(reasonOutOfOrder, pgwire.ErrProtocol.New(""))
	case kind != pgwire.KindPassword && x.scram.begun:
		return nil, false, x.refuse(reasonWrongMessage, pgwire.ErrExpectedSASL.New("", kind))
	case kind != pgwire.KindPassword:
		return nil, false, x.refuse(reasonWrongMessage, pgwire.ErrExpectedPassword.New("", kind))
	}
	return step(body)
}

// Verdict returns the outcome. ok is false, and the verdict zero, unless the login has succeeded.
func (x *Exchange) Verdict() (v Verdict, ok bool) { return x.result, x.done }

func (x *Exchange) trust() ([]byte, bool, error) {
	if !x.entry.known {
		return nil, false, x.deny(reasonUnknownUser)
	}
	return x.admit(nil, MethodTrust, x.ring.ServerSecret(x.entry))
}

// wantsMD5 chooses the challenge under the md5 method: who has a verifier gets SCRAM; an unknown user gets what most get.
func (x *Exchange) wantsMD5() bool {
	if !x.entry.known {
		return x.entry.usual == SecretMD5
	}
	return !x.entry.secret.hasVerifier()
}

// md5 checks the answer to an md5 challenge.
func (x *Exchange) md5(body []byte) ([]byte, bool, error) {
	answer, err := x.passwordOf(body)
	if err != nil {
		return nil, false, err
	}
	stored, fits := x.storedMD5()
	if right := hmac.Equal([]byte(md5Answer(stored, x.salt)), []byte(answer)); !right || !fits {
		return nil, false, x.deny(x.whyNot(fits))
	}
	return x.admit(nil, MethodMD5, x.entry.secret)
}

// storedMD5 returns what PostgreSQL would have stored; fits is false when it is made up.
func (x *Exchange) storedMD5() (stored string, fits bool) {
	made := md5Secret(x.entry.name, x.entry.secret.plain())
	switch x.entry.secret.Kind() {
	case SecretMD5:
		return x.entry.secret.v.text, true
	case SecretPlain:
		return made, true
	case SecretNone, SecretVerifier, SecretKeys:
	}
	return made, false
}

// password checks a password in clear text. The key derivation is done for everybody, for it is what takes the time.
func (x *Exchange) password(body []byte) ([]byte, bool, error) {
	password, err := x.passwordOf(body)
	if err != nil {
		return nil, false, err
	}
	check := x.entry.check
	keys, err := deriveKeys(password, check.salt, check.iterations)
	if err != nil {
		return nil, false, x.deny(reasonDerive)
	}
	right, fits := hmac.Equal(keys.stored[:], check.stored[:]), x.entry.real
	if x.entry.secret.Kind() == SecretMD5 {
		right, fits = hmac.Equal([]byte(md5Secret(x.entry.name, password)), []byte(x.entry.secret.v.text)), true
	}
	if !right || !fits {
		return nil, false, x.deny(x.whyNot(fits))
	}
	return x.admit(nil, MethodPassword, x.learnt(password, keys))
}

// learnt returns the secret for servers after a login with a password: the stored one, if it is the password, because it
// remembers derived keys.
func (x *Exchange) learnt(password string, keys scramKeys) Secret {
	if x.entry.secret.Kind() == SecretPlain {
		return x.entry.secret
	}
	s := PlainSecret(password)
	if x.entry.secret.hasVerifier() {
		v := x.entry.secret.v.verifier
		x.ring.Remember(x.entry.name, keysSecret(v, keys.client))
		s.remember(v.salt, v.iterations, keys)
	}
	return s
}

// passwordOf reads a PasswordMessage.
func (x *Exchange) passwordOf(body []byte) (string, error) {
	text, rest, ok := pgwire.CString(body)
	switch {
	case !ok || len(rest) > 0 || len(text) > MaxSecretLen:
		return "", x.refuse(reasonMalformed, pgwire.ErrPasswordPacket.New(""))
	case len(text) == 0:
		return "", x.refuse(reasonEmpty, pgwire.ErrEmptyPassword.New(""))
	}
	return string(text), nil
}

// whyNot is the reason of a failed check; fits says that the user exists and could have passed.
func (x *Exchange) whyNot(fits bool) string {
	switch {
	case !x.entry.known:
		return reasonUnknownUser
	case !fits:
		return reasonNoSecret
	}
	return reasonWrongSecret
}

func (x *Exchange) admit(out []byte, method Method, s Secret) ([]byte, bool, error) {
	x.done = true
	x.result = Verdict{User: x.entry.name, Method: method, ServerSecret: s}
	return out, true, nil
}

func (x *Exchange) deny(reason string) error {
	return x.refuse(reason, pgwire.ErrAuthFailed.New("", x.entry.name))
}

func (x *Exchange) refuse(reason string, reply *pgwire.Error) error {
	return &DeniedError{User: x.entry.name, Reason: reason, Reply: reply}
}
