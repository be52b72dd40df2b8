package backend

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/pgwire"
)

// row is the answer to a question.
func row(value string) []byte {
	return join(pgwire.AppendRowDescription(nil, []string{"x"}), pgwire.AppendDataRow(nil, []string{value}),
		pgwire.AppendCommandComplete(nil, "SELECT 1"), pgwire.AppendReadyForQuery(nil, pgwire.StatusIdle))
}

func serverError(severity, code string) []byte {
	return pgwire.AppendError(nil, &pgwire.Error{Severity: severity, SeverityUnlocalized: severity, Code: code, Message: "no"})
}

// asked is a server with this greeting that gives these answers to the questions of the admission.
func asked(t *testing.T, hello []byte, answers map[string][]byte) (address string) {
	t.Helper()
	return peer(t, func(c net.Conn) {
		_, _ = readStartup(c)
		_, _ = c.Write(hello)
		b := make([]byte, 1024)
		for {
			n, err := c.Read(b) // questions are short and come one at a time
			if err != nil || b[0] != pgwire.KindQuery {
				return
			}
			for sql, answer := range answers {
				if strings.Contains(string(b[:n]), sql) {
					_, _ = c.Write(answer)
				}
			}
		}
	})
}

func TestAdmission(t *testing.T) {
	const recovery, system = "pg_is_in_recovery", "pg_control_system"
	ready := pgwire.AppendReadyForQuery(nil, pgwire.StatusIdle)
	primary, standby := greeting("in_hot_standby", "off"), greeting("in_hot_standby", "on")
	noisy := join(pgwire.AppendNotice(nil, &pgwire.Error{Severity: "NOTICE", Code: "00000", Message: "x"}),
		pgwire.AppendParameterStatus(nil, "TimeZone", "UTC"), row("f"))
	refused := join(serverError("ERROR", "42501"), ready)
	type answers map[string][]byte
	tests := []struct {
		name    string
		target  Target
		hello   []byte
		answers answers
		standby bool
		reason  AdmissionReason // not admitted
		failed  string          // DialError with this in its text
	}{
		{name: "primary wanted and found", target: Target{WantPrimary: true}, hello: primary},
		{name: "primary wanted, standby found", target: Target{WantPrimary: true}, hello: standby, reason: NotPrimary},
		{name: "standby wanted, primary found", target: Target{WantStandby: true}, hello: primary, reason: NotStandby},
		{name: "standby wanted and found", target: Target{WantStandby: true}, hello: standby, standby: true},
		{name: "standby wanted, old primary found", target: Target{WantStandby: true}, hello: greeting(), answers: answers{recovery: row("f")}, reason: NotStandby},
		{name: "anything wanted, standby found", hello: standby, standby: true},
		{name: "old primary", target: Target{WantPrimary: true}, hello: greeting(), answers: answers{recovery: row("f")}},
		{name: "old primary that talks", target: Target{WantPrimary: true}, hello: greeting(), answers: answers{recovery: noisy}},
		{name: "old standby", target: Target{WantPrimary: true}, hello: greeting(), answers: answers{recovery: row("t")}, reason: NotPrimary},
		{name: "old standby wanted", hello: greeting(), answers: answers{recovery: row("t")}, standby: true},
		{name: "nonsense is no primary", target: Target{WantPrimary: true}, hello: greeting(), answers: answers{recovery: row("")}, reason: NotPrimary},
		{name: "role refused", hello: greeting(), answers: answers{recovery: refused}, failed: "42501"},
		{name: "right system", target: Target{SystemID: 42}, hello: primary, answers: answers{system: row("42")}},
		{name: "high system", target: Target{SystemID: 1<<64 - 2}, hello: primary, answers: answers{system: row("-2")}},
		{name: "wrong system", target: Target{SystemID: 42}, hello: primary, answers: answers{system: row("43")}, reason: WrongSystem},
		{name: "system refused", target: Target{SystemID: 42}, hello: primary, answers: answers{system: refused}},
		{name: "system failed", target: Target{SystemID: 42}, hello: primary, answers: answers{system: join(serverError("ERROR", "57014"), ready)}, failed: "57014"},
		{name: "system no number", target: Target{SystemID: 42}, hello: primary, answers: answers{system: row("x")}, failed: "not a number"},
		{name: "server dies at the question", hello: greeting(), answers: answers{recovery: serverError("FATAL", "57P01")}, failed: "57P01"},
		{name: "no row", hello: greeting(), answers: answers{recovery: join(pgwire.AppendRowDescription(nil, []string{"x"}), pgwire.AppendCommandComplete(nil, "SELECT 0"), ready)}, failed: "incomplete"},
		{name: "two rows", hello: greeting(), answers: answers{recovery: join(pgwire.AppendRowDescription(nil, []string{"x"}), pgwire.AppendDataRow(nil, []string{"f"}), pgwire.AppendDataRow(nil, []string{"f"}), pgwire.AppendCommandComplete(nil, "SELECT 2"), ready)}, failed: "incomplete"},
		{name: "row without description", hello: greeting(), answers: answers{recovery: pgwire.AppendDataRow(nil, []string{"f"})}, failed: "unexpected message"},
		{name: "two columns", hello: greeting(), answers: answers{recovery: join(pgwire.AppendRowDescription(nil, []string{"x"}), pgwire.AppendDataRow(nil, []string{"f", "f"}))}, failed: "malformed"},
		{name: "ready too early", hello: greeting(), answers: answers{recovery: ready}, failed: "incomplete"},
		{name: "transaction open", hello: greeting(), answers: answers{recovery: join(serverError("ERROR", "XX000"), pgwire.AppendReadyForQuery(nil, 'E'))}, failed: "not idle"},
		{name: "Ok again", hello: greeting(), answers: answers{recovery: pgwire.AppendAuthOk(nil)}, failed: "unexpected message"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.target.Address, tt.target.Node = asked(t, tt.hello, tt.answers), "n1"
			c, err := dial(t, tt.target, login("u", "p"))
			switch {
			case tt.reason != "":
				wantAdmissionError(t, err, tt.reason)
			case tt.failed != "":
				if wantOp(t, err) != OpAdmission || !strings.Contains(err.Error(), tt.failed) {
					t.Errorf("error %v, want %q", err, tt.failed)
				}
			case err != nil:
				t.Error(err)
			case c.HotStandby != tt.standby:
				t.Errorf("hot standby %v", c.HotStandby)
			}
		})
	}
}

func wantOp(t *testing.T, err error) Op {
	t.Helper()
	var e *DialError
	if !errors.As(err, &e) || e.Node != "n1" {
		t.Fatalf("error %v is no DialError of the node", err)
	}
	return e.Op
}

func wantAdmissionError(t *testing.T, err error, reason AdmissionReason) {
	t.Helper()
	var e *AdmissionError
	var f Failure
	if !errors.As(err, &e) || !errors.As(err, &f) || e.Reason != reason || e.Address == "" {
		t.Fatalf("error %v, want an AdmissionError: %s", err, reason)
	}
	if !f.Temporary() || f.Code() != "" || f.ServerError() != nil || !strings.Contains(err.Error(), string(reason)) {
		t.Errorf("%v: temporary %v, code %q", err, f.Temporary(), f.Code())
	}
}

func TestReplicationSessionsAreNotAskedInSQL(t *testing.T) {
	l := login("u", "p")
	l.Replication = pgwire.ReplicationPhysical
	_, err := dial(t, Target{Address: script(t, greeting()), WantPrimary: true}, l)
	wantAdmissionError(t, err, RoleUnproven)
	if _, err := dial(t, Target{Address: script(t, greeting()), SystemID: 42}, l); err != nil {
		t.Error(err)
	}
	if _, err := dial(t, Target{Address: script(t, greeting("in_hot_standby", "off")), SystemID: 42, WantPrimary: true}, l); err != nil {
		t.Error(err)
	}
}

func TestWhatAServerReportsIsKept(t *testing.T) {
	hello := greeting("server_version", "18.1", "TimeZone", "UTC", "in_hot_standby", "off", "default_transaction_read_only", "on", "TimeZone", "Europe/Berlin")
	c, err := dial(t, Target{Address: script(t, hello), Cluster: "main", Node: "n1", Incarnation: 3, WantPrimary: true}, login("u", "p"))
	if err != nil {
		t.Fatal(err)
	}
	if zone, ok := c.Param("TimeZone"); !ok || zone != "Europe/Berlin" || len(c.Params) != 4 || c.Params[1].Name != "TimeZone" {
		t.Errorf("parameters %v", c.Params)
	}
	if _, ok := c.Param("nothing"); ok {
		t.Error("a parameter that was not reported is there")
	}
	if c.PID != 4711 || len(c.Key) != 4 || c.ServerVersion != 180001 || !c.ReadOnly || c.HotStandby || c.CreatedAt.IsZero() {
		t.Errorf("connection %+v", c)
	}
	if c.Target.Incarnation != 3 || c.Target.Node != "n1" {
		t.Errorf("target %+v", c.Target)
	}
}
