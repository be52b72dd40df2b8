package auth

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"github.com/pgrouter/pgrouter/pgwire"
)

// client is a test's client: it answers what the exchange asks for, as libpq does.
type client struct {
	password string
	oracle   *scram.ClientConversation
	trace    []int // codes of what the server asked for
	lengths  []int // lengths of these messages
}

func newClient(tb testing.TB, password string) *client {
	tb.Helper()
	c, err := scram.SHA256.NewClientUnprepped("", password, "")
	if err != nil {
		tb.Fatal(err)
	}
	return &client{password: password, oracle: c.WithMinIterations(1).NewConversation()}
}

// answer returns the body of the client's answer to one Authentication message; ok is false when there is none.
func (c *client) answer(tb testing.TB, user string, message []byte) (body []byte, ok bool) {
	tb.Helper()
	code, data, err := pgwire.ParseAuthentication(message[pgwire.HeaderLen:])
	if err != nil {
		tb.Fatal(err)
	}
	c.trace, c.lengths = append(c.trace, int(code)), append(c.lengths, len(message))
	var b []byte
	switch code {
	case pgwire.AuthCleartextPassword:
		b = pgwire.AppendPassword(nil, c.password)
	case pgwire.AuthMD5Password:
		b = pgwire.AppendPassword(nil, md5Answer(md5Secret(user, c.password), [4]byte(data)))
	case pgwire.AuthSASL:
		b = pgwire.AppendSASLInitialResponse(nil, scramName, []byte(c.step(tb, "")))
	case pgwire.AuthSASLContinue:
		b = pgwire.AppendSASLResponse(nil, []byte(c.step(tb, string(data))))
	case pgwire.AuthSASLFinal:
		c.step(tb, string(data))
		if !c.oracle.Valid() {
			tb.Error("the oracle does not accept the server's signature")
		}
		return nil, false
	default:
		tb.Fatalf("unexpected code %d", code)
	}
	return b[pgwire.HeaderLen:], true
}

func (c *client) step(tb testing.TB, challenge string) string {
	tb.Helper()
	s, err := c.oracle.Step(challenge)
	if err != nil {
		tb.Fatalf("oracle: %v", err)
	}
	return s
}

// login plays the whole login.
func (c *client) login(tb testing.TB, x *Exchange, user string) error {
	tb.Helper()
	out, done, err := x.Start()
	for err == nil {
		var body []byte
		if len(out) > 0 {
			var ok bool
			if body, ok = c.answer(tb, user, out); !ok && !done {
				tb.Fatal("the exchange ended without being done")
			}
		}
		if done {
			return nil
		}
		out, done, err = x.Next(pgwire.KindPassword, body)
	}
	return err
}

// exchange logs in and checks that verdict and error fit each other.
func exchange(tb testing.TB, m Method, users Users, user, password string, ring *KeyRing) (Verdict, *client, error) {
	tb.Helper()
	x, c := NewExchange(m, user, users, ring), newClient(tb, password)
	err := c.login(tb, x, user)
	v, ok := x.Verdict()
	if ok != (err == nil) || ok != (v.User != "") || (!ok && v != Verdict{}) {
		tb.Errorf("error %v goes with verdict %v, %v", err, v, ok)
	}
	var denied *DeniedError
	if err != nil && (!errors.As(err, &denied) || denied.Reply == nil || denied.Reply.Code == "") {
		tb.Errorf("error %v is no complete DeniedError", err)
	}
	return v, c, err
}

// testUsers has one user of each kind of secret; all their passwords are "right".
func testUsers(tb testing.TB) *Userlist {
	tb.Helper()
	return userlist(tb, fmt.Sprintf("\"plain\" \"right\"\n\"md5\" %q\n\"scram\" %q\n\"none\" \"\"\n", md5Secret("md5", "right"), verifierOf(tb, "right")))
}

func TestEveryMethodWithEverySecret(t *testing.T) {
	const no = SecretKind(255)
	users := testUsers(t)
	tests := []struct {
		method Method
		user   string
		server SecretKind // of the verdict; no: denied
	}{
		{MethodTrust, "plain", SecretPlain},
		{MethodTrust, "md5", SecretMD5},
		{MethodTrust, "scram", SecretNone},
		{MethodTrust, "none", SecretNone},
		{MethodTrust, "ghost", no},
		{MethodPassword, "plain", SecretPlain},
		{MethodPassword, "md5", SecretPlain},
		{MethodPassword, "scram", SecretPlain},
		{MethodPassword, "none", no},
		{MethodPassword, "ghost", no},
		{MethodMD5, "plain", SecretPlain},
		{MethodMD5, "md5", SecretMD5},
		{MethodMD5, "scram", SecretKeys},
		{MethodMD5, "none", no},
		{MethodMD5, "ghost", no},
		{MethodSCRAM, "plain", SecretPlain},
		{MethodSCRAM, "md5", no},
		{MethodSCRAM, "scram", SecretKeys},
		{MethodSCRAM, "none", no},
		{MethodSCRAM, "ghost", no},
		{MethodNone, "plain", no},
		{MethodNone, "ghost", no},
	}
	for _, tt := range tests {
		t.Run(tt.method.String()+" "+tt.user, func(t *testing.T) {
			v, _, err := exchange(t, tt.method, users, tt.user, "right", nil)
			if tt.server == no {
				wantAuthFailed(t, err, tt.user)
				return
			}
			if err != nil || v.User != tt.user || v.ServerSecret.Kind() != tt.server {
				t.Fatalf("verdict %v, %v; want a %v secret", v, err, tt.server)
			}
			if tt.method == MethodTrust {
				return
			}
			for _, wrong := range []string{"wrong", "right ", "Right", "r"} {
				_, _, err := exchange(t, tt.method, users, tt.user, wrong, nil)
				wantAuthFailed(t, err, tt.user)
			}
		})
	}
}

func wantAuthFailed(t *testing.T, err error, user string) {
	t.Helper()
	var reply *pgwire.Error
	if !errors.As(err, &reply) || reply.Code != pgwire.CodeInvalidPassword || reply.Detail != "" ||
		reply.Message != fmt.Sprintf("password authentication failed for user %q", user) {
		t.Errorf("the client is told %v", err)
	}
}

func TestTrustWithoutAUserlistLetsEverybodyIn(t *testing.T) {
	v, _, err := exchange(t, MethodTrust, Anyone{}, "who", "", nil)
	if err != nil || v.User != "who" || v.ServerSecret.Kind() != SecretNone {
		t.Errorf("verdict %v, %v", v, err)
	}
	for _, m := range []Method{MethodPassword, MethodMD5, MethodSCRAM} {
		_, _, err := exchange(t, m, Anyone{}, "who", "any", nil)
		wantAuthFailed(t, err, "who")
		_, _, err = exchange(t, m, nil, "who", "any", nil)
		wantAuthFailed(t, err, "who")
	}
	if _, _, err := exchange(t, MethodTrust, nil, "who", "", nil); err == nil {
		t.Error("trust without users lets somebody in")
	}
}

func TestAnUnknownUserIsIndistinguishable(t *testing.T) {
	users := testUsers(t)
	for _, m := range []Method{MethodPassword, MethodMD5, MethodSCRAM} {
		_, known, errKnown := exchange(t, m, users, "plain", "wrong", nil)
		_, ghost, errGhost := exchange(t, m, users, "ghost", "wrong", nil)
		if fmt.Sprint(known.trace, known.lengths) != fmt.Sprint(ghost.trace, ghost.lengths) {
			t.Errorf("%v: known %v %v, unknown %v %v", m, known.trace, known.lengths, ghost.trace, ghost.lengths)
		}
		var a, b *DeniedError
		if !errors.As(errKnown, &a) || !errors.As(errGhost, &b) {
			t.Fatal("not denied")
		}
		if a.Reason != reasonWrongSecret || b.Reason != reasonUnknownUser {
			t.Errorf("%v: the log is told %q and %q", m, a.Reason, b.Reason)
		}
		b.Reply.Message = strings.ReplaceAll(b.Reply.Message, "ghost", "plain")
		if string(pgwire.AppendError(nil, a.Reply)) != string(pgwire.AppendError(nil, b.Reply)) {
			t.Errorf("%v: the clients are told %v and %v", m, a.Reply, b.Reply)
		}
	}
}

func TestAnUnknownUserCostsTheSameWork(t *testing.T) {
	users := testUsers(t)
	proof := base64.StdEncoding.EncodeToString(make([]byte, 32))
	once := func(user string) float64 {
		return testing.AllocsPerRun(20, func() {
			x := NewExchange(MethodSCRAM, user, users, nil)
			_, _, _ = x.Start()
			_, _, _ = x.Next(pgwire.KindPassword, initial(scramName, "n,,n=,r=mine"))
			if _, _, err := x.Next(pgwire.KindPassword, []byte("c=biws,r="+x.scram.first.nonce+",p="+proof)); err == nil {
				t.Error("a zero proof is right")
			}
		})
	}
	allocations := func(user string) float64 { // the runtime's own are counted too, now and then
		fewest := once(user)
		for range 10 {
			fewest = min(fewest, once(user))
		}
		return fewest
	}
	if known, ghost := allocations("scram"), allocations("ghost"); known != ghost {
		t.Errorf("a known user allocates %v times, an unknown one %v times", known, ghost)
	}
}

func TestAnUnknownUserGetsTheChallengeThatMostGet(t *testing.T) {
	scramUsers := userlist(t, fmt.Sprintf("\"a\" %q\n\"b\" %q\n\"c\" \"x\"", verifierOf(t, "1"), verifierOf(t, "2")))
	_, c, _ := exchange(t, MethodMD5, scramUsers, "ghost", "x", nil)
	if c.trace[0] != int(pgwire.AuthSASL) {
		t.Errorf("among users with verifiers a ghost is asked for %d", c.trace[0])
	}
	_, c, _ = exchange(t, MethodMD5, userlist(t, `"a" "x"`), "ghost", "x", nil)
	if c.trace[0] != int(pgwire.AuthMD5Password) {
		t.Errorf("among users with passwords a ghost is asked for %d", c.trace[0])
	}
}

func TestAMockVerifierFitsNoProofMadeFromIt(t *testing.T) {
	users := testUsers(t)
	// Even who knows the mock's password, would there be one, does not get in: the check is not real.
	users.entries["plain"] = Entry{name: "plain", check: users.entries["plain"].check}
	_, _, err := exchange(t, MethodSCRAM, users, "plain", "right", nil)
	wantAuthFailed(t, err, "plain")
}

func TestAPlainUserKeepsItsSecretAndAVerifierUserRevealsKeys(t *testing.T) {
	users, ring := testUsers(t), NewKeyRing(0)
	v, _, err := exchange(t, MethodSCRAM, users, "plain", "right", ring)
	if err != nil || v.ServerSecret.v != users.entries["plain"].secret.v || ring.Len() != 0 {
		t.Errorf("plain: %v, %v, ring %d", v, err, ring.Len())
	}
	if _, _, err = exchange(t, MethodSCRAM, users, "scram", "wrong", ring); err == nil || ring.Len() != 0 {
		t.Errorf("a wrong proof leaves %d keys, %v", ring.Len(), err)
	}
	v, _, err = exchange(t, MethodSCRAM, users, "scram", "right", ring)
	if err != nil {
		t.Fatal(err)
	}
	stored := users.entries["scram"].secret.v.verifier
	want, err := deriveKeys("right", stored.salt, stored.iterations)
	if err != nil || v.ServerSecret.v.clientKey != want.client {
		t.Errorf("the recovered ClientKey is wrong (%v)", err)
	}
	if got := ring.ServerSecret(users.Entry("scram")); !got.Equal(v.ServerSecret) {
		t.Errorf("the ring has %v", got)
	}
	// From now on trust finds it, too.
	v, _, err = exchange(t, MethodTrust, users, "scram", "", ring)
	if err != nil || v.ServerSecret.Kind() != SecretKeys {
		t.Errorf("trust: %v, %v", v, err)
	}
}

func TestAPasswordTeachesTheRingTheKeysOfTheVerifier(t *testing.T) {
	users, ring := testUsers(t), NewKeyRing(0)
	v, _, err := exchange(t, MethodPassword, users, "scram", "right", ring)
	if err != nil || v.ServerSecret.plain() != "right" {
		t.Fatalf("verdict %v, %v", v, err)
	}
	stored := users.entries["scram"].secret.v.verifier
	if _, ok := v.ServerSecret.remembered(stored.salt, stored.iterations); !ok {
		t.Error("the keys just derived will be derived again")
	}
	if keys, ok := ring.Find("scram", users.Entry("scram").Secret()); !ok || keys.Kind() != SecretKeys {
		t.Errorf("the ring has %v, %v", keys, ok)
	}
}

// scramMessages runs SCRAM up to the server's first message and returns it.
func scramMessages(t *testing.T, x *Exchange, first string) (serverFirst string, err error) {
	t.Helper()
	if _, _, err := x.Start(); err != nil {
		t.Fatal(err)
	}
	out, _, err := x.Next(pgwire.KindPassword, initial(scramName, first))
	if err != nil {
		return "", err
	}
	_, data, _ := pgwire.ParseAuthentication(out[pgwire.HeaderLen:])
	return string(data), nil
}

func initial(mechanism, first string) []byte {
	return pgwire.AppendSASLInitialResponse(nil, mechanism, []byte(first))[pgwire.HeaderLen:]
}

func TestMalformedFirstMessages(t *testing.T) {
	long := strings.Repeat("x", maxNonceLen+1)
	absent := binary.BigEndian.AppendUint32([]byte(scramName+"\x00"), 0xffffffff)
	tests := []struct {
		name string
		body []byte
		want string // SQLSTATE and beginning of the message
	}{
		{"nothing", nil, "08P01 malformed"},
		{"no length", []byte(scramName + "\x00"), "08P01 malformed"},
		{"short length", append([]byte(scramName+"\x00"), 0, 0, 0, 1, 'n', ','), "08P01 malformed"},
		{"length beyond the end", append([]byte(scramName+"\x00"), 0, 0, 1, 0, 'n', ','), "08P01 malformed"},
		{"length that wraps", append([]byte(scramName+"\x00"), 0xff, 0xff, 0xff, 0xfe, 'n', ','), "08P01 malformed"},
		{"absent with data", append(slices.Clip(absent), 'n'), "08P01 malformed"},
		{"another mechanism", initial("SCRAM-SHA-1", "n,,n=,r=abc"), "08P01 client selected an invalid SASL"},
		{"plus", initial("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=abc"), "08P01 client selected an invalid SASL"},
		{"channel binding", initial(scramName, "p=tls-server-end-point,,n=,r=abc"), "08P01 client requires SCRAM channel binding"},
		{"authzid", initial(scramName, "n,a=root,n=,r=abc"), "0A000 client requires an unsupported"},
		{"authzid after y", initial(scramName, "y,a=root,n=,r=abc"), "0A000 client requires an unsupported"},
		{"mandatory extension", initial(scramName, "n,,m=x,n=,r=abc"), "0A000 client requires an unsupported"},
		{"optional extension", initial(scramName, "n,,n=,r=abc,x=y"), "08P01 malformed"},
		{"no flag", initial(scramName, "n=,r=abc"), "08P01 malformed"},
		{"empty data", initial(scramName, ""), "08P01 malformed"},
		{"no user", initial(scramName, "n,,r=abc"), "08P01 malformed"},
		{"user only", initial(scramName, "n,,n=x"), "08P01 malformed"},
		{"no nonce", initial(scramName, "n,,n=,r="), "08P01 malformed"},
		{"nonce with a space", initial(scramName, "n,,n=,r=a b"), "08P01 malformed"},
		{"nonce with a NUL", initial(scramName, "n,,n=,r=a\x00b"), "08P01 malformed"},
		{"nonce not ASCII", initial(scramName, "n,,n=,r=aéb"), "08P01 malformed"},
		{"nonce too long", initial(scramName, "n,,n=,r="+long), "08P01 malformed"},
		{"message too long", initial(scramName, "n,,n="+strings.Repeat("u", maxSASLLen)+",r=abc"), "08P01 malformed"},
	}
	for _, tt := range tests {
		for _, user := range []string{"scram", "ghost"} {
			t.Run(tt.name+" "+user, func(t *testing.T) {
				x := NewExchange(MethodSCRAM, user, testUsers(t), nil)
				if _, _, err := x.Start(); err != nil {
					t.Fatal(err)
				}
				_, done, err := x.Next(pgwire.KindPassword, tt.body)
				wantReply(t, x, done, err, tt.want)
			})
		}
	}
}

func wantReply(t *testing.T, x *Exchange, done bool, err error, want string) {
	t.Helper()
	var reply *pgwire.Error
	if done || !errors.As(err, &reply) || !strings.HasPrefix(reply.Code+" "+reply.Message, want) {
		t.Errorf("done %v, error %v; want %s…", done, err, want)
	}
	if v, ok := x.Verdict(); ok || v != (Verdict{}) {
		t.Error("there is a verdict after an error")
	}
	if _, _, err := x.Next(pgwire.KindPassword, []byte("x\x00")); err == nil {
		t.Error("the exchange goes on after an error")
	}
}

func TestMalformedFinalMessages(t *testing.T) {
	proof := base64.StdEncoding.EncodeToString(make([]byte, 32))
	tests := []struct {
		name, final string // NONCE stands for the nonce
		want        string
	}{
		{"zero proof", "c=biws,r=NONCE,p=" + proof, "28P01 password authentication failed"},
		{"other binding", "c=eSws,r=NONCE,p=" + proof, "08P01 malformed"},
		{"binding of an authzid", "c=bixhPXgs,r=NONCE,p=" + proof, "08P01 malformed"},
		{"no binding", "r=NONCE,p=" + proof, "08P01 malformed"},
		{"short nonce", "c=biws,r=mine,p=" + proof, "08P01 malformed"},
		{"long nonce", "c=biws,r=NONCEx,p=" + proof, "08P01 malformed"},
		{"no proof", "c=biws,r=NONCE", "08P01 malformed"},
		{"empty proof", "c=biws,r=NONCE,p=", "08P01 malformed"},
		{"short proof", "c=biws,r=NONCE,p=AAAA", "08P01 malformed"},
		{"long proof", "c=biws,r=NONCE,p=" + base64.StdEncoding.EncodeToString(make([]byte, 33)), "08P01 malformed"},
		{"proof no base64", "c=biws,r=NONCE,p=" + strings.Repeat("!", 44), "08P01 malformed"},
		{"extension before the proof", "c=biws,r=NONCE,x=y,p=" + proof, "08P01 malformed"},
		{"extension behind the proof", "c=biws,r=NONCE,p=" + proof + ",x=y", "08P01 malformed"},
		{"nothing", "", "08P01 malformed"},
		{"too long", "c=biws,r=NONCE,p=" + strings.Repeat("A", maxSASLLen), "08P01 malformed"},
	}
	for _, tt := range tests {
		for _, user := range []string{"scram", "plain", "ghost"} {
			t.Run(tt.name+" "+user, func(t *testing.T) {
				x := NewExchange(MethodSCRAM, user, testUsers(t), nil)
				first, err := scramMessages(t, x, "n,,n=,r=mine")
				if err != nil {
					t.Fatal(err)
				}
				nonce, _, _, err := attribute(first, 'r')
				if err != nil || !strings.HasPrefix(nonce, "mine") || len(nonce) < len("mine")+24 {
					t.Fatalf("nonce %q, %v", nonce, err)
				}
				_, done, err := x.Next(pgwire.KindPassword, []byte(strings.ReplaceAll(tt.final, "NONCE", nonce)))
				wantReply(t, x, done, err, tt.want)
			})
		}
	}
}

// finalFor makes the right last message of a client, with our own maths.
func finalFor(t *testing.T, password, gs2, bare, first string) []byte {
	t.Helper()
	s, err := parseServerFirst(first, "mine")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := deriveKeys(password, s.salt, s.iterations)
	if err != nil {
		t.Fatal(err)
	}
	without := "c=" + base64.StdEncoding.EncodeToString([]byte(gs2)) + ",r=" + s.nonce
	proof := keys.client.xor(mac(keys.stored[:], bare+","+first+","+without))
	return []byte(without + ",p=" + base64.StdEncoding.EncodeToString(proof[:]))
}

func TestAClientThatCouldBindGetsIn(t *testing.T) {
	x := NewExchange(MethodSCRAM, "scram", testUsers(t), nil)
	first, err := scramMessages(t, x, "y,,n=ignored,r=mine")
	if err != nil {
		t.Fatal(err)
	}
	_, done, err := x.Next(pgwire.KindPassword, finalFor(t, "right", "y,,", "n=ignored,r=mine", first))
	if !done || err != nil {
		t.Errorf("done %v, %v", done, err)
	}
}

func TestAClientMayWaitForAnEmptyChallenge(t *testing.T) {
	x := NewExchange(MethodSCRAM, "scram", testUsers(t), nil)
	if _, _, err := x.Start(); err != nil {
		t.Fatal(err)
	}
	out, done, err := x.Next(pgwire.KindPassword, binary.BigEndian.AppendUint32([]byte(scramName+"\x00"), 0xffffffff))
	if err != nil || done || string(out) != string(pgwire.AppendAuthSASLContinue(nil, nil)) {
		t.Fatalf("%q, %v, %v", out, done, err)
	}
	out, _, err = x.Next(pgwire.KindPassword, []byte("n,,n=,r=mine"))
	if err != nil {
		t.Fatal(err)
	}
	_, data, _ := pgwire.ParseAuthentication(out[pgwire.HeaderLen:])
	_, done, err = x.Next(pgwire.KindPassword, finalFor(t, "right", "n,,", "n=,r=mine", string(data)))
	if !done || err != nil {
		t.Errorf("done %v, %v", done, err)
	}
}

func TestMessagesOutOfPlace(t *testing.T) {
	users := testUsers(t)
	started := func(m Method) *Exchange {
		x := NewExchange(m, "plain", users, nil)
		if _, _, err := x.Start(); err != nil {
			t.Fatal(err)
		}
		return x
	}
	password := func(body string) func(*Exchange) ([]byte, bool, error) {
		return func(x *Exchange) ([]byte, bool, error) { return x.Next(pgwire.KindPassword, []byte(body)) }
	}
	query := func(x *Exchange) ([]byte, bool, error) { return x.Next(pgwire.KindQuery, []byte("SELECT 1\x00")) }
	tests := []struct {
		name string
		x    *Exchange
		next func(*Exchange) ([]byte, bool, error)
		want string
	}{
		{"before the start", NewExchange(MethodPassword, "plain", users, nil), password("right\x00"), "08P01"},
		{"after trust", started(MethodTrust), password("right\x00"), "08P01"},
		{"query for a password", started(MethodPassword), query, "08P01 expected password response, got message type 81"},
		{"query for md5", started(MethodMD5), query, "08P01 expected password response, got message type 81"},
		{"query for SASL", started(MethodSCRAM), query, "08P01 expected SASL response, got message type 81"},
		{"empty password", started(MethodPassword), password("\x00"), "28P01 empty password"},
		{"empty message", started(MethodPassword), password(""), "08P01 invalid password packet size"},
		{"no end", started(MethodPassword), password("right"), "08P01 invalid password packet size"},
		{"two strings", started(MethodPassword), password("right\x00x\x00"), "08P01 invalid password packet size"},
		{"too long", started(MethodPassword), password(strings.Repeat("x", MaxSecretLen+1) + "\x00"), "08P01 invalid password packet size"},
		{"plain text for md5", started(MethodMD5), password("right\x00"), "28P01 password authentication failed"},
		{"hash for md5", started(MethodMD5), password(md5Secret("plain", "right") + "\x00"), "28P01 password authentication failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, done, err := tt.next(tt.x)
			if v, ok := tt.x.Verdict(); ok && tt.name == "after trust" && v.User == "plain" {
				var reply *pgwire.Error
				if done || !errors.As(err, &reply) || reply.Code != tt.want {
					t.Errorf("done %v, %v", done, err)
				}
				return
			}
			wantReply(t, tt.x, done, err, tt.want)
		})
	}
}

func TestNoncesAndSaltsOfMD5AreFresh(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		nonce := newNonce()
		if len(nonce) != 24 || checkNonce(nonce) != nil || seen[nonce] {
			t.Fatalf("nonce %q", nonce)
		}
		seen[nonce] = true
	}
	x, y := NewExchange(MethodMD5, "plain", testUsers(t), nil), NewExchange(MethodMD5, "plain", testUsers(t), nil)
	a, _, _ := x.Start()
	b, _, _ := y.Start()
	if string(a) == string(b) {
		t.Error("two logins have the same md5 salt")
	}
}

func FuzzExchange(f *testing.F) {
	f.Add(uint8(MethodSCRAM), false, initial(scramName, "n,,n=,r=mine"), []byte("c=biws,r=mine,p=AAAA"))
	f.Add(uint8(MethodSCRAM), true, []byte(scramName+"\x00\xff\xff\xff\xff"), []byte("n,,n=,r=mine"))
	f.Add(uint8(MethodMD5), false, []byte("md5aaaabbbbccccddddeeeeffff00001111\x00"), []byte{})
	f.Add(uint8(MethodPassword), true, []byte("wrong\x00"), []byte{})
	users := userlist(f, `"plain" "right"`)
	f.Fuzz(func(t *testing.T, method uint8, known bool, one, two []byte) {
		user := "ghost"
		if known {
			user = "plain"
		}
		x := NewExchange(Method(method), user, users, nil)
		_, done, err := x.Start()
		for _, body := range [][]byte{one, two, two} {
			if done || err != nil {
				break
			}
			_, done, err = x.Next(pgwire.KindPassword, body)
		}
		guessed := Method(method) == MethodPassword && string(one) == "right\x00"
		if _, ok := x.Verdict(); ok && Method(method) != MethodTrust && !guessed {
			t.Error("somebody got in")
		}
	})
}
