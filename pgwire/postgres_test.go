package pgwire_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/pgwire"
)

// postgresBin names the environment variable with the folder of PostgreSQL 18's programs. Without it the comparison with a
// real server is skipped and the golden file stands for it.
const postgresBin = "PGROUTER_TEST_POSTGRES18_BIN"

// answerLimit bounds the wait for one answer of the real server.
const answerLimit = 3 * time.Second

func TestRealPostgreSQLAnswersAsInTheGoldenFile(t *testing.T) {
	bin := os.Getenv(postgresBin)
	if bin == "" {
		t.Skip(postgresBin + " is not set")
	}
	address := startPostgres(t, bin)
	got := golden{Startup: map[string]string{}, Options: map[string][]string{}}
	for _, c := range startupCases() {
		got.Startup[c.name] = realAnswer(t, address, c.writes)
	}
	for _, s := range optionCases() {
		got.Options[fmt.Sprintf("%q", s)] = realSettings(t, address, s)
	}
	if *update {
		writeGolden(t, got)
		return
	}
	if diff := cmp.Diff(readGolden(t), got); diff != "" {
		t.Errorf("golden file (-), PostgreSQL (+):\n%s", diff)
	}
}

func writeGolden(t *testing.T, g golden) {
	t.Helper()
	b, err := json.MarshalIndent(g, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.FromSlash(goldenFile), append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// startPostgres starts a cluster of its own and returns the path of its socket, on which PostgreSQL offers neither TLS nor
// GSSAPI encryption. PostgreSQL refuses to run as root: root makes it run as user postgres.
func startPostgres(t *testing.T, bin string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgwire") //nolint:usetesting // its path must be short: a unix socket stands in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if os.Getuid() == 0 {
		attr.Credential = postgresUser(t, dir)
	}
	data := filepath.Join(dir, "data")
	run := func(name string, arg ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, name), arg...)
		cmd.Dir, cmd.SysProcAttr = dir, attr
		return cmd
	}
	if out, err := run("initdb", "-N", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D", data).CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := run("postgres", "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "lc_messages=C")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Signal(syscall.SIGQUIT)
		server.Wait()
	})
	awaitPostgres(t, filepath.Join(data, "postmaster.pid"))
	return filepath.Join(dir, ".s.PGSQL.5432")
}

func postgresUser(t *testing.T, dir string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// awaitPostgres waits until the postmaster writes "ready" into its pid file.
func awaitPostgres(t *testing.T, pidFile string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if b, _ := os.ReadFile(pidFile); strings.Contains(string(b), "ready") {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatal("PostgreSQL does not start")
		case <-tick.C:
		}
	}
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		t.Fatal(err)
	}
	return c
}

// realAnswer sends the writes and tells what came back, in the words of the golden file.
func realAnswer(t *testing.T, address string, writes [][]byte) string {
	t.Helper()
	c := dial(t, address)
	defer c.Close()
	var out []string
	for i, w := range writes {
		if _, err := c.Write(w); err != nil {
			t.Fatal(err)
		}
		if i == len(writes)-1 {
			break
		}
		var b [1]byte
		if _, err := io.ReadFull(c, b[:]); err != nil {
			return strings.Join(append(out, closing(err)), "\n")
		}
		out = append(out, string(b[:]))
	}
	return strings.Join(compact(append(out, readAnswers(c)...)), "\n")
}

// readAnswers reads to the first ReadyForQuery, or to the end.
func readAnswers(c net.Conn) []string {
	var out []string
	var b []byte
	for {
		f, ok, err := pgwire.PeekFrame(b)
		if err != nil { // no frame: the one-byte answer, or protocol 2.0
			rest, err := io.ReadAll(c)
			return append(append(out, oldAnswer(append(b, rest...))...), closing(err))
		}
		if ok && len(b) >= f.Len {
			text, last := printMessage(f, b[:f.Len])
			if out = append(out, text); last {
				return out
			}
			b = b[f.Len:]
			continue
		}
		chunk := make([]byte, 4096)
		n, err := c.Read(chunk)
		b = append(b, chunk[:n]...)
		if n == 0 && err != nil {
			return append(append(out, oldAnswer(b)...), closing(err))
		}
	}
}

func closing(err error) string {
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "closed"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "waits"
	default:
		return err.Error()
	}
}

// oldAnswer prints bytes that are no frame: an N, with a frame behind it, or an error of protocol 2.0.
func oldAnswer(b []byte) []string {
	if len(b) > 0 && b[0] == pgwire.AnswerNone {
		f, ok, err := pgwire.PeekFrame(b[1:])
		if err == nil && ok && len(b) == 1+f.Len {
			text, _ := printMessage(f, b[1:])
			return []string{"N", text}
		}
	}
	if len(b) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%q", b)}
}

func printMessage(f pgwire.Frame, b []byte) (text string, last bool) {
	switch f.Kind {
	case pgwire.KindErrorResponse:
		e, err := pgwire.ParseError(f.Body(b))
		if err != nil {
			return err.Error(), true
		}
		return printError(e), false
	case pgwire.KindNegotiate:
		minor, unknown, err := pgwire.ParseNegotiate(f.Body(b))
		if err != nil {
			return err.Error(), true
		}
		return fmt.Sprintf("negotiate 3.%d %q", minor, unknown), false
	case pgwire.KindBackendKeyData:
		_, key, err := pgwire.ParseBackendKeyData(f.Body(b))
		return fmt.Sprintf("a cancel key of %d bytes", len(key)), err != nil
	case pgwire.KindReadyForQuery:
		return "welcome", true
	default:
		return "", false
	}
}

// realSettings logs in with the given options and returns the settings whose source is the client.
func realSettings(t *testing.T, address, options string) []string {
	t.Helper()
	c := dial(t, address)
	defer c.Close()
	hello := pgwire.AppendStartup(nil, []pgwire.Param{{Name: "user", Value: "postgres"}, {Name: "options", Value: options}})
	if _, err := c.Write(hello); err != nil {
		t.Fatal(err)
	}
	if answers := compact(readAnswers(c)); answers[len(answers)-1] != "welcome" {
		return []string{strings.Split(answers[0], "\n")[0]}
	}
	if _, err := c.Write(pgwire.AppendQuery(nil, "SELECT name, setting FROM pg_settings WHERE source = 'client'")); err != nil {
		t.Fatal(err)
	}
	return readRows(t, c)
}

func readRows(t *testing.T, c net.Conn) []string {
	t.Helper()
	rows := []string{}
	var b []byte
	for {
		f, ok, err := pgwire.PeekBackend(b)
		if err != nil {
			t.Fatal(err)
		}
		if !ok || len(b) < f.Len {
			chunk := make([]byte, 4096)
			n, err := c.Read(chunk)
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, chunk[:n]...)
			continue
		}
		switch f.Kind {
		case pgwire.KindDataRow:
			values, err := pgwire.ParseDataRow(nil, f.Body(b))
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, fmt.Sprintf("%s=%s", values[0], values[1]))
		case pgwire.KindReadyForQuery:
			sort.Strings(rows)
			return rows
		}
		b = b[f.Len:]
	}
}

// settingsInForce is what params leave behind: the last of each, sorted, in the form of the server.
func settingsInForce(params []pgwire.Param) []string {
	last := map[string]string{}
	for _, p := range params {
		name := p.Name
		if name == "datestyle" {
			name = "DateStyle"
		}
		last[name] = canonical(p)
	}
	rows := []string{}
	for name, value := range last {
		rows = append(rows, name+"="+value)
	}
	sort.Strings(rows)
	return rows
}

// canonical is the form in which pg_settings shows the few values in optionCases that it does not show as they were given.
func canonical(p pgwire.Param) string {
	switch {
	case p.Value == "true":
		return "on"
	case p.Value == "false":
		return "off"
	case p == pgwire.Param{Name: "datestyle", Value: "euro"}:
		return "ISO, DMY"
	default:
		return p.Value
	}
}
