package proxy

import (
	"slices"
	"sync"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/routing"
)

// ClientInfo is what SHOW CLIENTS, the JSON and the page show of one client.
type ClientInfo struct {
	ID              uint64
	Kind            string // client, login, console, replication
	State           string
	User            string
	Database        string
	Cluster         string
	Route           string
	Remote          string
	Local           string
	ApplicationName string
	Connected       time.Time
	Waits           time.Duration // for a server; 0 unless it does
	Pinned          string        // why it keeps its server; "" when it does not
	Prepared        uint32        // named statements that it has
	Units           uint64        // units of work that have ended
	Mode            string        // its pool mode; "" unless it is an ordinary client
	Replication     string        // pgwire.ReplicationNone, …Physical or …Logical
	Pool            pool.Key      // of the queue in which it gets servers; empty unless it is an ordinary client
	pin             event.PinReason
}

// Member is anything that a client connection has become: a login in progress, a session, a console. Its methods may be
// called from any goroutine.
type Member interface {
	Info() ClientInfo
	// Close ends it as soon as its loop or goroutine gets to it.
	Close(why event.CloseReason)
	// Drain ends it when it has nothing under way.
	Drain()
}

// claimed is a database or a user, by the names that clients use.
type claimed struct {
	user bool
	name string
}

// claim is what a client counts against, besides max_clients.
type claim struct{ user, database string }

func (c claim) parts() [2]claimed { return [2]claimed{{false, c.database}, {true, c.user}} }

// unitCount counts units of work that have ended.
type unitCount struct {
	all    uint64
	writes uint64 // of clients with the route primary
}

func (c *unitCount) add(m Member) {
	s, ok := m.(*Session)
	if !ok {
		return
	}
	n := s.units.Load()
	c.all += n
	if s.shown.Load().place.route == routing.Primary {
		c.writes += n
	}
}

// registry knows every client connection, so that limits, kills and the drain miss nobody.
type registry struct {
	mu struct {
		sync.Mutex
		members  map[uint64]Member
		claims   map[uint64]claim    // of the members that have one
		held     map[claimed]int     // how many claims there are on each
		consoles map[uint64]struct{} // the members that are no clients of servers
		empty    chan struct{}       // closed while all members are consoles
		ended    unitCount           // units of sessions that are gone
	}
}

func (r *registry) init() {
	r.mu.members = make(map[uint64]Member)
	r.mu.claims = make(map[uint64]claim)
	r.mu.held = make(map[claimed]int)
	r.mu.consoles = make(map[uint64]struct{})
	r.mu.empty = make(chan struct{})
	close(r.mu.empty)
}

// put adds a member or replaces the one of that number: a login becomes a session. It refuses more than limit.
func (r *registry) put(id uint64, m Member, limit int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.mu.members[id]; !known && len(r.mu.members) >= limit {
		return false
	}
	if r.clientsLocked() == 0 {
		r.mu.empty = make(chan struct{})
	}
	r.mu.members[id] = m
	return true
}

// console notes that a member is a console from now on: nobody waits for its end.
func (r *registry) console(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.consoles[id] = struct{}{}
	r.emptiedLocked()
}

func (r *registry) clientsLocked() int { return len(r.mu.members) - len(r.mu.consoles) }

// emptiedLocked tells who waits for it that the last client has gone.
func (r *registry) emptiedLocked() {
	if r.clientsLocked() == 0 {
		close(r.mu.empty)
	}
}

func (r *registry) remove(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, known := r.mu.members[id]
	if !known {
		return
	}
	r.mu.ended.add(m)
	delete(r.mu.members, id)
	r.disclaimLocked(id)
	if _, console := r.mu.consoles[id]; console {
		delete(r.mu.consoles, id)
		return
	}
	r.emptiedLocked()
}

// member returns the one of a number, nil when there is none.
func (r *registry) member(id uint64) Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.members[id]
}

// claim counts a member, until it is removed, as a client of a database and a user, which may have so many; 0 = any number. It says
// which of the two has too many already.
func (r *registry) claim(id uint64, c claim, maxDatabase, maxUser int) *pgwire.Error {
	r.mu.Lock()
	defer r.mu.Unlock()
	parts := c.parts()
	switch {
	case maxDatabase > 0 && r.mu.held[parts[0]] >= maxDatabase:
		return pgwire.ErrTooManyDatabaseClients.New("", c.database)
	case maxUser > 0 && r.mu.held[parts[1]] >= maxUser:
		return pgwire.ErrTooManyUserClients.New("", c.user)
	}
	r.mu.claims[id] = c
	for _, part := range parts {
		r.mu.held[part]++
	}
	return nil
}

func (r *registry) disclaimLocked(id uint64) {
	c, ok := r.mu.claims[id]
	if !ok {
		return
	}
	delete(r.mu.claims, id)
	for _, part := range c.parts() {
		if r.mu.held[part]--; r.mu.held[part] == 0 {
			delete(r.mu.held, part)
		}
	}
}

func (r *registry) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.mu.members)
}

// units counts the units of work that have ended since the start. It never goes back: a session is counted as one that is
// here or as one that is gone.
func (r *registry) units() unitCount {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := r.mu.ended
	for _, m := range r.mu.members {
		sum.add(m)
	}
	return sum
}

// all returns the members of this moment.
func (r *registry) all() []Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	members := make([]Member, 0, len(r.mu.members))
	for _, m := range r.mu.members {
		members = append(members, m)
	}
	return members
}

// clients returns the members of this moment that are no consoles.
func (r *registry) clients() []Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	members := make([]Member, 0, len(r.mu.members))
	for id, m := range r.mu.members {
		if _, console := r.mu.consoles[id]; !console {
			members = append(members, m)
		}
	}
	return members
}

// gone is closed when all members are consoles, at the moment of the call or later.
func (r *registry) gone() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.empty
}

// Clients describes every client connection, by number.
func (p *Proxy) Clients() []ClientInfo {
	members := p.registry.all()
	infos := make([]ClientInfo, 0, len(members))
	for _, m := range members {
		infos = append(infos, m.Info())
	}
	slices.SortFunc(infos, func(a, b ClientInfo) int { return int(int64(a.ID) - int64(b.ID)) })
	return infos
}

// Info describes the session (Member).
func (s *Session) Info() ClientInfo {
	now := s.shown.Load()
	info := ClientInfo{
		ID: s.facts.id, Kind: "client", State: s.state().String(), User: s.facts.user, Database: s.facts.database,
		Cluster: string(now.place.cluster), Route: now.place.route.String(), Remote: s.facts.remote, Local: s.facts.local,
		ApplicationName: s.facts.app, Connected: s.facts.connected, Units: s.units.Load(), Mode: now.mode.String(),
		Pool: now.place.queue.Key(), Prepared: s.prepared.Load(),
	}
	if s.state() == stateWaiting {
		info.Waits = max(time.Duration(s.proxy.deps.Reactor.Now()-s.inLine.Load()), 0)
	}
	if why := event.PinReason(s.pin.Load()); why != event.PinNone {
		info.pin, info.Pinned = why, why.String()
	}
	return info
}

// Close ends the session from any goroutine (Member).
func (s *Session) Close(why event.CloseReason) {
	s.post(func() { s.end(why) })
}

// Drain ends the session from any goroutine, when its unit is over (Member).
func (s *Session) Drain() {
	s.post(s.drain)
}
