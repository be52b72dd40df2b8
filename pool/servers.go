package pool

import (
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// ServerStats is what one server connection looks like at one moment, as a copy.
type ServerStats struct {
	Key      Key
	ID       uint64 // given once in the pool's life
	Node     topology.NodeID
	State    string // idle, linked, resetting or cancel_pending
	For      time.Duration
	Client   uint64 // who has it, by the number in its Waiter; 0: nobody
	Resting  bool   // of a linked one: no unit of work runs, its client keeps it all the same
	Retiring bool   // it is closed when it is released
	Prepared uint32 // how many statements it has
	PID      uint32 // of the server process
	Local    string // the addresses of the connection's two ends
	Remote   string
	Opened   time.Time
}

// Servers returns a copy of what all open server connections look like, queue by queue. Any goroutine.
func (p *Pool) Servers() []ServerStats {
	var all []ServerStats
	for _, q := range p.allQueues() {
		all = q.appendServers(all)
	}
	return all
}

// appendServers copies under the queue's lock what is there. Of a connection only what never changes after its login is read.
func (q *Queue) appendServers(all []ServerStats) []ServerStats {
	now := q.pool.wires.clock()
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, sh := range q.mu.shelves {
		sh.eachLocked(func(s *Server) {
			all = append(all, ServerStats{
				Key: q.key, ID: s.id, Node: sh.node, State: s.state.String(), For: time.Duration(max(now-s.since, 0)), Client: s.client,
				Resting: s.resting.Load(), Retiring: s.retiring.Load(), Prepared: s.prepared.Load(), PID: s.Conn.PID, Local: s.Conn.Local, Remote: s.Conn.Remote, Opened: s.Conn.CreatedAt,
			})
		})
	}
	return all
}
