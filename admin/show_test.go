package admin

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/lib/pq"

	"github.com/pgrouter/pgrouter/proxy"
)

// contract is PgBouncer's tables: their columns in order, with the letters of its source for the types in front: s text, T a time as
// text, i int4, q int8, N numeric.
const contract = `
VERSION s version
STATS sNNNNNNNNNNNNNNNNNNNNNNNN database total_server_assignment_count total_xact_count total_query_count total_received total_sent total_xact_time total_query_time total_wait_time total_client_parse_count total_server_parse_count total_bind_count total_client_login_count avg_server_assignment_count avg_xact_count avg_query_count avg_recv avg_sent avg_xact_time avg_query_time avg_wait_time avg_client_parse_count avg_server_parse_count avg_bind_count avg_client_login_count
STATS_TOTALS sNNNNNNNNNNNN database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time wait_time client_parse_count server_parse_count bind_count client_login_count
STATS_AVERAGES sNNNNNNNNNNNN database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time wait_time avg_client_parse_count avg_server_parse_count avg_bind_count avg_client_login_count
TOTALS sN name value
CLIENTS ssssssisiTTiiississiq type user database replication state addr port local_addr local_port connect_time request_time wait wait_us close_needed ptr link remote_pid tls application_name prepared_statements id
SERVERS ssssssisiTTiiississiq type user database replication state addr port local_addr local_port connect_time request_time wait wait_us close_needed ptr link remote_pid tls application_name prepared_statements id
SOCKETS ssssssisiTTiiississiqiiiiiii type user database replication state addr port local_addr local_port connect_time request_time wait wait_us close_needed ptr link remote_pid tls application_name prepared_statements id recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail send_avail
ACTIVE_SOCKETS ssssssisiTTiiississiqiiiiiii type user database replication state addr port local_addr local_port connect_time request_time wait wait_us close_needed ptr link remote_pid tls application_name prepared_statements id recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail send_avail
POOLS ssiiiiiiiiiiiiiss database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode load_balance_hosts
PEER_POOLS iiiii peer_id cl_active_cancel_req cl_waiting_cancel_req sv_active_cancel sv_login
PEERS isii peer_id host port pool_size
DATABASES ssissiiiissiiiiii name host port database force_user pool_size min_pool_size reserve_pool_size server_lifetime pool_mode load_balance_hosts max_connections current_connections max_client_connections current_client_connections paused disabled
USERS ssssiiii name pool_size reserve_pool_size pool_mode max_user_connections current_connections max_user_client_connections current_client_connections
LISTS si list items
CONFIG ssss key value default changeable
MEM siqqq name size used free memtotal
STATE ss key value
DNS_HOSTS sqs hostname ttl addrs
DNS_ZONES sqi zonename serial count
`

// exact are the tables that may not have columns of our own: the exporter counts them.
const exact = "VERSION LISTS CONFIG STATS_TOTALS STATS TOTALS"

// TestTablesBeginWithPgBouncersColumns: but for numbers that do not fit into an int4 (id, and the bytes of SHOW MEM) the types are
// PgBouncer's too.
func TestTablesBeginWithPgBouncersColumns(t *testing.T) {
	known := make(map[string][]column)
	for _, c := range commands() {
		known[c.name] = c.columns
	}
	letters := map[columnType]byte{typeText: 's', typeInt4: 'i', typeInt8: 'q', typeNumeric: 'N'}
	for line := range strings.Lines(strings.TrimSpace(contract)) {
		words := strings.Fields(line)
		name, types, want := words[0], strings.ReplaceAll(words[1], "T", "s"), words[2:]
		columns := known["SHOW "+name]
		if len(columns) < len(want) || strings.Contains(exact, name) && len(columns) != len(want) {
			t.Errorf("SHOW %s has %d columns, PgBouncer %d", name, len(columns), len(want))
			continue
		}
		got := make([]byte, 0, len(types))
		for _, c := range columns[:len(want)] {
			got = append(got, letters[c.kind])
		}
		if diff := cmp.Diff(want, names(columns[:len(want)])); diff != "" || string(got) != types {
			t.Errorf("SHOW %s: types %s, want %s; %s", name, got, types, diff)
		}
	}
}

// trafficScene is a router with traffic in two databases.
func trafficScene() *scene {
	s := &scene{primary: "a:5432"}
	s.did(proxy.Traffic{Queries: 3, Transactions: 1, BytesReceived: 1 << 40, QueryTime: 6e9, WaitTime: 1999})
	return s
}

// did adds to the traffic of the database crm.
func (s *scene) did(more proxy.Traffic) {
	all := []proxy.DatabaseTraffic{{Database: "crm", Traffic: more}, {Database: "voip", Traffic: proxy.Traffic{ServerAssignments: 10, ClientLogins: 2}}}
	if before := s.Traffic(); before != nil {
		all[0].Traffic = all[0].Plus(before[0].Traffic)
	}
	s.traffic.Store(&all)
}

// TestEveryCellIsOfItsColumnsType reads all tables with pgx in text and binary: what is not of its type fails there.
func TestEveryCellIsOfItsColumnsType(t *testing.T) {
	conn := console(t, trafficScene(), "boss")
	for _, c := range shows() {
		if c.columns == nil || c.name == "SHOW" {
			continue
		}
		for _, sql := range []string{c.name, strings.Replace(strings.ToLower(c.name), "show", "select", 1) + ";"} {
			var all [2][][]any
			for i, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeDescribeExec} {
				rows, err := conn.Query(t.Context(), sql, mode)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range rows.FieldDescriptions() {
					if i == 1 && f.DataTypeOID != pgtype.TextOID && f.Format != pgx.BinaryFormatCode {
						t.Errorf("%s: %s did not come in binary", sql, f.Name)
					}
				}
				for rows.Next() {
					values, err := rows.Values()
					if err != nil {
						t.Errorf("%s: %v", sql, err)
					}
					all[i] = append(all[i], values)
				}
				if rows.Err() != nil || rows.CommandTag().String() != "SHOW" {
					t.Errorf("%s: %v, tag %s", sql, rows.Err(), rows.CommandTag())
				}
			}
			if diff := cmp.Diff(fmt.Sprint(all[0]), fmt.Sprint(all[1])); diff != "" && !changes(c.name) {
				t.Errorf("%s differs in binary: %s", sql, diff)
			}
		}
	}
}

// changes tells which tables are another at each look.
func changes(name string) bool {
	switch name {
	case "SHOW MEM", "SHOW CLIENTS", "SHOW SERVERS", "SHOW SOCKETS", "SHOW ACTIVE_SOCKETS", "SHOW EVENTS":
		return true
	}
	return false
}

func TestNumbersAreEncodedAsPostgreSQLDoes(t *testing.T) {
	types := pgtype.NewMap()
	for _, n := range []uint64{0, 1, 9999, 10000, 10001, 123456789, 1e16, math.MaxInt64} {
		text := strconv.FormatUint(n, 10)
		var got pgtype.Numeric
		if err := types.Scan(pgtype.NumericOID, pgtype.BinaryFormatCode, typeNumeric.encode(text, formatBinary), &got); err != nil {
			t.Fatal(err)
		}
		if v, err := got.Int64Value(); err != nil || uint64(v.Int64) != n {
			t.Errorf("%d is %v, %v", n, v, err)
		}
	}
	if got := typeInt4.encode("7", formatBinary); binary.BigEndian.Uint32(got) != 7 {
		t.Errorf("int4: %x", got)
	}
	if got := typeInt8.encode("8", formatBinary); binary.BigEndian.Uint64(got) != 8 {
		t.Errorf("int8: %x", got)
	}
	if typeInt4.encode("", formatText) != nil || typeText.encode("", formatText) == nil {
		t.Error("nothing is not NULL in a column of numbers, and empty in one of texts")
	}
}

// TestTheExporterForPgBouncerReadsWhatItNeeds asks as prometheus-community/pgbouncer_exporter does: with lib/pq, by the same statements
// in the same order, and with its checks on types and columns.
func TestTheExporterForPgBouncerReadsWhatItNeeds(t *testing.T) {
	connector, err := pq.NewConnector("host=127.0.0.1 port=" + port(listenConsole(t, trafficScene())) + " user=watcher dbname=pgbouncer sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, q := range []struct {
		sql            string
		most           int // columns; 0: any number
		labels, values string
	}{
		{"SHOW STATS", 0, "", ""},
		{"SHOW VERSION;", 1, "version", ""},
		{"SHOW LISTS;", 2, "list", "items"},
		{"SHOW CONFIG;", 4, "key", ""},
		{"SHOW CLIENTS;", 0, "database user application_name state", ""},
		{"SHOW databases;", 0, "name host port database force_user pool_mode", "pool_size reserve_pool_size max_connections current_connections paused disabled"},
		{"SHOW stats_totals;", 0, "database", "query_count query_time bytes_received bytes_sent wait_time xact_count xact_time client_parse_count server_parse_count bind_count server_assignment_count"},
		{"SHOW pools;", 0, "database user", "cl_active cl_active_cancel_req cl_waiting cl_waiting_cancel_req sv_active sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait"},
	} {
		rows, err := db.QueryContext(t.Context(), q.sql)
		if err != nil {
			t.Fatalf("%s: %v", q.sql, err)
		}
		exported(t, rows, q.sql, q.most, strings.Fields(q.labels), strings.Fields(q.values))
	}
	if got := settingsOf(t, db)["max_client_conn"]; got != "500 10000 no" {
		t.Errorf("max_client_conn is %s", got)
	}
}

// exported scans rows into interfaces as the exporter does: a label must be a string or an integer, a value a number.
func exported(t *testing.T, rows *sql.Rows, query string, most int, labels, values []string) {
	t.Helper()
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil || most != 0 && len(columns) != most {
		t.Errorf("%s has columns %v, %v", query, columns, err)
	}
	count := 0
	for ; rows.Next(); count++ {
		cells, targets := make([]any, len(columns)), make([]any, len(columns))
		for i := range cells {
			targets[i] = &cells[i]
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		row := make(map[string]any)
		for i, c := range columns {
			row[c] = cells[i]
		}
		for _, label := range labels {
			switch v := row[label].(type) {
			case string, int64:
			default:
				t.Errorf("%s: label %s is %T (%v)", query, label, v, v)
			}
		}
		for _, value := range values {
			mustBeNumber(t, row[value])
		}
	}
	if rows.Err() != nil || count == 0 {
		t.Errorf("%s: %d rows, %v", query, count, rows.Err())
	}
}

// mustBeNumber takes what the exporter takes for a value: an integer, and a number that comes as bytes or text.
func mustBeNumber(t *testing.T, v any) {
	t.Helper()
	text := fmt.Sprint(v)
	if b, isBytes := v.([]byte); isBytes {
		text = string(b)
	}
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		t.Errorf("%v (%T) is no number", v, v)
	}
}

// settingsOf reads SHOW CONFIG.
func settingsOf(t *testing.T, db *sql.DB) map[string]string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SHOW CONFIG;")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := make(map[string]string)
	for rows.Next() {
		var key, value, standard, changeable string
		if err := rows.Scan(&key, &value, &standard, &changeable); err != nil {
			t.Fatal(err)
		}
		all[key] = value + " " + standard + " " + changeable
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return all
}

func TestStatsAreTotalsAndTheMeansOfTheLastWholeMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := trafficScene()
		a, _ := newAdmin(t, s)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Average(ctx) }()
		cells := func(run show, columns []column, name string) string {
			rows, err := run(ctx, a, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range columns {
				if c.name == name {
					return rows[0][i]
				}
			}
			t.Fatalf("no column %s", name)
			return ""
		}
		look := func(when string, want ...string) {
			t.Helper()
			got := []string{
				cells(showStats, statsColumns(), "total_query_count"), cells(showStatsTotals, statsTotalsColumns(), "query_time"),
				cells(showStatsTotals, statsTotalsColumns(), "wait_time"), cells(showStats, statsColumns(), "avg_query_count"),
				cells(showStatsAverages, statsAveragesColumns(), "query_time"), cells(showStats, statsColumns(), "avg_recv"),
				cells(showStatsAverages, statsAveragesColumns(), "wait_time"),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", when, diff)
			}
		}
		synctest.Wait()
		look("at first", "3", "6000000", "1", "0", "0", "0", "0")
		s.did(proxy.Traffic{Queries: 600, QueryTime: 1.2e9, BytesReceived: 6000})
		look("in the first minute", "603", "7200000", "1", "0", "0", "0", "0")
		time.Sleep(statsPeriod) // of the bubble: it takes no time
		synctest.Wait()
		look("after it", "603", "7200000", "1", "10", "2000", "100", "0")
		s.did(proxy.Traffic{Queries: 6000})
		look("in the second", "6603", "7200000", "1", "10", "2000", "100", "0")
		totals, err := showTotals(ctx, a, nil)
		if err != nil || len(totals) != 2*len(stats()) || totals[2][0] != "total_query_count" || totals[2][1] != "6603" {
			t.Errorf("%v %v", totals, err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestClientsAndServersNameEachOther(t *testing.T) {
	conn := console(t, trafficScene(), "watcher")
	columns := []string{"type", "state", "addr", "port", "local_port", "ptr", "link", "remote_pid", "close_needed", "wait", "wait_us"}
	got := append(only(table(t, conn, "SHOW CLIENTS"), columns...), only(table(t, conn, "SHOW SERVERS"), columns...)...)
	want := [][]string{
		{"C", "active", "::1", "4711", "0", "C7", "S3", "0", "0", "0", "0"},
		{"C", "waiting", "unix", "0", "0", "C8", "", "0", "0", "1", "500000"},
		{"S", "active", "10.0.0.2", "5432", "40000", "S3", "C7", "4712", "0", "0", "0"},
		{"S", "idle", "/run/pg/.s.PGSQL.5433", "5433", "0", "S4", "", "0", "1", "0", "0"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := only(table(t, conn, "SHOW ACTIVE_SOCKETS"), "state"); len(got) != 3 || got[2][0] != "sv_active" {
		t.Errorf("%v", got)
	}
}

func TestDatabasesAndUsersAreThoseConfiguredAndThoseInUse(t *testing.T) {
	s := trafficScene()
	s.paused = []string{"voip"}
	s.clients = []proxy.ClientInfo{
		{ID: 1, Kind: "client", User: "kamailio", Database: "voip", Cluster: "main"}, {ID: 2, Kind: "login", User: "kamailio", Database: "billing", Cluster: "main"},
		{ID: 3, Kind: "console", User: "boss", Database: "pgrouter", Cluster: "main"},
	}
	conn := console(t, s, "watcher")
	got := only(table(t, conn, "SHOW DATABASES"), "name", "host", "port", "database", "current_connections", "current_client_connections", "paused", "cluster")
	want := [][]string{
		{"billing", "a,b", "5432", "", "0", "1", "0", "main"}, {"crm", "a,b", "5432", "customers", "0", "0", "0", "main"},
		{"voip", "a,b", "5432", "voip", "8", "1", "1", "main"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = only(table(t, conn, "SHOW USERS"), "name", "pool_size", "pool_mode", "current_connections", "current_client_connections")
	want = [][]string{{"batch", "        5", "session", "0", "0"}, {"kamailio", "", "", "8", "2"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestConfigHasPgBouncersNamesAndOurs(t *testing.T) {
	rows := only(table(t, console(t, trafficScene(), "watcher"), "SHOW CONFIG"), "key", "value", "default", "changeable")
	for _, want := range []string{
		"max_client_conn 500 10000 no", "query_wait_timeout 90 120 yes", "max_user_connections 7 0 no", "stats_period 60 60 no",
		"pool.wait_timeout 1m30s 2m yes", "cluster.main.probe_password [redacted]  no",
	} {
		found := false
		for _, row := range rows {
			found = found || strings.Join(row, " ") == want
		}
		if !found {
			t.Errorf("no %q", want)
		}
	}
}

func TestShowFDsIsRefused(t *testing.T) {
	got := psql(t, trafficScene(), "boss", "show fds;\n")
	if want := "ERROR:  SHOW FDS is not supported\nDETAIL:  It would show cancel keys and passwords.\nHINT:  SHOW CLIENTS, SHOW SERVERS and SHOW SOCKETS list the connections.\n"; got != want {
		t.Errorf("%s", got)
	}
}

const (
	consoleDocument = "../docs/console.md"
	tablesBegin     = "<!-- tables -->\n"
)

// TestTheDocumentationHasEveryColumn holds the tables at the end of docs/console.md; -update writes them anew.
func TestTheDocumentationHasEveryColumn(t *testing.T) {
	var b strings.Builder
	for _, c := range shows() {
		if len(c.columns) == 0 || c.name == "SHOW" || c.columns[0].doc == "" {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\nIt shows %s.\n\n| column | type | meaning |\n| --- | --- | --- |\n", c.name, c.help)
		for _, column := range c.columns {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", column.name, column.kind, column.doc)
		}
	}
	doc, err := os.ReadFile(consoleDocument)
	if err != nil {
		t.Fatal(err)
	}
	prose, rest, _ := strings.Cut(string(doc), tablesBegin)
	if *update {
		if err := os.WriteFile(consoleDocument, []byte(prose+tablesBegin+b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(b.String(), rest); diff != "" {
		t.Errorf("the tables are stale; go test ./admin -update writes them anew (-want +got):\n%s", diff)
	}
}
