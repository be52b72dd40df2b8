package auth

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// verifierOf returns the verifier text of a password, with few iterations to keep tests quick.
func verifierOf(tb testing.TB, password string) string {
	tb.Helper()
	v, err := deriveVerifier(password, []byte("0123456789abcdef"), testIterations)
	if err != nil {
		tb.Fatal(err)
	}
	return v.format()
}

const testIterations = 64

func userlist(tb testing.TB, text string) *Userlist {
	tb.Helper()
	u, err := ParseUserlist([]byte(text), UserlistOptions{Iterations: testIterations, Seed: testSeed(tb)})
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

func testSeed(tb testing.TB) Seed {
	tb.Helper()
	seed, err := SeedFrom([]byte("a seed for tests"))
	if err != nil {
		tb.Fatal(err)
	}
	return seed
}

func secretOf(tb testing.TB, text string) Secret {
	tb.Helper()
	s, err := ParseSecret(text)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}
