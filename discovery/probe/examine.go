package probe

import (
	"context"
	"strconv"
	"strings"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/topology"
)

// Examination is what a node shows to somebody who is about to put a router in front of it. But for Problem it means something only
// when the node has answered.
type Examination struct {
	topology.Observation
	Connections int      // how many ordinary users may have: max_connections without what is reserved for superusers; 0: not known
	Missing     []string // what the probe must be allowed, as statements or sentences
	Pooler      bool     // a connection pooler does the node's work, and is there
	Work        string   // what is wrong with where the node does its work; "" = nothing
}

const rights = `SELECT pg_catalog.current_setting('max_connections')::int - pg_catalog.current_setting('superuser_reserved_connections')::int,
 pg_catalog.pg_has_role('pg_monitor', 'USAGE')`

// Examine asks a node once, as probes do, and tries what they may need later. It leaves no connection. ctx must have an end.
func Examine(ctx context.Context, cfg Config, address string) Examination {
	p, err := New(cfg)
	if err != nil {
		return Examination{Observation: topology.Observation{Outcome: topology.OutcomeFailed, Problem: err.Error()}}
	}
	s := &session{prober: p, address: address}
	defer s.Close()
	e := Examination{Observation: s.Probe(ctx, discovery.Question{Heartbeat: cfg.ConnectTimeout})}
	if e.Outcome == topology.OutcomeAnswered {
		e.examineRights(ctx, s)
	}
	if cfg.Port != 0 {
		e.examineWork(ctx, cfg, address)
	}
	return e
}

// examineRights looks for what the probe may not do.
func (e *Examination) examineRights(ctx context.Context, s *session) {
	user := s.config.User
	if e.SystemID == 0 {
		e.Missing = append(e.Missing, noteNoControl+user)
	}
	if row, err := s.line.query(ctx, rights); err == nil && len(row) == 2 {
		e.Connections, _ = strconv.Atoi(string(row[0])) // 0 is "not known" here too
		if string(row[1]) != "t" {
			e.Missing = append(e.Missing, "GRANT pg_monitor TO "+user)
		}
	}
	replication := errand{asker: s.asker()}
	if replication.dial(ctx); replication.err != nil {
		e.Missing = append(e.Missing, noteOnHistory(replication.err, 0, user))
		return
	}
	replication.line.close()
}

// examineWork looks at who answers where the node does its work.
func (e *Examination) examineWork(ctx context.Context, cfg Config, address string) {
	cfg.Port = 0
	work := Examine(ctx, cfg, address)
	switch {
	case work.Outcome == topology.OutcomeAnswered:
		e.Work = "PostgreSQL itself answers there: probe_port is not needed"
	case strings.HasSuffix(work.Problem, poolerHint):
		e.Pooler = true
	default:
		e.Work = work.Problem
	}
}
