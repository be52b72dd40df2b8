package pgwire_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/pgwire"
)

var update = flag.Bool("update", false, "write golden files and docs/errors.md anew")

const goldenFile = "testdata/postgres18.json"

// golden is what a PostgreSQL 18 (without TLS, trust authentication, superuser postgres) answers; written by
// TestRealPostgreSQLAnswersAsInTheGoldenFile -update.
type golden struct {
	Startup map[string]string   `json:"startup"` // name of startupCase → answer
	Options map[string][]string `json:"options"` // options string → settings in force, or its error
}

func readGolden(t *testing.T) golden {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash(goldenFile))
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// startupCase is what a client sends, one write after the other; after each but the last it waits for an answer.
type startupCase struct {
	name   string
	writes [][]byte
}

func startupCases() []startupCase {
	long := strings.Repeat("x", 70)
	return []startupCase{
		{"length word 0", [][]byte{{0, 0, 0, 0}}},
		{"length word 4", [][]byte{{0, 0, 0, 4}}},
		{"length word 7", [][]byte{{0, 0, 0, 7, 0, 3, 0}}},
		{"length word 8 and no parameters", [][]byte{packet(0x00030000, "")}},
		{"the longest packet", [][]byte{packet(0x00030000, "user\x00postgres\x00application_name\x00"+strings.Repeat("a", 9963)+"\x00\x00")}},
		{"one byte more than the longest packet", [][]byte{packet(0x00030000, "user\x00postgres\x00application_name\x00"+strings.Repeat("a", 9964)+"\x00\x00")}},
		{"an HTTP request", [][]byte{[]byte("GET / HTTP/1.0\r\n\r\n")}},
		{"protocol 0.0", [][]byte{packet(0x00000000, "user\x00postgres\x00\x00")}},
		{"protocol 0.1", [][]byte{packet(0x00000001, "user\x00postgres\x00\x00")}},
		{"protocol 1.0", [][]byte{packet(0x00010000, "user\x00postgres\x00\x00")}},
		{"protocol 2.0", [][]byte{packet(0x00020000, "user\x00postgres\x00\x00")}},
		{"protocol 4.0", [][]byte{packet(0x00040000, "user\x00postgres\x00\x00")}},
		{"protocol 3.1", [][]byte{packet(0x00030001, "user\x00postgres\x00\x00")}},
		{"protocol 3.2", [][]byte{packet(0x00030002, "user\x00postgres\x00\x00")}},
		{"protocol 3.3", [][]byte{packet(0x00030003, "user\x00postgres\x00\x00")}},
		{"protocol 3.9999", [][]byte{packet(0x0003270f, "user\x00postgres\x00\x00")}},
		{"a protocol option", [][]byte{packet(0x00030000, "user\x00postgres\x00_pq_.grease\x001\x00_pq_.b\x00\x00\x00")}},
		{"protocol 3.1 and a protocol option", [][]byte{packet(0x00030001, "user\x00postgres\x00_pq_.grease\x001\x00\x00")}},
		{"protocol 3.2 and a protocol option", [][]byte{packet(0x00030002, "user\x00postgres\x00_pq_.grease\x001\x00\x00")}},
		{"libpq's grease", [][]byte{packet(0x0003270f, "user\x00postgres\x00_pq_.test_protocol_negotiation\x00\x00\x00")}},
		{"a newer protocol and a protocol option", [][]byte{packet(0x00030003, "user\x00postgres\x00_pq_.grease\x001\x00\x00")}},
		{"no user", [][]byte{packet(0x00030000, "database\x00postgres\x00\x00")}},
		{"an empty user", [][]byte{packet(0x00030000, "user\x00\x00database\x00postgres\x00\x00")}},
		{"no database", [][]byte{packet(0x00030000, "user\x00postgres\x00\x00")}},
		{"an empty database", [][]byte{packet(0x00030000, "user\x00postgres\x00database\x00\x00\x00")}},
		{"two users", [][]byte{packet(0x00030000, "user\x00nobody\x00user\x00postgres\x00\x00")}},
		{"a user of 70 bytes", [][]byte{packet(0x00030000, "user\x00"+long+"\x00\x00")}},
		{"a database of 70 bytes", [][]byte{packet(0x00030000, "user\x00postgres\x00database\x00"+long+"\x00\x00")}},
		{"the user's name in capitals", [][]byte{packet(0x00030000, "USER\x00postgres\x00\x00")}},
		{"no terminator", [][]byte{packet(0x00030000, "user\x00postgres\x00")}},
		{"no terminator of the last value", [][]byte{packet(0x00030000, "user\x00postgres")}},
		{"a name without a value", [][]byte{packet(0x00030000, "user\x00postgres\x00database\x00")}},
		{"a letter in the place of the terminator", [][]byte{packet(0x00030000, "user\x00postgres\x00x")}},
		{"a byte behind the terminator", [][]byte{packet(0x00030000, "user\x00postgres\x00\x00\x00")}},
		{"replication with a wrong value", [][]byte{packet(0x00030000, "user\x00postgres\x00replication\x00maybe\x00\x00")}},
		{"replication with a wrong value without a terminator", [][]byte{packet(0x00030000, "user\x00postgres\x00replication\x00maybe")}},
		{"replication o", [][]byte{packet(0x00030000, "user\x00postgres\x00replication\x00o\x00\x00")}},
		{"replication empty", [][]byte{packet(0x00030000, "user\x00postgres\x00replication\x00\x00\x00")}},
		{"replication OF", [][]byte{packet(0x00030000, "user\x00postgres\x00replication\x00OF\x00\x00")}},
		{"replication DATABASE", [][]byte{packet(0x00030000, "user\x00postgres\x00replication\x00DATABASE\x00\x00")}},
		{"replication on", [][]byte{packet(0x00030000, "user\x00postgres\x00replication\x00on\x00\x00")}},
		{"replication database", [][]byte{packet(0x00030000, "user\x00postgres\x00replication\x00database\x00database\x00postgres\x00\x00")}},
		{"SSLRequest", [][]byte{pgwire.AppendSSLRequest(nil), packet(0x00030000, "user\x00postgres\x00\x00")}},
		{"GSSENCRequest", [][]byte{pgwire.AppendGSSENCRequest(nil), packet(0x00030000, "user\x00postgres\x00\x00")}},
		{"SSLRequest, then GSSENCRequest", [][]byte{pgwire.AppendSSLRequest(nil), pgwire.AppendGSSENCRequest(nil), packet(0x00030000, "user\x00postgres\x00\x00")}},
		{"GSSENCRequest, then SSLRequest", [][]byte{pgwire.AppendGSSENCRequest(nil), pgwire.AppendSSLRequest(nil), packet(0x00030000, "user\x00postgres\x00\x00")}},
		{"SSLRequest twice", [][]byte{pgwire.AppendSSLRequest(nil), pgwire.AppendSSLRequest(nil)}},
		{"GSSENCRequest twice", [][]byte{pgwire.AppendGSSENCRequest(nil), pgwire.AppendGSSENCRequest(nil)}},
		{"SSLRequest, GSSENCRequest, SSLRequest", [][]byte{pgwire.AppendSSLRequest(nil), pgwire.AppendGSSENCRequest(nil), pgwire.AppendSSLRequest(nil)}},
		{"a long SSLRequest", [][]byte{packet(80877103, "more bytes"), packet(0x00030000, "user\x00postgres\x00\x00")}},
		{"bytes behind an SSLRequest", [][]byte{append(pgwire.AppendSSLRequest(nil), packet(0x00030000, "user\x00postgres\x00\x00")...)}},
		{"bytes behind a GSSENCRequest", [][]byte{append(pgwire.AppendGSSENCRequest(nil), packet(0x00030000, "user\x00postgres\x00\x00")...)}},
		{"a cancel request", [][]byte{pgwire.AppendCancelRequest(nil, 1, []byte{1, 2, 3, 4})}},
		{"a cancel request behind SSLRequest", [][]byte{pgwire.AppendSSLRequest(nil), pgwire.AppendCancelRequest(nil, 1, []byte{1, 2, 3, 4})}},
		{"a short cancel request", [][]byte{pgwire.AppendCancelRequest(nil, 1, nil)}},
		{"a broken length behind SSLRequest", [][]byte{pgwire.AppendSSLRequest(nil), {0, 0, 0, 4}}},
	}
}

// optionCases are values of the start-up parameter options.
func optionCases() []string {
	return []string{
		"", "   ", "-c application_name=a", "-capplication_name=a", "--application_name=a", "--application-name=a", "-c application-name=a",
		"  -c   application_name=a\t--work_mem=64  ", `-c application_name=a\ b`, `-c application_name=a\\b`, `-c application_name=a\`, `\`,
		`-c application_name=\-x`, `--application_name=a=b`, "--application_name=", "-c application_name=", "-c application_name", "--application_name", "-c", "--",
		"-c application_name=a --", "-- -c application_name=a", "-c application_name=a -- b", "word", "-c application_name=a word", "-", "-c -c", "-Z", "-eZ",
		"-S 4096", "-S4096", "-OS 4096", "-S", "-e", "-eO", "-fs", "-f i", "-fo", "-fb", "-ft", "-fn", "-fm", "-fh", "-fx", "-tpa", "-t pl", "-te", "-tparser", "-s -c log_parser_stats=off",
		"-c geqo=off -c geqo=on", "-O -c application_name=a=b\\ c", "-c application_name=a\v--geqo=off", "--geqo=off -ec geqo=on", "-e-geqo=off", "-W 0", "-P",
		"-c =x", "--=x", "-c application_name=~",
	}
}

func TestStartupAnswersLikePostgreSQL(t *testing.T) {
	want := readGolden(t).Startup
	for _, c := range startupCases() {
		t.Run(c.name, func(t *testing.T) {
			wanted, ok := want[c.name]
			if !ok {
				t.Fatal("not in the golden file")
			}
			if got := ourAnswer(c.writes); got != wanted {
				t.Errorf("we answer\n%s\nPostgreSQL answers\n%s", got, wanted)
			}
		})
	}
}

// ourAnswer is what a caller that follows the documentation of Startup puts on the wire, in the words of the golden file.
func ourAnswer(writes [][]byte) string {
	var s pgwire.Startup
	var out []string
	for _, w := range writes {
		_, ev, err := s.Feed(w)
		if err != nil {
			return strings.Join(compact(append(append(out, sent(err.(*pgwire.Error))...), "closed")), "\n")
		}
		switch ev.Kind {
		case pgwire.EventSSLRequest, pgwire.EventGSSRequest:
			out = append(out, "N")
		case pgwire.EventCancel:
			out = append(out, "closed")
		case pgwire.EventMessage:
			if ev.Message.NeedsNegotiate() {
				out = append(out, fmt.Sprintf("negotiate 3.%d %q", ev.Message.SpokenMinor(), ev.Message.Unknown))
			}
			out = append(out, login(ev.Message))
		case pgwire.EventNeedMore:
			out = append(out, "waits")
		}
	}
	return strings.Join(compact(out), "\n")
}

// compact removes empty lines: errors that are not sent.
func compact(lines []string) []string {
	kept := lines[:0]
	for _, l := range lines {
		if l != "" {
			kept = append(kept, l)
		}
	}
	return kept
}

// login tells what a server with one user and one database, both called postgres, makes of m.
func login(m pgwire.StartupMessage) string {
	if m.User != "postgres" {
		return fmt.Sprintf("FATAL 28000 role %q does not exist\nclosed", m.User)
	}
	if m.Database != "postgres" {
		return fmt.Sprintf("FATAL 3D000 database %q does not exist\nclosed", m.Database)
	}
	return fmt.Sprintf("a cancel key of %d bytes\nwelcome", pgwire.CancelKeyLen(m.SpokenMinor()))
}

// sent is the answer that carries e.
func sent(e *pgwire.Error) []string {
	if e.Silent() {
		return nil
	}
	b := pgwire.AppendError(nil, e)
	if f, ok, err := pgwire.PeekBackend(b); ok && err == nil && f.Len == len(b) {
		text, _ := printMessage(f, b)
		return []string{text}
	}
	return oldAnswer(b)
}

func printError(e *pgwire.Error) string {
	text := fmt.Sprintf("%s %s %s", e.Severity, e.Code, e.Message)
	if e.Detail != "" {
		text += "\nDETAIL " + e.Detail
	}
	if e.Hint != "" {
		text += "\nHINT " + e.Hint
	}
	return text
}

func TestOptionsAreReadLikePostgreSQL(t *testing.T) {
	want := readGolden(t).Options
	for _, s := range optionCases() {
		t.Run(fmt.Sprintf("%q", s), func(t *testing.T) {
			wanted, ok := want[fmt.Sprintf("%q", s)]
			if !ok {
				t.Fatal("not in the golden file")
			}
			if diff := cmp.Diff(wanted, ourSettings(s)); diff != "" {
				t.Errorf("PostgreSQL's settings (-), ours (+):\n%s", diff)
			}
		})
	}
}

// ourSettings is what SplitOptions finds, the last of each name, sorted; or its error.
func ourSettings(s string) []string {
	params, err := pgwire.SplitOptions(s)
	if err != nil {
		e := err.(*pgwire.Error)
		return []string{fmt.Sprintf("%s %s %s", e.Severity, e.Code, e.Message)}
	}
	for _, p := range params {
		if p.Name == "" { // it is the server that complains, when it is to set it
			return []string{`FATAL 42704 unrecognized configuration parameter ""`}
		}
	}
	return settingsInForce(params)
}
