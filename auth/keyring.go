package auth

import (
	"container/list"
	"sync"
)

// DefaultKeyRingSize is how many users a [KeyRing] remembers unless told otherwise.
const DefaultKeyRingSize = 10_000

// KeyRing remembers the ClientKeys that clients revealed by their SCRAM proofs, so that pgrouter can log in to servers as
// users of whom only a verifier is stored, also when no client is there. A key is bound to the user and to the verifier
// that it was proven against: once the user's verifier changes, the key is not found any more. There is one key per user,
// the newest. All methods may be called from any goroutine, and on a nil ring, which remembers nothing.
type KeyRing struct {
	limit int
	mu    struct {
		sync.Mutex
		byUser map[string]*list.Element // of *ringEntry
		recent *list.List               // newest use first
	}
}

type ringEntry struct {
	user      string
	verifier  verifier
	clientKey key
}

// NewKeyRing returns a ring for at most limit users (DefaultKeyRingSize if 0); past that the one unused for longest goes.
func NewKeyRing(limit int) *KeyRing {
	if limit <= 0 {
		limit = DefaultKeyRingSize
	}
	r := &KeyRing{limit: limit}
	r.mu.byUser = map[string]*list.Element{}
	r.mu.recent = list.New()
	return r
}

// Remember keeps the ClientKey of s for the user. Secrets that are not SecretKeys are ignored.
func (r *KeyRing) Remember(user string, s Secret) {
	if r == nil || s.Kind() != SecretKeys {
		return
	}
	entry := &ringEntry{user: user, verifier: s.v.verifier, clientKey: s.v.clientKey}
	r.mu.Lock()
	defer r.mu.Unlock()
	if old, ok := r.mu.byUser[user]; ok {
		r.dropLocked(old)
	}
	r.mu.byUser[user] = r.mu.recent.PushFront(entry)
	if len(r.mu.byUser) > r.limit {
		r.dropLocked(r.mu.recent.Back())
	}
}

// Find returns the keys that were proven for this user against this verifier. A verifier of any other kind than
// SecretVerifier or SecretKeys finds nothing.
func (r *KeyRing) Find(user string, stored Secret) (Secret, bool) {
	if r == nil || !stored.hasVerifier() {
		return Secret{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.mu.byUser[user]
	if !ok {
		return Secret{}, false
	}
	entry := at.Value.(*ringEntry)
	if !entry.verifier.equal(stored.v.verifier) {
		return Secret{}, false
	}
	r.mu.recent.MoveToFront(at)
	return keysSecret(entry.verifier, entry.clientKey), true
}

// ServerSecret returns with what pgrouter can log in to servers as the user of an entry: the stored password or md5 hash,
// or for a verifier the keys remembered for it. Without any it returns the zero Secret, good for servers that trust us.
func (r *KeyRing) ServerSecret(e Entry) Secret {
	s := e.Secret()
	if s.Kind() != SecretVerifier {
		return s
	}
	keys, _ := r.Find(e.User(), s)
	return keys
}

// Forget drops and overwrites the key of a user: after the server refused it (SQLSTATE 28P01), or when the user's last
// session has ended.
func (r *KeyRing) Forget(user string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.mu.byUser[user]; ok {
		r.dropLocked(at)
	}
}

// Len returns how many users are remembered.
func (r *KeyRing) Len() int {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.mu.byUser)
}

func (r *KeyRing) dropLocked(at *list.Element) {
	entry := r.mu.recent.Remove(at).(*ringEntry)
	delete(r.mu.byUser, entry.user)
	entry.clientKey = key{}
}
