package testrouter

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// Example runs the router with a configuration from examples/, in which only what belongs to a machine is replaced: the
// addresses of nodes and listeners, and the state directory. The files that it names stand beside it.
func Example(t testing.TB, c *testcluster.Cluster, text string) *Process {
	t.Helper()
	dir := t.TempDir()
	p := &Process{t: t, dir: dir, Write: FreeAddress(t), Read: FreeAddress(t), Admin: FreeAddress(t), log: filepath.Join(dir, "router.log")}
	var nodes []string
	for _, n := range c.Nodes() {
		nodes = append(nodes, strconv.Quote(n.Addr()))
	}
	doors := []string{p.Write, p.Read}
	text = replaceLine(text, `^nodes = .*$`, func() string { return "nodes = [" + strings.Join(nodes, ", ") + "]" })
	text = replaceLine(text, `^state_dir = .*$`, func() string { return fmt.Sprintf("state_dir = %q", dir) })
	text = replaceLine(text, `^http = .*$`, func() string { return fmt.Sprintf("http = %q", p.Admin) })
	text = replaceLine(text, `^address = .*$`, func() string {
		line := fmt.Sprintf("address = %q", doors[0])
		doors = doors[1:]
		return line
	})
	if !strings.Contains(text, "http = ") {
		text = fmt.Sprintf("[admin]\nhttp = %q\n", p.Admin) + text
	}
	app, probe := c.Role(testcluster.AppUser), c.Role(testcluster.ProbeUser)
	for name, content := range map[string]string{
		"pgrouter.toml": text, "userlist.txt": fmt.Sprintf("%q %q\n", app.Name, app.Password), "probe-password.txt": probe.Password,
		"switchover-password.txt": probe.Password,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.run([]string{Binary(t), "run", "--config", filepath.Join(dir, "pgrouter.toml")})
	p.Await("the example is ready", time.Minute, func() bool {
		resp, err := http.Get("http://" + p.Admin + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

func replaceLine(text, pattern string, with func() string) string {
	return regexp.MustCompile("(?m)"+pattern).ReplaceAllStringFunc(text, func(string) string { return with() })
}
