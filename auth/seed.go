package auth

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const (
	// MinSeedLen is the fewest bytes that a stored seed may have.
	MinSeedLen = 16

	saltLen = 16 // SCRAM_DEFAULT_SALT_LEN
)

// Seed is the installation's secret from which the salts come that are shown to clients, of users with a plain-text
// password as of unknown ones. With the same seed a user's salt is the same after a restart, as it is in PostgreSQL; with
// another it changes for both alike. The zero value stands for "make one".
type Seed struct {
	key key
}

// NewSeed returns a random seed.
func NewSeed() Seed {
	var s Seed
	_, _ = rand.Read(s.key[:]) // never fails
	return s
}

// SeedFrom returns the seed of secret bytes that were kept, at least MinSeedLen of them.
func SeedFrom(secret []byte) (Seed, error) {
	if len(secret) < MinSeedLen {
		return Seed{}, errors.New("seed: fewer than 16 bytes")
	}
	return Seed{mac(secret, "pgrouter seed")}, nil
}

func (s Seed) isZero() bool { return s == Seed{} }

// salt returns the user's salt.
func (s Seed) salt(user string) []byte {
	salt := mac(s.key[:], "salt "+user)
	return salt[:saltLen]
}

// mock returns a verifier that no password is known for.
func (s Seed) mock(user string, iterations int) verifier {
	return verifier{
		iterations: iterations, salt: s.salt(user),
		stored: mac(s.key[:], "stored "+user), server: mac(s.key[:], "server "+user),
	}
}

// String hides the seed.
func (Seed) String() string { return "[seed]" }

// Format makes every verb of fmt hide the seed.
func (s Seed) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue makes slog hide the seed.
func (s Seed) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Encode returns the seed as text for a state file that only pgrouter may read; DecodeSeed reads it.
func (s Seed) Encode() string { return hex.EncodeToString(s.key[:]) }

// DecodeSeed reads what Encode wrote.
func DecodeSeed(text string) (Seed, error) {
	var s Seed
	if hex.DecodedLen(len(text)) != len(s.key) {
		return Seed{}, errors.New("seed: wrong length")
	}
	if _, err := hex.Decode(s.key[:], []byte(text)); err != nil {
		return Seed{}, errors.New("seed: not hexadecimal")
	}
	return s, nil
}
