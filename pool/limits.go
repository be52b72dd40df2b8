package pool

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Limits bound the server connections of all queues together. 0 = no limit. What one database or one user may have stands in the
// Config of its queues.
type Limits struct {
	Total int // to all nodes of all clusters (max_server_connections)
	Node  int // to each node (max_node_connections)
}

// scope is what a limit of server connections is about.
type scope uint8

// The scopes, from the widest to the narrowest.
const (
	scopeAll scope = iota
	scopeNode
	scopeDatabase
	scopeUser
	scopes
)

// String returns the scope's name as metrics print it.
func (s scope) String() string {
	switch s {
	case scopeNode:
		return "node"
	case scopeDatabase:
		return "database"
	case scopeUser:
		return "user"
	case scopeAll, scopes:
	}
	return "all"
}

// budget counts the server connections, open or being opened, that share a limit. Guarded by limits.mu.
type budget struct {
	scope  scope
	name   string // of the database or the user
	limit  int    // 0 = none
	used   int
	queues int // that spend it; of a database or a user
}

func (b *budget) room() bool { return b.limit == 0 || b.used < b.limit }

// purse is all that one connection spends.
type purse [scopes]*budget

// limits are the books of all budgets. Its lock is a leaf: it is taken with a queue's lock held, and nothing is called under it. One
// lock instead of a counter each, because a connection spends four budgets or none.
type limits struct {
	hunger atomic.Int32 // how many shelves found no room
	freed  atomic.Bool  // there may be room for some of them
	mu     struct {
		sync.Mutex
		all       budget
		node      int // the limit of each
		nodes     map[nodeOf]*budget
		databases map[string]*budget
		users     map[string]*budget
		hungry    []*shelf // who found no room, the oldest first
		turned    [scopes]uint64
	}
}

func (l *limits) init() {
	l.mu.nodes = make(map[nodeOf]*budget)
	l.mu.databases = make(map[string]*budget)
	l.mu.users = make(map[string]*budget)
}

// set puts limits in force.
func (l *limits) set(to Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.all.limit, l.mu.node = to.Total, to.Node
	for _, b := range l.mu.nodes {
		b.limit = to.Node
	}
	l.freed.Store(true)
}

// open returns the budgets of a queue's database and user, which it spends until it calls shut.
func (l *limits) open(k Key) (database, user *budget) {
	l.mu.Lock()
	defer l.mu.Unlock()
	database = budgetOf(l.mu.databases, k.Database, scopeDatabase)
	user = budgetOf(l.mu.users, k.User, scopeUser)
	database.queues++
	user.queues++
	return database, user
}

func budgetOf(known map[string]*budget, name string, of scope) *budget {
	b := known[name]
	if b == nil {
		b = &budget{scope: of, name: name}
		known[name] = b
	}
	return b
}

// shut ends a queue's use of its budgets: clients make up names.
func (l *limits) shut(database, user *budget) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if database.queues--; database.queues == 0 {
		delete(l.mu.databases, database.name)
	}
	if user.queues--; user.queues == 0 {
		delete(l.mu.users, user.name)
	}
}

// configure sets what a queue's configuration says of its database and its user.
func (l *limits) configure(database, user *budget, cfg *Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if database.limit != cfg.MaxDatabase || user.limit != cfg.MaxUser {
		database.limit, user.limit = cfg.MaxDatabase, cfg.MaxUser
		l.freed.Store(true)
	}
}

// purseOf returns what a connection of a queue to a node spends.
func (l *limits) purseOf(q *Queue, n nodeOf) purse {
	l.mu.Lock()
	defer l.mu.Unlock()
	node := l.mu.nodes[n]
	if node == nil {
		node = &budget{scope: scopeNode, limit: l.mu.node}
		l.mu.nodes[n] = node
	}
	return purse{scopeAll: &l.mu.all, scopeNode: node, scopeDatabase: q.database, scopeUser: q.user}
}

// take spends a purse, all of it or nothing, for who has waited since a time: then it returns the budget that has no room, or none but
// for those who hunger for it and have waited longer.
func (l *limits) take(p *purse, since int64) (short *budget) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range p {
		if b.limit > 0 && b.used+l.elderLocked(b, since) >= b.limit {
			l.mu.turned[b.scope]++
			return b
		}
	}
	for _, b := range p {
		b.used++
	}
	return nil
}

// elderLocked counts those who hunger for a place under b and have waited longer than since.
func (l *limits) elderLocked(b *budget, since int64) (n int) {
	for _, sh := range l.mu.hungry {
		if sh.short == b && sh.hungry < since {
			n++
		}
	}
	return n
}

// giveBack ends what take began: the dial has failed, the connection was closed.
func (l *limits) giveBack(p *purse) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range p {
		b.used--
	}
	if len(l.mu.hungry) > 0 {
		l.freed.Store(true)
	}
}

// noteLocked keeps the count of who hungers, for a look without the lock.
func (l *limits) noteLocked() { l.hunger.Store(int32(len(l.mu.hungry))) }

// enlist notes that a shelf wants a connection and that short had no room for it. The queue's lock is held.
func (l *limits) enlist(sh *shelf, short *budget) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sh.short = short
	l.mu.hungry = append(l.mu.hungry, sh)
	l.noteLocked()
	if short.room() { // by now
		l.freed.Store(true)
	}
}

// passOn lets the next who hungers look for room: whose turn it was has taken what he needs, or needs nothing any more.
func (l *limits) passOn() {
	if l.hunger.Load() > 0 {
		l.freed.Store(true)
	}
}

// delist forgets that a shelf wants a connection. The queue's lock is held.
func (l *limits) delist(sh *shelf) {
	if sh.short == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	sh.short = nil
	l.mu.hungry = slices.DeleteFunc(l.mu.hungry, func(x *shelf) bool { return x == sh })
	l.noteLocked()
}

// turn is a shelf that would find room now, and where.
type turn struct {
	shelf *shelf
	short *budget
}

// turns returns the shelves that would find room now, who has waited longest first.
func (l *limits) turns() []turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []turn
	for _, sh := range l.mu.hungry {
		if sh.short.room() {
			all = append(all, turn{sh, sh.short})
		}
	}
	slices.SortStableFunc(all, func(a, b turn) int { return cmp.Compare(a.shelf.hungry, b.shelf.hungry) })
	return all
}

// limitPatience is how long a client waits for a connection that a limit forbids before it counts more than clients of other queues that
// came later. It bounds how often connections are given up that would be used at once.
const limitPatience = int64(time.Second)

// wanted returns the budget in which the place of a connection would serve somebody better, nil if there is none: of those who hunger
// for it one has waited longer than since, the pool clock at which the next client of its own began to wait; 0 = there is none.
func (l *limits) wanted(p *purse, since, now int64) *budget {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, sh := range l.mu.hungry {
		if slices.Contains(p[:], sh.short) && (since == 0 || sh.hungry < since && now-sh.hungry >= limitPatience) {
			return sh.short
		}
	}
	return nil
}

// evict closes an idle connection that spends b, the one that has been idle longest, so that somebody can have another one: who
// waits comes before what is kept open for nobody, min_size too. False: there is none.
func (p *Pool) evict(b *budget) bool {
	var from *Queue
	var oldest int64
	for _, q := range p.allQueues() {
		if since, ok := q.idleSince(b); ok && (from == nil || since < oldest) {
			from, oldest = q, since
		}
	}
	return from != nil && from.sacrifice(b)
}

func (q *Queue) idleSince(b *budget) (since int64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s := q.sparedLocked(b); s != nil {
		return s.since, true
	}
	return 0, false
}

// sparedLocked returns the server that spends b and has been idle longest; nil if there is none.
func (q *Queue) sparedLocked(b *budget) *Server {
	var oldest *Server
	for _, sh := range q.mu.shelves {
		s := sh.lists[stateIdle].tail
		if s != nil && slices.Contains(sh.purse[:], b) && (oldest == nil || s.since < oldest.since) {
			oldest = s
		}
	}
	return oldest
}

func (q *Queue) sacrifice(b *budget) bool {
	var t todo
	q.mu.Lock()
	s := q.sparedLocked(b)
	if s != nil {
		q.retireLocked(s, closedEvicted, &t)
	}
	q.verifyLocked()
	q.mu.Unlock()
	q.do(&t)
	return s != nil
}

// relieve looks once more for what could make room for those who hunger: a connection that has become idle since they looked.
func (p *Pool) relieve() {
	for _, b := range p.limits.shortages() {
		p.evict(b)
	}
	p.limits.passOn()
	p.feed()
}

// shortages returns the budgets that have no room for somebody.
func (l *limits) shortages() []*budget {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []*budget
	for _, sh := range l.mu.hungry {
		if !sh.short.room() && !slices.Contains(all, sh.short) {
			all = append(all, sh.short)
		}
	}
	return all
}

// feed lets who has waited longest under each limit try again, when there may be room. He passes the turn on.
func (p *Pool) feed() {
	if !p.limits.freed.Load() || !p.limits.freed.CompareAndSwap(true, false) {
		return
	}
	var given []*budget
	for _, turn := range p.limits.turns() {
		if !slices.Contains(given, turn.short) && turn.shelf.queue.again(turn.shelf) {
			given = append(given, turn.short)
		}
	}
}

// again opens connections on a shelf for which there may be room now. The place is taken at once: a younger dial that is under way already
// does not get it, so that each place that becomes free goes to who has waited longest for it. It returns false when none is opened, and
// so nobody will pass the turn on: one that is being opened already has had it.
func (q *Queue) again(sh *shelf) bool {
	var t todo
	now := q.pool.wires.clock()
	q.mu.Lock()
	q.pool.limits.delist(sh)
	q.fillLocked(now, &t)
	d := t.dials
	if d != nil {
		d.paid = q.pool.limits.take(&d.shelf.purse, sh.hungry) == nil
	}
	q.mu.Unlock()
	q.do(&t)
	return d != nil
}

// starveLocked notes that a limit leaves no room for a connection that somebody waits for. He is told when there is some.
func (q *Queue) starveLocked(sh *shelf, short *budget) {
	if w := q.mu.line.head; w != nil && sh.short == nil && sh.eligible {
		sh.hungry = w.since
		q.pool.limits.enlist(sh, short)
	}
}

// sateLocked forgets that limits left no room, so that it is tried again.
func (q *Queue) sateLocked() {
	for _, sh := range q.mu.shelves {
		q.pool.limits.delist(sh)
	}
}

// Connections is how many server connections there are, open or being opened, and how many there may be; 0 = no limit.
type Connections struct {
	Used, Limit int
}

// Connections returns the count of all server connections. Any goroutine.
func (p *Pool) Connections() Connections {
	l := &p.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	return Connections{Used: l.mu.all.used, Limit: l.mu.all.limit}
}

// turnedAway counts the dials that found no room, by scope.
func (l *limits) turnedAway() [scopes]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.turned
}
