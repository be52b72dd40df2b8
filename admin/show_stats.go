package admin

import (
	"context"
	"time"

	"github.com/pgrouter/pgrouter/proxy"
)

// stat is one of the numbers that PgBouncer's SHOW STATS has of each database. It goes by several names.
type stat struct {
	total, average           string // in SHOW STATS
	totalAlone, averageAlone string // in SHOW STATS_TOTALS and STATS_AVERAGES
	inTotals                 string // in SHOW TOTALS, behind total_ and avg_
	doc                      string // of the total
	value                    func(t *proxy.Traffic) uint64
	per                      func(t *proxy.Traffic) uint64 // what the average is of; nil: of a second
	perDoc                   string
}

// stats is the table of them, in PgBouncer's order. Times are in microseconds.
func stats() []stat {
	micro := func(nanoseconds uint64) uint64 { return nanoseconds / uint64(time.Microsecond) }
	count := func(name, doc string, value func(t *proxy.Traffic) uint64) stat {
		return stat{"total_" + name, "avg_" + name, name, name, name, doc, value, nil, "a second"}
	}
	prepared := func(name, doc string, value func(t *proxy.Traffic) uint64) stat {
		return stat{"total_" + name, "avg_" + name, name, "avg_" + name, "ps_" + name, doc, value, nil, "a second"}
	}
	assignments := func(t *proxy.Traffic) uint64 { return t.ServerAssignments }
	transactions := func(t *proxy.Traffic) uint64 { return t.Transactions }
	queries := func(t *proxy.Traffic) uint64 { return t.Queries }
	logins := prepared("client_login_count", "logins of clients", func(t *proxy.Traffic) uint64 { return t.ClientLogins })
	logins.inTotals = "client_login_count"
	return []stat{
		count("server_assignment_count", "times a client got a server", assignments),
		count("xact_count", "transactions that have ended, single statements included", transactions),
		count("query_count", "queries that were answered: query strings, function calls, and batches of the extended protocol up to their Sync", queries),
		{
			"total_received", "avg_recv", "bytes_received", "bytes_received", "client_bytes", "bytes received from clients",
			func(t *proxy.Traffic) uint64 { return t.BytesReceived }, nil, "a second",
		},
		{
			"total_sent", "avg_sent", "bytes_sent", "bytes_sent", "server_bytes", "bytes sent to clients",
			func(t *proxy.Traffic) uint64 { return t.BytesSent }, nil, "a second",
		},
		{
			"total_xact_time", "avg_xact_time", "xact_time", "xact_time", "xact_time", "time in transactions, idle or not, in microseconds",
			func(t *proxy.Traffic) uint64 { return micro(t.TransactionTime) }, transactions, "a transaction",
		},
		{
			"total_query_time", "avg_query_time", "query_time", "query_time", "query_time", "time in which servers had something to answer, in microseconds",
			func(t *proxy.Traffic) uint64 { return micro(t.QueryTime) }, queries, "a query",
		},
		{
			"total_wait_time", "avg_wait_time", "wait_time", "wait_time", "wait_time", "time that clients waited for a server that they got, in microseconds",
			func(t *proxy.Traffic) uint64 { return micro(t.WaitTime) }, assignments, "an assignment",
		},
		prepared("client_parse_count", "statements prepared by clients, named or not", func(t *proxy.Traffic) uint64 { return t.ClientParses }),
		prepared("server_parse_count", "statements prepared on servers: those that were not there already, and once more where a client has got another server",
			func(t *proxy.Traffic) uint64 { return t.ServerParses }),
		prepared("bind_count", "statements bound by clients", func(t *proxy.Traffic) uint64 { return t.Binds }),
		logins,
	}
}

// mean returns the average of a period.
func (s stat) mean(added *proxy.Traffic, period time.Duration) string {
	n := s.value(added)
	switch {
	case s.per != nil && s.per(added) > 0:
		return number(n / s.per(added))
	case s.per != nil || period < time.Second:
		return "0"
	}
	return number(n / uint64(period/time.Second))
}

func (s stat) meanDoc() string { return "the same, " + s.perDoc + ", in the last whole minute" }

func databaseColumn() column {
	return column{"database", typeText, "the name that clients use; empty: all beyond the first 1000"}
}

func statsColumns() []column {
	columns := []column{databaseColumn()}
	for _, s := range stats() {
		columns = append(columns, column{s.total, typeNumeric, s.doc})
	}
	for _, s := range stats() {
		columns = append(columns, column{s.average, typeNumeric, s.meanDoc()})
	}
	return columns
}

func showStats(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	return a.statsRows(true, true), nil
}

func statsTotalsColumns() []column {
	columns := []column{databaseColumn()}
	for _, s := range stats() {
		columns = append(columns, column{s.totalAlone, typeNumeric, s.doc})
	}
	return columns
}

func showStatsTotals(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	return a.statsRows(true, false), nil
}

func statsAveragesColumns() []column {
	columns := []column{databaseColumn()}
	for _, s := range stats() {
		columns = append(columns, column{s.averageAlone, typeNumeric, s.doc + ", " + s.perDoc + ", in the last whole minute"})
	}
	return columns
}

func showStatsAverages(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	return a.statsRows(false, true), nil
}

// statsRows returns a row for each database with its totals, its averages or both.
func (a *Admin) statsRows(totals, means bool) [][]string {
	var rows [][]string
	for _, d := range a.world.Traffic() {
		row := []string{d.Database}
		for _, s := range stats() {
			if totals {
				row = append(row, number(s.value(&d.Traffic)))
			}
		}
		added, period := a.averages.last(d.Database)
		for _, s := range stats() {
			if means {
				row = append(row, s.mean(&added, period))
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func totalsColumns() []column {
	return []column{{"name", typeText, "as in SHOW STATS, but with other names for bytes and statements"}, {"value", typeNumeric, "of all databases"}}
}

func showTotals(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	var sum, added proxy.Traffic
	var period time.Duration
	for _, d := range a.world.Traffic() {
		last, took := a.averages.last(d.Database)
		sum, added, period = sum.Plus(d.Traffic), added.Plus(last), took
	}
	var rows [][]string
	for _, s := range stats() {
		rows = append(rows, []string{"total_" + s.inTotals, number(s.value(&sum))})
	}
	for _, s := range stats() {
		rows = append(rows, []string{"avg_" + s.inTotals, s.mean(&added, period)})
	}
	return rows, nil
}
