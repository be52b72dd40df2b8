package system

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// patroniConfig has a place for where the nodes come from.
const patroniConfig = `
[auth]
userlist = "userlist.txt"
[limits]
loops = 1
[cluster.main]
probe_user = "pgrouter"
probe_password_file = "probe-password.txt"
state_dir = ""
MEMBERS
[[listener]]
address = ""
`

// scriptedPatroni says of a server that it leads a cluster of its own.
type scriptedPatroni struct {
	*httptest.Server
	host, port string       // of the server
	asked      atomic.Int64 // how often for the cluster
}

func startPatroni(t *testing.T, server string) *scriptedPatroni {
	t.Helper()
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		t.Fatal(err)
	}
	p := &scriptedPatroni{host: host, port: port}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// ServeHTTP answers as Patroni does.
func (p *scriptedPatroni) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/cluster":
		p.asked.Add(1)
		_, _ = fmt.Fprintf(w, `{"members":[{"name":"n1","role":"leader","state":"running","api_url":"%s/patroni","host":%q,"port":%s}]}`, p.URL, p.host, p.port)
	case "/leader":
		_, _ = fmt.Fprintf(w, `{"state":"running","role":"primary","timeline":1,"dcs_last_seen":%d}`, time.Now().Unix())
	default:
		_, _ = fmt.Fprint(w, `{"ttl":30}`)
	}
}

// TestNodesMayBeFoundByPatroni: a router without a configured node serves the one that Patroni names. Reloads exchange Patroni for a
// configured node and back, through configurations that have both, and a client keeps its server.
func TestNodesMayBeFoundByPatroni(t *testing.T) {
	c := sharedCluster(t)
	rest := startPatroni(t, c.Primary().Addr())
	found := "[cluster.main.patroni]\nurls = [\"" + rest.URL + "\"]\n"
	named := fmt.Sprintf("nodes = [%q]\n", c.Primary().Addr())
	config := func(members string) string { return strings.Replace(patroniConfig, "MEMBERS\n", members, 1) }
	r := testrouter.Prepare(t, c, config(found))
	r.Run()
	conn := connect(t, c, r.Write)
	pid, err := query(conn, "select pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
	inForce := found
	for _, members := range []string{named + found, named, named + found, found} {
		const reloaded = "pgrouter_config_last_reload_timestamp_seconds"
		r.Rewrite("pgrouter.toml", func(text string) string { return strings.Replace(text, inForce, members, 1) })
		before := r.Metrics()[reloaded]
		if err := r.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		r.Await("the reload", time.Minute, func() bool { return r.Metrics()[reloaded] != before })
		if strings.Contains(members, found) {
			asked := rest.asked.Load()
			r.Await("an answer of Patroni's that was heard", time.Minute, func() bool { return rest.asked.Load() > asked+1 })
		}
		if got, err := query(conn, "select pg_backend_pid()"); err != nil || got != pid {
			t.Errorf("with %s: server %s, formerly %s, %v\n%s", members, got, pid, err, r.Tail())
		}
		inForce = members
	}
}

// TestWhoWaitsShorterThanPatroniNeedsIsWarned: its ttl is 30 s.
func TestWhoWaitsShorterThanPatroniNeedsIsWarned(t *testing.T) {
	c := sharedCluster(t)
	rest := startPatroni(t, c.Primary().Addr())
	members := "[cluster.main.patroni]\nurls = [\"" + rest.URL + "\"]\n[pool]\nhold_timeout = \"31s\"\n[user.kamailio]\nhold_timeout = \"4s\"\n"
	r := testrouter.Prepare(t, c, strings.Replace(patroniConfig, "MEMBERS\n", members, 1))
	r.Run()
	r.Await("the warning", time.Minute, func() bool {
		return strings.Contains(r.Tail(), "key=user.kamailio.hold_timeout hold_timeout=4s ttl=30s")
	})
	if log := r.Tail(); strings.Contains(log, "key=pool.hold_timeout") {
		t.Error(log)
	}
}
