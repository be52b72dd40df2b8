package auth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const canary = "correct-horse-battery"

func TestASecretNeverPrintsItself(t *testing.T) {
	v, err := deriveVerifier(canary, []byte("saltsaltsaltsalt"), testIterations)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := deriveKeys(canary, v.salt, v.iterations)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []Secret{PlainSecret(canary), secretOf(t, md5Secret("u", canary)), secretOf(t, v.format()), keysSecret(v, keys.client)}
	forbidden := []string{canary, md5Secret("u", canary)[3:], v.format()[len(verifierPrefix):], fmt.Sprint(keys.client), fmt.Sprintf("%x", keys.client)}
	for _, s := range secrets {
		for _, text := range everyPrint(t, s) {
			for _, bad := range forbidden {
				if strings.Contains(text, bad) {
					t.Errorf("%v prints its secret: %s", s.Kind(), text)
				}
			}
			if !strings.Contains(text, s.Kind().String()) {
				t.Errorf("%v does not print its kind: %s", s.Kind(), text)
			}
		}
	}
}

func everyPrint(t *testing.T, s Secret) []string {
	t.Helper()
	var texts []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T %v"} {
		format := strings.Replace(verb, "%T ", "", 1)
		texts = append(texts, fmt.Sprintf(format, s), fmt.Sprintf(format, Verdict{User: "u", ServerSecret: s}), fmt.Sprintf(format, &s))
	}
	encoded, err := json.Marshal(map[string]any{"secret": s})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s)
	var jsonLog bytes.Buffer
	slog.New(slog.NewJSONHandler(&jsonLog, nil)).Info("x", "verdict", Verdict{ServerSecret: s})
	return append(texts, string(encoded), log.String(), jsonLog.String())
}

func TestASeedNeverPrintsItself(t *testing.T) {
	seed := NewSeed()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if text := fmt.Sprintf(verb, UserlistOptions{Seed: seed}); strings.Contains(text, fmt.Sprint(seed.key)) || strings.Contains(text, seed.Encode()) {
			t.Errorf("%s prints the seed: %s", verb, text)
		}
	}
	back, err := DecodeSeed(seed.Encode())
	if err != nil || back != seed {
		t.Errorf("DecodeSeed(Encode()) = %v, %v", back == seed, err)
	}
	for _, bad := range []string{"", "zz", strings.Repeat("z", 64), seed.Encode()[1:]} {
		if _, err := DecodeSeed(bad); err == nil {
			t.Errorf("DecodeSeed(%q) has no error", bad)
		}
	}
	if _, err := SeedFrom([]byte("short")); err == nil {
		t.Error("a short seed is accepted")
	}
}

func TestParseSecretTellsTheKindsApart(t *testing.T) {
	md5 := md5Secret("u", "p")
	good := verifierOf(t, "p")
	tests := []struct {
		name, text string
		want       SecretKind
		fails      bool
	}{
		{"empty is none", "", SecretNone, false},
		{"plain", "hunter2", SecretPlain, false},
		{"md5", md5, SecretMD5, false},
		{"md5 with capitals is a password, as in PostgreSQL", "md5" + strings.ToUpper(md5[3:]), SecretPlain, false},
		{"md5 too short is a password", md5[:34], SecretPlain, false},
		{"verifier", good, SecretVerifier, false},
		{"verifier without keys", "SCRAM-SHA-256$4096:c2FsdA==", SecretNone, true},
		{"verifier with a sign", strings.Replace(good, "$64:", "$+64:", 1), SecretNone, true},
		{"verifier without iterations", strings.Replace(good, "$64:", "$0:", 1), SecretNone, true},
		{"verifier with too many iterations", strings.Replace(good, "$64:", "$99999999999999999999:", 1), SecretNone, true},
		{"verifier with something behind", good + "=", SecretNone, true},
		{"verifier cut off", good[:len(good)-4], SecretNone, true},
		{"verifier without salt", "SCRAM-SHA-256$64:$" + good[strings.LastIndex(good, "$")+1:], SecretNone, true},
		{"verifier with a newline", strings.Replace(good, ":", ":\n", 1), SecretNone, true},
		{"NUL", "a\x00b", SecretNone, true},
		{"too long", strings.Repeat("x", MaxSecretLen+1), SecretNone, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := ParseSecret(tt.text)
			if (err != nil) != tt.fails || s.Kind() != tt.want {
				t.Fatalf("ParseSecret = %v, %v; want %v, error %v", s.Kind(), err, tt.want, tt.fails)
			}
			if err != nil && len(tt.text) > 20 && strings.Contains(err.Error(), tt.text[15:]) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestAVerifierHasTheKeysOfTheStandard(t *testing.T) {
	// Password, salt and iterations of the example in RFC 7677.
	v, err := parseVerifier("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")
	if err != nil {
		t.Fatal(err)
	}
	made, err := deriveVerifier("pencil", v.salt, v.iterations)
	if err != nil {
		t.Fatal(err)
	}
	if !made.equal(v) || made.format() != v.format() {
		t.Errorf("derived %s, stored %s", made.format(), v.format())
	}
}

func TestSecretsAreEqualWhenTheyHoldTheSame(t *testing.T) {
	v := verifierOf(t, "p")
	all := []Secret{
		{},
		PlainSecret("a"), PlainSecret("b"), secretOf(t, md5Secret("u", "p")), secretOf(t, v), secretOf(t, verifierOf(t, "q")),
		keysSecret(secretOf(t, v).v.verifier, key{1}), keysSecret(secretOf(t, v).v.verifier, key{2}),
	}
	for i, a := range all {
		for j, b := range all {
			if a.Equal(b) != (i == j) {
				t.Errorf("Equal(%d, %d) = %v", i, j, a.Equal(b))
			}
		}
	}
	if !PlainSecret("a").Equal(PlainSecret("a")) || !secretOf(t, v).Equal(secretOf(t, v)) {
		t.Error("two secrets of the same text differ")
	}
}

func TestAPlainSecretRemembersWhatItDerived(t *testing.T) {
	s := PlainSecret("p")
	salts := make([][]byte, derivedSlots+1)
	for i := range salts {
		salts[i] = []byte{byte(i), 1, 2, 3}
		first, err := s.keysFor(salts[i], testIterations)
		if err != nil {
			t.Fatal(err)
		}
		want, err := deriveKeys("p", salts[i], testIterations)
		if err != nil || first != want {
			t.Fatalf("keys of salt %d are wrong (%v)", i, err)
		}
		again, ok := s.remembered(salts[i], testIterations)
		if !ok || again != want {
			t.Errorf("salt %d is not remembered", i)
		}
	}
	if _, ok := s.remembered(salts[0], testIterations); ok {
		t.Error("more is remembered than there are slots")
	}
	if _, ok := s.remembered(salts[1], testIterations+1); ok {
		t.Error("another number of iterations finds the same keys")
	}
}

func TestMethodsAreNamedAsInTheConfiguration(t *testing.T) {
	for _, name := range []string{"trust", "password", "md5", "scram-sha-256"} {
		m, err := ParseMethod(name)
		if err != nil || m.String() != name {
			t.Errorf("ParseMethod(%q) = %v, %v", name, m, err)
		}
	}
	for _, name := range []string{"", "none", "SCRAM", "any", "peer"} {
		if m, err := ParseMethod(name); err == nil || m != MethodNone {
			t.Errorf("ParseMethod(%q) = %v, %v", name, m, err)
		}
	}
}
