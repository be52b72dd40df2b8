package probe

import (
	"context"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait for a server in these tests.
const patience = 60 * time.Second

// heartbeat is long, so that a busy machine does not look like a server that hangs.
const heartbeat = 20 * time.Second

// asks is an ordinary question.
var asks = discovery.Question{Heartbeat: heartbeat}

// briefly is a question to a server that is known to hang.
var briefly = discovery.Question{Heartbeat: 200 * time.Millisecond}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// login returns the configuration of a probe that logs in as the role.
func login(t *testing.T, n *testcluster.Node, role string) Config {
	t.Helper()
	dsn, err := url.Parse(n.DSN(role, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Defaults()
	cfg.User, cfg.ConnectTimeout = role, heartbeat
	cfg.Password, _ = dsn.User.Password()
	return cfg
}

func open(t *testing.T, cfg Config, address string) discovery.Session {
	t.Helper()
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := p.Open(topology.Member{ID: topology.NodeID(address), Address: address})
	t.Cleanup(s.Close)
	return s
}

// until probes until the observation is as wanted, and returns all outcomes on the way.
func until(t *testing.T, s discovery.Session, q discovery.Question, want func(topology.Observation) bool) (topology.Observation, []topology.Outcome) {
	t.Helper()
	ctx := bounded(t)
	var seen []topology.Outcome
	for {
		o := s.Probe(ctx, q)
		seen = append(seen, o.Outcome)
		if want(o) {
			return o, seen
		}
		if ctx.Err() != nil {
			t.Fatalf("never as wanted; last %+v", o)
		}
		pause, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		s.Wait(pause)
		cancel()
	}
}

func outcome(want topology.Outcome) func(topology.Observation) bool {
	return func(o topology.Observation) bool { return o.Outcome == want }
}

// livingCluster is shared by tests, for it takes seconds to start. They leave it as it was; what cannot be taken back comes last.
type livingCluster struct{ *testcluster.Cluster }

func TestProbesOfALivingCluster(t *testing.T) {
	c := livingCluster{clustertest.Start(t, testcluster.Options{Standbys: 1})}
	t.Run("a primary and a standby say what they are", c.sayWhatTheyAre)
	t.Run("a login that fails is no death", c.loginFails)
	t.Run("waiting leaves the connection whole", c.waitingLeaves)
	t.Run("read-only counts when it is meant for all", c.readOnly)
	t.Run("a standby answers also where serializable is the default", c.serializable)
	t.Run("a hidden control file is said so", c.hiddenControlFile)
}

// dyingNode is shared by tests; each begins with it running.
type dyingNode struct{ *testcluster.Node }

func TestProbesOfADyingNode(t *testing.T) {
	n := dyingNode{clustertest.Start(t, testcluster.Options{}).Node(0)}
	t.Run("the ways of a server down are told apart", n.waysDown)
	t.Run("a server that shuts down says so", n.shutsDown)
	t.Run("a server that hangs misses its heartbeat and is found again", n.hangs)
	t.Run("waiting ends when the server dies", n.waitingEnds)
	t.Run("all this is so over TLS too", n.overTLS)
}

// revive starts the node where the test before has killed it.
func (n dyingNode) revive(t *testing.T) {
	t.Helper()
	if !n.Running() {
		must(t, n.Start(bounded(t)))
	}
}

func (c livingCluster) sayWhatTheyAre(t *testing.T) {
	primary, standby := c.Node(0), c.Node(1)
	cfg := login(t, primary, testcluster.ProbeUser)
	p := open(t, cfg, primary.Addr()).Probe(bounded(t), asks)
	s := open(t, cfg, standby.Addr()).Probe(bounded(t), asks)
	if p.Outcome != topology.OutcomeAnswered || p.Role != topology.RolePrimary || p.ReadOnly || p.Timeline != 1 || !p.History.Known() ||
		p.WriteLSN == 0 || p.Version < 100000 || p.Note != "" || p.StartedAt.IsZero() || p.At.IsZero() {
		t.Errorf("primary: %+v", p)
	}
	if s.Outcome != topology.OutcomeAnswered || s.Role != topology.RoleStandby || s.SystemID != p.SystemID || s.SystemID == 0 ||
		s.Timeline != 1 || s.ReplayLSN == 0 || s.ReceiveLSN == 0 || s.WriteLSN != 0 || s.Note != "" {
		t.Errorf("standby: %+v", s)
	}
	if s.StartedAt.Equal(p.StartedAt) {
		t.Error("two servers were started in the same microsecond")
	}
	if o := open(t, cfg, primary.SocketAddr()).Probe(bounded(t), asks); o.Outcome != topology.OutcomeAnswered || o.SystemID != p.SystemID {
		t.Errorf("through the unix socket: %+v", o)
	}
	var name string
	conn, err := primary.ConnectTo(bounded(t), "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(bounded(t), "SELECT application_name FROM pg_stat_activity WHERE usename = $1 LIMIT 1", testcluster.ProbeUser).Scan(&name); err != nil || name != ApplicationName {
		t.Errorf("pg_stat_activity shows %q, %v", name, err)
	}
}

func TestAPromotedStandbyProvesItsDescent(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 1, Roles: []testcluster.Role{{Name: "weak"}}})
	old, standby := c.Node(0), c.Node(1)
	s := open(t, login(t, standby, testcluster.ProbeUser), standby.Addr())
	weak := open(t, login(t, standby, "weak"), standby.Addr())
	before := s.Probe(bounded(t), asks)
	if o := weak.Probe(bounded(t), asks); o.Outcome != topology.OutcomeAnswered || o.Timeline != 1 || !strings.Contains(o.Note, "GRANT pg_monitor TO weak") {
		t.Errorf("a weak role sees a standby as %+v", o)
	}
	old.Kill9()
	if err := standby.Promote(bounded(t)); err != nil {
		t.Fatal(err)
	}
	after, _ := until(t, s, asks, func(o topology.Observation) bool { return o.History.Known() })
	if after.Role != topology.RolePrimary || after.Timeline != 2 || !after.StartedAt.Equal(before.StartedAt) {
		t.Errorf("after the promotion: %+v", after)
	}
	if at, ok := after.History.LeftAt(1); !ok || at == 0 || at > after.WriteLSN {
		t.Errorf("timeline 1 was left at %s, %v: %+v", at, ok, after)
	}
	o, _ := until(t, weak, asks, func(o topology.Observation) bool { return o.Note != "" && o.Note != noteBeingRead })
	if o.Outcome != topology.OutcomeAnswered || o.Timeline != 2 || o.History.Known() || !strings.Contains(o.Note, "ALTER ROLE weak REPLICATION") {
		t.Errorf("a weak role sees the new primary as %+v", o)
	}
	if again := s.Probe(bounded(t), asks); !again.History.Known() {
		t.Error("the history is forgotten")
	}
}

func (n dyingNode) waysDown(t *testing.T) {
	n.revive(t)
	s := open(t, login(t, n.Node, testcluster.ProbeUser), n.Addr())
	first, _ := until(t, s, asks, outcome(topology.OutcomeAnswered))

	if err := n.Restart(bounded(t)); err != nil {
		t.Fatal(err)
	}
	second, _ := until(t, s, asks, outcome(topology.OutcomeAnswered))
	if !second.StartedAt.After(first.StartedAt) {
		t.Errorf("a restart is not seen: %s, then %s", first.StartedAt, second.StartedAt)
	}

	n.Kill9()
	if o := s.Probe(bounded(t), asks); o.Outcome != topology.OutcomeRefused || !strings.Contains(o.Problem, "refused") {
		t.Errorf("after kill -9: %s, %q", o.Outcome, o.Problem)
	}
	unix := open(t, login(t, n.Node, testcluster.ProbeUser), n.SocketAddr())
	if o := unix.Probe(bounded(t), asks); o.Outcome != topology.OutcomeRefused {
		t.Errorf("after kill -9, through the socket: %s, %q", o.Outcome, o.Problem)
	}
	if err := n.Start(bounded(t)); err != nil {
		t.Fatal(err)
	}
	until(t, s, asks, outcome(topology.OutcomeAnswered))

	if err := n.Exec(bounded(t), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '"+testcluster.ProbeUser+"'"); err != nil {
		t.Fatal(err)
	}
	if o := s.Probe(bounded(t), asks); o.Outcome != topology.OutcomeAnswered {
		t.Errorf("after the end of the probe's own session: %s, %q", o.Outcome, o.Problem)
	}
}

func (n dyingNode) shutsDown(t *testing.T) {
	n.revive(t)
	busy, err := n.Connect(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, login(t, n.Node, testcluster.ProbeUser), n.Addr())
	until(t, s, asks, outcome(topology.OutcomeAnswered))
	// A smart shutdown waits for the sessions: the server stays in the state that this test wants to see.
	if err := syscall.Kill(n.PID(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	fresh := open(t, login(t, n.Node, testcluster.ProbeUser), n.Addr())
	until(t, fresh, asks, outcome(topology.OutcomeStopping))
	if o := s.Probe(bounded(t), asks); o.Outcome != topology.OutcomeAnswered {
		t.Errorf("the open session is ended by a smart shutdown: %+v", o)
	}
	s.Close()
	if err := busy.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	<-n.Exited()
	if o := fresh.Probe(bounded(t), asks); o.Outcome != topology.OutcomeRefused {
		t.Errorf("afterwards: %s, %q", o.Outcome, o.Problem)
	}
}

func (c livingCluster) loginFails(t *testing.T) {
	n := c.Node(0)
	good := login(t, n, testcluster.ProbeUser)
	wrong := good
	wrong.Password = "wrong"
	nowhere := good
	nowhere.Database = "nowhere"
	for name, cfg := range map[string]Config{"wrong password": wrong, "no such database": nowhere} {
		if o := open(t, cfg, n.Addr()).Probe(bounded(t), asks); o.Outcome != topology.OutcomeDenied || o.Problem == "" || strings.Contains(o.Problem, good.Password) {
			t.Errorf("%s: %s, %q", name, o.Outcome, o.Problem)
		}
	}
	p, err := New(wrong)
	if err != nil {
		t.Fatal(err)
	}
	s := p.Open(topology.Member{ID: "n", Address: n.Addr()})
	defer s.Close()
	s.Probe(bounded(t), asks)
	if err := p.Reload(good); err != nil {
		t.Fatal(err)
	}
	if o := s.Probe(bounded(t), asks); o.Outcome != topology.OutcomeAnswered {
		t.Errorf("with the right password: %s, %q", o.Outcome, o.Problem)
	}
	if err := p.Reload(wrong); err != nil {
		t.Fatal(err)
	}
	if o := s.Probe(bounded(t), asks); o.Outcome != topology.OutcomeDenied {
		t.Errorf("an open session does not log in anew: %s", o.Outcome)
	}
}

func (n dyingNode) hangs(t *testing.T) {
	n.revive(t)
	cfg := login(t, n.Node, testcluster.ProbeUser)
	cfg.ConnectTimeout = time.Second
	s := open(t, cfg, n.Addr())
	until(t, s, asks, outcome(topology.OutcomeAnswered))
	n.Stop()
	defer n.Cont()
	for range 2 { // on the open connection, then on a new one
		if o := s.Probe(bounded(t), briefly); o.Outcome != topology.OutcomeMissed {
			t.Errorf("frozen: %s, %q", o.Outcome, o.Problem)
		}
	}
	n.Cont()
	until(t, s, asks, outcome(topology.OutcomeAnswered))
}

func (n dyingNode) waitingEnds(t *testing.T) {
	n.revive(t)
	s := open(t, login(t, n.Node, testcluster.ProbeUser), n.Addr())
	until(t, s, asks, outcome(topology.OutcomeAnswered))
	ctx, cancel := context.WithCancel(bounded(t))
	woken := make(chan struct{})
	go func() {
		defer close(woken)
		s.Wait(ctx)
	}()
	n.Kill9()
	<-woken
	if ctx.Err() != nil {
		t.Error("the wait ended by its limit")
	}
	cancel()
	if o := s.Probe(bounded(t), asks); o.Outcome != topology.OutcomeRefused {
		t.Errorf("afterwards: %s", o.Outcome)
	}
}

func (c livingCluster) waitingLeaves(t *testing.T) {
	n := c.Node(0)
	s := open(t, login(t, n, testcluster.ProbeUser), n.Addr())
	until(t, s, asks, outcome(topology.OutcomeAnswered))
	pid := s.(*session).line.conn.PID()
	for range 20 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		s.Wait(ctx)
		cancel()
		if o := s.Probe(bounded(t), asks); o.Outcome != topology.OutcomeAnswered {
			t.Fatalf("%+v", o)
		}
	}
	if now := s.(*session).line.conn.PID(); now != pid {
		t.Errorf("backend %d became %d", pid, now)
	}
}

func (c livingCluster) readOnly(t *testing.T) {
	n := c.Node(0)
	if err := n.Exec(bounded(t), "ALTER ROLE "+testcluster.ProbeUser+" SET default_transaction_read_only = on"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Exec(bounded(t), "ALTER ROLE "+testcluster.ProbeUser+" RESET ALL"); err != nil {
			t.Error(err)
		}
	}()
	s := open(t, login(t, n, testcluster.ProbeUser), n.Addr())
	if o := s.Probe(bounded(t), asks); o.Outcome != topology.OutcomeAnswered || o.ReadOnly {
		t.Errorf("a probe that may not write says of the server: %+v", o)
	}
	other := open(t, login(t, n, testcluster.AppUser), n.Addr())
	until(t, other, asks, func(o topology.Observation) bool { return o.Outcome == topology.OutcomeAnswered && !o.ReadOnly })
	if err := n.Configure(map[string]string{"default_transaction_read_only": "on"}); err != nil {
		t.Fatal(err)
	}
	until(t, other, asks, func(o topology.Observation) bool { return o.ReadOnly })
	if err := n.Configure(map[string]string{"default_transaction_read_only": ""}); err != nil {
		t.Fatal(err)
	}
	until(t, other, asks, func(o topology.Observation) bool { return o.Outcome == topology.OutcomeAnswered && !o.ReadOnly })
}

func (c livingCluster) serializable(t *testing.T) {
	standby := c.Node(1)
	if err := standby.Configure(map[string]string{"default_transaction_isolation": "serializable"}); err != nil {
		t.Fatal(err)
	}
	for range 5 { // the server reads its settings in the meantime
		if o := open(t, login(t, standby, testcluster.ProbeUser), standby.Addr()).Probe(bounded(t), asks); o.Outcome != topology.OutcomeAnswered {
			t.Fatalf("%+v", o)
		}
	}
}

func (c livingCluster) hiddenControlFile(t *testing.T) {
	n := c.Node(0)
	conn, err := n.ConnectTo(bounded(t), "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, f := range []string{"pg_control_system()", "pg_control_checkpoint()", "pg_control_recovery()"} {
		if _, err := conn.Exec(bounded(t), "REVOKE EXECUTE ON FUNCTION "+f+" FROM PUBLIC"); err != nil {
			t.Fatal(err)
		}
	}
	o := open(t, login(t, n, testcluster.ProbeUser), n.Addr()).Probe(bounded(t), asks)
	if o.Outcome != topology.OutcomeAnswered || o.SystemID != 0 || o.Timeline != 1 || !strings.Contains(o.Note, "GRANT EXECUTE") {
		t.Errorf("%+v", o)
	}
	standby := open(t, login(t, n, testcluster.ProbeUser), c.Node(1).Addr())
	until(t, standby, asks, func(o topology.Observation) bool {
		return o.Outcome == topology.OutcomeAnswered && o.Timeline == 1 && strings.Contains(o.Note, "GRANT EXECUTE")
	})
}
