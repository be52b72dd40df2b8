package admin

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
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

func poolColumns() []string {
	return []string{"database", "user", "cl_active", "cl_waiting", "cl_active_cancel_req", "cl_waiting_cancel_req", "sv_active",
		"sv_active_cancel", "sv_being_canceled", "sv_idle", "sv_used", "sv_tested", "sv_login", "maxwait", "maxwait_us", "pool_mode",
		"load_balance_hosts", "cluster", "waiting_for"}
}

func showPools(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	var rows [][]string
	for _, s := range a.shares() {
		n := s.servers
		rows = append(rows, []string{
			s.database, s.user, strconv.Itoa(s.active), strconv.Itoa(s.waiting), "0", "0", strconv.Itoa(n.Linked), "0",
			strconv.Itoa(n.CancelPending), strconv.Itoa(n.Idle), "0", strconv.Itoa(n.Resetting), strconv.Itoa(n.Dialing),
			seconds(s.oldest), micros(s.oldest), s.mode(a), "", s.cluster, holdText(s.reason),
		})
	}
	return rows, nil
}

func queueColumns() []string {
	return []string{"cluster", "database", "user", "route", "options", "nodes", "pool_size", "waiting", "waiting_for", "maxwait", "maxwait_us",
		"hold", "held_for", "active", "idle", "resetting", "cancel_pending", "opening", "acquires", "waits", "gave_up"}
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

func number(n uint64) string { return strconv.FormatUint(n, 10) }
