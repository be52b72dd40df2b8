package admin

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/pgwire"
)

func (s *scene) Set(_ context.Context, o SettingOrder) (applied []string, err error) {
	s.note("%s sets %s to %q", o.By, o.Key, o.Value)
	if s.fail != nil {
		return nil, s.fail
	}
	return []string{o.Key + ": 1 → 2"}, nil
}

// TestSetOrdersOneChange types what operators type, mistakes too.
func TestSetOrdersOneChange(t *testing.T) {
	notice := func(key string) string { return "NOTICE " + key + ": 1 → 2 | , SET" }
	for _, tc := range []struct{ sql, said, did string }{
		{"set pool.size = 30", notice("pool.size"), `boss sets pool.size to "30"`},
		{"SET pool.size=30;", notice("pool.size"), `boss sets pool.size to "30"`},
		{`Set "pool.size" To '30'`, notice("pool.size"), `boss sets pool.size to "30"`},
		{"set pool.reset_query = 'it''s; all = of it'", notice("pool.reset_query"), `boss sets pool.reset_query to "it's; all = of it"`},
		{`set pool.reset_query = "RESET ALL"`, notice("pool.reset_query"), `boss sets pool.reset_query to "RESET ALL"`},
		{"set admin.users to ''", notice("admin.users"), `boss sets admin.users to ""`},
		{`set database."the = shop".size = 3`, notice(`database."the = shop".size`), `boss sets database."the = shop".size to "3"`},
		{"set listener[0.0.0.0:5000].route = any", notice("listener[0.0.0.0:5000].route"), `boss sets listener[0.0.0.0:5000].route to "any"`},
		{"set hold_timeout = 1s", notice("hold_timeout"), `boss sets hold_timeout to "1s"`}, // who knows better says what was meant

		{"set max_client_conn = 5", notice("limits.max_clients"), `boss sets limits.max_clients to "5"`},
		{"set max_user_connections = 5", notice("limits.max_user_connections"), `boss sets limits.max_user_connections to "5"`},
		{"set query_wait_timeout = 90", notice("pool.wait_timeout"), `boss sets pool.wait_timeout to "90s"`},
		{"set query_wait_timeout = '1.5'", notice("pool.wait_timeout"), `boss sets pool.wait_timeout to "1.5s"`},
		{"set query_wait_timeout = '90s'", notice("pool.wait_timeout"), `boss sets pool.wait_timeout to "90s"`},
		{"set pool.wait_timeout = 90", notice("pool.wait_timeout"), `boss sets pool.wait_timeout to "90"`}, // ours has units
		{"set stats_period = 5", `55000 parameter "stats_period" cannot be changed |  | `, ""},

		{"set pool.size", `42601 syntax error at or near "pool.size" | = or TO is missing | SHOW HELP lists the commands.`, ""},
		{"set pool.size =", `42601 syntax error at or near "pool.size" | a value is missing | SHOW HELP lists the commands.`, ""},
		{"set pool.reset_query = DISCARD ALL", `42601 syntax error at or near "ALL" | a value of several words stands in quotes | SHOW HELP lists the commands.`, ""},
		{"set local pool.size = 3", `42601 syntax error at or near "local" | a setting of pgrouter counts for everybody | SHOW HELP lists the commands.`, ""},
		{"set pool.size to default", `22023 invalid value for parameter "pool.size": "default" | RELOAD brings back what the configuration says. | `, ""},
		{"reset pool.size", `42704 unrecognized configuration parameter "pool.size" | RESET takes parameters of PostgreSQL, and changes nothing. RELOAD brings back what the configuration says. | SHOW CONFIG lists the settings of pgrouter.`, ""},
		{"set application_name = boss; set pool.size = 1; set nothing", "SET, " + notice("pool.size") + `, 42601 syntax error at or near "nothing" | = or TO is missing | SHOW HELP lists the commands.`, `boss sets pool.size to "1"`},
	} {
		s := &scene{}
		a, _ := newAdmin(t, s)
		got := strings.Join(told(t, operator(t, a, "boss"), tc.sql), ", ")
		if diff := cmp.Diff(tc.said, got); diff != "" {
			t.Errorf("%s: %s", tc.sql, diff)
		}
		if did := strings.Join(s.done, ", "); did != tc.did {
			t.Errorf("%s: it did %q, want %q", tc.sql, did, tc.did)
		}
	}
}

func TestWhatSetIsToldItTells(t *testing.T) {
	s := &scene{}
	a, _ := newAdmin(t, s)
	f := operator(t, a, "boss")
	for _, tc := range []struct {
		fail error
		want string
	}{
		{pgwire.ErrConsoleRestart.New("", "limits.loops"), `55P02 parameter "limits.loops" cannot be changed without restarting pgrouter |  | `},
		{pgwire.ErrConsoleFileOnly.New("", "auth.password"), `55P02 parameter "auth.password" cannot be changed by SET |  | Change it in the configuration file and RELOAD.`},
		{errors.New("the router is shutting down"), `XX000 the router is shutting down |  | `},
	} {
		s.fail = tc.fail
		if diff := cmp.Diff([]string{tc.want}, told(t, f, "set log.level = debug")); diff != "" {
			t.Error(diff)
		}
	}
}

// TestSetInTheExtendedProtocol: a faulty command is an error of Parse, and nothing happens before Execute.
func TestSetInTheExtendedProtocol(t *testing.T) {
	s := &scene{}
	_, f := rawConsole(t, s)
	got := answers(t, f, append([]pgproto3.FrontendMessage{&pgproto3.Parse{Name: "s", Query: "set pool.size = 3"}, &pgproto3.Describe{ObjectType: 'S', Name: "s"}}, &pgproto3.Sync{})...)
	if len(s.done) > 0 {
		t.Errorf("it did %v", s.done)
	}
	got = append(got, answers(t, f, &pgproto3.Bind{PreparedStatement: "s"}, &pgproto3.Execute{}, &pgproto3.Sync{})...)
	got = append(got, answers(t, f, &pgproto3.Parse{Query: "set pool.size"}, &pgproto3.Sync{})...)
	want := []string{
		"ParseComplete", "ParameterDescription", "NoData", "ReadyForQuery I", "BindComplete", "NoticeResponse", "CommandComplete SET", "ReadyForQuery I",
		"ErrorResponse 42601", "ReadyForQuery I",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{`boss sets pool.size to "3"`}, s.done); diff != "" {
		t.Error(diff)
	}
}
