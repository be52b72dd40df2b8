package admin

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/routing"
)

// table runs a command and returns its rows by column.
func table(t *testing.T, conn *pgx.Conn, sql string) []map[string]string {
	t.Helper()
	rows, err := conn.Query(context.Background(), sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []map[string]string
	for rows.Next() {
		row := make(map[string]string)
		for i, f := range rows.FieldDescriptions() {
			row[f.Name] = string(rows.RawValues()[i])
		}
		all = append(all, row)
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return all
}

// only keeps some columns.
func only(rows []map[string]string, columns ...string) [][]string {
	var all [][]string
	for _, row := range rows {
		var some []string
		for _, c := range columns {
			some = append(some, row[c])
		}
		all = append(all, some)
	}
	return all
}

func keyOf(cluster, database, user string, route routing.Route, options ...pgwire.Param) pool.Key {
	k := pool.Key{Database: database, User: user, Route: route, Options: proxy.EncodeOptions(options)}
	k.Cluster = "main"
	if cluster != "" {
		k.Cluster = "other"
	}
	return k
}

func manyQueues() *scene {
	secret := pgwire.Param{Name: "my.token", Value: "hidden"}
	write, read := keyOf("", "voip", "app", routing.Primary), keyOf("", "voip", "app", routing.Replica)
	special := keyOf("", "voip", "app", routing.Primary, secret)
	other, foreign := keyOf("", "voip", "batch", routing.Primary), keyOf("other", "voip", "app", routing.Primary)
	node := func(name string, linked, idle, dialing int) pool.NodeStats {
		return pool.NodeStats{Node: "a:5432", Linked: linked, Idle: idle, Dialing: dialing, Resetting: 1, CancelPending: 2, Eligible: name != ""}
	}
	return &scene{
		primary: "a:5432",
		queues: []pool.QueueStats{
			{Key: write, Size: 20, Waiting: 2, Reason: event.HoldExhausted, Oldest: 1500 * time.Millisecond, Nodes: []pool.NodeStats{node("a", 3, 4, 1)}, Acquires: 9, Waits: 3, GaveUp: 1},
			{Key: read, Size: 20, Hold: event.HoldNoReplica, Held: 9 * time.Second, Waiting: 1, Reason: event.HoldNoReplica, Oldest: 9 * time.Second, Nodes: []pool.NodeStats{node("", 1, 0, 0), node("", 1, 1, 0)}},
			{Key: special, Size: 20, Nodes: []pool.NodeStats{node("a", 1, 0, 0)}},
			{Key: other, Size: 5},
			{Key: foreign, Size: 20},
		},
		clients: []proxy.ClientInfo{
			{ID: 1, Kind: "client", State: "active", Pool: write, Mode: "transaction"}, {ID: 2, Kind: "client", State: "idle", Pool: read, Mode: "transaction"},
			{ID: 3, Kind: "client", State: "waiting", Pool: read, Mode: "session"}, {ID: 4, Kind: "client", State: "idle", Pool: foreign, Mode: "transaction"},
			{ID: 5, Kind: "console", State: "active"},
		},
	}
}

func TestShowPoolsHasOneRowForEachDatabaseAndUser(t *testing.T) {
	conn := console(t, manyQueues(), "watcher")
	rows := table(t, conn, "SHOW POOLS")
	got := only(rows, "cluster", "database", "user", "cl_active", "cl_waiting", "sv_active", "sv_being_canceled", "sv_idle", "sv_tested", "sv_login",
		"maxwait", "maxwait_us", "waiting_for", "pool_mode")
	want := [][]string{
		{"main", "voip", "app", "2", "3", "6", "8", "5", "4", "1", "9", "0", "no_replica", "session,transaction"},
		{"main", "voip", "batch", "0", "0", "0", "0", "0", "0", "0", "0", "0", "", "session"}, // nobody is there: as configured
		{"other", "voip", "app", "1", "0", "0", "0", "0", "0", "0", "0", "0", "", "transaction"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for i, column := range []string{ // PgBouncer's, in its order
		"database", "user", "cl_active", "cl_waiting", "cl_active_cancel_req", "cl_waiting_cancel_req", "sv_active", "sv_active_cancel",
		"sv_being_canceled", "sv_idle", "sv_used", "sv_tested", "sv_login", "maxwait", "maxwait_us", "pool_mode", "load_balance_hosts",
	} {
		if poolColumns()[i].name != column {
			t.Errorf("column %d is %s, not %s", i, poolColumns()[i].name, column)
		}
	}
}

func TestShowQueuesHasEachRouteAndShowsNoOptionsValue(t *testing.T) {
	conn := console(t, manyQueues(), "watcher")
	rows := table(t, conn, "show queues")
	got := only(rows, "cluster", "user", "route", "options", "nodes", "pool_size", "waiting", "waiting_for", "maxwait", "maxwait_us", "hold", "held_for",
		"active", "idle", "opening", "acquires", "waits", "gave_up")
	want := [][]string{
		{"main", "app", "primary", "", "a:5432", "20", "2", "exhausted", "1", "500000", "", "", "3", "4", "1", "9", "3", "1"},
		{"main", "app", "replica", "", "", "20", "1", "no_replica", "9", "0", "no_replica", "9", "2", "1", "0", "0", "0", "0"},
		{"main", "app", "primary", "my.token", "a:5432", "20", "0", "", "0", "0", "", "", "1", "0", "0", "0", "0", "0"},
		{"main", "batch", "primary", "", "", "5", "0", "", "0", "0", "", "", "0", "0", "0", "0", "0", "0"},
		{"other", "app", "primary", "", "", "20", "0", "", "0", "0", "", "", "0", "0", "0", "0", "0", "0"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
