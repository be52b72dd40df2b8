package admin

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// role is what a console user may do; higher may more.
type role uint8

const (
	roleNone role = iota
	roleStats
	roleAdmin
)

// String returns the role's name.
func (r role) String() string {
	switch r {
	case roleStats:
		return "stats"
	case roleAdmin:
		return "admin"
	case roleNone:
	}
	return "nobody"
}

// command is one line of the console's table. HELP is printed from it.
type command struct {
	name    string
	args    string // for HELP
	most    int    // how many words may follow
	raw     bool   // what follows is one argument as it stands, instead
	quiet   bool   // for drivers: not in HELP
	waits   bool   // ends early when the client cancels or goes away
	needs   role
	columns []string // nil: it returns no rows
	tag     string   // of one that returns no rows
	help    string
	notice  func(a *Admin, args []string) *pgwire.Error                  // comes before the answer; nil: there is nothing to tell
	tells   func(ctx context.Context, a *Admin) ([]*pgwire.Error, error) // instead of run: all that it answers is notices
	run     func(ctx context.Context, a *Admin, args []string) ([][]string, error)
}

// commands is the table of the console. Columns that PgBouncer has bear its names and come first.
func commands() []command {
	return []command{
		{name: "SHOW VERSION", needs: roleStats, columns: []string{"version"}, help: "the version of this router", run: showVersion},
		{name: "SHOW POOLS", needs: roleStats, columns: poolColumns(), help: "clients and server connections by database and user", run: showPools},
		{name: "SHOW QUEUES", needs: roleStats, columns: queueColumns(), help: "the same by route and start-up options: who waits for what, which nodes serve", run: showQueues},
		{name: "SHOW CLIENTS", needs: roleStats, columns: clientColumns(), help: "client connections", run: showClients},
		{name: "SHOW SERVERS", needs: roleStats, columns: serverColumns(), help: "server connections by database, user, route and node", run: showServers},
		{name: "SHOW NODES", needs: roleStats, columns: nodeColumns(), help: "nodes: who is primary, since when, how far the others are", run: showNodes},
		{name: "SHOW FAILOVERS", needs: roleStats, columns: failoverColumns(), help: "the last changes of primary", run: showFailovers},
		{name: "SHOW EVENTS", needs: roleStats, columns: []string{"time", "event", "cluster", "node", "from", "to", "reason", "database"}, help: "what happened last", run: showEvents},
		{name: "SHOW", args: "parameter", most: settingWords, needs: roleStats, columns: []string{"setting"}, help: "a parameter of PostgreSQL's, for drivers", run: showSetting},
		{name: "SHOW HELP", needs: roleStats, columns: helpColumns(), help: "this list", run: showHelp},
		{name: "HELP", needs: roleStats, columns: helpColumns(), help: "this list", run: showHelp},
		{name: "PAUSE", args: "[db] [WITHIN duration] [FOR duration]", most: 5, waits: true, needs: roleAdmin, tag: "PAUSE", help: "hand no more servers to clients of a database, or of all, and wait for running work", notice: unasked, run: pause},
		{name: "RESUME", args: "[db]", most: 1, needs: roleAdmin, tag: "RESUME", help: "end a PAUSE", run: resume},
		{name: "KILL", args: "[db] [FOR duration]", most: 3, needs: roleAdmin, tag: "KILL", help: "close all clients and server connections of a database, or of all, and pause it", notice: unasked, run: kill},
		{name: "KILL_CLIENT", args: "id", most: 1, needs: roleAdmin, tag: "KILL_CLIENT", help: "close one client, by its id in SHOW CLIENTS", run: killClient},
		{name: "DISABLE", args: "db", most: 1, needs: roleAdmin, tag: "DISABLE", help: "let no new client in to a database", notice: unasked, run: disable},
		{name: "ENABLE", args: "db", most: 1, needs: roleAdmin, tag: "ENABLE", help: "end a DISABLE", run: enable},
		{name: "RECONNECT", args: "[db]", most: 1, needs: roleAdmin, tag: "RECONNECT", help: "close each server connection as soon as nobody uses it", run: reconnect},
		{name: "WAIT_CLOSE", args: "[db]", most: 1, waits: true, needs: roleAdmin, tag: "WAIT_CLOSE", help: "wait until the server connections are closed that RECONNECT has found", run: waitClose},
		{name: "SUSPEND", needs: roleAdmin, tag: "SUSPEND", quiet: true, run: suspend},
		{name: "SHUTDOWN", needs: roleAdmin, tag: "SHUTDOWN", help: "end the router at once", run: shutdown(EndNow)},
		{name: "SHUTDOWN WAIT_FOR_SERVERS", needs: roleAdmin, tag: "SHUTDOWN", help: "end it when running work is done, as SIGTERM does", run: shutdown(EndWaitForServers)},
		{name: "SHUTDOWN WAIT_FOR_CLIENTS", needs: roleAdmin, tag: "SHUTDOWN", help: "let nobody in any more, and end when the last client has left", run: shutdown(EndWaitForClients)},
		{name: "RELOAD", needs: roleAdmin, tag: "RELOAD", help: "read the configuration again and put it in force, all of it or, when it has faults, nothing", tells: reload},
		{name: "SWITCHOVER", args: "node [cluster]", most: 2, needs: roleAdmin, tag: "SWITCHOVER", help: "make a standby the primary without an error for anybody", run: switchover},
		{name: "SET", args: "parameter = value", raw: true, needs: roleStats, tag: "SET", help: "accepted for PostgreSQL's parameters, changes nothing", run: set},
		{name: "RESET", args: "parameter", raw: true, needs: roleStats, tag: "RESET", quiet: true, run: reset},
		{name: "BEGIN", raw: true, needs: roleStats, tag: "BEGIN", quiet: true, run: accept},
		{name: "START TRANSACTION", raw: true, needs: roleStats, tag: "START TRANSACTION", quiet: true, run: accept},
		{name: "COMMIT", most: 1, needs: roleStats, tag: "COMMIT", quiet: true, run: endOfBlock},
		{name: "END", most: 1, needs: roleStats, tag: "COMMIT", quiet: true, run: endOfBlock},
		{name: "ROLLBACK", most: 1, needs: roleStats, tag: "ROLLBACK", quiet: true, run: endOfBlock},
		{name: "ABORT", most: 1, needs: roleStats, tag: "ROLLBACK", quiet: true, run: endOfBlock},
		{name: "SAVEPOINT", raw: true, needs: roleStats, tag: "SAVEPOINT", quiet: true, run: accept},
		{name: "RELEASE", raw: true, needs: roleStats, tag: "RELEASE", quiet: true, run: accept},
		{name: "ROLLBACK TO", raw: true, needs: roleStats, tag: "ROLLBACK", quiet: true, run: accept},
		{name: "DEALLOCATE", args: "name", most: 2, needs: roleStats, tag: "DEALLOCATE", quiet: true, run: accept},
		{name: "DISCARD ALL", needs: roleStats, tag: "DISCARD ALL", quiet: true, run: accept},
	}
}

// settingWords is how many words the longest name of a parameter has: TRANSACTION ISOLATION LEVEL.
const settingWords = 3

func helpColumns() []string { return []string{"command", "role", "description"} }

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

func showVersion(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	return [][]string{{"pgrouter " + a.cfg.Load().Version}}, nil
}

func clientColumns() []string {
	return []string{"type", "user", "database", "state", "addr", "port", "local_addr", "local_port", "connect_time", "application_name",
		"id", "cluster", "route", "pinned", "units"}
}

func showClients(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	var rows [][]string
	for _, c := range a.world.Clients() {
		rows = append(rows, []string{
			kindLetter(c.Kind), c.User, c.Database, c.State, host(c.Remote), port(c.Remote), host(c.Local), port(c.Local),
			timeText(c.Connected), c.ApplicationName, strconv.FormatUint(c.ID, 10), c.Cluster, c.Route, c.Pinned,
			strconv.FormatUint(c.Units, 10),
		})
	}
	return rows, nil
}

// host returns the host of an address; that of a unix socket is its path.
func host(address string) string {
	if h, _, err := net.SplitHostPort(address); err == nil {
		return h
	}
	return address
}

// port returns the port of an address, "" when it has none.
func port(address string) string {
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	return p
}

// kindLetter is PgBouncer's column "type": C for a client.
func kindLetter(kind string) string {
	if kind == "client" {
		return "C"
	}
	return kind
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 MST")
}

func serverColumns() []string {
	return []string{"user", "database", "node", "cluster", "route", "eligible", "active", "idle", "retiring", "resetting", "cancel_pending",
		"opening", "trouble"}
}

func showServers(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	var rows [][]string
	for _, q := range a.world.Queues() {
		for _, n := range q.Nodes {
			trouble := ""
			if n.Trouble != nil {
				trouble = n.Trouble.Error()
			}
			rows = append(rows, []string{
				q.Key.User, q.Key.Database, string(n.Node), string(q.Key.Cluster), q.Key.Route.String(), yesNo(n.Eligible), strconv.Itoa(n.Linked),
				strconv.Itoa(n.Idle), strconv.Itoa(n.Retiring), strconv.Itoa(n.Resetting), strconv.Itoa(n.CancelPending), strconv.Itoa(n.Dialing),
				trouble,
			})
		}
	}
	return rows, nil
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func nodeColumns() []string {
	return []string{"cluster", "node", "role", "state", "timeline", "lag_bytes", "since", "last_seen", "epoch", "phase", "server_version_num",
		"reason"}
}

func showNodes(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	var rows [][]string
	for _, s := range a.world.Clusters() {
		c := viewCluster(s)
		for _, n := range c.Nodes {
			lag := ""
			if n.LagBytes != nil {
				lag = strconv.FormatUint(*n.LagBytes, 10)
			}
			rows = append(rows, []string{
				c.Name, n.Node, n.Role, n.Health, strconv.FormatUint(uint64(n.Timeline), 10), lag, timeText(n.Since), timeText(n.SeenAt),
				strconv.FormatUint(c.Epoch, 10), c.Phase, strconv.Itoa(n.Version), n.Refused,
			})
		}
	}
	return rows, nil
}

func failoverColumns() []string {
	return []string{"first_signal", "cluster", "from", "to", "planned", "gap_ms", "held", "expired", "cut", "in_doubt", "aborted", "replayed", "outcome"}
}

func showFailovers(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	var rows [][]string
	for _, r := range a.world.Failovers() {
		rows = append(rows, []string{
			timeText(r.FirstSignal), string(r.Cluster), string(r.From), string(r.To), yesNo(r.Planned), strconv.FormatInt(r.Gap.Milliseconds(), 10),
			strconv.FormatUint(r.Held, 10), strconv.FormatUint(r.Expired, 10), strconv.Itoa(r.Cut), strconv.FormatUint(r.InDoubt, 10), strconv.FormatUint(r.Aborted, 10), strconv.FormatUint(r.Replayed, 10),
			r.Outcome,
		})
	}
	return rows, nil
}

func showEvents(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	var rows [][]string
	events := a.journal.Last()
	slices.SortStableFunc(events, func(x, y event.Event) int { return x.Time.Compare(y.Time) })
	for _, e := range events {
		rows = append(rows, []string{e.Time.UTC().Format("2006-01-02 15:04:05.000"), string(e.Kind), e.Cluster, e.Node, e.From, e.To, e.Reason, e.Database})
	}
	return rows, nil
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func switchover(ctx context.Context, a *Admin, args []string) ([][]string, error) {
	cluster := ""
	if len(args) > 1 {
		cluster = args[1]
	} else if all := a.world.Clusters(); len(all) == 1 {
		cluster = string(all[0].Cluster)
	}
	return nil, a.actions.Switchover(ctx, cluster, first(args), 0)
}
