package proxy

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/relay"
)

// What became of a cancel request.
const (
	cancelUnknown   = iota // no client has that key
	cancelQueued           // its unit was waiting, and was answered here
	cancelForwarded        // sent to the server
	cancelIdle             // nothing was running
	cancelDropped          // too many at once
	cancelKinds
)

// Why a connection was turned away before it became a client.
const (
	refusedOther   = iota // its login failed
	refusedLogins         // max_logins
	refusedClients        // max_clients
	refusedQuota          // max_db_client_connections, max_user_client_connections
	refusedKinds
)

// What a prelude changes that the client's bytes wait for.
const (
	awaitedParameters = iota // tracked parameters that were not known to be accepted
	awaitedSettings          // other settings
	awaitedRole              // as whom the session acts
	awaitedKinds
)

// Names of the values above, as label values. Constant tables.
var (
	awaitedNames = [awaitedKinds]string{"parameters", "settings", "role"}
	cancelNames  = [cancelKinds]string{"unknown_key", "queued", "forwarded", "idle", "dropped"}
	refusedNames = [refusedKinds]string{"login_failed", "max_logins", "max_clients", "quota"}
)

// Sizes of the tables of counters by reason.
const (
	pinKinds     = int(event.PinUncertain) + 1
	cutKinds     = int(event.CutStandInOver) + 1
	closeKinds   = int(event.CloseReconfigured) + 1
	outcomeKinds = int(relay.CloseSilently) + 1
)

// metrics counts what happens to clients. Nothing of it is written on the way of a message.
type metrics struct {
	accepted, loggedIn, moves, preludes, postludes, violations, holdExpired atomic.Uint64
	awaited                                                                 [awaitedKinds]atomic.Uint64 // of preludes
	cancels                                                                 [cancelKinds]atomic.Uint64
	refused                                                                 [refusedKinds]atomic.Uint64
	pins, unpins, pinsRefused                                               [pinKinds]atomic.Uint64
	closes                                                                  [closeKinds]atomic.Uint64
	losses                                                                  [cutKinds][outcomeKinds]atomic.Uint64
	waits                                                                   waits
	statements                                                              statementCounters
	errors                                                                  struct {
		sync.Mutex
		byCode map[string]uint64
	}
}

// waits is the histogram of how long units waited that did wait.
type waits struct {
	buckets [len(waitBounds) + 1]atomic.Uint64
	nanos   atomic.Uint64
}

// waitBounds are the upper bounds of the histogram's buckets in seconds. Constant table.
var waitBounds = [...]float64{0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120}

// waited counts a unit that has got its server after a wait.
func (m *metrics) waited(d time.Duration) {
	i := 0
	for i < len(waitBounds) && d.Seconds() > waitBounds[i] {
		i++
	}
	m.waits.buckets[i].Add(1)
	m.waits.nanos.Add(uint64(d))
}

func (m *metrics) errorSent(code string) {
	m.errors.Lock()
	defer m.errors.Unlock()
	if m.errors.byCode == nil {
		m.errors.byCode = make(map[string]uint64)
	}
	m.errors.byCode[code]++
}

func (m *metrics) lost(why event.CutReason, outcome relay.Outcome) {
	m.losses[int(why)%cutKinds][int(outcome)%outcomeKinds].Add(1)
}

func (m *metrics) sessionClosed(why event.CloseReason) {
	m.closes[int(why)%closeKinds].Add(1)
}

// Totals are the counters that the status page and the demo show.
type Totals struct {
	Clients      int               // connections of all kinds
	Units        uint64            // units of work that have ended
	WriteUnits   uint64            // … of clients with the route primary
	HoldExpired  uint64            // units that were held too long
	Replayed     uint64            // units sent a second time, to another standby
	Requeued     uint64            // units of which nothing had been sent
	InDoubt      uint64            // clients told 08007
	Aborted      uint64            // clients told 57P01
	Violations   uint64            // must stay 0
	ErrorsByCode map[string]uint64 // errors of our own, by SQLSTATE
}

// Totals returns the counters of this moment.
func (p *Proxy) Totals() Totals {
	m := &p.metrics
	units := p.registry.units()
	t := Totals{
		Clients: p.registry.count(), Units: units.all, WriteUnits: units.writes, HoldExpired: m.holdExpired.Load(), Violations: m.violations.Load(),
		ErrorsByCode: make(map[string]uint64),
	}
	for i := range m.losses {
		t.Replayed += m.losses[i][relay.Replay].Load()
		t.Requeued += m.losses[i][relay.Requeue].Load()
		t.InDoubt += m.losses[i][relay.OutcomeUnknown].Load()
		if event.CutReason(i) != event.CutTimeout { // those are told 57014 or 25P03
			t.Aborted += m.losses[i][relay.TransactionLost].Load() + m.losses[i][relay.PinnedLost].Load()
		}
	}
	m.errors.Lock()
	defer m.errors.Unlock()
	maps.Copy(t.ErrorsByCode, m.errors.byCode)
	return t
}

// collector serves the metrics; it reads the counters when it is scraped.
type collector struct {
	proxy *Proxy

	clients, moves, connections, refused, closed, units, wait, errors, losses, cancels, violations, held, disabled *prometheus.Desc

	pins, unpins, pinsRefused, pinned, preludes, awaited, postludes *prometheus.Desc

	traffic    []trafficSeries
	statements statementSeries
}

// Collector returns the proxy's metrics for a registry.
func (p *Proxy) Collector() prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("pgrouter_"+name, help, labels, nil)
	}
	return &collector{
		proxy:       p,
		clients:     desc("clients", "Client connections by kind and state.", "kind", "state"),
		moves:       desc("client_moves_total", "Clients moved to another event loop."),
		connections: desc("client_connections_total", "Client connections accepted."),
		refused:     desc("client_refused_total", "Connections turned away before they became clients.", "reason"),
		closed:      desc("client_closed_total", "Client sessions ended.", "reason"),
		units:       desc("units_total", "Units of work that have ended."),
		wait:        desc("unit_wait_seconds", "How long units waited that had to wait for a server."),
		errors:      desc("errors_sent_total", "Errors of the router's own sent to clients.", "sqlstate"),
		losses:      desc("server_lost_total", "Servers lost under a session, and what became of its work.", "reason", "outcome"),
		pins:        desc("session_pins_total", "Times a session came to hold on its server what cannot be moved.", "reason"),
		unpins:      desc("session_unpins_total", "Times a session came to hold nothing there any more, by the reason that was shown until then.", "reason"),
		pinsRefused: desc("session_pins_refused_total", "Statements refused because they would pin their session (on_pin).", "reason"),
		pinned:      desc("sessions_pinned", "Sessions that keep their server now.", "reason"),
		cancels:     desc("cancel_requests_total", "Cancel requests.", "result"),
		preludes:    desc("preludes_total", "Times a server was given a client's parameters first."),
		awaited:     desc("preludes_awaited_total", "Those that the client's bytes waited for, by what they changed.", "kind"),
		postludes:   desc("postludes_total", "Times a server was asked what a unit of work has left on it."),
		violations:  desc("server_messages_unexpected_total", "Messages from servers that nobody asked for. Must stay 0."),
		disabled:    desc("disabled", "1 while an operator lets nobody in to the database.", "database"),
		held:        desc("held_bytes", "Bytes of queries that wait for a server."),
		traffic:     newTrafficSeries(),
		statements:  newStatementSeries(desc),
	}
}

// Describe sends the descriptions (prometheus.Collector).
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.clients, c.moves, c.connections, c.refused, c.closed, c.units, c.wait, c.errors, c.losses, c.pins, c.unpins, c.pinsRefused, c.pinned,
		c.cancels, c.preludes, c.awaited, c.postludes,
		c.violations, c.held, c.disabled,
	} {
		ch <- d
	}
	for _, s := range c.traffic {
		ch <- s.desc
	}
	c.statements.describe(ch)
}

// Collect reads the counters (prometheus.Collector).
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	m := &c.proxy.metrics
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	count(c.connections, m.accepted.Load())
	count(c.moves, m.moves.Load())
	count(c.units, c.proxy.registry.units().all)
	count(c.preludes, m.preludes.Load())
	count(c.postludes, m.postludes.Load())
	count(c.violations, m.violations.Load())
	ch <- prometheus.MustNewConstMetric(c.held, prometheus.GaugeValue, float64(c.proxy.heldBytes.Load()))
	for _, name := range c.proxy.DisabledNames() {
		ch <- prometheus.MustNewConstMetric(c.disabled, prometheus.GaugeValue, 1, name)
	}
	for i, name := range refusedNames {
		count(c.refused, m.refused[i].Load(), name)
	}
	for i, name := range awaitedNames {
		count(c.awaited, m.awaited[i].Load(), name)
	}
	for i, name := range cancelNames {
		count(c.cancels, m.cancels[i].Load(), name)
	}
	for i := 1; i < closeKinds; i++ {
		count(c.closed, m.closes[i].Load(), event.CloseReason(i).String())
	}
	for i := 1; i < pinKinds; i++ {
		count(c.pins, m.pins[i].Load(), event.PinReason(i).String())
		count(c.unpins, m.unpins[i].Load(), event.PinReason(i).String())
		count(c.pinsRefused, m.pinsRefused[i].Load(), event.PinReason(i).String())
	}
	for code, n := range c.proxy.Totals().ErrorsByCode {
		count(c.errors, n, code)
	}
	c.collectLosses(count)
	c.collectClients(ch)
	c.collectWaits(ch)
	c.collectTraffic(ch)
	c.collectStatements(ch)
}

func (c *collector) collectLosses(count func(*prometheus.Desc, uint64, ...string)) {
	for i := 1; i < cutKinds; i++ {
		for j := 1; j < outcomeKinds; j++ {
			if n := c.proxy.metrics.losses[i][j].Load(); n > 0 {
				count(c.losses, n, event.CutReason(i).String(), relay.Outcome(j).String())
			}
		}
	}
}

func (c *collector) collectClients(ch chan<- prometheus.Metric) {
	type key struct{ kind, state string }
	counts := map[key]int{{"client", "idle"}: 0, {"client", "waiting"}: 0, {"client", "active"}: 0}
	var pinned [pinKinds]int
	for _, info := range c.proxy.Clients() {
		counts[key{info.Kind, info.State}]++
		pinned[info.pin]++
	}
	for i := 1; i < pinKinds; i++ {
		ch <- prometheus.MustNewConstMetric(c.pinned, prometheus.GaugeValue, float64(pinned[i]), event.PinReason(i).String())
	}
	for k, n := range counts {
		ch <- prometheus.MustNewConstMetric(c.clients, prometheus.GaugeValue, float64(n), k.kind, k.state)
	}
}

func (c *collector) collectWaits(ch chan<- prometheus.Metric) {
	w := &c.proxy.metrics.waits
	buckets, total := make(map[float64]uint64), uint64(0)
	for i, bound := range waitBounds {
		total += w.buckets[i].Load()
		buckets[bound] = total
	}
	total += w.buckets[len(waitBounds)].Load()
	seconds := time.Duration(w.nanos.Load()).Seconds()
	ch <- prometheus.MustNewConstHistogram(c.wait, total, seconds, buckets)
}
