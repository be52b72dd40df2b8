package auth

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestUserlistReadsPgBouncersFormat(t *testing.T) {
	md5, scram := md5Secret("m", "p"), verifierOf(t, "p")
	text := "\ufeff; a comment\n\n" +
		`"plain" "pass word"` + "\r\n" +
		"  \t" + `"m"    "` + md5 + `"` + "\n" +
		`"s" "` + scram + `" "" what follows is ignored` + "\n" +
		`"quo""ted" "say ""hi"""` + "\n" +
		`;"gone" "x"` + "\n" +
		`"nobody" ""` + "\n" +
		`"tight""""" "; no comment"; a comment` + "\n" +
		`"plain" "pass word"` // no newline at the end, and the same again
	u := userlist(t, text)
	want := map[string]SecretKind{
		"plain": SecretPlain, "m": SecretMD5, "s": SecretVerifier, `quo"ted`: SecretPlain, "nobody": SecretNone, `tight""`: SecretPlain,
	}
	if u.Len() != len(want) {
		t.Errorf("%d users, want %d", u.Len(), len(want))
	}
	for name, kind := range want {
		e := u.Entry(name)
		if !e.Known() || e.User() != name || e.Secret().Kind() != kind {
			t.Errorf("Entry(%q) = known %v, user %q, %v; want %v", name, e.Known(), e.User(), e.Secret(), kind)
		}
	}
	for name, secret := range map[string]string{"plain": "pass word", `quo"ted`: `say "hi"`, `tight""`: "; no comment"} {
		if got := u.Entry(name).Secret().plain(); got != secret {
			t.Errorf("secret of %q = %q, want %q", name, got, secret)
		}
	}
	if e := u.Entry("gone"); e.Known() || e.Secret().Kind() != SecretNone {
		t.Error("a user in a comment is known")
	}
}

func TestUserlistFaultsHaveLinesAndNoSecrets(t *testing.T) {
	long := strings.Repeat("u", MaxUserLen+1)
	tests := []struct {
		name, text string
		want       []string // "line: beginning of the fault"
	}{
		{"no quotes", "user s3cr3t", []string{"1: a line must begin with a user name"}},
		{"user only", "\n\"user\"\n", []string{"2: a secret in double quotes must follow"}},
		{"secret without quotes", `"user" s3cr3t`, []string{"1: a secret in double quotes must follow"}},
		{"open user", `"s3cr3t`, []string{"1: the closing double quote is missing"}},
		{"open secret ends at its line", "\"user\" \"s3cr3t\n\"b\" \"c\"\n", []string{"1: the closing double quote is missing"}},
		{"empty user", `"" "s3cr3t"`, []string{"1: the user name is empty"}},
		{"long user", `"` + long + `" "s3cr3t"`, []string{"1: the user name is longer than 127 bytes"}},
		{"NUL", "\"us\x00er\" \"s3cr3t\"", []string{"1: the user name contains a NUL byte"}},
		{"NUL in the secret", "\"user\" \"s3cr3t\x00\"", []string{"1: secret contains a NUL byte"}},
		{"damaged verifier", `"user" "SCRAM-SHA-256$s3cr3t"`, []string{"1: damaged SCRAM verifier"}},
		{"two secrets", "\"a\" \"s3cr3t\"\n\"a\" \"s3cr3t2\"", []string{"2: the user stands on line 1 already"}},
		{"all at once", "x\n\"a\" \"b\"\ny\n\"c\" z", []string{"1: a line must", "3: a line must", "4: a secret in"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseUserlist([]byte(tt.text), UserlistOptions{Name: "users.txt", Iterations: 1})
			var faults UserlistErrors
			if !errors.As(err, &faults) {
				t.Fatalf("error %v is no UserlistErrors", err)
			}
			if len(faults) != len(tt.want) {
				t.Fatalf("%d faults, want %d: %v", len(faults), len(tt.want), err)
			}
			for i, f := range faults {
				if !strings.HasPrefix(f.Error(), "users.txt:"+tt.want[i]) {
					t.Errorf("fault %d is %q, want users.txt:%s…", i, f, tt.want[i])
				}
			}
			if strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), long) {
				t.Errorf("the error shows the line: %v", err)
			}
		})
	}
}

func TestUserlistStopsAfterManyFaults(t *testing.T) {
	_, err := ParseUserlist([]byte(strings.Repeat("x\n", 1000)), UserlistOptions{})
	var faults UserlistErrors
	if !errors.As(err, &faults) || len(faults) != maxUserlistFaults+1 || !errors.Is(err, errTooManyFault) {
		t.Errorf("faults: %d, %v", len(faults), err)
	}
}

func TestUnknownUsersLookLikeKnownOnes(t *testing.T) {
	v, err := deriveVerifier("p", []byte("0123456789abcdef"), 77)
	if err != nil {
		t.Fatal(err)
	}
	u := userlist(t, fmt.Sprintf("\"a\" %q\n\"b\" %q\n\"c\" \"plain\"\n", v.format(), v.format()))
	one, two := u.Entry("ghost").check, u.Entry("other").check
	if one.iterations != 77 || len(one.salt) != len(v.salt) {
		t.Errorf("a ghost has %d iterations and %d bytes of salt", one.iterations, len(one.salt))
	}
	if !reflect.DeepEqual(u.Entry("ghost"), u.Entry("ghost")) || string(one.salt) == string(two.salt) {
		t.Error("the salt is not a function of the user")
	}
	again := userlist(t, `"x" "y"`)
	if string(again.Entry("ghost").check.salt) != string(one.salt) {
		t.Error("the same seed gives another salt after a reload")
	}
	// What was unknown keeps its salt when it is added with a plain password: nobody sees the difference.
	added := userlist(t, `"ghost" "now known"`)
	if string(added.Entry("ghost").check.salt) != string(one.salt) {
		t.Error("the salt tells that the user was added")
	}
	stranger, err := ParseUserlist([]byte(`"x" "y"`), UserlistOptions{Iterations: testIterations})
	if err != nil {
		t.Fatal(err)
	}
	if string(stranger.Entry("ghost").check.salt) == string(one.salt) {
		t.Error("another seed gives the same salt")
	}
}

func TestReloadKeepsWhatIsUnchanged(t *testing.T) {
	read := func(text string, previous *Userlist, iterations int) *Userlist {
		u, err := ParseUserlist([]byte(text), UserlistOptions{Iterations: iterations, Previous: previous})
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	old := read(`"a" "one"`+"\n"+`"b" "two"`, nil, testIterations)
	fresh := read(`"a" "one"`+"\n"+`"b" "three"`, old, testIterations)
	if fresh.Entry("a").secret.v != old.Entry("a").secret.v {
		t.Error("an unchanged password is another secret and derives its keys again")
	}
	if fresh.Entry("b").check.equal(old.Entry("b").check) || fresh.Entry("b").Secret().plain() != "three" {
		t.Error("a changed password keeps its verifier")
	}
	if fresh.seed != old.seed {
		t.Error("the seed is not kept")
	}
	if stronger := read(`"a" "one"`, fresh, testIterations*2); stronger.Entry("a").check.iterations != testIterations*2 {
		t.Error("other iterations do not make another verifier")
	}
}

func TestLoadUserlistWarnsOfReadableFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.txt")
	if _, err := LoadUserlist(path, UserlistOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
	for mode, warnings := range map[os.FileMode]int{0o600: 0, 0o640: 0, 0o644: 1} {
		if err := os.WriteFile(path, []byte(`"a" "b"`), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		u, err := LoadUserlist(path, UserlistOptions{Iterations: 1})
		if err != nil || len(u.Warnings()) != warnings {
			t.Errorf("mode %04o: %v, %v", mode, u.Warnings(), err)
		}
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadUserlist(path, UserlistOptions{}); err == nil || !strings.Contains(err.Error(), path+":1: ") {
		t.Errorf("the fault has no place: %v", err)
	}
}

func TestUserlistRefusesImpossibleIterations(t *testing.T) {
	for _, n := range []int{-1, MaxIterations + 1} {
		if _, err := ParseUserlist(nil, UserlistOptions{Iterations: n}); err == nil {
			t.Errorf("%d iterations are accepted", n)
		}
	}
}

func FuzzParseUserlist(f *testing.F) {
	f.Add([]byte(`"a" "b"` + "\n; c\n" + `"d""e" "md5aaaabbbbccccddddeeeeffff00001111" ""`))
	f.Add([]byte("\"a\" \"SCRAM-SHA-256$1:AA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\""))
	f.Add([]byte("\"a\" \"b"))
	f.Add([]byte("\ufeff\r\n\"\" \"\""))
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, err := scanUserlist("f", data)
		if err != nil {
			checkFaults(t, err, data)
			return
		}
		var b strings.Builder
		for _, l := range lines {
			fmt.Fprintf(&b, "%s %s\n", quoteUserlist(l.user), quoteUserlist(textOf(l.secret)))
		}
		again, err := scanUserlist("f", []byte(b.String()))
		if err != nil || len(again) != len(lines) {
			t.Fatalf("written and read again: %d of %d users, %v", len(again), len(lines), err)
		}
		for i, l := range lines {
			if again[i].user != l.user || !again[i].secret.Equal(l.secret) {
				t.Errorf("user %d comes back different", i)
			}
		}
	})
}

func checkFaults(t *testing.T, err error, data []byte) {
	t.Helper()
	var faults UserlistErrors
	if !errors.As(err, &faults) || len(faults) == 0 {
		t.Fatalf("error %v has no faults", err)
	}
	for _, fault := range faults {
		if fault.Line < 1 || fault.Line > strings.Count(string(data), "\n")+1 {
			t.Errorf("line %d does not exist", fault.Line)
		}
	}
}

func quoteUserlist(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

func textOf(s Secret) string {
	switch s.Kind() {
	case SecretPlain, SecretMD5:
		return s.v.text
	case SecretVerifier:
		return s.v.verifier.format()
	default:
		return ""
	}
}
