package system

import (
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// portOf returns the port of an address.
func portOf(t *testing.T, address string) uint16 {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(port)
}

// TestNodesAreFoundAndFollowedByTheirNames lets a service name the primary, then also a standby, and moves a node's name to nowhere and
// back: without a change of the configuration. A client goes on on its connection.
func TestNodesAreFoundAndFollowedByTheirNames(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	primary, standby := portOf(t, c.Primary().Addr()), portOf(t, c.Standbys()[0].Addr())
	const service = "_postgresql._tcp.db.test"
	server := wiretest.ServeDNS(t)
	here := wiretest.DNSAnswer{TTL: 1, IPs: []string{"127.0.0.1"}}
	server.Set("pg-0.test", here)
	server.Set("pg-1.test", here)
	server.Set(service, wiretest.DNSAnswer{TTL: 1, SRV: map[string]uint16{"pg-0.test": primary}})
	r := testrouter.Prepare(t, c, fmt.Sprintf(`
[admin]
http = ""
users = ["app"]
[auth]
userlist = "userlist.txt"
[pool]
hold_timeout = "60s"
[cluster.main]
probe_user = "pgrouter"
probe_password_file = "probe-password.txt"
state_dir = ""
[cluster.main.dns]
names = [%q]
server = %q
[[listener]]
address = ""
[[listener]]
address = ""
route = "replica"
fallback = "primary"
`, service, server.Addr))
	r.Run()
	conn := connect(t, c, r.Write)
	if _, err := query(conn, "create table t(n int)"); err != nil {
		t.Fatal(err)
	}
	server.Set(service, wiretest.DNSAnswer{TTL: 1, SRV: map[string]uint16{"pg-0.test": primary, "pg-1.test": standby}})
	knows(r, 2)
	if got := psql(t, c, r.Read, "select pg_is_in_recovery()"); got != "t" {
		t.Errorf("read port: in recovery = %s", got)
	}
	server.Set("pg-0.test", wiretest.DNSAnswer{TTL: 1, IPs: []string{"127.9.9.9"}}) // nobody listens there
	r.Await("the primary is gone", time.Minute, func() bool { return r.Metrics()["pgrouter_cluster_primary"] == 0 })
	back := make(chan error, 1)
	go func() {
		_, err := query(conn, "insert into t values (1)")
		back <- err
	}()
	r.Await("one waits", time.Minute, func() bool { return r.Metrics()["pgrouter_pool_waiting"] >= 1 })
	server.Set("pg-0.test", here)
	if err := <-back; err != nil {
		t.Errorf("who waited until the name led back: %v", err)
	}
	console := open(t, c, r.Write, "pgrouter", "")
	rows := table(t, console, "SHOW DNS_HOSTS", "hostname", "addrs")
	if got, want := fmt.Sprint(rows), fmt.Sprintf("[[%s pg-0.test:%d,pg-1.test:%d] [pg-0.test:%[2]d 127.0.0.1] [pg-1.test:%[3]d 127.0.0.1]]", service, primary, standby); got != want {
		t.Errorf("SHOW DNS_HOSTS: %s, not %s", got, want)
	}
	r.AwaitLog("a node's name leads elsewhere")
}
