package testrouter

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// Source says from whom the router hears who leads.
type Source string

// The sources.
const (
	FromEtcd    Source = "etcd"    // Patroni's keys
	FromPatroni Source = "patroni" // Patroni's REST interfaces
	FromBoth    Source = "both"
)

// PatroniOptions say how the router runs in front of a cluster that Patroni runs.
type PatroniOptions struct {
	Source  Source        // FromEtcd when empty
	Hold    time.Duration // hold_timeout and login_hold_timeout; the defaults when 0
	Pool    string        // appended to [pool]
	Admin   string        // appended to [admin]
	Cluster string        // appended to [cluster.main]
	Replica string        // appended to the replicas' [[listener]]

	Place *testcluster.Place // where it lives; nil: loopback

	// Via says where what members announce, "host:port", is reached: at proxies. FromPatroni only; nil: directly.
	Via func(announced string) string
}

const patroniText = `
[admin]
http = %[1]q
users = ["app"]
%[2]s
[auth]
user = "app"
password = "${TEST_APP_PASSWORD}"
[pool]
size = 20
%[3]s
[cluster.main]
probe_user = "pgrouter"
probe_password = "${TEST_PROBE_PASSWORD}"
state_dir = %[4]q
%[5]s
[[listener]]
address = %[6]q
route = "primary"
[[listener]]
address = %[7]q
route = "replica"
fallback = "primary"
%[8]s
`

// StartPatroni runs the router in front of a cluster that Patroni runs, and waits until it can serve.
func StartPatroni(t testing.TB, c *testcluster.PatroniCluster, o PatroniOptions) *Process {
	t.Helper()
	dir := t.TempDir()
	p := &Process{t: t, dir: dir, place: o.Place, log: filepath.Join(dir, "router.log")}
	p.Write, p.Read, p.Admin = p.freeAddress(), p.freeAddress(), p.freeAddress()
	pool := o.Pool
	if o.Hold > 0 {
		pool += fmt.Sprintf("\nhold_timeout = %q\nlogin_hold_timeout = %[1]q\n", o.Hold)
	}
	text := fmt.Sprintf(patroniText, p.Admin, o.Admin, pool, dir, o.Cluster+o.witness(c), p.Write, p.Read, o.Replica)
	path := filepath.Join(dir, "pgrouter.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.env = []string{"TEST_APP_PASSWORD=" + c.Role(testcluster.AppUser).Password, "TEST_PROBE_PASSWORD=" + c.Role(testcluster.ProbeUser).Password}
	p.args = []string{Binary(t), "run", "--config", path}
	p.run()
	p.awaitReady()
	return p
}

// witness is where members are reached, and the tables of whoever says who leads.
func (o PatroniOptions) witness(c *testcluster.PatroniCluster) string {
	quoted := func(addresses []string) string {
		urls := make([]string, len(addresses))
		for i, a := range addresses {
			urls[i] = strconv.Quote("http://" + a)
		}
		return strings.Join(urls, ", ")
	}
	var rest, mapped []string
	for _, n := range c.Nodes() {
		rest = append(rest, n.RESTAddr())
		for _, announced := range []string{n.Addr(), n.RESTAddr()} {
			if o.Via != nil {
				mapped = append(mapped, strconv.Quote(announced+"="+o.Via(announced)))
			}
		}
	}
	etcd := fmt.Sprintf("\n[cluster.main.etcd]\nendpoints = [%s]\nnamespace = %q\nscope = %q\n",
		quoted(c.Endpoints()), testcluster.PatroniNamespace, testcluster.PatroniScope)
	patroni := fmt.Sprintf("\n[cluster.main.patroni]\nurls = [%s]\n", quoted(rest))
	text := fmt.Sprintf("\naddress_map = [%s]\n", strings.Join(mapped, ", "))
	switch o.Source {
	case FromPatroni:
		return text + patroni
	case FromBoth:
		return text + patroni + etcd
	case FromEtcd:
	}
	return text + etcd
}

// View is a part of what /api/v1/cluster says.
type View struct {
	Clusters []struct {
		Phase   string `json:"phase"`
		Primary string `json:"primary"` // address of the node; "" while there is none
		Alarm   string `json:"alarm"`
		Nodes   []struct {
			Node    string `json:"node"`
			Role    string `json:"role"`
			Health  string `json:"health"`
			Refused string `json:"refused"`
		} `json:"nodes"`
	} `json:"clusters"`
	Failovers []Failover `json:"failovers"`
	Totals    struct {
		HoldExpired int64 `json:"hold_expired"` // units of work whose hold ended
	} `json:"totals"`
}

// Failover is a part of the router's report of one.
type Failover struct {
	Planned   bool      `json:"planned"`
	HoldStart time.Time `json:"hold_start"` // from here on no new unit of work went to the old primary
}

// View asks for the picture that the router shows.
func (p *Process) View() View {
	p.t.Helper()
	resp, err := http.Get("http://" + p.Admin + "/api/v1/cluster")
	if err != nil {
		p.t.Fatalf("view: %v\n%s", err, p.Tail())
	}
	defer resp.Body.Close()
	var v View
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		p.t.Fatalf("view: %v", err)
	}
	return v
}
