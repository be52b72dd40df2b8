package wiretest_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

func serve(t *testing.T, handler wiretest.Handler) *wiretest.Server {
	t.Helper()
	s, err := wiretest.NewServer(handler)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func dial(t *testing.T, addr string) *wiretest.Peer {
	t.Helper()
	p, err := wiretest.Dial(context.Background(), addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestAScriptedConversationHasTheGoldenTrace(t *testing.T) {
	s := serve(t, wiretest.Script(
		wiretest.Trust("application_name", "golden"),
		wiretest.Expect(`Query "SELECT 'x'"`),
		wiretest.Send(wiretest.Row("letter", "x")...),
		wiretest.Expect(`Parse "s1" "SELECT $1::int" oids=[23]`, `Bind "" "s1" "42" NULL formats=[0] results=[0]`, `Describe P ""`, `Execute "" 0`, "Sync"),
		wiretest.Send(&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, &pgproto3.NoData{}),
		wiretest.Send(wiretest.Done("BEGIN", 'T')...),
		wiretest.Send(wiretest.Fatal("57P01", "terminating connection due to administrator command")),
	))
	p := dial(t, s.Addr())
	p.Trace = &wiretest.Trace{}
	reported, err := p.Login("app", "db", "")
	if err != nil || reported["application_name"] != "golden" {
		t.Fatalf("login: %v, %v", reported, err)
	}
	if err := p.Query("SELECT 'x'"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Until('Z'); err != nil {
		t.Fatal(err)
	}
	err = p.Send(&pgproto3.Parse{Name: "s1", Query: "SELECT $1::int", ParameterOIDs: []uint32{23}},
		&pgproto3.Bind{PreparedStatement: "s1", Parameters: [][]byte{[]byte("42"), nil}, ParameterFormatCodes: []int16{0}, ResultFormatCodes: []int16{0}},
		&pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Expect("ParseComplete", "BindComplete", "NoData", `CommandComplete "BEGIN"`, "ReadyForQuery T", "ErrorResponse FATAL 57P01…"); err != nil {
		t.Fatal(err)
	}
	if err := p.ExpectEnd(); err != nil {
		t.Fatal(err)
	}
	wiretest.Golden(t, "conversation", p.Trace)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheServerTellsWhichStepWentWrong(t *testing.T) {
	s := serve(t, wiretest.Script(wiretest.Trust(), wiretest.Expect(`Query "SELECT 1"`)))
	p := dial(t, s.Addr())
	if _, err := p.Login("app", "db", ""); err != nil {
		t.Fatal(err)
	}
	if err := p.Query("SELECT 2"); err != nil {
		t.Fatal(err)
	}
	if err := p.ExpectEnd(); err != nil {
		t.Fatal(err)
	}
	err := s.Close()
	if err == nil || !strings.Contains(err.Error(), "step 2") || !strings.Contains(err.Error(), "SELECT 2") {
		t.Errorf("error %v, want one that names step 2 and what came", err)
	}
}

func TestARealDriverUnderstandsTheScriptedServer(t *testing.T) {
	s := serve(t, wiretest.Script(wiretest.Trust(), wiretest.Answer(func(m wiretest.Message) []pgproto3.Message {
		if q, ok := m.Value.(*pgproto3.Query); ok {
			return wiretest.Row("sql", q.String)
		}
		return nil
	})))
	conn, err := pgconn.Connect(context.Background(), "postgres://app@"+s.Addr()+"/db?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	results, err := conn.Exec(context.Background(), "hello").ReadAll()
	if err != nil || len(results) != 1 || string(results[0].Rows[0][0]) != "hello" {
		t.Errorf("results %v, error %v", results, err)
	}
	if err := conn.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func startup(p *wiretest.Peer) error {
	_, err := p.ReadStartup()
	return err
}

func TestRequestsForEncryptionAreDeclined(t *testing.T) {
	s := serve(t, wiretest.Script(wiretest.Trust(), wiretest.ExpectEnd()))
	p := dial(t, s.Addr())
	for _, request := range []pgproto3.Message{&pgproto3.GSSEncRequest{}, &pgproto3.SSLRequest{}} {
		if err := p.Send(request); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 1)
		if _, err := io.ReadFull(p.Conn, answer); err != nil || answer[0] != 'N' {
			t.Fatalf("answer %q, error %v; want N", answer, err)
		}
	}
	if _, err := p.Login("app", "db", ""); err != nil {
		t.Fatal(err)
	}
	_ = p.Close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestEachConnectionPlaysItsOwnScript(t *testing.T) {
	s := serve(t, wiretest.Scripts(
		[]wiretest.Step{startup, wiretest.Drop()},
		[]wiretest.Step{wiretest.Trust(), wiretest.ExpectEnd()},
	))
	first := dial(t, s.Addr())
	if _, err := first.Login("app", "db", ""); err == nil {
		t.Error("the first connection was logged in")
	}
	second := dial(t, s.Addr())
	if _, err := second.Login("app", "db", ""); err != nil {
		t.Fatal(err)
	}
	_ = second.Close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if s.Accepted() != 2 {
		t.Errorf("%d connections, want 2", s.Accepted())
	}
}

func TestACancelRequestIsTold(t *testing.T) {
	got := make(chan *pgproto3.CancelRequest, 1)
	s := serve(t, func(_ int, p *wiretest.Peer) error {
		m, err := p.ReadStartup()
		if err == nil {
			return nil
		}
		got <- m.Value.(*pgproto3.CancelRequest)
		return nil
	})
	p := dial(t, s.Addr())
	if err := p.Send(&pgproto3.CancelRequest{ProcessID: 7, SecretKey: []byte{1, 2, 3, 4}}); err != nil {
		t.Fatal(err)
	}
	if c := <-got; c.ProcessID != 7 {
		t.Errorf("process id %d, want 7", c.ProcessID)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestPendingTellsWhatCameInOnePiece(t *testing.T) {
	s := serve(t, wiretest.Script(wiretest.Send(wiretest.Done("SELECT 0", 'I')...), wiretest.ExpectEnd()))
	p := dial(t, s.Addr())
	for _, step := range []struct {
		message string
		behind  int
	}{{`CommandComplete "SELECT 0"`, 6}, {"ReadyForQuery I", 0}} {
		if err := p.Expect(step.message); err != nil {
			t.Fatal(err)
		}
		if n, err := p.Pending(); err != nil || n != step.behind {
			t.Errorf("behind %s: %d bytes, %v; want %d", step.message, n, err, step.behind)
		}
	}
	_ = p.Close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAServerThatRefusesServesThoseItHas(t *testing.T) {
	s := serve(t, wiretest.Script(wiretest.Trust(), wiretest.Expect(`Query "SELECT"`), wiretest.Send(wiretest.Done("SELECT 0", 'I')...)))
	p := dial(t, s.Addr())
	if _, err := p.Login("app", "db", ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Refuse(); err != nil {
		t.Fatal(err)
	}
	if late, err := wiretest.Dial(context.Background(), s.Addr()); err == nil {
		_ = late.Close()
		t.Error("a connection was accepted")
	}
	if err := p.Query("SELECT"); err != nil {
		t.Error(err)
	}
	if err := p.Expect(`CommandComplete "SELECT 0"`, "ReadyForQuery I"); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
