package auth

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// verifierOf returns the verifier text of a password, with few iterations to keep tests quick.
func verifierOf(t testing.TB, password string) string {
	t.Helper()
	v, err := deriveVerifier(password, []byte("0123456789abcdef"), testIterations)
	if err != nil {
		t.Fatal(err)
	}
	return v.format()
}

const testIterations = 64

func userlist(t testing.TB, text string) *Userlist {
	t.Helper()
	u, err := ParseUserlist([]byte(text), UserlistOptions{Iterations: testIterations, Seed: testSeed(t)})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func testSeed(t testing.TB) Seed {
	t.Helper()
	seed, err := SeedFrom([]byte("a seed for tests"))
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

func secretOf(t testing.TB, text string) Secret {
	t.Helper()
	s, err := ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
