package backend

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/auth"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/reactor"
)

const realPassword = "pass wörd"

// realCluster is a primary and a standby with one role per way to log in.
func realCluster(t *testing.T) *testcluster.Cluster {
	t.Helper()
	role := func(name, options string) testcluster.Role {
		return testcluster.Role{Name: name, Password: realPassword, Options: options}
	}
	return clustertest.Start(t, testcluster.Options{
		Standbys: 1,
		Roles: []testcluster.Role{
			role("trusty", ""), role("clear", ""), role("scram", ""), role("full", "CONNECTION LIMIT 0"),
			{Name: "digest", Password: realPassword, MD5: true},
		},
		HBA: []string{"host all trusty 127.0.0.1/32 trust", "host all clear 127.0.0.1/32 password", "host all barred 127.0.0.1/32 reject"},
	})
}

func TestRealPostgreSQL(t *testing.T) {
	cluster := realCluster(t)
	for _, sub := range []struct {
		name string
		run  func(*testing.T, *testcluster.Cluster)
	}{
		{"every way to log in", loginsOfEveryKind},
		{"a client's keys open it", clientKeysOpenIt},
		{"what the server reports is kept", reportIsKept},
		{"start-up parameters are sent", parametersAreSent},
		{"the server's refusals are kept", refusalsAreKept},
		{"a server notices that its client is gone", checksItsClient},
		{"what stands in for a primary writes nothing", writesNothing},
		{"only the right node is admitted", onlyTheRightNode},
		{"a cancel request ends the query and nothing else", cancelEndsTheQuery},
		{"the newest protocol that the server speaks", speaksItsOwnVersion},
		{"a connection moves to a loop", movesToALoop},
		{"a frozen server is given up", frozenServer}, // the last two: they change the cluster
		{"a stopped server refuses", stoppedServer},
	} {
		t.Run(sub.name, func(t *testing.T) { sub.run(t, cluster) })
	}
}

func primaryOf(c *testcluster.Cluster) Target {
	return Target{Node: "n1", Address: c.Primary().Addr(), WantPrimary: true}
}

func storedSecret(t *testing.T, c *testcluster.Cluster, role string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	conn, err := c.Primary().Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var stored string
	if err := conn.QueryRow(ctx, "SELECT rolpassword FROM pg_authid WHERE rolname = $1", role).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	return stored
}

func parseSecret(t *testing.T, text string) auth.Secret {
	t.Helper()
	s, err := auth.ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func loginsOfEveryKind(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	plain, wrong := auth.PlainSecret(realPassword), auth.PlainSecret("wrong")
	digest, verifier := parseSecret(t, storedSecret(t, c, "digest")), parseSecret(t, storedSecret(t, c, "scram"))
	tests := []struct {
		user   string
		secret auth.Secret
		want   string // "" is in; a SQLSTATE; or a fault of the login
	}{
		{"trusty", auth.Secret{}, ""},
		{"trusty", wrong, ""},
		{"trusty", verifier, ""},
		{"clear", plain, ""},
		{"clear", wrong, "28P01"},
		{"clear", auth.Secret{}, "no fitting secret"},
		{"clear", verifier, "no fitting secret"},
		{"digest", plain, ""},
		{"digest", digest, ""},
		{"digest", wrong, "28P01"},
		{"digest", verifier, "no fitting secret"},
		{"scram", plain, ""},
		{"scram", wrong, "28P01"},
		{"scram", digest, "no fitting secret"},
		{"scram", verifier, "no fitting secret"},
		{"nobody", plain, "28P01"},
	}
	for _, tt := range tests {
		t.Run(tt.user+" "+tt.secret.Kind().String()+" "+tt.want, func(t *testing.T) {
			conn, err := dial(t, primaryOf(c), Login{User: tt.user, Database: "app", Secret: tt.secret})
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if rows, err := query(t, conn, "SELECT current_user"); err != nil || rows[0] != tt.user {
					t.Errorf("we are %v, %v", rows, err)
				}
				return
			}
			e := wantDialError(t, err, OpLogin, false)
			if e.Code() != tt.want && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

// clientKeysOpenIt plays a client that proves itself to us against the server's own verifier, and logs in with the keys.
func clientKeysOpenIt(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	stored := storedSecret(t, c, "scram")
	users, err := auth.ParseUserlist(fmt.Appendf(nil, "\"scram\" %q", stored), auth.UserlistOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ring := auth.NewKeyRing(0)
	x := auth.NewExchange(auth.MethodSCRAM, "scram", users, ring)
	client := auth.NewServerLogin("scram", auth.PlainSecret(realPassword)) // our two halves speak with each other
	out, done, err := x.Start()
	for err == nil && !done {
		var answer []byte
		if answer, _, err = client.Next(out[pgwire.HeaderLen:]); err == nil {
			out, done, err = x.Next(answer[0], answer[pgwire.HeaderLen:])
		}
	}
	verdict, ok := x.Verdict()
	if err != nil || !ok || verdict.ServerSecret.Kind() != auth.SecretKeys {
		t.Fatalf("verdict %v, %v, %v", verdict, ok, err)
	}
	for _, secret := range []auth.Secret{verdict.ServerSecret, ring.ServerSecret(users.Entry("scram"))} {
		if _, err := dial(t, primaryOf(c), Login{User: "scram", Database: "app", Secret: secret}); err != nil {
			t.Error(err)
		}
		_, err := dial(t, primaryOf(c), Login{User: "app", Database: "app", Secret: secret})
		if e := wantDialError(t, err, OpLogin, false); !strings.Contains(e.Error(), "another SCRAM verifier") {
			t.Errorf("the keys of one user are used for another: %v", err)
		}
	}
}

func reportIsKept(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	for name, address := range map[string]string{"tcp": c.Primary().Addr(), "unix": c.Primary().SocketAddr()} {
		t.Run(name, func(t *testing.T) {
			conn, err := dial(t, Target{Address: address, WantPrimary: true}, login("scram", realPassword))
			if err != nil {
				t.Fatal(err)
			}
			rows, err := query(t, conn, "SELECT pg_backend_pid() UNION ALL SELECT current_setting('server_version_num')::int")
			if err != nil || rows[0] != strconv.Itoa(int(conn.PID)) || rows[1] != strconv.Itoa(conn.ServerVersion) {
				t.Errorf("server says %v, %v; connection has %d, %d", rows, err, conn.PID, conn.ServerVersion)
			}
			for _, name := range []string{"server_version", "client_encoding", "DateStyle", "TimeZone", "integer_datetimes"} {
				if value, ok := conn.Param(name); !ok || value == "" {
					t.Errorf("%s is %q, %v", name, value, ok)
				}
			}
			if conn.HotStandby || conn.ReadOnly || len(conn.Key) != 4 {
				t.Errorf("hot standby %v, read-only %v, key of %d bytes", conn.HotStandby, conn.ReadOnly, len(conn.Key))
			}
		})
	}
}

func parametersAreSent(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	l := login("scram", realPassword)
	l.Params = []pgwire.Param{
		{Name: "application_name", Value: "o'clock"},
		{Name: "search_path", Value: "x,\"y z\""},
		{Name: "default_transaction_read_only", Value: "on"},
		{Name: "client_encoding", Value: "LATIN1"},
	}
	conn, err := dial(t, primaryOf(c), l)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := query(t, conn, "SELECT current_setting('application_name') || ' ' || current_setting('search_path')")
	if err != nil || rows[0] != `o'clock x,"y z"` {
		t.Errorf("the server has %q, %v", rows, err)
	}
	if encoding, _ := conn.Param("client_encoding"); encoding != "LATIN1" || !conn.ReadOnly {
		t.Errorf("encoding %s, read-only %v", encoding, conn.ReadOnly)
	}
}

// writesNothing: on a standby that stands in for a primary a session is read-only whatever its client's own start-up parameters say, and
// stays so when the standby is promoted under it. The setting is what matters then, so that the node need be no standby here.
func writesNothing(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	target := primaryOf(c)
	target.WantPrimary, target.WantStandby = false, true
	l := login("scram", realPassword)
	l.Params = []pgwire.Param{{Name: "Default_Transaction_Read_Only", Value: "off"}, {Name: "search_path", Value: "x"}}
	restrained := l.restrained(target)
	if len(l.Params) != 2 || l.Params[0].Value != "off" {
		t.Errorf("the login itself was changed: %v", l.Params)
	}
	target.WantStandby = false
	if same := l.restrained(target); len(same.Params) != 2 || same.Params[0].Value != "off" {
		t.Errorf("any other login: %v", same.Params)
	}
	conn, err := Dial(t.Context(), Config{}, target, restrained)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	rows, err := query(t, conn, "SELECT current_setting('transaction_read_only') || current_setting('search_path')")
	if err != nil || rows[0] != "onx" {
		t.Errorf("the server has %q, %v", rows, err)
	}
}

// checksItsClient: who closes the socket of a running query can rely on it that the server stops, without a cancel request.
func checksItsClient(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	l, target, cfg := login("scram", realPassword), primaryOf(c), Config{CheckInterval: 50 * time.Millisecond}
	setting := func(target Target, l Login) string {
		conn, err := Dial(t.Context(), cfg, target, l)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		rows, err := query(t, conn, "SELECT current_setting('client_connection_check_interval')")
		if err != nil {
			t.Fatal(err)
		}
		return rows[0]
	}
	if got := setting(target, l); got != "0" {
		t.Errorf("a server of unknown version was asked for it: %s", got)
	}
	target.Version = 150000
	own := l
	own.Params = []pgwire.Param{{Name: checkParam, Value: "3s"}}
	if got := setting(target, own); got != "3s" {
		t.Errorf("the client's own value became %s", got)
	}
	if got := setting(target, l); got != "50ms" {
		t.Errorf("the setting is %s", got)
	}
	conn, err := Dial(t.Context(), cfg, target, l)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Socket.Write(pgwire.AppendQuery(nil, "select pg_sleep(600)")); err != nil {
		t.Fatal(err)
	}
	watcher, err := dial(t, target, l)
	if err != nil {
		t.Fatal(err)
	}
	seen := func(active string) bool {
		rows, err := query(t, watcher, fmt.Sprintf("select count(*) from pg_stat_activity where pid = %d and query like '%%600%%' and state = 'active'", conn.PID))
		if err != nil {
			t.Fatal(err)
		}
		return rows[0] == active
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !seen("1") {
		<-tick.C
	}
	if err := conn.Socket.Close(); err != nil {
		t.Fatal(err)
	}
	for !seen("0") {
		<-tick.C
	}
}

func refusalsAreKept(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	with := func(user, database string, params ...pgwire.Param) Login {
		return Login{User: user, Database: database, Params: params, Secret: auth.PlainSecret(realPassword)}
	}
	tests := []struct {
		name      string
		login     Login
		op        Op
		code      string
		text      string
		temporary bool
	}{
		{"missing database", with("scram", "no such"), OpStartup, "3D000", `database "no such" does not exist`, false},
		{"barred by HBA", with("barred", "app"), OpLogin, "28000", "pg_hba.conf rejects", false},
		{"connection limit", with("full", "app"), OpStartup, "53300", "too many connections for role", true},
		{"unknown setting", with("scram", "app", pgwire.Param{Name: "no_such", Value: "1"}), OpStartup, "42704", "unrecognized configuration parameter", false},
		{"wrong value", with("scram", "app", pgwire.Param{Name: "statement_timeout", Value: "x"}), OpStartup, "22023", "invalid value for parameter", false},
		{"forbidden setting", with("scram", "app", pgwire.Param{Name: "shared_buffers", Value: "1"}), OpStartup, "55P02", "cannot be changed", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := dial(t, primaryOf(c), tt.login)
			e := wantDialError(t, err, tt.op, tt.temporary)
			var server *pgwire.Error
			if !errors.As(err, &server) || server != e.ServerError() {
				t.Fatalf("error %v has no server error", err)
			}
			if e.Code() != tt.code || !strings.Contains(server.Message, tt.text) || !server.Fatal() || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %v, want %s %s", err, tt.code, tt.text)
			}
		})
	}
}

func onlyTheRightNode(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	standby := Target{Node: "n2", Address: c.Standbys()[0].Addr()}
	conn, err := dial(t, standby, login("scram", realPassword))
	if err != nil {
		t.Fatal(err)
	}
	if !conn.HotStandby {
		t.Error("a standby is not known as one")
	}
	rows, err := query(t, conn, querySystem)
	if err != nil {
		t.Fatal(err)
	}
	system, err := strconv.ParseUint(rows[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	standby.WantPrimary = true
	_, err = dial(t, standby, login("scram", realPassword))
	wantAdmissionError(t, err, NotPrimary)
	primary := primaryOf(c)
	primary.SystemID = system
	if conn, err = dial(t, primary, login("scram", realPassword)); err != nil || conn.SystemID != system {
		t.Errorf("the right system is not admitted: %v", err)
	}
	primary.SystemID++
	_, err = dial(t, primary, login("scram", realPassword))
	wantAdmissionError(t, err, WrongSystem)
}

func cancelEndsTheQuery(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	conn, err := dial(t, primaryOf(c), login("scram", realPassword))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		isCancelled(t, c, conn)
	}
}

// isCancelled runs a query that is cancelled, and the next that is not.
func isCancelled(t *testing.T, c *testcluster.Cluster, conn *Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	if err := conn.Socket.SetDeadline(time.Now().Add(testLimit)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Socket.Write(pgwire.AppendQuery(nil, "SELECT 1; SELECT pg_sleep(60)")); err != nil {
		t.Fatal(err)
	}
	if err := Cancel(ctx, testConfig(), conn.Target.Address, conn.PID, []byte("nope")); err != nil {
		t.Fatal(err)
	}
	awaitActive(t, c, conn.PID)
	if err := Cancel(ctx, testConfig(), conn.Target.Address, conn.PID, conn.Key); err != nil {
		t.Fatal(err)
	}
	_, err := results(t, conn)
	var server *pgwire.Error
	if !errors.As(err, &server) || server.Code != pgwire.CodeQueryCanceled {
		t.Fatalf("the query ended with %v", err)
	}
	if rows, err := query(t, conn, "SELECT 2"); err != nil || rows[0] != "2" {
		t.Fatalf("the next query gives %v, %v", rows, err)
	}
}

// awaitActive waits until the server process runs its query: a cancel that comes before is forgotten.
func awaitActive(t *testing.T, c *testcluster.Cluster, pid uint32) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	watcher, err := c.Primary().Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watcher.Close(ctx) }()
	sleeping := false
	for !sleeping {
		err := watcher.QueryRow(ctx, "SELECT coalesce(wait_event = 'PgSleep', false) FROM pg_stat_activity WHERE pid = $1", int32(pid)).Scan(&sleeping)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func movesToALoop(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	conn, err := dial(t, primaryOf(c), login("scram", realPassword))
	if err != nil {
		t.Fatal(err)
	}
	loops, err := reactor.New(reactor.Config{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = loops.Close() }()
	h := collector{make(chan []byte, 8)}
	loops.Loops()[0].Post(reactor.TaskFunc(func(l *reactor.Loop) {
		l.Attach(conn.Socket, h).Send(pgwire.AppendQuery(nil, "SELECT 'on a loop'"))
	}))
	want := join(pgwire.AppendDataRow(nil, []string{"on a loop"}), pgwire.AppendCommandComplete(nil, "SELECT 1"), pgwire.AppendReadyForQuery(nil, 'I'))
	const describes = 33 // bytes of the RowDescription of one column called "?column?"
	if got := h.until(t, describes+len(want)); !strings.HasSuffix(string(got), string(want)) {
		t.Errorf("the loop received %q", got)
	}
}

func frozenServer(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	conn, err := dial(t, primaryOf(c), login("scram", realPassword))
	if err != nil {
		t.Fatal(err)
	}
	c.Primary().Stop()
	defer c.Primary().Cont()
	brief := Config{ConnectTimeout: testLimit, LoginTimeout: 50 * time.Millisecond}
	_, err = Dial(t.Context(), brief, primaryOf(c), login("scram", realPassword))
	if e := wantDialError(t, err, OpLogin, true); !errors.Is(e, context.DeadlineExceeded) {
		t.Errorf("dial: %v", err)
	}
	err = Cancel(t.Context(), brief, c.Primary().Addr(), conn.PID, conn.Key)
	if e := wantDialError(t, err, OpCancel, true); !errors.Is(e, context.DeadlineExceeded) {
		t.Errorf("cancel: %v", err)
	}
}

func stoppedServer(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	if err := c.Primary().StopFast(ctx); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{c.Primary().Addr(), c.Primary().SocketAddr()} {
		_, err := dial(t, Target{Address: address}, login("scram", realPassword))
		e := wantDialError(t, err, OpConnect, true)
		if !errors.Is(e, syscall.ECONNREFUSED) && !errors.Is(e, syscall.ENOENT) {
			t.Errorf("error %v", err)
		}
	}
}
