package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/pgrouter/pgrouter/discovery/dns"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/failover"
	"github.com/pgrouter/pgrouter/metrics"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scene is a router with one cluster, as the test wants it to look.
type scene struct {
	primary topology.NodeID
	queues  []pool.QueueStats
	clients []proxy.ClientInfo
	old     time.Duration // since the picture was confirmed
	done    []string
	held    Held
	reports []failover.Report
	paused  []string // databases; "" is all
	fail    error
	traffic atomic.Pointer[[]proxy.DatabaseTraffic]

	cancelled chan struct{} // cancel requests for the console
	disabled  []string
	left      int // server connections that WAIT_CLOSE would wait for

	change func(*topology.Snapshot) // of the cluster's picture; nil: none
}

func (s *scene) Clusters() []*topology.Snapshot {
	snap := &topology.Snapshot{Cluster: "main", Phase: topology.PhaseSteady, Primary: s.primary, LastPrimary: "a:5432", Epoch: 3, At: time.Now().Add(-s.old), Nodes: []topology.Node{
		{ID: "a:5432", Role: topology.RolePrimary, Health: topology.HealthUp, Timeline: 2},
		{ID: "b:5432", Role: topology.RoleStandby, Health: topology.HealthSuspect, LagKnown: true, LagBytes: 5 << 20, Refused: "<another> system"},
	}}
	if s.primary == "" {
		snap.Phase, snap.Alarm = topology.PhaseSplit, "two nodes claim to be primary"
	}
	if s.change != nil {
		s.change(snap)
	}
	return []*topology.Snapshot{snap}
}

func (s *scene) Queues() []pool.QueueStats {
	if s.queues != nil {
		return s.queues
	}
	return []pool.QueueStats{{
		Key: pool.Key{Cluster: "main", Database: "voip", User: "kamailio", Route: routing.Primary}, Size: 20, Waiting: 2, Reason: event.HoldExhausted,
		Oldest: 1500 * time.Millisecond, Nodes: []pool.NodeStats{{Node: "a:5432", Linked: 3, Idle: 4, Dialing: 1, Eligible: true, Trouble: errors.New("refused")}},
	}}
}

func (s *scene) Clients() []proxy.ClientInfo {
	if s.clients != nil {
		return s.clients
	}
	return []proxy.ClientInfo{
		{ID: 7, Kind: "client", State: "active", User: "kamailio", Database: "voip", Pinned: "listen", Remote: "[::1]:4711", Local: "/run/pg"}, {ID: 8, Kind: "client", State: "waiting", Waits: 1500 * time.Millisecond},
	}
}
func (s *scene) Totals() proxy.Totals { return proxy.Totals{Clients: 2, Units: 99} }
func (s *scene) Servers() []pool.ServerStats {
	key := pool.Key{Cluster: "main", Database: "voip", User: "kamailio", Route: routing.Primary}
	return []pool.ServerStats{
		{Key: key, ID: 3, Node: "a:5432", State: "linked", Client: 7, PID: 4712, Local: "10.0.0.1:40000", Remote: "10.0.0.2:5432"},
		{Key: key, ID: 4, Node: "a:5432", State: "idle", Retiring: true, Remote: "/run/pg/.s.PGSQL.5433"},
	}
}

func (s *scene) Traffic() []proxy.DatabaseTraffic {
	if all := s.traffic.Load(); all != nil {
		return *all
	}
	return nil
}

func (s *scene) Setup() Setup {
	return Setup{
		Databases: []string{"crm"}, Users: []string{"batch", "kamailio"},
		Settings: []Setting{
			{Key: "limits.max_clients", Value: "500", Default: "10000"}, {Key: "limits.max_user_connections", Value: "7", Default: "0"}, {Key: "pool.wait_timeout", Value: "1m30s", Default: "2m", Changeable: true},
			{Key: "cluster.main.probe_password", Value: "[redacted]"},
		},
		Database: func(name string) DatabaseSetup {
			return DatabaseSetup{ServerName: map[string]string{"crm": "customers"}[name] + map[string]string{"voip": "voip"}[name], Mode: "transaction", Size: 20, Lifetime: time.Hour}
		},
		User: func(name string) UserSetup {
			return map[string]UserSetup{"batch": {Mode: "session", Size: 5}}[name]
		},
	}
}

func (s *scene) Failovers() []failover.Report {
	if s.reports != nil {
		return s.reports
	}
	return []failover.Report{{From: "b:5432", To: "a:5432", Held: 12, Outcome: "failed_over"}}
}
func (s *scene) Doors() []Door {
	return []Door{{Address: "0.0.0.0:5000", Cluster: "main", Route: "primary"}}
}
func (s *scene) Hosts() []dns.Host {
	return []dns.Host{{Cluster: "main", Name: "db.test:5432", Addresses: []string{"10.0.0.1", "10.0.0.2"}, Due: time.Now().Add(-time.Minute), Problem: "DNS fails"}}
}
func (s *scene) Serves(_, route string) (bool, string) {
	if route == "primary" && s.primary == "" {
		return false, "no_primary"
	}
	return true, ""
}
func (s *scene) Database(name string) (known, paused bool) {
	known = name == "" || slices.ContainsFunc(s.Queues(), func(q pool.QueueStats) bool { return q.Key.Database == name })
	return known, slices.Contains(s.paused, name) || slices.Contains(s.paused, "")
}
func (s *scene) Switchover(_ context.Context, cluster, to string, within time.Duration) error {
	s.done = append(s.done, "switchover "+cluster+" "+to+" "+within.String())
	return s.fail
}

func (s *scene) AcceptCluster(_ context.Context, cluster string, a topology.Acceptance) error {
	s.done = append(s.done, fmt.Sprintf("accept %s %d %d by %s", cluster, a.SystemID, a.Timeline, a.By))
	return s.fail
}

func (s *scene) Reload(context.Context) (applied, pending []string, err error) {
	s.done = append(s.done, "reload")
	return []string{"pool.size: 20 → 30"}, []string{"limits.loops: 1 → 2"}, s.fail
}

func newAdmin(t *testing.T, s *scene) (*Admin, http.Handler) {
	t.Helper()
	journal := NewJournal(slog.New(slog.DiscardHandler))
	journal.Emit(event.Event{Kind: event.PrimaryChanged, Cluster: "main", To: "a:5432", Time: time.Now()})
	a, err := New(Config{Version: "9.9", Names: []string{"pgrouter", "pgbouncer"}, Users: []string{"boss"}, StatsUsers: []string{"watcher"}, Allow: []string{"10.1.0.0/16"}, PoolMode: func(_, user string) string { return map[string]string{"batch": "session"}[user] }}, s, s, journal, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	registry, err := metrics.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := registry.Register(journal); err != nil {
		t.Fatal(err)
	}
	return a, a.routes(registry)
}

func get(h http.Handler, path string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestHealthTellsLifeReadinessAndRoutesApart(t *testing.T) {
	for _, tc := range []struct {
		path    string
		primary topology.NodeID
		want    int
	}{
		{"/healthz", "", 200}, {"/readyz", "", 503}, {"/primary", "", 503}, {"/replica", "", 200},
		{"/healthz", "a:5432", 200}, {"/readyz", "a:5432", 200}, {"/primary", "a:5432", 200}, {"/primary?cluster=other", "a:5432", 404},
		{"/nothing", "a:5432", 404},
	} {
		_, h := newAdmin(t, &scene{primary: tc.primary})
		if code, body := get(h, tc.path); code != tc.want {
			t.Errorf("%s with primary %q: %d %s, want %d", tc.path, tc.primary, code, body, tc.want)
		}
	}
}

func TestReadyEndsWhenDiscoveryDoesNotConfirmItsPicture(t *testing.T) {
	for _, tc := range []struct {
		old, interval time.Duration
		ready         bool
	}{
		{0, 0, true},
		{4 * time.Second, 0, true},
		{6 * time.Second, 0, false},
		{4 * time.Second, 100 * time.Millisecond, true}, // a short interval does not make it nervous
		{6 * time.Second, 100 * time.Millisecond, false},
		{40 * time.Second, 10 * time.Second, true},
		{51 * time.Second, 10 * time.Second, false},
	} {
		a, h := newAdmin(t, &scene{primary: "a:5432", old: tc.old})
		if tc.interval != 0 {
			cfg := a.cfg.Load().Config
			cfg.ProbeInterval = map[string]time.Duration{"main": tc.interval}
			if err := a.Reconfigure(cfg); err != nil {
				t.Fatal(err)
			}
		}
		for path, want := range map[string]bool{"/readyz": tc.ready, "/primary": tc.ready, "/replica": tc.ready, "/healthz": true} {
			code, body := get(h, path)
			if code == http.StatusOK != want {
				t.Errorf("%s, confirmed %s ago, interval %s: %d %s", path, tc.old, tc.interval, code, body)
			}
			if !want && !strings.Contains(body, "discovery has not confirmed its picture of cluster main for") {
				t.Errorf("%s does not say why: %s", path, body)
			}
		}
	}
}

// doors is a router with certain listeners and served routes.
type doors struct {
	scene
	routes []string // of its listeners
	served string
}

func (d *doors) Doors() []Door {
	var all []Door
	for _, r := range d.routes {
		all = append(all, Door{Address: ":1", Cluster: "main", Route: r})
	}
	return all
}

func (d *doors) Serves(_, route string) (bool, string) {
	return strings.Contains(d.served, route), "no_" + route
}

func TestReadyMeansThatThereIsAWritablePathAndAReplicaMayBeMissing(t *testing.T) {
	for _, tc := range []struct {
		routes, served string
		ready          bool
		why            string
	}{
		{"primary replica", "primary replica", true, ""},
		{"primary replica", "primary", true, ""},
		{"replica primary", "replica", false, "no_primary"},
		{"replica any", "replica", true, ""},
		{"replica", "primary", false, "no_replica"},
		{"", "primary", false, "no listener"},
	} {
		log := slog.New(slog.DiscardHandler)
		w := &doors{routes: strings.Fields(tc.routes), served: tc.served}
		a, err := New(Config{}, w, w, NewJournal(log), log)
		if err != nil {
			t.Fatal(err)
		}
		if ok, why := a.ready(); ok != tc.ready || !strings.Contains(why, tc.why) {
			t.Errorf("listeners %q, served %q: %v %q", tc.routes, tc.served, ok, why)
		}
	}
}

func TestNothingIsAnEmptyListInJSON(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	w := &doors{}
	a, err := New(Config{}, w, w, NewJournal(log), log)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(a.View())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"events":[]`, `"listeners":[]`, `"errors_by_sqlstate":{}`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func TestThePictureIsTheSameInJSONAndOnThePage(t *testing.T) {
	_, h := newAdmin(t, &scene{primary: "a:5432"})
	_, body := get(h, "/api/v1/cluster")
	var v View
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	if v.Clusters[0].Primary != "a:5432" || v.Pools[0].Waiting != 2 || v.Clients.Pinned != 1 || v.Clients.PinnedBy["listen"] != 1 || v.Failovers[0].Held != 12 || len(v.Events) != 1 {
		t.Errorf("%+v", v)
	}
	_, page := get(h, "/")
	for _, want := range []string{"1 pinned, 1 by listen", "a:5432 is primary", "suspect", "5 MB", "exhausted", "primary_changed", "&lt;another&gt; system"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if _, body := get(h, "/metrics"); !strings.Contains(body, `pgrouter_events_total{event="primary_changed"} 1`) {
		t.Error("the event is not counted")
	}
}

func TestASwitchoverIsRefusedToStrangersAndToWhatIsNotJSON(t *testing.T) {
	for _, tc := range []struct {
		name, from, media, body, done string
		want                          int
	}{
		{"loopback", "127.0.0.1:5", "application/json", `{"to":"b:5432","within":"5s"}`, "switchover main b:5432 5s", 200},
		{"allowed network", "10.1.2.3:5", "application/json; charset=utf-8", `{"to":"b:5432"}`, "switchover main b:5432 0s", 200},
		{"stranger", "10.2.2.3:5", "application/json", `{"to":"b:5432"}`, "", 403},
		{"a form of a foreign page", "127.0.0.1:5", "text/plain", `{"to":"b:5432"}`, "", 415},
		{"unknown key", "127.0.0.1:5", "application/json", `{"too":"b:5432"}`, "", 400},
		{"bad duration", "127.0.0.1:5", "application/json", `{"to":"b:5432","within":"soon"}`, "", 400},
		{"too long", "127.0.0.1:5", "application/json", `{"to":"` + strings.Repeat("x", bodyLimit) + `"}`, "", 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &scene{primary: "a:5432"}
			_, h := newAdmin(t, s)
			r := httptest.NewRequest(http.MethodPost, "/api/v1/switchover", strings.NewReader(tc.body))
			r.RemoteAddr = tc.from
			r.Header.Set("Content-Type", tc.media)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tc.want || strings.Join(s.done, ",") != tc.done {
				t.Errorf("%d %s, it did %v", w.Code, w.Body.String(), s.done)
			}
		})
	}
	s := &scene{primary: "a:5432"}
	_, h := newAdmin(t, s)
	r := httptest.NewRequest(http.MethodPost, "/api/v1/switchover", strings.NewReader(`{"to":"b:5432"}`))
	r.RemoteAddr = "127.0.0.1:5"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", "http://example.com:7000") // a page whose name points to 127.0.0.1
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden || len(s.done) > 0 {
		t.Errorf("a web page: %d %s, it did %v", w.Code, w.Body.String(), s.done)
	}
}

func TestAFailedSwitchoverIsAConflict(t *testing.T) {
	s := &scene{fail: errors.New("busy")}
	_, h := newAdmin(t, s)
	r := httptest.NewRequest(http.MethodPost, "/api/v1/switchover", strings.NewReader(`{"to":"b:5432"}`))
	r.RemoteAddr = "127.0.0.1:5"
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "busy") {
		t.Errorf("a failure: %d %s", w.Code, w.Body.String())
	}
}

// console connects a real driver to the console over loopback.
func console(t *testing.T, s *scene, user string) *pgx.Conn {
	t.Helper()
	a, _ := newAdmin(t, s)
	c := a.Console()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			defer conn.Close()
			err = greet(conn, c)
		}
		if err == nil {
			err = c.Serve(ctx, conn, proxy.Login{User: user, Database: "pgrouter", Cancelled: s.cancelled})
		}
		ended <- err
	}()
	client, err := pgx.Connect(ctx, "host=127.0.0.1 port="+port(ln.Addr().String())+" user="+user+" dbname=pgrouter sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close(ctx)
		cancel()
		ln.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return client
}

// greet is the login that the proxy does.
func greet(conn net.Conn, c *Console) error {
	var machine pgwire.Startup
	buf := make([]byte, 1024)
	n, err := conn.Read(buf)
	if err != nil {
		return err
	}
	if _, _, err := machine.Feed(buf[:n]); err != nil {
		return err
	}
	msg := pgwire.AppendAuthOk(nil)
	for _, p := range c.Parameters() {
		msg = pgwire.AppendParameterStatus(msg, p.Name, p.Value)
	}
	_, err = conn.Write(pgwire.AppendReadyForQuery(msg, pgwire.StatusIdle))
	return err
}

func TestTheConsoleAnswersADriverInBothProtocols(t *testing.T) {
	conn := console(t, trafficScene(), "boss")
	ctx := context.Background()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement} {
		for _, c := range commands() {
			if c.columns == nil {
				continue
			}
			sql := strings.ToLower(c.name) + " ;"
			if c.name == "SHOW" {
				sql = "show TIMEZONE"
			}
			rows, err := conn.Query(ctx, sql, mode)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			count := 0
			for rows.Next() {
				if values, err := rows.Values(); err != nil || len(values) != len(c.columns) {
					t.Fatalf("%s: %v, %v", c.name, values, err)
				}
				count++
			}
			if empty := strings.HasPrefix(c.help, "always empty"); rows.Err() != nil || (count == 0) != empty {
				t.Errorf("%s in mode %v: %d rows, %v", c.name, mode, count, rows.Err())
			}
		}
	}
}

func TestCommandsActAndAreRefusedByRole(t *testing.T) {
	s := &scene{primary: "a:5432"}
	boss := console(t, s, "boss")
	ctx := context.Background()
	run := func(conn *pgx.Conn, sql string) error {
		_, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
		return err
	}
	if err := run(boss, `PAUSE "we;ird"; resume; switchover b:5432`); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.done, ", "); got != "pause we;ird, resume , switchover main b:5432 0s" {
		t.Errorf("it did %s", got)
	}
	watcher := console(t, s, "watcher")
	for sql, want := range map[string]string{"copy x from stdin": "42601", "pause": "42501", "show nonsense": "42601", "": "", "show pools extra": "42601", `pause "x`: "42601"} {
		err := run(watcher, sql)
		var pg *pgconn.PgError
		if errors.As(err, &pg); want != "" && (pg == nil || pg.Code != want) || want == "" && err != nil {
			t.Errorf("%q: %v, want %q", sql, err, want)
		}
	}
	if err := run(watcher, "show version"); err != nil {
		t.Errorf("after errors: %v", err)
	}
	a, _ := newAdmin(t, s)
	if a.Console().Admit("nobody") == nil {
		t.Error("nobody gets in")
	}
}

func TestTheHTTPServerEndsWithItsListener(t *testing.T) {
	a, _ := newAdmin(t, &scene{primary: "a:5432"})
	registry, err := metrics.New()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a.Serve(ln, registry)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + a.Address().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if resp, err := client.Get("http://" + ln.Addr().String() + "/healthz"); err == nil {
		resp.Body.Close()
		t.Error("it still answers")
	}
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{"show pools;", `pause "a""b"; resume`, `'`, ";;", "show\tpools\n", `"`, "a'b'c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, statement := range splitStatements(text) {
			if strings.TrimSpace(statement) != statement || statement == "" {
				t.Fatalf("statement %q of %q", statement, text)
			}
			words, err := splitWords(statement)
			if err != nil {
				continue
			}
			for _, w := range words {
				if len(w) > len(statement) {
					t.Fatalf("word %q of %q", w, statement)
				}
			}
		}
	})
}

func FuzzSettings(f *testing.F) {
	for _, s := range []string{"a = b", `"a""b" to 'c'`, "session time zone local", "names", "", "=", "a=", "local", `"`, "time", "a to"} {
		f.Add(s)
	}
	for _, s := range []string{`database."a b".size = 3`, `"pool.size" to '1''s'`, "pool.hold_timeout='8s'", `x = "`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, value, err := splitSetting(text)
		if err == nil && len(name)+len(value) > len(text)+len("transaction_isolation") {
			t.Fatalf("%q: %q is %q", text, name, value)
		}
		if one, err := settingValue(name, value); err == nil && len(one) > len(value) {
			t.Fatalf("%q: %q is %q", text, value, one)
		}
		if rest := behindWords(text, 1); len(rest) > len(text) {
			t.Fatalf("%q behind the first word of %q", rest, text)
		}
		if plain := withoutComments(text); len(plain) > len(text) {
			t.Fatalf("%q without comments is %q", text, plain)
		}
	})
}
