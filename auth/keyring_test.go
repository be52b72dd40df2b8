package auth

import (
	"strconv"
	"sync"
	"testing"
)

func ringSecret(tb testing.TB, password string, k byte) (stored, keys Secret) {
	tb.Helper()
	stored = secretOf(tb, verifierOf(tb, password))
	return stored, keysSecret(stored.v.verifier, key{k})
}

func TestKeysAreBoundToUserAndVerifier(t *testing.T) {
	ring := NewKeyRing(0)
	storedA, keysA := ringSecret(t, "a", 1)
	storedB, keysB := ringSecret(t, "b", 2)
	ring.Remember("u", keysA)
	if got, ok := ring.Find("u", storedA); !ok || !got.Equal(keysA) {
		t.Errorf("the key is not found: %v", ok)
	}
	if _, ok := ring.Find("u", storedB); ok {
		t.Error("another verifier finds the key")
	}
	if _, ok := ring.Find("other", storedA); ok {
		t.Error("another user finds the key")
	}
	if _, ok := ring.Find("u", PlainSecret("a")); ok {
		t.Error("a password finds the key")
	}
	ring.Remember("u", keysB)
	if _, ok := ring.Find("u", storedA); ok || ring.Len() != 1 {
		t.Error("the old key is still there")
	}
	for _, s := range []Secret{{}, PlainSecret("x"), storedA} {
		ring.Remember("v", s)
	}
	if ring.Len() != 1 {
		t.Error("what is no key is remembered")
	}
	found, _ := ring.Find("u", storedB)
	ring.Forget("u")
	ring.Forget("nobody")
	if _, ok := ring.Find("u", storedB); ok || ring.Len() != 0 {
		t.Error("a forgotten key is found")
	}
	if !found.Equal(keysB) {
		t.Error("forgetting a key destroys the copy that a login uses")
	}
}

func TestTheRingDropsTheUserUnusedForLongest(t *testing.T) {
	ring := NewKeyRing(2)
	stored, keys := ringSecret(t, "a", 1)
	ring.Remember("one", keys)
	ring.Remember("two", keys)
	ring.Find("one", stored)
	ring.Remember("three", keys)
	for user, want := range map[string]bool{"one": true, "two": false, "three": true} {
		if _, ok := ring.Find(user, stored); ok != want {
			t.Errorf("%s found: %v", user, ok)
		}
	}
}

func TestNoRingRemembersNothing(t *testing.T) {
	var ring *KeyRing
	stored, keys := ringSecret(t, "a", 1)
	ring.Remember("u", keys)
	ring.Forget("u")
	if _, ok := ring.Find("u", stored); ok || ring.Len() != 0 {
		t.Error("there is a key")
	}
}

func TestServerSecretOfEveryKindOfEntry(t *testing.T) {
	users, ring := testUsers(t), NewKeyRing(0)
	for user, want := range map[string]SecretKind{"plain": SecretPlain, "md5": SecretMD5, "scram": SecretNone, "none": SecretNone, "ghost": SecretNone} {
		if got := ring.ServerSecret(users.Entry(user)); got.Kind() != want || got.CanLogin() != (want != SecretNone) {
			t.Errorf("%s: %v, can log in %v", user, got, got.CanLogin())
		}
	}
}

func TestTheRingServesManyGoroutines(t *testing.T) {
	ring := NewKeyRing(8)
	stored, keys := ringSecret(t, "a", 1)
	var workers sync.WaitGroup
	for i := range 8 {
		workers.Go(func() {
			for j := range 200 {
				user := strconv.Itoa((i + j) % 12)
				ring.Remember(user, keys)
				ring.Find(user, stored)
				if j%7 == 0 {
					ring.Forget(user)
				}
			}
		})
	}
	workers.Wait()
	if ring.Len() > 8 || ring.mu.recent.Len() != ring.Len() {
		t.Errorf("%d users, %d in order", ring.Len(), ring.mu.recent.Len())
	}
}
