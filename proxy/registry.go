package proxy

import (
	"slices"
	"sync"
	"time"

	"github.com/pgrouter/pgrouter/event"
)

// ClientInfo is what SHOW CLIENTS, the JSON and the page show of one client.
type ClientInfo struct {
	ID              uint64
	Kind            string // client, login, console
	State           string
	User            string
	Database        string
	Cluster         string
	Route           string
	Remote          string
	Local           string
	ApplicationName string
	Connected       time.Time
	Pinned          string // why it keeps its server; "" when it does not
	Units           uint64 // units of work that have ended
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

// registry knows every client connection, so that limits, kills and the drain miss nobody.
type registry struct {
	mu struct {
		sync.Mutex
		members map[uint64]Member
		empty   chan struct{} // closed while there are none
	}
}

func (r *registry) init() {
	r.mu.members = make(map[uint64]Member)
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
	if len(r.mu.members) == 0 {
		r.mu.empty = make(chan struct{})
	}
	r.mu.members[id] = m
	return true
}

func (r *registry) remove(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.mu.members[id]; !known {
		return
	}
	delete(r.mu.members, id)
	if len(r.mu.members) == 0 {
		close(r.mu.empty)
	}
}

func (r *registry) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.mu.members)
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

// gone is closed when there are no members, at the moment of the call or later.
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
	info := ClientInfo{
		ID: s.facts.id, Kind: "client", State: s.state().String(), User: s.facts.user, Database: s.facts.database,
		Cluster: string(s.place.cluster), Route: s.place.route.String(), Remote: s.facts.remote, Local: s.facts.local,
		ApplicationName: s.facts.app, Connected: s.facts.connected, Units: s.stats.units.Load(),
	}
	if why := event.PinReason(s.pin.Load()); why != event.PinNone {
		info.Pinned = why.String()
	}
	return info
}

// Close ends the session from any goroutine (Member).
func (s *Session) Close(why event.CloseReason) {
	s.post(func() { s.fatal(closeError(why), why) })
}

// Drain ends the session from any goroutine, when its unit is over (Member).
func (s *Session) Drain() {
	s.post(s.drain)
}
