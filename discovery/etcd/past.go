package etcd

import (
	"fmt"
	"time"
)

// header is what etcd says of an answer's place in its history.
type header struct {
	cluster, member uint64
	term            uint64 // Raft's
	revision        int64
}

// past is the last answer that was taken. A linearizable read is never older than one before it, so that an older one comes from a
// member that has lost its memory, or from another etcd.
type past struct {
	header
	at    time.Time     // when it was asked for
	lease time.Duration // for how long it counted
}

// check says why an answer to a question of that moment may not be taken, nil that it may.
//
// Another cluster never is: that some of the endpoints belong to another etcd would make two leaders. An earlier place in the history
// is taken when what was said last does not count any more, because etcd was restored from a backup then.
func (p *past) check(h header, asked time.Time) error {
	switch {
	case p.cluster == 0:
	case h.cluster != p.cluster:
		return fmt.Errorf("member %x is of the etcd cluster %x, not of %x: an endpoint is wrong, or etcd was made anew, which needs a restart",
			h.member, h.cluster, p.cluster)
	case p.isAhead(h) && asked.Sub(p.at) <= p.lease:
		return fmt.Errorf("member %x is behind: revision %d and term %d after %d and %d", h.member, h.revision, h.term, p.revision, p.term)
	}
	return nil
}

// isAhead reports whether an answer comes from before this one.
func (p *past) isAhead(h header) bool { return h.revision < p.revision || h.term < p.term }
