package proxy_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// wanting connects a client that passes parameters on which libpq keeps to itself.
func (r *router) wanting(t *testing.T, address string, params map[string]string) (*pgconn.PgConn, error) {
	t.Helper()
	host, port, _ := strings.Cut(address, ":")
	cfg, err := pgconn.ParseConfig("host=" + host + " port=" + port + " user=app dbname=app")
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(cfg.RuntimeParams, params)
	conn, err := pgconn.ConnectConfig(t.Context(), cfg)
	if err == nil {
		t.Cleanup(func() { conn.Close(context.Background()) })
	}
	return conn, err
}

func TestAClientThatWantsAKindOfNodeGetsItOnAnyListener(t *testing.T) {
	r, _ := newRouter(t, nil)
	addresses := []string{r.address}
	for _, route := range []routing.Route{routing.Replica, routing.Any} {
		addresses = append(addresses, r.listen(route))
	}
	for _, address := range addresses {
		for _, row := range []struct {
			param, value string
			standby      string
		}{
			{"target_session_attrs", "read-write", "f"},
			{"target_session_attrs", "primary", "f"},
			{"Target_Session_Attrs", "read-only", "t"},
			{"target_session_attrs", "standby", "t"},
			{"target_session_attrs", "prefer-standby", "t"},
			{"options", "-c target_session_attrs=standby -c geqo=off", "t"},
			{"options", "--target-session-attrs=primary", "f"},
		} {
			conn, err := r.wanting(t, address, map[string]string{row.param: row.value})
			if err != nil {
				t.Fatalf("%s=%s: %v", row.param, row.value, err)
			}
			if got := text(t, conn, "select pg_is_in_recovery()"); got != row.standby {
				t.Errorf("%s=%s: in recovery: %s", row.param, row.value, got)
			}
		}
	}
	conn, err := r.wanting(t, addresses[1], map[string]string{"target_session_attrs": "any"})
	if err != nil {
		t.Fatal(err)
	}
	if got := text(t, conn, "select pg_is_in_recovery()"); got != "t" {
		t.Errorf("any on the replicas' listener: in recovery: %s", got)
	}
	primaries := 0
	for _, q := range r.pool.Stats() {
		if q.Key.Route == routing.Primary {
			primaries++
		}
	}
	if primaries != 1 {
		t.Errorf("%d queues for the same thing", primaries)
	}
}

func TestAKindOfNodeThatLibpqDoesNotKnowIsRefused(t *testing.T) {
	r, _ := newRouter(t, nil)
	for _, params := range []map[string]string{{"target_session_attrs": "master"}, {"options": "-ctarget_session_attrs=master"}} {
		_, err := r.wanting(t, r.address, params)
		var e *pgconn.PgError
		if !errors.As(err, &e) || e.Code != "22023" || e.Severity != "FATAL" || !strings.Contains(e.Hint, "prefer-standby") {
			t.Errorf("%v: %v", params, err)
		}
	}
}

// TestWhoWantsAStandbyDoesNotGetThePrimaryInItsPlace: that is what distinguishes it from prefer-standby.
func TestWhoWantsAStandbyDoesNotGetThePrimaryInItsPlace(t *testing.T) {
	r, c := newRouter(t, func(r *router) { r.policy.LoginHoldTimeout = 0 })
	address := r.listen(routing.PreferReplica)
	r.publishOnly(c.Primary())
	if _, err := r.wanting(t, address, map[string]string{"target_session_attrs": "standby"}); code(err) != "57P03" {
		t.Errorf("standby: %v", err)
	}
	conn, err := r.wanting(t, address, map[string]string{"target_session_attrs": "prefer-standby"})
	if err != nil {
		t.Fatal(err)
	}
	if got := text(t, conn, "select pg_is_in_recovery()"); got != "f" {
		t.Errorf("prefer-standby: in recovery: %s", got)
	}
}

// TestAListenerThatLeadsElsewhereIsTheSameForWhoChoosesTheNodes lets a reload change its route.
func TestAListenerThatLeadsElsewhereIsTheSameForWhoChoosesTheNodes(t *testing.T) {
	r, _ := newRouter(t, nil)
	chooses, err := r.wanting(t, r.address, map[string]string{"target_session_attrs": "read-write"})
	if err != nil {
		t.Fatal(err)
	}
	follows := r.connect(t.Context(), "")
	text(t, chooses, "select 1")
	r.doors[0].Change(proxy.ListenerConfig{Address: r.address, Cluster: cluster, Route: routing.Replica})
	r.proxy.Renew()
	if got := text(t, chooses, "select pg_is_in_recovery()"); got != "f" {
		t.Errorf("who wants the primary: in recovery: %s", got)
	}
	if code, detail := fatalFor(follows); code != "57P01" {
		t.Errorf("who follows the listener: %s %s", code, detail)
	}
}

// publishOnly makes a node the primary, and the only one.
func (r *router) publishOnly(n *testcluster.Node) {
	r.show(topology.NodeID(n.Addr()), topology.Node{ID: topology.NodeID(n.Addr()), Address: n.Addr()})
}
