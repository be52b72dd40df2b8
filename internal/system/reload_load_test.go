package system

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// loadConfig has a name of the database for each pgbench.
const loadConfig = `
[admin]
http = ""
users = ["app"]
[auth]
userlist = "userlist.txt"
[pool]
size = 8
hold_timeout = "60s"
[limits]
databases = "listed"
[database]
simple.dbname = "app"
extended.dbname = "app"
prepared.dbname = "app"
session.dbname = "app"
session.mode = "session"
logins.dbname = "app"
reads.dbname = "app"
readlogins.dbname = "app"
alias.dbname = "app"
guests.dbname = "app"
[cluster.main]
nodes = []
probe_user = "pgrouter"
probe_password_file = "probe-password.txt"
state_dir = ""
[[listener]]
address = ""
cluster = "main"
route = "primary"
[[listener]]
address = ""
cluster = "main"
route = "replica"
fallback = "primary"
`

// guestUser comes and goes.
const guestUser = "guest"

// change is what one reload brings, and the next one takes back.
type change struct {
	file, from, to string
	told           string // by the console: in a NOTICE or, when it is a fault, in the DETAIL
	faulty         bool
	guest          *guest // comes through what is new, and must go when it is removed
}

// TestReloadsUnderLoadCostNoQuery reloads, by console and by SIGHUP, while many a pgbench is at work: listeners, users, databases,
// clusters and nodes come and go, sizes and limits change, files have faults. Nobody notices but who uses what is removed, and who does
// is told why. make verify does it a hundred times (PGROUTER_RELOADS).
func TestReloadsUnderLoadCostNoQuery(t *testing.T) {
	r := startReloading(t, loadConfig, testcluster.Role{Name: guestUser})
	changes := slices.Concat(r.visited(), r.unseen(), r.faulty())
	cycle := 2 * len(changes)
	rounds := cycle
	if more, err := strconv.Atoi(os.Getenv("PGROUTER_RELOADS")); err == nil {
		rounds = more
	}
	l, refused := r.startLoad(), 0
	for i := range rounds {
		c, back := changes[i%cycle/2], i%2 == 1
		signal := (i+i/cycle)%2 == 1 // who comes by signal goes by the console, and in the next cycle the other way about
		r.apply(c, back, signal)
		if c.faulty && !back {
			refused++
		}
		if l.ending.Load() {
			break
		}
		r.host(l, c.guest, back)
	}
	transactions, failed := l.stop()
	if failed != nil {
		t.Error(failed)
	}
	t.Logf("%d transactions through %d reloads, %d of them refused", transactions, rounds, refused)
}

// pgbench is one that comes as a user to a database that is called so only for its sake.
func (r *reloading) pgbench(address, user, database string, clients int, args string) pgbench {
	return pgbench{
		program: filepath.Join(r.c.Binaries(), "pgbench"), dsn: r.c.DSN(address, user, database), database: database, clients: clients, args: args,
	}
}

// startLoad lets those begin whom no reload may disturb. Two of them connect anew for each transaction.
func (r *reloading) startLoad() *load {
	r.t.Helper()
	script := filepath.Join(r.t.TempDir(), "script.sql")
	if err := os.WriteFile(script, []byte("begin;\nselect 1;\nselect 2;\ncommit;\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	app := testcluster.AppUser
	benches := []pgbench{
		r.pgbench(r.Write, app, "simple", 3, "-M simple"),
		r.pgbench(r.Write, app, "extended", 2, "-M extended"),
		r.pgbench(r.Write, app, "prepared", 2, "-M prepared"),
		r.pgbench(r.Write, app, "session", 2, "-M prepared"),
		r.pgbench(r.Write, app, "logins", 1, "-C"),
		r.pgbench(r.Read, app, "reads", 3, "-S -M extended"),
		r.pgbench(r.Read, app, "readlogins", 2, "-S -C"),
		r.pgbench(r.Write, app, "alias", 1, "-f "+script), // the database behind it becomes another one, without pgbench's tables
	}
	benches[0].initialize(r.t)
	r.get(open(r.t, r.c, r.Write, "simple", ""), "grant select on all tables in schema public to "+guestUser, "")
	if err := r.c.WaitReplicas(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	return startLoad(r.t, benches)
}

// visited are changes through which somebody comes who has to go with them: one that stays connected, and one that does not.
func (r *reloading) visited() (all []change) {
	const gone = "FATAL:  terminating connection due to configuration change\nDETAIL:  Its "
	door, west := testrouter.FreeAddress(r.t), testrouter.FreeAddress(r.t)
	secret := fmt.Sprintf("%q %q\n", guestUser, r.c.Role(guestUser).Password)
	// Who connects to a listener in the moment in which it closes finds nobody there: that is TCP's to tell.
	closed := []string{"failed: Connection refused", "failed: server closed the connection unexpectedly", "Connection reset by peer"}
	for _, args := range []string{"-S", "-S -C"} {
		clients := 2
		if strings.Contains(args, "-C") {
			clients = 1
		}
		come := func(address, user, database string, farewells ...string) *guest {
			return &guest{pgbench: r.pgbench(address, user, database, clients, args), farewells: farewells}
		}
		app := testcluster.AppUser
		all = append(all,
			change{"pgrouter.toml", "[cluster.main]", listenerAt(door) + "[cluster.main]", "listener[" + door + "]", false,
				come(door, app, "guests", append(closed, gone+"listener was removed.")...)},
			change{"pgrouter.toml", "[database]", "[database]\ngone.dbname = \"app\"", "database.gone", false,
				come(r.Write, app, "gone", gone+"database was removed.", `FATAL:  database "gone" does not exist`)},
			change{"userlist.txt", `"app"`, secret + `"app"`, "users: ", false,
				come(r.Write, guestUser, "guests", gone+"user was removed.", "FATAL:  password authentication failed for user")},
			change{"pgrouter.toml", "[cluster.main]", r.secondCluster(west) + "[cluster.main]", "cluster.west", false,
				come(west, app, "guests", append(closed, gone+"listener was removed.")...)},
		)
	}
	return all
}

// unseen are changes that no client may notice.
func (r *reloading) unseen() (all []change) {
	var both []string
	for _, n := range r.c.Nodes() {
		both = append(both, strconv.Quote(n.Addr()))
	}
	for _, c := range [][3]string{
		{"size = 8", "size = 7", "pool.size"},
		{"[limits]", "lifetime = \"1s\"\nidle_timeout = \"1s\"\n[limits]", "pool.lifetime"},
		{"[limits]", "[limits]\nmax_clients = 500", "limits.max_clients"},
		{"[limits]", "[limits]\nmax_server_connections = 14", "limits.max_server_connections"},
		{"probe_user", "probe_interval = \"2s\"\nprobe_user", "cluster.main.probe_interval"},
		{"nodes = [" + strings.Join(both, ", "), "nodes = [" + both[0], "cluster.main.nodes"},
		{`alias.dbname = "app"`, `alias.dbname = "postgres"`, "database.alias.dbname"},
	} {
		all = append(all, change{file: "pgrouter.toml", from: c[0], to: c[1], told: c[2]})
	}
	return all
}

// faulty are changes that are refused.
func (r *reloading) faulty() []change {
	return []change{
		{file: "pgrouter.toml", from: "[limits]\n", to: "[limits\n", told: "is not valid TOML", faulty: true},
		{file: "pgrouter.toml", from: "[limits]", to: "mode = \"statement\"\n[limits]\nlopps = 3", told: "limits.lopps", faulty: true},
		{file: "pgrouter.toml", from: `userlist = "userlist.txt"`, to: `userlist = "nowhere.txt"`, told: "nowhere.txt", faulty: true},
		{file: "userlist.txt", from: `"app"`, to: "\"half\" \"open\n\"app\"", told: "userlist.txt:1: ", faulty: true},
	}
}

// apply makes a change, or takes it back, and reloads.
func (r *reloading) apply(c change, back, signal bool) {
	r.t.Helper()
	faulty := c.faulty && !back
	if back {
		c.from, c.to = c.to, c.from
	}
	r.Rewrite(c.file, func(text string) string {
		if !strings.Contains(text, c.from) {
			r.t.Fatalf("there is no %q in %s", c.from, text)
		}
		return strings.Replace(text, c.from, c.to, 1)
	})
	told, refused := r.order(signal)
	if refused != faulty || !signal && !strings.Contains(told, c.told) && (faulty || !c.faulty) {
		r.t.Errorf("%q to %q, by signal %t: refused %t, told %q", c.from, c.to, signal, refused, told)
	}
}

// order reloads by signal, which tells nothing, or by the console.
func (r *reloading) order(signal bool) (told string, refused bool) {
	r.t.Helper()
	if signal {
		const when = "pgrouter_config_last_reload_timestamp_seconds"
		before := r.Metrics()[when]
		if err := r.Signal(syscall.SIGHUP); err != nil {
			r.t.Fatal(err)
		}
		r.Await("it has reloaded", time.Minute, func() bool { return r.Metrics()[when] > before })
		return "", r.Metrics()["pgrouter_config_last_reload_success"] == 0
	}
	notices, err := r.reload()
	if fault, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fault.Detail, true
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.Join(notices, "\n"), false
}

// host lets a guest come, or go, and everybody else go on.
func (r *reloading) host(l *load, g *guest, back bool) {
	r.t.Helper()
	switch {
	case g == nil:
	case back:
		if err := <-g.left; err != nil {
			r.t.Error(err)
		}
		g = nil
	default:
		g.come(r.t)
	}
	r.goOn(l, g)
	if g != nil && g.gone() {
		r.t.Error("a guest has left before he was sent away")
	}
}

// goOn waits until each pgbench has done more.
func (r *reloading) goOn(l *load, g *guest) {
	r.t.Helper()
	const more = 3
	before := r.done()
	r.Await("each pgbench goes on", time.Minute, func() bool {
		now := r.done()
		for _, b := range l.benches {
			if now[b.database] < before[b.database]+more && !l.ending.Load() {
				return false
			}
		}
		return g.gone() || now[g.database] >= before[g.database]+more
	})
}

// done counts the transactions of each database by the name that clients use.
func (r *reloading) done() map[string]int {
	r.t.Helper()
	counts := make(map[string]int)
	for _, row := range table(r.t, r.console, "SHOW STATS_TOTALS", "database", "xact_count") {
		count, err := strconv.Atoi(row[1])
		if err != nil {
			r.t.Fatal(err)
		}
		counts[row[0]] = count
	}
	return counts
}
