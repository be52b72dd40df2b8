package admin

import (
	"context"

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
	columns []column // nil: it returns no rows
	tag     string   // of one that returns no rows
	help    string
	notice  func(a *Admin, args []string) *pgwire.Error                                            // comes before the answer; nil: there is nothing to tell
	tells   func(ctx context.Context, a *Admin, by string, args []string) ([]*pgwire.Error, error) // instead of run: all that it answers is notices
	ends    Ending                                                                                 // instead of run: how the router ends, when that is answered
	run     func(ctx context.Context, a *Admin, args []string) ([][]string, error)
}

// commands is the table of the console.
func commands() []command {
	return append(shows(), []command{
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
		{name: "SHUTDOWN", needs: roleAdmin, tag: "SHUTDOWN", help: "end the router at once", ends: EndNow},
		{name: "SHUTDOWN WAIT_FOR_SERVERS", needs: roleAdmin, tag: "SHUTDOWN", help: "end it when running work is done, as SIGTERM does", ends: EndWaitForServers},
		{name: "SHUTDOWN WAIT_FOR_CLIENTS", needs: roleAdmin, tag: "SHUTDOWN", help: "let nobody in any more, and end when the last client has left", ends: EndWaitForClients},
		{name: "RELOAD", needs: roleAdmin, tag: "RELOAD", help: "read the configuration again and put it in force, all of it or, when it has faults, nothing", tells: reload},
		{name: "SWITCHOVER", args: "[node] [cluster] [WITHIN duration]", most: 4, needs: roleAdmin, tag: "SWITCHOVER", help: "make a standby the primary without an error for anybody", run: switchover},
		{name: "HOLD", args: "[cluster] [FOR duration] [WAIT duration]", most: 5, waits: true, needs: roleAdmin, tag: "HOLD", help: "let no new work begin on a primary, here and at the peers, and wait for running work", tells: hold},
		{name: "RELEASE", args: "[cluster]", most: 1, needs: roleAdmin, tag: "RELEASE", help: "end the holds of a cluster, or of all", tells: release},
		{name: "FAILOVER", args: "node [cluster]", most: 2, needs: roleAdmin, tag: "FAILOVER", help: "let Patroni make a node the primary when nobody is", run: moveTo},
		{name: "ACCEPT_CLUSTER", args: "system_identifier timeline [cluster]", most: 3, needs: roleAdmin, tag: "ACCEPT_CLUSTER", help: "go on with another cluster, or on an older timeline, on purpose: after pg_upgrade, recovery or initdb", tells: acceptCluster},
		{name: "SET", args: "setting = value", raw: true, needs: roleAdmin, tag: "SET", help: "change one setting of SHOW CONFIG until the next RELOAD", tells: setSetting},
		{name: "SET", args: "parameter = value", raw: true, needs: roleStats, tag: "SET", help: "accepted for PostgreSQL's parameters, changes nothing", run: setParameter},
		{name: "RESET", args: "parameter", raw: true, needs: roleStats, tag: "RESET", quiet: true, run: reset},
		{name: "BEGIN", raw: true, needs: roleStats, tag: "BEGIN", quiet: true, run: accept},
		{name: "START TRANSACTION", raw: true, needs: roleStats, tag: "START TRANSACTION", quiet: true, run: accept},
		{name: "COMMIT", most: 1, needs: roleStats, tag: "COMMIT", quiet: true, run: endOfBlock},
		{name: "END", most: 1, needs: roleStats, tag: "COMMIT", quiet: true, run: endOfBlock},
		{name: "ROLLBACK", most: 1, needs: roleStats, tag: "ROLLBACK", quiet: true, run: endOfBlock},
		{name: "ABORT", most: 1, needs: roleStats, tag: "ROLLBACK", quiet: true, run: endOfBlock},
		{name: "SAVEPOINT", raw: true, needs: roleStats, tag: "SAVEPOINT", quiet: true, run: accept},
		{name: "RELEASE SAVEPOINT", raw: true, needs: roleStats, tag: "RELEASE", quiet: true, run: accept},
		{name: "ROLLBACK TO", raw: true, needs: roleStats, tag: "ROLLBACK", quiet: true, run: accept},
		{name: "DEALLOCATE", args: "name", most: 2, needs: roleStats, tag: "DEALLOCATE", quiet: true, run: accept},
		{name: "DISCARD ALL", needs: roleStats, tag: "DISCARD ALL", quiet: true, run: accept},
	}...)
}

// settingWords is how many words the longest name of a parameter has: TRANSACTION ISOLATION LEVEL.
const settingWords = 3
