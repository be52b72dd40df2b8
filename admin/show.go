package admin

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/pgwire"
)

// shows is the part of the console's table that looks. Columns that PgBouncer has bear its names and types, in its order, and come
// first.
func shows() []command {
	look := func(name, help string, columns []column, run show) command {
		return command{name: "SHOW " + name, needs: roleStats, columns: columns, help: help, run: run}
	}
	return []command{
		look("VERSION", "the version of this router", versionColumns(), showVersion),
		look("POOLS", "clients and server connections by database and user", poolColumns(), showPools),
		look("QUEUES", "the same by route and start-up options: who waits for what, which nodes serve", queueColumns(), showQueues),
		look("SHELVES", "server connections by queue and node", shelfColumns(), showShelves),
		look("CLIENTS", "client connections", clientColumns(), showClients),
		look("SERVERS", "server connections", serverColumns(), showServers),
		look("SOCKETS", "client and server connections", socketColumns(), showSockets),
		look("ACTIVE_SOCKETS", "those of them with work under way", socketColumns(), showActiveSockets),
		look("STATS", "traffic by database: totals since the start, and averages of the last whole minute", statsColumns(), showStats),
		look("STATS_TOTALS", "the totals alone", statsTotalsColumns(), showStatsTotals),
		look("STATS_AVERAGES", "the averages alone", statsAveragesColumns(), showStatsAverages),
		look("TOTALS", "totals and averages of all databases together", totalsColumns(), showTotals),
		look("DATABASES", "databases that are configured or in use", databaseColumns(), showDatabases),
		look("USERS", "users that are configured or in use", userColumns(), showUsers),
		look("CLUSTERS", "clusters: who is primary, what the DCS says, and what somebody should look at", clusterColumns(), showClusters),
		look("NODES", "nodes: who is primary, since when, how far the others are", nodeColumns(), showNodes),
		look("FAILOVERS", "the last changes of primary", failoverColumns(), showFailovers),
		look("HOLDS", "primaries on which no new work begins because somebody asked for it", holdColumns(), showHolds),
		look("EVENTS", "what happened last", eventColumns(), showEvents),
		look("CONFIG", "the settings in force", configColumns(), showConfig),
		look("STATE", "whether the router is paused", stateColumns(), showState),
		look("LISTS", "how many there are of each", listColumns(), showLists),
		look("MEM", "memory", memColumns(), showMem),
		look("PEERS", "the other routers in front of the same clusters, and whether they answer", peerColumns(), showPeers),
		look("PEER_POOLS", "always empty: peers are not connected with", peerPoolColumns(), showNothing),
		look("DNS_HOSTS", "names that are followed, and where they lead", dnsHostColumns(), showHosts),
		look("DNS_ZONES", "always empty: each name is asked for when its TTL is over", dnsZoneColumns(), showNothing),
		{name: "SHOW FDS", quiet: true, needs: roleStats, tag: "SHOW", run: refuseFDs},
		{
			name: "SHOW", args: "parameter", most: settingWords, needs: roleStats, columns: []column{{"setting", typeText, "its value"}},
			help: "a parameter of PostgreSQL's, for drivers", run: showSetting,
		},
		look("HELP", "this list", helpColumns(), showHelp),
	}
}

// show is what stands behind a SHOW: it returns the rows.
type show = func(ctx context.Context, a *Admin, args []string) ([][]string, error)

func helpColumns() []column {
	return []column{
		{"command", typeText, "what to type"},
		{"role", typeText, "who may: `stats` are `stats_users` and `users` of `[admin]`, `admin` the latter alone"},
		{"description", typeText, "what it does"},
	}
}

func showHelp(context.Context, *Admin, []string) ([][]string, error) {
	var rows [][]string
	for _, c := range commands() {
		if c.quiet {
			continue
		}
		rows = append(rows, []string{strings.TrimSpace(c.name + " " + c.args), c.needs.String(), c.help})
	}
	return rows, nil
}

func versionColumns() []column { return []column{{"version", typeText, "pgrouter and its version"}} }

func showVersion(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	return [][]string{{"pgrouter " + a.cfg.Load().Version}}, nil
}

// refuseFDs refuses SHOW FDS: PgBouncer hands descriptors and keys over with it when it is replaced.
func refuseFDs(context.Context, *Admin, []string) ([][]string, error) {
	return nil, pgwire.ErrConsoleRefused.New("It would show cancel keys and passwords.", "SHOW FDS")
}

// showNothing is for what PgBouncer has and this router has not.
func showNothing(context.Context, *Admin, []string) ([][]string, error) { return nil, nil }

func peerPoolColumns() []column {
	return []column{
		{"peer_id", typeInt4, ""}, {"cl_active_cancel_req", typeInt4, ""}, {"cl_waiting_cancel_req", typeInt4, ""}, {"sv_active_cancel", typeInt4, ""},
		{"sv_login", typeInt4, ""},
	}
}

func dnsHostColumns() []column {
	return []column{
		{"hostname", typeText, "the name as it is configured, or the target of a service"}, {"ttl", typeInt8, "in how many seconds it is asked for again"},
		{"addrs", typeText, "where it led last, with a comma between them"}, {"cluster", typeText, "whose nodes they are"},
		{"problem", typeText, "why there is no answer; the addresses are the last ones then"},
	}
}

func showHosts(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	var rows [][]string
	for _, h := range a.world.Hosts() {
		ttl := max(0, int(math.Ceil(time.Until(h.Due).Seconds())))
		rows = append(rows, []string{h.Name, strconv.Itoa(ttl), strings.Join(h.Addresses, ","), string(h.Cluster), h.Problem})
	}
	return rows, nil
}

func dnsZoneColumns() []column {
	return []column{{"zonename", typeText, ""}, {"serial", typeInt8, ""}, {"count", typeInt4, ""}}
}

func stateColumns() []column {
	return []column{{"key", typeText, "`active`, `paused` (by a PAUSE of all) or `suspended` (never)"}, {"value", typeText, "yes or no"}}
}

func showState(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	_, paused := a.world.Database("")
	return [][]string{{"active", yesNo(!paused)}, {"paused", yesNo(paused)}, {"suspended", "no"}}, nil
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// bit is a yes or no as PgBouncer writes it into a column of numbers.
func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
