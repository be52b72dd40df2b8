package pool

import (
	"errors"

	"github.com/pgrouter/pgrouter/topology"
)

// A server may let us in and end before it does anything, at the SET that gives it a client's parameters, say. The work goes to another
// server then, and if that one were dialled at once, logins would follow each other as fast as the server can be sick. So it counts as a
// login that failed: the same pause begins behind it, longer each time, and one dial at a time tries. What ends that is not a login, but
// a younger server that has served, or another life, role or address of the node.

// errUseless is the trouble of a shelf whose servers end before they have served.
var errUseless = errors.New("the server let us in, and ended before it had served anybody")

// Useless notes that the server has ended, or has to be given up, before it took anything of its holder's work. If it has never served
// anybody that is a failed login. The holder releases it then. Its loop only.
func (s *Server) Useless() {
	var t todo
	q := s.queue
	now := q.pool.wires.now(s.loop)
	q.mu.Lock()
	first := q.uselessLocked(s, now, &t)
	q.mu.Unlock()
	q.do(&t)
	if first {
		q.warn(s.Node(), errUseless)
	}
}

// uselessLocked returns whether this is the first failure of the shelf in a row. What we have ended ourselves proves nothing.
func (q *Queue) uselessLocked(s *Server, now int64, t *todo) (first bool) {
	sh := s.shelf
	if s.Served || s.fate != closedBroken || s.Conn.Target != sh.target {
		return false
	}
	first = sh.trouble == nil
	s.fate = closedUseless
	sh.sick, sh.trouble, sh.refuses = max(sh.sick, s.id), errUseless, false
	q.pauseLocked(sh, now, t)
	return first
}

// cureLocked forgives a shelf whose servers were useless, when a younger one has served.
func (q *Queue) cureLocked(s *Server, now int64, t *todo) {
	sh := s.shelf
	if sh.sick == 0 || !s.Served || s.id < sh.sick || s.Conn.Target != sh.target {
		return
	}
	sh.forgive()
	q.growLocked(now, t)
}

// warn tells of the first of several failures in a row.
func (q *Queue) warn(n topology.NodeID, err error) {
	q.pool.log.Warn("server connection failed", "cluster", q.key.Cluster, "node", n, "database", q.key.Database, "user", q.key.User, "error", err)
}
