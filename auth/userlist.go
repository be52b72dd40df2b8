package auth

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Users is who exists, and with which secret. Implementations are safe for use by several goroutines.
type Users interface {
	// Entry returns what is known about a user. For an unknown one it returns a mock entry that no password fits, made so
	// that neither its look nor the time it takes tells the difference.
	Entry(user string) Entry
}

// UserlistOptions says how a userlist is read. The zero value is useful.
type UserlistOptions struct {
	Name       string    // of the file, for errors
	Iterations int       // of the SCRAM verifiers made for plain-text passwords and for unknown users; default DefaultIterations
	Seed       Seed      // default: the previous list's, else a random one
	Previous   *Userlist // the list that this one replaces: what is unchanged keeps its verifiers and its derived keys
}

// Userlist is an immutable set of users with their secrets.
type Userlist struct {
	seed     Seed
	mock     int        // iterations shown to unknown users: the most frequent of the list
	usual    SecretKind // SecretMD5 when md5 method users mostly get an md5 challenge, else SecretVerifier
	derived  int        // iterations of verifiers made for plain-text passwords
	warnings []string
	entries  map[string]Entry
}

// LoadUserlist reads a userlist file. The error is a [UserlistErrors] when the file could be read but has faults.
func LoadUserlist(path string, o UserlistOptions) (*Userlist, error) {
	if o.Name == "" {
		o.Name = path
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("userlist: %w", err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("userlist: %w", err)
	}
	u, err := ParseUserlist(data, o)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&othersMayRead != 0 {
		u.warnings = append(u.warnings, fmt.Sprintf("userlist %s can be read by every user of this machine (mode %04o)", path, mode))
	}
	return u, nil
}

const othersMayRead fs.FileMode = 0o004

// ParseUserlist reads a userlist in PgBouncer's format:
//
//	; a comment
//	"user" "secret"   what follows is ignored
//
// A secret is what [ParseSecret] reads; "" is no password: such a user gets in with trust only. In both strings "" stands
// for one double quote. A user that stands there twice must have the same secret both times. All faults are reported at
// once, as a [UserlistErrors]; no error shows any part of a line. For plain-text passwords SCRAM verifiers are derived here,
// once.
func ParseUserlist(data []byte, o UserlistOptions) (*Userlist, error) {
	if o.Iterations == 0 {
		o.Iterations = DefaultIterations
	}
	if o.Iterations < 1 || o.Iterations > MaxIterations {
		return nil, fmt.Errorf("userlist: %d SCRAM iterations are not between 1 and %d", o.Iterations, MaxIterations)
	}
	lines, err := scanUserlist(o.Name, data)
	if err != nil {
		return nil, err
	}
	u := &Userlist{seed: o.seed(), derived: o.Iterations, entries: make(map[string]Entry, len(lines))}
	u.mock, u.usual = usualOf(lines, o.Iterations)
	entries, err := u.complete(lines, o.Previous)
	if err != nil {
		return nil, fmt.Errorf("userlist %s: %w", o.Name, err)
	}
	for _, e := range entries {
		u.entries[e.name] = e
	}
	return u, nil
}

func (o UserlistOptions) seed() Seed {
	switch {
	case !o.Seed.isZero():
		return o.Seed
	case o.Previous != nil:
		return o.Previous.seed
	}
	return NewSeed()
}

// Len returns the number of users.
func (u *Userlist) Len() int { return len(u.entries) }

// Names returns all users, in no order.
func (u *Userlist) Names() []string { return slices.Collect(maps.Keys(u.entries)) }

// Warnings returns what an operator should hear about the file.
func (u *Userlist) Warnings() []string { return u.warnings }

// Entry implements Users. The mock is made in both cases: a known user must not be faster.
func (u *Userlist) Entry(user string) Entry {
	mock := MockEntry(user, u.seed, u.mock)
	mock.usual = u.usual
	if e, ok := u.entries[user]; ok {
		return e
	}
	return mock
}

// usualOf returns how a typical user of the list looks: the most frequent number of iterations, the larger one in a tie,
// and the kind of challenge.
func usualOf(lines []userLine, derived int) (iterations int, kind SecretKind) {
	counts := map[int]int{}
	md5s, scrams := 0, 0
	for _, l := range lines {
		switch l.secret.Kind() {
		case SecretVerifier, SecretKeys:
			counts[l.secret.v.verifier.iterations]++
			scrams++
		case SecretPlain:
			counts[derived]++
			md5s++
		case SecretMD5:
			md5s++
		case SecretNone:
		}
	}
	iterations, kind = derived, SecretVerifier
	for n, count := range counts {
		if best := counts[iterations]; count > best || count == best && n > iterations {
			iterations = n
		}
	}
	if md5s > scrams {
		kind = SecretMD5
	}
	return iterations, kind
}

// complete makes entries of lines, in parallel: a plain-text password costs a key derivation.
func (u *Userlist) complete(lines []userLine, previous *Userlist) ([]Entry, error) {
	entries := make([]Entry, len(lines))
	errs := make([]error, len(lines))
	var next atomic.Int64
	var workers sync.WaitGroup
	derive := func() {
		for i := next.Add(1) - 1; i < int64(len(lines)); i = next.Add(1) - 1 {
			entries[i], errs[i] = u.entryOf(lines[i], previous)
		}
	}
	for range min(runtime.GOMAXPROCS(0), len(lines)) {
		workers.Go(derive)
	}
	workers.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", lines[i].number, err)
		}
	}
	return entries, nil
}

func (u *Userlist) entryOf(l userLine, previous *Userlist) (Entry, error) {
	if e, ok := u.inherit(l, previous); ok {
		return e, nil
	}
	iterations := u.mock
	if l.secret.Kind() == SecretPlain {
		iterations = u.derived
	}
	e, err := NewEntry(l.user, l.secret, u.seed, iterations)
	e.usual = u.usual
	return e, err
}

// inherit takes a plain-text password's entry over from the list that is being replaced, if it would come out the same.
func (u *Userlist) inherit(l userLine, previous *Userlist) (Entry, bool) {
	if previous == nil || previous.seed != u.seed || previous.derived != u.derived || l.secret.Kind() != SecretPlain {
		return Entry{}, false
	}
	old, ok := previous.entries[l.user]
	if !ok || !old.secret.Equal(l.secret) {
		return Entry{}, false
	}
	old.usual = u.usual
	return old, true
}

// Anyone is the Users of trust without a userlist: every name is known and nobody has a secret.
type Anyone struct{}

// Entry implements Users.
func (Anyone) Entry(user string) Entry { return Entry{name: user, known: true} }
