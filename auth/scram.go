package auth

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

const (
	// maxSASLLen is the longest SCRAM message, in bytes (PG_MAX_SASL_MESSAGE_LENGTH).
	maxSASLLen = 1024
	// maxNonceLen is the longest nonce of either side, in characters, and of both together.
	maxNonceLen = 256
	// rawNonceLen is the length of our nonces before base64 (SCRAM_RAW_NONCE_LEN).
	rawNonceLen = 18

	gs2None = "n,," // no channel binding, no authorization identity
)

var (
	errAttribute = errors.New("expected attribute is missing")
	errNonce     = errors.New("nonce is empty, too long or not printable")
	errExtension = errors.New("unknown extension")
	errTooLong   = errors.New("message is too long")
)

// newNonce returns a fresh nonce of 24 printable characters.
func newNonce() string {
	var raw [rawNonceLen]byte
	_, _ = rand.Read(raw[:]) // never fails
	return base64.StdEncoding.EncodeToString(raw[:])
}

// attribute reads "name=value" that message begins with, up to the comma or the end.
func attribute(message string, name byte) (value, rest string, last bool, err error) {
	if len(message) < 2 || message[0] != name || message[1] != '=' {
		return "", "", false, errAttribute
	}
	value, rest, found := strings.Cut(message[2:], ",")
	return value, rest, !found, nil
}

// checkNonce accepts 1 to maxNonceLen printable characters other than the comma, and no space.
func checkNonce(nonce string) error {
	if nonce == "" || len(nonce) > maxNonceLen {
		return errNonce
	}
	for i := range len(nonce) {
		if c := nonce[i]; c < 0x21 || c > 0x7e || c == ',' {
			return errNonce
		}
	}
	return nil
}

// serverFirst is the server's first message.
type serverFirst struct {
	nonce      string // of both sides
	salt       []byte
	iterations int
}

func (m serverFirst) format() string {
	return "r=" + m.nonce + ",s=" + base64.StdEncoding.EncodeToString(m.salt) + ",i=" + strconv.Itoa(m.iterations)
}

// parseServerFirst is strict, and bounds what the server can make us do. The nonce must begin with ours and add to it.
func parseServerFirst(message, clientNonce string) (m serverFirst, err error) {
	if len(message) > maxSASLLen {
		return serverFirst{}, errTooLong
	}
	nonce, rest, last, err := attribute(message, 'r')
	if err != nil || last {
		return serverFirst{}, errAttribute
	}
	if err := checkNonce(nonce); err != nil {
		return serverFirst{}, err
	}
	if !strings.HasPrefix(nonce, clientNonce) || len(nonce) == len(clientNonce) {
		return serverFirst{}, errors.New("the nonce is not made from ours")
	}
	salt, rest, last, err := attribute(rest, 's')
	if err != nil || last {
		return serverFirst{}, errAttribute
	}
	m.nonce = nonce
	if m.salt, err = decode64(salt); err != nil || len(m.salt) == 0 {
		return serverFirst{}, errors.New("the salt is not base64")
	}
	count, _, last, err := attribute(rest, 'i')
	if err != nil {
		return serverFirst{}, errAttribute
	}
	if !last {
		return serverFirst{}, errExtension
	}
	m.iterations, err = parseIterations(count, MaxIterations)
	return m, err
}
