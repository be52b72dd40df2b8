package auth

// Entry is one user. The zero value is nobody.
type Entry struct {
	name   string
	known  bool
	secret Secret   // as stored
	check  verifier // what SCRAM is checked against: the stored one, one derived from the password, or a mock
	real   bool     // check comes from the secret
	usual  SecretKind
}

// User returns the name.
func (e Entry) User() string { return e.name }

// Known reports whether the user exists. It must not decide what is sent to a client that has not proven who it is.
func (e Entry) Known() bool { return e.known }

// Secret returns what is stored for the user.
func (e Entry) Secret() Secret { return e.secret }

// NewEntry makes the entry of a user whose secret was found elsewhere than in a userlist, for implementations of [Users].
// Derivation of a verifier for a plain-text password is done here, so keep the entry. Of unknown users, and of those whose
// secret no SCRAM login fits, the check is a mock made from seed.
func NewEntry(user string, s Secret, seed Seed, iterations int) (Entry, error) {
	e := Entry{name: user, known: true, secret: s, usual: SecretVerifier}
	switch s.Kind() {
	case SecretVerifier, SecretKeys:
		e.check, e.real = s.v.verifier, true
	case SecretPlain:
		v, err := deriveVerifier(s.v.text, seed.salt(user), iterations)
		if err != nil {
			return Entry{}, err
		}
		e.check, e.real = v, true
	case SecretMD5, SecretNone:
		e.check = seed.mock(user, iterations)
	}
	return e, nil
}

// MockEntry makes the entry of an unknown user, for implementations of [Users].
func MockEntry(user string, seed Seed, iterations int) Entry {
	return Entry{name: user, check: seed.mock(user, iterations), usual: SecretVerifier}
}
