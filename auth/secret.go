package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // the protocol's md5 method
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// MaxSecretLen is the longest password or stored secret that is accepted, in bytes. It is long enough for the tokens that
// some clouds use as passwords.
const MaxSecretLen = 10_000

const (
	md5Prefix    = "md5"
	md5SecretLen = len(md5Prefix) + 2*md5.Size
)

// SecretKind says what a [Secret] is made of, and so what it can be used for.
type SecretKind uint8

// The kinds of secrets.
const (
	SecretNone     SecretKind = iota // nothing: good for servers that trust us
	SecretPlain                      // a password: checks every client, opens every server
	SecretMD5                        // md5 of password and user: checks and opens with md5 only
	SecretVerifier                   // a SCRAM verifier: checks clients, opens no server
	SecretKeys                       // a SCRAM verifier and the ClientKey that fits it: checks clients, opens servers that store this verifier
)

// String returns the kind's name.
func (k SecretKind) String() string {
	switch k {
	case SecretPlain:
		return "plain"
	case SecretMD5:
		return "md5"
	case SecretVerifier:
		return "scram verifier"
	case SecretKeys:
		return "scram keys"
	case SecretNone:
	}
	return "none"
}

// Secret is what proves a user's identity. It is opaque and prints itself as its kind only, whatever the verb. Copies share
// what they hold, and the keys derived from a plain-text password are remembered in it, so keep one Secret per password
// instead of making one per login. The zero value is no secret. It is safe for use by several goroutines.
type Secret struct {
	v *secret
}

type secret struct {
	kind      SecretKind
	text      string // plain: the password; md5: "md5" and 32 hex digits
	verifier  verifier
	clientKey key // SecretKeys only
	mu        struct {
		sync.Mutex
		derived [derivedSlots]derivedKeys
		next    int
	}
}

// derivedSlots is for how many (salt, iterations) a plain-text password remembers its keys. A password has one such pair
// in each cluster that it opens; more pairs than slots cost time, nothing else.
const derivedSlots = 4

type derivedKeys struct {
	salt       []byte
	iterations int
	keys       scramKeys
}

var errSecretTooLong = fmt.Errorf("secret is longer than %d bytes", MaxSecretLen)

// PlainSecret returns the secret of a plain-text password. An empty password is no secret.
func PlainSecret(password string) Secret {
	if password == "" {
		return Secret{}
	}
	return Secret{&secret{kind: SecretPlain, text: password}}
}

// ParseSecret reads a secret as PostgreSQL's pg_authid.rolpassword and PgBouncer's userlist have it: "md5" and 32 hex
// digits, a SCRAM-SHA-256 verifier, or else a plain-text password. What begins like a verifier but is none is an error,
// because it is far more often a damaged verifier than a password. The error does not contain the secret.
func ParseSecret(text string) (Secret, error) {
	switch {
	case len(text) > MaxSecretLen:
		return Secret{}, errSecretTooLong
	case strings.IndexByte(text, 0) >= 0:
		return Secret{}, errors.New("secret contains a NUL byte")
	case strings.HasPrefix(text, verifierPrefix):
		v, err := parseVerifier(text)
		if err != nil {
			return Secret{}, err
		}
		return Secret{&secret{kind: SecretVerifier, verifier: v}}, nil
	case isMD5(text):
		return Secret{&secret{kind: SecretMD5, text: text}}, nil
	}
	return PlainSecret(text), nil
}

func isMD5(text string) bool {
	if len(text) != md5SecretLen || !strings.HasPrefix(text, md5Prefix) {
		return false
	}
	for _, c := range text[len(md5Prefix):] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// keysSecret binds a ClientKey to its verifier.
func keysSecret(v verifier, clientKey key) Secret {
	return Secret{&secret{kind: SecretKeys, verifier: v, clientKey: clientKey}}
}

// Kind returns what the secret is made of.
func (s Secret) Kind() SecretKind {
	if s.v == nil {
		return SecretNone
	}
	return s.v.kind
}

// CanLogin reports whether the secret can open a server that asks for one.
func (s Secret) CanLogin() bool { return s.Kind() != SecretNone && s.Kind() != SecretVerifier }

// Equal reports whether two secrets are of one kind and hold the same, in a time that does not depend on where they differ.
func (s Secret) Equal(o Secret) bool {
	if s.Kind() != o.Kind() {
		return false
	}
	if s.v == o.v {
		return true
	}
	same := hmac.Equal([]byte(s.v.text), []byte(o.v.text))
	same = s.v.verifier.equal(o.v.verifier) && same
	return hmac.Equal(s.v.clientKey[:], o.v.clientKey[:]) && same
}

// hasVerifier reports whether clients can be checked with SCRAM against the secret itself.
func (s Secret) hasVerifier() bool { return s.Kind() == SecretVerifier || s.Kind() == SecretKeys }

// keysFor returns the SCRAM keys of a plain-text password, derived at most once per pair of salt and iterations.
func (s Secret) keysFor(salt []byte, iterations int) (scramKeys, error) {
	if keys, ok := s.remembered(salt, iterations); ok {
		return keys, nil
	}
	keys, err := deriveKeys(s.v.text, salt, iterations)
	if err != nil {
		return scramKeys{}, err
	}
	s.remember(salt, iterations, keys)
	return keys, nil
}

func (s Secret) remembered(salt []byte, iterations int) (scramKeys, bool) {
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	for i := range s.v.mu.derived {
		d := &s.v.mu.derived[i]
		if d.iterations == iterations && d.iterations != 0 && bytes.Equal(d.salt, salt) {
			return d.keys, true
		}
	}
	return scramKeys{}, false
}

func (s Secret) remember(salt []byte, iterations int, keys scramKeys) {
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	s.v.mu.derived[s.v.mu.next] = derivedKeys{bytes.Clone(salt), iterations, keys}
	s.v.mu.next = (s.v.mu.next + 1) % derivedSlots
}

// String returns the secret's kind, never the secret.
func (s Secret) String() string { return "[" + s.Kind().String() + " secret]" }

// Format makes every verb of fmt print the kind only.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue makes slog print the kind only.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText makes encoders (JSON, TOML) print the kind only.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// md5Secret returns what PostgreSQL stores for a password with password_encryption = md5.
func md5Secret(user, password string) string {
	return md5Prefix + md5Hex(password, user)
}

// md5Answer returns what a client sends for a stored md5 secret and the server's salt.
func md5Answer(stored string, salt [4]byte) string {
	return md5Prefix + md5Hex(stored[len(md5Prefix):], string(salt[:]))
}

func md5Hex(parts ...string) string {
	h := md5.New() //nolint:gosec // the protocol's md5 method
	for _, p := range parts {
		_, _ = io.WriteString(h, p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// plain returns the password, "" if there is none.
func (s Secret) plain() string {
	if s.Kind() != SecretPlain {
		return ""
	}
	return s.v.text
}
