package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	scramName      = "SCRAM-SHA-256"
	verifierPrefix = scramName + "$"

	// DefaultIterations is PostgreSQL's default of scram_iterations.
	DefaultIterations = 4096

	// MaxIterations is the most PBKDF2 iterations that are done here, whoever asks for them, and so the most that a verifier
	// may have: about half a second of one CPU.
	MaxIterations = 2_000_000

	maxSaltLen = 512 // in bytes, of a verifier; PostgreSQL makes 16
)

// key is any of SCRAM's 32-byte values.
type key [sha256.Size]byte

// scramKeys are what a password gives for one salt and number of iterations.
type scramKeys struct{ client, stored, server key }

// verifier is what PostgreSQL stores for a user: SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>.
type verifier struct {
	iterations int
	salt       []byte
	stored     key
	server     key
}

// deriveKeys does the costly part of SCRAM: PBKDF2 over the prepared password.
func deriveKeys(password string, salt []byte, iterations int) (scramKeys, error) {
	salted, err := pbkdf2.Key(sha256.New, saslPrep(password), salt, iterations, sha256.Size)
	if err != nil {
		return scramKeys{}, fmt.Errorf("derive SCRAM keys: %w", err)
	}
	var k scramKeys
	k.client = mac(salted, "Client Key")
	k.stored = sha256.Sum256(k.client[:])
	k.server = mac(salted, "Server Key")
	return k, nil
}

func deriveVerifier(password string, salt []byte, iterations int) (verifier, error) {
	k, err := deriveKeys(password, salt, iterations)
	if err != nil {
		return verifier{}, err
	}
	return verifier{iterations: iterations, salt: salt, stored: k.stored, server: k.server}, nil
}

func mac(k []byte, message string) key {
	h := hmac.New(sha256.New, k)
	h.Write([]byte(message))
	return key(h.Sum(nil))
}

func (k key) xor(o key) key {
	for i := range k {
		k[i] ^= o[i]
	}
	return k
}

func (v verifier) equal(o verifier) bool {
	same := v.iterations == o.iterations && bytes.Equal(v.salt, o.salt)
	same = hmac.Equal(v.stored[:], o.stored[:]) && same
	return hmac.Equal(v.server[:], o.server[:]) && same
}

// format returns the verifier as PostgreSQL stores it. It is a secret.
func (v verifier) format() string {
	b64 := base64.StdEncoding.EncodeToString
	return verifierPrefix + strconv.Itoa(v.iterations) + ":" + b64(v.salt) + "$" + b64(v.stored[:]) + ":" + b64(v.server[:])
}

// parseVerifier is strict: PostgreSQL writes verifiers in exactly one way.
func parseVerifier(text string) (verifier, error) {
	rest, _ := strings.CutPrefix(text, verifierPrefix)
	params, keys, ok1 := strings.Cut(rest, "$")
	count, salt, ok2 := strings.Cut(params, ":")
	stored, server, ok3 := strings.Cut(keys, ":")
	if !ok1 || !ok2 || !ok3 {
		return verifier{}, errors.New("damaged SCRAM verifier: it must read SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")
	}
	var v verifier
	var err error
	if v.iterations, err = parseIterations(count, MaxIterations); err != nil {
		return verifier{}, fmt.Errorf("damaged SCRAM verifier: %w", err)
	}
	if v.salt, err = decode64(salt); err != nil || len(v.salt) == 0 || len(v.salt) > maxSaltLen {
		return verifier{}, errors.New("damaged SCRAM verifier: the salt is not base64 of a usable length")
	}
	if v.stored, err = decodeKey(stored); err != nil {
		return verifier{}, errors.New("damaged SCRAM verifier: StoredKey is not base64 of 32 bytes")
	}
	if v.server, err = decodeKey(server); err != nil {
		return verifier{}, errors.New("damaged SCRAM verifier: ServerKey is not base64 of 32 bytes")
	}
	return v, nil
}

// parseIterations reads a positive decimal number without sign or leading zeros. Its errors do not show the text.
func parseIterations(text string, limit int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || strconv.Itoa(n) != text {
		return 0, errors.New("the number of iterations is not a positive number")
	}
	if n > limit {
		return 0, fmt.Errorf("the number of iterations is above %d", limit)
	}
	return n, nil
}

var errNotBase64 = errors.New("not base64")

// decode64 is base64 without the newlines and the loose padding bits that Go's decoder forgives.
func decode64(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errNotBase64
	}
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errNotBase64
	}
	return b, nil
}

func decodeKey(text string) (key, error) {
	if len(text) != base64.StdEncoding.EncodedLen(sha256.Size) {
		return key{}, errNotBase64
	}
	b, err := decode64(text)
	if err != nil || len(b) != sha256.Size {
		return key{}, errNotBase64
	}
	return key(b), nil
}
