package admin

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/topology"
)

// share is one row of SHOW POOLS: all queues of a cluster with the same database and user, whatever their routes and start-up
// options.
type share struct {
	cluster, database, user string
	active                  int // clients that do not wait
	waiting                 int
	servers                 pool.NodeStats
	oldest                  time.Duration
	reason                  event.HoldReason // why the one waits that has waited longest
	modes                   []string         // of its clients
	standIn                 topology.NodeID  // the standby that serves in the place of a primary
}

// shares adds up the queues, in the order of their making.
func (a *Admin) shares() []*share {
	var all []*share
	find := func(k pool.Key) *share {
		for _, s := range all {
			if s.cluster == string(k.Cluster) && s.database == k.Database && s.user == k.User {
				return s
			}
		}
		s := &share{cluster: string(k.Cluster), database: k.Database, user: k.User}
		all = append(all, s)
		return s
	}
	for _, q := range a.world.Queues() {
		find(q.Key).addQueue(q)
	}
	for _, c := range a.world.Clients() {
		if c.Pool != (pool.Key{}) {
			find(c.Pool).addClient(c)
		}
	}
	return all
}

func (s *share) addQueue(q pool.QueueStats) {
	n := inAll(q)
	s.servers.Linked += n.Linked
	s.servers.Idle += n.Idle
	s.servers.Resetting += n.Resetting
	s.servers.CancelPending += n.CancelPending
	s.servers.Dialing += n.Dialing
	s.waiting += q.Waiting
	s.standIn = cmp.Or(s.standIn, q.StandIn)
	if q.Waiting > 0 && (s.reason == event.HoldNone || q.Oldest > s.oldest) {
		s.oldest, s.reason = q.Oldest, q.Reason
	}
}

func (s *share) addClient(c proxy.ClientInfo) {
	if c.State != "waiting" {
		s.active++
	}
	if !slices.Contains(s.modes, c.Mode) {
		s.modes = append(s.modes, c.Mode)
		slices.Sort(s.modes)
	}
}

// mode is the pool mode of the row: that of its clients, or while there are none that of the configuration.
func (s *share) mode(a *Admin) string {
	if len(s.modes) == 0 && a.cfg.Load().PoolMode != nil {
		return a.cfg.Load().PoolMode(s.database, s.user)
	}
	return strings.Join(s.modes, ",")
}

// inAll adds up the nodes of a queue.
func inAll(q pool.QueueStats) pool.NodeStats {
	var sum pool.NodeStats
	for _, n := range q.Nodes {
		sum.Linked += n.Linked
		sum.Idle += n.Idle
		sum.Resetting += n.Resetting
		sum.CancelPending += n.CancelPending
		sum.Dialing += n.Dialing
	}
	return sum
}

func poolColumns() []column {
	return []column{
		{"database", typeText, "the name that clients use"},
		{"user", typeText, "the name on the servers"},
		{"cl_active", typeInt4, "clients that are idle or have a server"},
		{"cl_waiting", typeInt4, "clients that wait for a server, logins too"},
		{"cl_active_cancel_req", typeInt4, "always 0"},
		{"cl_waiting_cancel_req", typeInt4, "always 0"},
		{"sv_active", typeInt4, "server connections in use"},
		{"sv_active_cancel", typeInt4, "always 0"},
		{"sv_being_canceled", typeInt4, "… that wait for the end of a cancel request"},
		{"sv_idle", typeInt4, "… that are free"},
		{"sv_used", typeInt4, "always 0"},
		{"sv_tested", typeInt4, "… that are being reset"},
		{"sv_login", typeInt4, "… that are being opened"},
		{"maxwait", typeInt4, "for how many whole seconds the first has waited"},
		{"maxwait_us", typeInt4, "… and microseconds"},
		{"pool_mode", typeText, "of the clients that are there, with a comma between them if they differ; without clients as configured"},
		{"load_balance_hosts", typeText, "always empty"},
		{"cluster", typeText, "whose nodes they are"},
		{"waiting_for", typeText, "why the first in the line waits: `exhausted`, `paused`, `no_primary`, `no_replica`, `switchover`, `requested`, `ordered`, `split_brain`, `dial_failing`"},
		{"read_only_on", typeText, "the standby that serves the route primary while no node may take writes (`no_primary`); empty: none does"},
	}
}

func showPools(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	var rows [][]string
	for _, s := range a.shares() {
		n := s.servers
		rows = append(rows, []string{
			s.database, s.user, strconv.Itoa(s.active), strconv.Itoa(s.waiting), "0", "0", strconv.Itoa(n.Linked), "0",
			strconv.Itoa(n.CancelPending), strconv.Itoa(n.Idle), "0", strconv.Itoa(n.Resetting), strconv.Itoa(n.Dialing),
			seconds(s.oldest), micros(s.oldest), s.mode(a), "", s.cluster, holdText(s.reason),
			string(s.standIn),
		})
	}
	return rows, nil
}

func queueColumns() []column {
	return []column{
		{"cluster", typeText, "whose nodes serve it"},
		{"database", typeText, "the name that clients use"},
		{"user", typeText, "the name on the servers"},
		{"route", typeText, "that of the clients' listener"},
		{"options", typeText, "start-up parameters that no SET can change, without their values"},
		{"nodes", typeText, "to which the route leads now"},
		{"pool_size", typeInt4, "server connections that there may be to each node"},
		{"waiting", typeInt4, "clients that wait for a server"},
		{"waiting_for", typeText, "why they do, as in SHOW POOLS"},
		{"maxwait", typeInt4, "for how many whole seconds the first has waited"},
		{"maxwait_us", typeInt4, "… and microseconds"},
		{"hold", typeText, "why nothing is handed out; empty: it is"},
		{"held_for", typeInt4, "since how many seconds"},
		{"active", typeInt4, "server connections in use"},
		{"idle", typeInt4, "… that are free"},
		{"resetting", typeInt4, "… that are being reset"},
		{"cancel_pending", typeInt4, "… that wait for the end of a cancel request"},
		{"opening", typeInt4, "… that are being opened"},
		{"acquires", typeInt8, "units of work that asked for a server, since the queue was made"},
		{"waits", typeInt8, "… that had to wait for one"},
		{"gave_up", typeInt8, "… that gave up"},
	}
}

func showQueues(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	var rows [][]string
	for _, q := range a.world.Queues() {
		n, k := inAll(q), q.Key
		held := ""
		if q.Hold != event.HoldNone {
			held = seconds(q.Held)
		}
		rows = append(rows, []string{
			string(k.Cluster), k.Database, k.User, k.Route.String(), optionNames(k.Options), eligible(q), strconv.Itoa(q.Size),
			strconv.Itoa(q.Waiting), holdText(waitsFor(q)), seconds(q.Oldest), micros(q.Oldest), holdText(q.Hold), held,
			strconv.Itoa(n.Linked), strconv.Itoa(n.Idle), strconv.Itoa(n.Resetting), strconv.Itoa(n.CancelPending), strconv.Itoa(n.Dialing),
			number(q.Acquires), number(q.Waits), number(q.GaveUp),
		})
	}
	return rows, nil
}

func shelfColumns() []column {
	return []column{
		{"cluster", typeText, "of the queue"},
		{"database", typeText, "of the queue"},
		{"user", typeText, "of the queue"},
		{"route", typeText, "of the queue"},
		{"options", typeText, "of the queue, as in SHOW QUEUES"},
		{"node", typeText, "where the server connections lead"},
		{"eligible", typeText, "whether the route leads there now"},
		{"active", typeInt4, "server connections in use"},
		{"retiring", typeInt4, "… that are closed when they are given back"},
		{"idle", typeInt4, "… that are free"},
		{"resetting", typeInt4, "… that are being reset"},
		{"cancel_pending", typeInt4, "… that wait for the end of a cancel request"},
		{"opening", typeInt4, "… that are being opened"},
		{"trouble", typeText, "why the last one could not be opened"},
	}
}

func showShelves(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	var rows [][]string
	for _, q := range a.world.Queues() {
		for _, n := range q.Nodes {
			trouble := ""
			if n.Trouble != nil {
				trouble = n.Trouble.Error()
			}
			rows = append(rows, []string{
				string(q.Key.Cluster), q.Key.Database, q.Key.User, q.Key.Route.String(), optionNames(q.Key.Options), string(n.Node),
				yesNo(n.Eligible), strconv.Itoa(n.Linked), strconv.Itoa(n.Retiring), strconv.Itoa(n.Idle), strconv.Itoa(n.Resetting),
				strconv.Itoa(n.CancelPending), strconv.Itoa(n.Dialing), trouble,
			})
		}
	}
	return rows, nil
}

// waitsFor is why somebody waits, if somebody does.
func waitsFor(q pool.QueueStats) event.HoldReason {
	if q.Waiting == 0 {
		return event.HoldNone
	}
	return q.Reason
}

// eligible names the nodes that the queue's route leads to now.
func eligible(q pool.QueueStats) string {
	var nodes []string
	for _, n := range q.Nodes {
		if n.Eligible {
			nodes = append(nodes, string(n.Node))
		}
	}
	return strings.Join(nodes, ",")
}

// optionNames lists the start-up parameters that make the queue one of its own. Their values are not shown: they are the
// clients' affair.
func optionNames(encoded string) string {
	var names []string
	for _, p := range proxy.DecodeOptions(encoded) {
		names = append(names, p.Name)
	}
	return strings.Join(names, ",")
}

func holdText(r event.HoldReason) string {
	if r == event.HoldNone {
		return ""
	}
	return r.String()
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }

func micros(d time.Duration) string { return strconv.Itoa(int(d % time.Second / time.Microsecond)) }
