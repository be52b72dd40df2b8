package auth_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/auth"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/pgwire"
)

const (
	testLimit    = 2 * time.Minute
	oddPasswords = 80
)

// TestPasswordsAreThoseOfPostgreSQL lets a real server make the verifiers of odd passwords and logs in with the passwords.
// Then psql, with libpq's own SASLprep, logs in where we check against these verifiers.
func TestPasswordsAreThoseOfPostgreSQL(t *testing.T) {
	cluster := clustertest.Start(t, testcluster.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	conn, err := cluster.Primary().Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var list strings.Builder
	passwords := makePasswords()
	for i, password := range passwords {
		statement := fmt.Sprintf("CREATE ROLE r%d LOGIN PASSWORD '%s'", i, strings.ReplaceAll(password, "'", "''"))
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Fatalf("%q: %v", password, err)
		}
		var stored string
		if err := conn.QueryRow(ctx, "SELECT rolpassword FROM pg_authid WHERE rolname = $1", fmt.Sprintf("r%d", i)).Scan(&stored); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&list, "\"r%d\" %q\n", i, stored)
	}
	users, err := auth.ParseUserlist([]byte(list.String()), auth.UserlistOptions{Iterations: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i, password := range passwords {
		x := auth.NewExchange(auth.MethodPassword, fmt.Sprintf("r%d", i), users, nil)
		if _, _, err := x.Start(); err != nil {
			t.Fatal(err)
		}
		if _, done, err := x.Next(pgwire.KindPassword, append([]byte(password), 0)); !done || err != nil {
			t.Errorf("password %+q: %v", password, err)
		}
	}
	server := serve(t, auth.MethodSCRAM, users)
	for i := range 12 {
		if out := psql(t, cluster.Binaries(), server, fmt.Sprintf("r%d", i), passwords[i]); !strings.Contains(out, welcome) {
			t.Errorf("psql with password %+q: %s", passwords[i], out)
		}
	}
}

// makePasswords returns passwords with characters of all classes of SASLprep, always the same ones.
func makePasswords() []string {
	passwords := []string{
		"plain", "with space ' and \" quote", "a\u00a0b", "a\u200bb", "I\u00adX", "\u00aa\u2168", "e\u0301", "\u00ad", "\u0627a", "\u0627\u06271",
		"\u0221x\u00a0", "\u00e9\u0001", "\U0001d7cax", "\u0340\u00a0", "\u2126\u212b", "\ufb01\u00a0", "\u3000\ufeff", "\u1e9b\u0323", "\ud7ff\U0010ffff",
	}
	random := rand.New(rand.NewPCG(1, 2))
	ranges := [][2]rune{{0x20, 0x7e}, {0x80, 0x2ff}, {0x300, 0x6ff}, {0x1e00, 0x21ff}, {0x3000, 0x33ff}, {0xf900, 0xffef}, {0x1d000, 0x1d7ff}, {0xe0001, 0xe007f}}
	for len(passwords) < oddPasswords {
		var b strings.Builder
		for range 1 + random.IntN(4) {
			r := ranges[random.IntN(len(ranges))]
			b.WriteRune(r[0] + random.Int32N(r[1]-r[0]))
		}
		passwords = append(passwords, b.String())
	}
	return passwords
}

// welcome is what clients that got in are told, as an error, so that they go away.
const welcome = "you are in"

// TestPsqlLogsIn shows that libpq, the client that matters most, understands every method.
func TestPsqlLogsIn(t *testing.T) {
	binaries, err := testcluster.FindBinaries(t.Context())
	if err != nil {
		t.Skip(err)
	}
	list := `"plain" "right"` + "\n" + `"md5" "md5` + md5Of("rightmd5") + `"` + "\n"
	users, err := auth.ParseUserlist([]byte(list), auth.UserlistOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []auth.Method{auth.MethodTrust, auth.MethodPassword, auth.MethodMD5, auth.MethodSCRAM} {
		server := serve(t, m, users)
		for user, works := range map[string]bool{"plain": true, "md5": m != auth.MethodSCRAM, "ghost": false} {
			out := psql(t, binaries, server, user, "right")
			if strings.Contains(out, welcome) != works {
				t.Errorf("%v, %s: %s", m, user, out)
			}
			if m == auth.MethodTrust {
				continue
			}
			denied := fmt.Sprintf("password authentication failed for user %q", user)
			if out := psql(t, binaries, server, user, "wrong"); !strings.Contains(out, denied) || strings.Contains(out, welcome) {
				t.Errorf("%v, %s with a wrong password: %s", m, user, out)
			}
		}
	}
}

func md5Of(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

func psql(t *testing.T, binaries, address, user, password string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(binaries, "psql"), "-X", "-w", "-h", host, "-p", port, "-U", user, "-d", "db", "-c", "SELECT 1")
	cmd.Env = []string{"PGPASSWORD=" + password, "PGSSLMODE=disable", "PGGSSENCMODE=disable", "LC_ALL=C.UTF-8", "PGCLIENTENCODING=UTF8", "HOME=/nonexistent"}
	out, _ := cmd.CombinedOutput() // it always fails: see welcome
	return string(out)
}

// serve is a server that lets clients log in and then sends them away. It ends with the test.
func serve(t *testing.T, m auth.Method, users auth.Users) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if err := greet(c, m, users); err != nil && !errors.Is(err, io.EOF) {
				t.Logf("%v: %v", m, err)
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l.Addr().String()
}

func greet(c net.Conn, m auth.Method, users auth.Users) error {
	if err := c.SetDeadline(time.Now().Add(testLimit)); err != nil {
		return err
	}
	in := &input{c: c}
	message, err := in.startup()
	if err != nil {
		return err
	}
	x := auth.NewExchange(m, message.User, users, nil)
	out, done, err := x.Start()
	for err == nil {
		if _, err := c.Write(out); err != nil {
			return err
		}
		if done {
			break
		}
		var kind byte
		var body []byte
		if kind, body, err = in.message(); err != nil {
			return err
		}
		out, done, err = x.Next(kind, body)
	}
	reply := pgwire.AppendAuthOk(nil)
	if denied, ok := errors.AsType[*auth.DeniedError](err); ok {
		reply = pgwire.AppendError(nil, denied.Reply)
	} else {
		reply = pgwire.AppendError(reply, &pgwire.Error{Severity: "FATAL", Code: "57P03", Message: welcome})
	}
	_, err = c.Write(reply)
	return err
}

// input cuts what a client sends.
type input struct {
	c   net.Conn
	buf bytes.Buffer
}

func (in *input) startup() (*pgwire.StartupMessage, error) {
	var s pgwire.Startup
	for {
		used, event, err := s.Feed(in.buf.Bytes())
		if err != nil {
			return nil, err
		}
		in.buf.Next(used)
		if event.Kind == pgwire.EventMessage {
			return &event.Message, nil
		}
		if err := in.read(); err != nil {
			return nil, err
		}
	}
}

func (in *input) message() (kind byte, body []byte, err error) {
	for {
		frame, ok, err := pgwire.PeekFrontend(in.buf.Bytes())
		if err != nil {
			return 0, nil, err
		}
		if ok && in.buf.Len() >= frame.Len {
			return frame.Kind, frame.Body(in.buf.Next(frame.Len)), nil
		}
		if err := in.read(); err != nil {
			return 0, nil, err
		}
	}
}

func (in *input) read() error {
	b := make([]byte, 4096)
	n, err := in.c.Read(b)
	in.buf.Write(b[:n])
	if n > 0 {
		return nil
	}
	return err
}
