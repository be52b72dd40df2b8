package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/pgrouter/pgrouter/pgwire"
)

// scramServer is the server's half of a SCRAM-SHA-256 exchange (RFC 5802, RFC 7677) as PostgreSQL plays it: the user name
// inside the messages is ignored, channel binding is not offered, extensions are refused.
type scramServer struct {
	begun       bool
	gs2         string // "n,," or "y,,"
	clientFirst string // without the gs2 header
	first       serverFirst
}

func (x *Exchange) startSCRAM() ([]byte, bool, error) {
	x.scram.begun = true
	x.step = x.scramInitial
	return pgwire.AppendAuthSASL(nil, scramName), false, nil
}

// scramInitial takes a SASLInitialResponse: mechanism and, usually, the client's first message.
func (x *Exchange) scramInitial(body []byte) ([]byte, bool, error) {
	mechanism, rest, ok := pgwire.CString(body)
	if !ok || len(rest) < 4 {
		return nil, false, x.malformed("The message has no mechanism or no length.")
	}
	if string(mechanism) != scramName {
		return nil, false, x.refuse(reasonMalformed, pgwire.ErrSASLMechanism.New(""))
	}
	const absent = 0xffffffff
	length, data := binary.BigEndian.Uint32(rest), rest[4:]
	switch {
	case length == absent && len(data) == 0:
		x.step = x.scramFirst
		return pgwire.AppendAuthSASLContinue(nil, nil), false, nil
	case uint64(length) != uint64(len(data)):
		return nil, false, x.malformed("The length does not fit the message.")
	}
	return x.scramFirst(data)
}

// scramFirst takes the client's first message: gs2-header, n=user, r=nonce.
func (x *Exchange) scramFirst(data []byte) ([]byte, bool, error) {
	if len(data) > maxSASLLen {
		return nil, false, x.malformed("The message is too long.")
	}
	message := string(data)
	if err := x.gs2Header(message); err != nil {
		return nil, false, err
	}
	s := &x.scram
	s.gs2, s.clientFirst = message[:len(gs2None)], message[len(gs2None):]
	if strings.HasPrefix(s.clientFirst, "m=") {
		return nil, false, x.refuse(reasonMalformed, pgwire.ErrSASLExtension.New(""))
	}
	_, rest, last, err := attribute(s.clientFirst, 'n')
	if err != nil || last {
		return nil, false, x.malformed("The user name is missing.")
	}
	nonce, _, last, err := attribute(rest, 'r')
	if err != nil || checkNonce(nonce) != nil {
		return nil, false, x.malformed("The nonce is missing, too long or not printable.")
	}
	if !last {
		return nil, false, x.malformed("Extensions are not supported.")
	}
	check := x.entry.check
	s.first = serverFirst{nonce: nonce + newNonce(), salt: check.salt, iterations: check.iterations}
	x.step = x.scramFinal
	return pgwire.AppendAuthSASLContinue(nil, []byte(s.first.format())), false, nil
}

// gs2Header accepts "n,," and "y,,". y, "I could bind and think that you cannot", is right: binding is not offered.
func (x *Exchange) gs2Header(message string) error {
	switch {
	case strings.HasPrefix(message, "n,,"), strings.HasPrefix(message, "y,,"):
		return nil
	case strings.HasPrefix(message, "p="):
		return x.refuse(reasonMalformed, pgwire.ErrChannelBinding.New(""))
	case strings.HasPrefix(message, "n,a="), strings.HasPrefix(message, "y,a="):
		return x.refuse(reasonMalformed, pgwire.ErrSASLExtension.New("Authorization identities are not supported."))
	}
	return x.malformed("The channel binding flag is missing.")
}

// scramFinal takes the client's last message: c=channel binding, r=nonce, p=proof.
func (x *Exchange) scramFinal(data []byte) ([]byte, bool, error) {
	if len(data) > maxSASLLen {
		return nil, false, x.malformed("The message is too long.")
	}
	s, message := &x.scram, string(data)
	binding, rest, last, err := attribute(message, 'c')
	if err != nil || last || binding != base64.StdEncoding.EncodeToString([]byte(s.gs2)) {
		return nil, false, x.malformed("The channel binding does not fit the first message.")
	}
	nonce, rest, last, err := attribute(rest, 'r')
	if err != nil || last || !hmac.Equal([]byte(nonce), []byte(s.first.nonce)) {
		return nil, false, x.malformed("The nonce does not match.")
	}
	withoutProof := message[:len(message)-len(rest)-len(",")]
	text, _, last, err := attribute(rest, 'p')
	if err != nil || !last {
		return nil, false, x.malformed("The proof is missing, or extensions are there.")
	}
	proof, err := decodeKey(text)
	if err != nil {
		return nil, false, x.malformed("The proof has the wrong length or is not base64.")
	}
	return x.scramProof(proof, s.clientFirst+","+s.first.format()+","+withoutProof)
}

// scramProof recovers the ClientKey and compares what it hashes to. All work is done before anything is decided.
func (x *Exchange) scramProof(proof key, authMessage string) ([]byte, bool, error) {
	check := x.entry.check
	clientKey := proof.xor(mac(check.stored[:], authMessage))
	stored := key(sha256.Sum256(clientKey[:]))
	signature := mac(check.server[:], authMessage)
	right, fits := hmac.Equal(stored[:], check.stored[:]), x.entry.real
	if !right || !fits {
		return nil, false, x.deny(x.whyNot(fits))
	}
	final := "v=" + base64.StdEncoding.EncodeToString(signature[:])
	return x.admit(pgwire.AppendAuthSASLFinal(nil, []byte(final)), MethodSCRAM, x.recovered(clientKey))
}

// recovered binds the ClientKey to the user and to the stored verifier that it fits. A stored password is worth more.
func (x *Exchange) recovered(clientKey key) Secret {
	if !x.entry.secret.hasVerifier() {
		return x.entry.secret
	}
	keys := keysSecret(x.entry.secret.v.verifier, clientKey)
	x.ring.Remember(x.entry.name, keys)
	return keys
}

func (x *Exchange) malformed(detail string) error {
	return x.refuse(reasonMalformed, pgwire.ErrSASLMalformed.New(detail))
}
