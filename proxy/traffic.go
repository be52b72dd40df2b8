package proxy

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/relay"
)

// Traffic is what the clients of one database have done since the start, as PgBouncer's SHOW STATS has it. It counts what is
// finished, so that a sum of times goes with its count; PgBouncer counts a query and a transaction when they begin, and pipelined
// queries by what happens to arrive together. Logins under way, consoles and the router's own statements are not in it.
type Traffic struct {
	ServerAssignments uint64 // times a client got a server
	Transactions      uint64 // ended: answers after which the server was outside of a block
	Queries           uint64 // answered: a query string, a function call, a batch of the extended protocol up to its Sync
	BytesReceived     uint64 // from clients, behind their logins
	BytesSent         uint64 // to clients; PgBouncer's is what servers have sent, without its own messages
	TransactionTime   uint64 // nanoseconds from the first byte for a server to the end of the transaction, idle in it or not
	QueryTime         uint64 // nanoseconds in which servers had something to answer; pipelined queries do not count twice
	WaitTime          uint64 // nanoseconds that clients waited for a server that they got in the end
	ClientParses      uint64 // statements prepared by clients; PgBouncer leaves the unnamed one out, which it does not keep
	ServerParses      uint64 // … on servers: those that were not there already, and once more where the client has got another server
	Binds             uint64 // of named and unnamed statements
	ClientLogins      uint64
}

// DatabaseTraffic is the traffic of one database, by the name that clients use. "" stands for all that are not told apart, see
// trafficDatabases.
type DatabaseTraffic struct {
	Database string
	Traffic
}

const (
	// trafficDatabases bounds how many databases have counters of their own. A name counts here only when a client has logged in, so
	// that clients cannot make names up; but databases can be made and dropped for ever.
	trafficDatabases = 1000

	// trafficPatience bounds how long the loops are waited for.
	trafficPatience = time.Second
)

// meter is the traffic on one loop, which writes it without locks. Others read what it has said when it was last asked.
type meter struct {
	databases map[string]*counters // loop only
	said      struct {
		sync.Mutex
		all []DatabaseTraffic
	}
}

// counters have cache lines of their own: those of another loop may lie beside them.
type counters struct {
	Traffic
	_ [32]byte
}

// of returns the counters of a database. The loop only.
func (m *meter) of(database string) *Traffic {
	if c := m.databases[database]; c != nil {
		return &c.Traffic
	}
	if m.databases == nil {
		m.databases = make(map[string]*counters)
	}
	if len(m.databases) >= trafficDatabases {
		database = ""
	}
	c := m.databases[database]
	if c == nil {
		c = &counters{}
		m.databases[strings.Clone(database)] = c
	}
	return &c.Traffic
}

// say copies the counters for others. The loop only.
func (m *meter) say() {
	m.said.Lock()
	defer m.said.Unlock()
	m.said.all = m.said.all[:0]
	for database, c := range m.databases {
		m.said.all = append(m.said.all, DatabaseTraffic{database, c.Traffic})
	}
}

// addTo adds what the loop has said to sums.
func (m *meter) addTo(sums map[string]Traffic) {
	m.said.Lock()
	defer m.said.Unlock()
	for _, d := range m.said.all {
		sums[d.Database] = sums[d.Database].Plus(d.Traffic)
	}
}

// Plus returns the sum of both.
func (t Traffic) Plus(b Traffic) Traffic {
	return Traffic{
		ServerAssignments: t.ServerAssignments + b.ServerAssignments, Transactions: t.Transactions + b.Transactions,
		Queries: t.Queries + b.Queries, BytesReceived: t.BytesReceived + b.BytesReceived, BytesSent: t.BytesSent + b.BytesSent,
		TransactionTime: t.TransactionTime + b.TransactionTime, QueryTime: t.QueryTime + b.QueryTime, WaitTime: t.WaitTime + b.WaitTime,
		ClientParses: t.ClientParses + b.ClientParses, ServerParses: t.ServerParses + b.ServerParses, Binds: t.Binds + b.Binds,
		ClientLogins: t.ClientLogins + b.ClientLogins,
	}
}

// Since returns what has been added since before.
func (t Traffic) Since(before Traffic) Traffic {
	return Traffic{
		ServerAssignments: t.ServerAssignments - before.ServerAssignments, Transactions: t.Transactions - before.Transactions,
		Queries: t.Queries - before.Queries, BytesReceived: t.BytesReceived - before.BytesReceived, BytesSent: t.BytesSent - before.BytesSent,
		TransactionTime: t.TransactionTime - before.TransactionTime, QueryTime: t.QueryTime - before.QueryTime,
		WaitTime: t.WaitTime - before.WaitTime, ClientParses: t.ClientParses - before.ClientParses,
		ServerParses: t.ServerParses - before.ServerParses, Binds: t.Binds - before.Binds, ClientLogins: t.ClientLogins - before.ClientLogins,
	}
}

// trafficOn returns the counters of a database on the loop that calls.
func (p *Proxy) trafficOn(l *reactor.Loop, database string) *Traffic {
	return p.meters[l.ID()].of(database)
}

// trafficLook lets a loop say its traffic (reactor.Task).
type trafficLook struct {
	meter *meter
	done  chan<- struct{} // has room for all loops
}

// Run says it.
func (t *trafficLook) Run(*reactor.Loop) {
	t.meter.say()
	t.done <- struct{}{}
}

// Traffic returns the sums of this moment, in the order of the names. They never go back: a loop that does not answer, because it has
// ended or does something long, counts as it last said. Any goroutine that may block, but no loop.
func (p *Proxy) Traffic() []DatabaseTraffic {
	loops := p.deps.Reactor.Loops()
	done := make(chan struct{}, len(loops))
	asked := 0
	for i, l := range loops {
		if l.Post(&trafficLook{&p.meters[i], done}) {
			asked++
		}
	}
	patience := time.NewTimer(trafficPatience)
	defer patience.Stop()
	for range asked {
		select {
		case <-done:
		case <-patience.C:
			return p.trafficSaid()
		}
	}
	return p.trafficSaid()
}

// trafficSaid adds up what the loops have said.
func (p *Proxy) trafficSaid() []DatabaseTraffic {
	sums := make(map[string]Traffic)
	for i := range p.meters {
		p.meters[i].addTo(sums)
	}
	all := make([]DatabaseTraffic, 0, len(sums))
	for _, database := range slices.Sorted(maps.Keys(sums)) {
		all = append(all, DatabaseTraffic{database, sums[database]})
	}
	return all
}

// stopwatch holds the loop times at which the query and the transaction under way began; 0: there is none. A server's loss stops
// it: what was lost is not counted.
type stopwatch struct{ query, transaction int64 }

// asked notes that bytes for a server were forwarded.
func (c *stopwatch) asked(now int64) {
	if c.query == 0 {
		c.query = now
	}
	if c.transaction == 0 {
		c.transaction = now
	}
}

// account adds what the link has counted to the traffic. Where more is outstanding, or the transaction goes on, the clock does.
func (s *Session) account() {
	n := s.link.Tally
	if n.Empty() {
		return
	}
	s.link.Tally = relay.Tally{}
	s.accountStatements(n)
	t, now := s.traffic, s.loop.Now()
	t.Queries += uint64(n.Queries)
	t.Transactions += uint64(n.Transactions)
	t.ClientParses += uint64(n.ClientParses)
	t.ServerParses += uint64(n.ServerParses)
	t.Binds += uint64(n.Binds)
	more := s.link.Outstanding() > 0
	if n.Queries > 0 {
		t.QueryTime += lap(&s.clock.query, now, more)
	}
	if n.Transactions > 0 {
		t.TransactionTime += lap(&s.clock.transaction, now, more || s.link.Status() != relay.StatusIdle)
	}
}

// lap returns how long a hand of the clock has run, and lets it run on or stops it.
func lap(began *int64, now int64, goesOn bool) uint64 {
	if *began == 0 {
		return 0
	}
	took := uint64(max(now-*began, 0))
	*began = 0
	if goesOn {
		*began = now
	}
	return took
}
