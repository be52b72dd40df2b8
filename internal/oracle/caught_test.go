package oracle

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	gosync "sync"
	"testing"

	"go.uber.org/goleak"
)

// catches are what random tests have found. They are told when all tests of the package are over, behind everything else, the shortest
// first, and how to repeat it last: so the end of a log is enough.
type catches struct {
	mu struct {
		gosync.Mutex
		all []catch
	}
}

// catch is what one test has found, and the flags that repeat it.
type catch struct{ flags, what string }

var caught catches

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		caught.tell(os.Stdout)
		os.Exit(status)
	}))
}

// note fails the test, and keeps what was found for the end.
func (c *catches) note(t testing.TB, flags, what string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.all = append(c.mu.all, catch{flags, what})
	t.Errorf("%s: see the end", flags)
}

func (c *catches) tell(to io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.SortStableFunc(c.mu.all, func(a, b catch) int { return cmp.Compare(len(a.what), len(b.what)) })
	for n, it := range c.mu.all {
		fmt.Fprintf(to, "\n=== found by chance, %d of %d\n%s\nagain: go test ./internal/oracle %s\n", n+1, len(c.mu.all), strings.TrimRight(it.what, "\n"), it.flags)
	}
}

// told is a test whose words are kept, for what is found.
type told struct {
	testing.TB
	words []string
}

func (t *told) Logf(format string, args ...any) {
	t.Helper()
	t.words = append(t.words, fmt.Sprintf(format, args...))
	t.TB.Logf(format, args...)
}

func (t *told) Fatalf(format string, args ...any) {
	t.Helper()
	t.words = append(t.words, fmt.Sprintf(format, args...))
	t.TB.Fatalf(format, args...)
}

func (t *told) Fatal(args ...any) {
	t.Helper()
	t.Fatalf("%s", fmt.Sprint(args...))
}

// moment is how long the logs of the server and of the router were at one.
type moment struct {
	server, router logged
}

// logged is the end of a log.
type logged struct {
	path string
	from int64
}

func (w *world) moment() moment {
	return moment{endOf(w.cluster.Primary().LogPath()), endOf(w.process.LogPath())}
}

func endOf(path string) logged {
	l := logged{path: path}
	if info, err := os.Stat(path); err == nil {
		l.from = info.Size()
	}
	return l
}

// The names in a line of a log.
var (
	serverNames = regexp.MustCompile(`\[\d+\] \S+@(\S+) (\S*) `)
	routerNames = regexp.MustCompile(` database=(\S+)`)
)

// excerpt is what both have logged since about a database and about themselves, but for what thieves have asked.
func (m moment) excerpt(database string) string {
	server := m.server.lines(func(line string) bool {
		names := serverNames.FindStringSubmatch(line)
		return names == nil || names[1] == database && names[2] != thief
	})
	router := m.router.lines(func(line string) bool {
		names := routerNames.FindStringSubmatch(line)
		return names == nil || names[1] == database
	})
	return "the server has logged since:\n" + server + "the router has logged since:\n" + router
}

// lines returns the last lines that are kept. A line that begins with a tab belongs to the one before.
func (l logged) lines(keep func(line string) bool) string {
	const most = 20
	file, err := os.Open(l.path)
	if err != nil {
		return err.Error() + "\n"
	}
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, l.from, 1<<30))
	if err != nil {
		return err.Error() + "\n"
	}
	var kept []string
	keeps := false
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "\t") {
			keeps = keep(line)
		}
		if keeps {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept[max(0, len(kept)-most):], "")
}

// TestTheShortestCatchIsToldFirst with all that it says.
func TestTheShortestCatchIsToldFirst(t *testing.T) {
	var c catches
	c.mu.all = []catch{{"-seed 1 -program 2", "long\nlonger\n"}, {"-seed 1 -program 3", "short"}}
	var out strings.Builder
	c.tell(&out)
	const want = "\n=== found by chance, 1 of 2\nshort\nagain: go test ./internal/oracle -seed 1 -program 3\n" +
		"\n=== found by chance, 2 of 2\nlong\nlonger\nagain: go test ./internal/oracle -seed 1 -program 2\n"
	if out.String() != want {
		t.Errorf("told:\n%s", out.String())
	}
}

// TestAnExcerptIsOfOneDatabase and of what was logged since.
func TestAnExcerptIsOfOneDatabase(t *testing.T) {
	dir := t.TempDir()
	server, router := filepath.Join(dir, "server"), filepath.Join(dir, "router")
	write := func(path, text string) {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	write(server, "[7] app@programs0 LOG:  before\n")
	since := moment{endOf(server), endOf(router)}
	write(server, "[7] app@programs0  ERROR:  mine\n[7] app@programs0  STATEMENT:  select\n\t1\n[8] app@programs1  ERROR:  another's\n\tand\n"+
		"[9] app@programs0 thief ERROR:  enough\n[1] LOG:  a server process ended\n")
	write(router, "msg=pinned database=programs0 reason=x\nmsg=pinned database=programs1 reason=x\nmsg=event\n")
	const want = "the server has logged since:\n[7] app@programs0  ERROR:  mine\n[7] app@programs0  STATEMENT:  select\n\t1\n[1] LOG:  a server process ended\n" +
		"the router has logged since:\nmsg=pinned database=programs0 reason=x\nmsg=event\n"
	if got := since.excerpt("programs0"); got != want {
		t.Errorf("the excerpt:\n%s", got)
	}
}
