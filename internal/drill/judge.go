package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pgrouter/pgrouter/internal/ledger"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// Figures are what a drill has shown. Times are in milliseconds; a time that there was not is 0.
type Figures struct {
	Name         string           `json:"drill"`
	Source       string           `json:"source"` // etcd or patroni
	Synchronous  string           `json:"synchronous"`
	Errors       map[string]int64 `json:"errors"`     // by stage:SQLSTATE
	Reconnects   int64            `json:"reconnects"` // connections that clients lost and opened again
	Gap          int64            `json:"gap_ms"`     // the longest without an acknowledged write through the router
	DirectGap    int64            `json:"direct_gap_ms"`
	Promoted     int64            `json:"promoted_ms"`  // from the beginning until a direct look saw another node out of recovery
	Writable     int64            `json:"writable_ms"`  // until a direct write was acknowledged there
	Served       int64            `json:"served_ms"`    // until one was through the router
	HeldLongest  int64            `json:"held_max_ms"`  // the longest that a unit of work waited and was then done
	Acknowledged int64            `json:"acknowledged"` // writes, of the whole drill
	Unknown      int64            `json:"unknown"`
	Lost         int64            `json:"lost"`
	Doubled      int64            `json:"doubled"`
}

// mustStayZero are metrics of which any value but 0 is a fault.
var mustStayZero = []string{
	"pgrouter_server_messages_unexpected_total", "pgrouter_pool_protocol_violations_total", "pgrouter_pool_faults_total",
}

// forbidden are SQLSTATEs that no plan can allow.
var forbidden = map[string]string{
	"25006": "a write reached a node that takes none",
	"25P02": "somebody else's transaction",
	"57014": "somebody else's cancel request",
	"08P01": "what was sent or answered was not in order",
	"42P01": "a node was asked that does not have the tables",
}

// judge holds what was seen against the plan.
func (s *Scene) judge(ctx context.Context, began time.Time) Figures {
	s.T.Helper()
	saw := s.direct.saw(began)
	f := s.figures(began, saw)
	s.count(ctx, saw, &f)
	s.judgeErrors(f)
	if s.plan.Planned {
		for i, r := range s.Routers {
			s.judgeHolds(s.crews[i], r.View())
		}
	}
	for _, r := range s.Routers {
		m := r.Metrics()
		for _, name := range mustStayZero {
			if v, told := m[name]; !told || v != 0 {
				s.T.Errorf("%s = %v (told: %v)", name, v, told)
			}
		}
	}
	line, err := json.Marshal(f)
	s.Must(err)
	s.T.Logf("figures %s", line)
	return f
}

// figures are those of the time in which it happened.
func (s *Scene) figures(began time.Time, saw sightings) Figures {
	var all ledger.Window
	for _, c := range s.crews {
		w := c.during()
		all.Merge(&w.Figures)
		all.Acks = append(all.Acks, w.Acks...)
	}
	f := Figures{
		Name: s.plan.Name, Source: string(s.plan.Router.Source), Synchronous: string(s.plan.Cluster.Synchronous),
		Errors: map[string]int64{}, Reconnects: all.Reconnects, Gap: longest(all.Acks, began).Length().Milliseconds(),
		DirectGap: saw.gap.Length().Milliseconds(), HeldLongest: all.HeldMax.Milliseconds(),
		Promoted: since(began, saw.promoted), Writable: since(began, saw.wrote),
	}
	if !saw.promoted.IsZero() {
		f.Served = since(began, all.FirstWrite(saw.promoted))
	}
	for _, c := range s.crews {
		for _, l := range c.loads {
			for fault, n := range l.Total().Faults {
				f.Errors[fault.String()] += n
			}
		}
	}
	return f
}

// since is the time between two moments, in milliseconds; 0 when one of them never came.
func since(began, at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Sub(began).Milliseconds()
}

// judgeErrors holds the errors of the whole drill against the plan.
func (s *Scene) judgeErrors(f Figures) {
	s.T.Helper()
	may := map[string]int64{}
	for fault, most := range s.plan.May {
		may[fault.String()] += most
	}
	seen := map[string]int64{}
	for _, c := range s.crews {
		for _, l := range c.loads {
			for code, n := range l.Total().Errors {
				seen[code] += n
			}
		}
	}
	for code, why := range forbidden {
		if n := seen[code]; n > 0 {
			s.T.Errorf("%d times SQLSTATE %s: %s", n, code, why)
		}
	}
	errors := int64(0)
	for _, fault := range slices.Sorted(maps.Keys(f.Errors)) {
		errors += f.Errors[fault]
		if n := f.Errors[fault]; n > may[fault] {
			s.T.Errorf("clients saw %s %d times, %d are in order", fault, n, may[fault])
		}
	}
	// Every error of these closes its connection, and nothing else does.
	if f.Reconnects > errors {
		s.T.Errorf("%d connections were opened again after %d errors", f.Reconnects, errors)
	}
}

// judgeHolds holds that a router has held before the primary was stopped, and that errors hit only what had begun before.
func (s *Scene) judgeHolds(c *crew, v testrouter.View) {
	s.T.Helper()
	if len(v.Failovers) == 0 {
		s.T.Error("the router has reported no failover")
	}
	for _, report := range v.Failovers {
		if !report.Planned {
			s.T.Errorf("the failover of %v was not planned for the router", report.HoldStart)
		}
	}
	for _, l := range c.loads {
		for _, failure := range l.Total().Failures {
			if !slices.ContainsFunc(v.Failovers, func(r testrouter.Failover) bool {
				return failure.Began.Before(r.HoldStart) && r.HoldStart.Before(failure.Ended)
			}) {
				s.T.Errorf("%v ended at %v what began at %v, not before a hold", failure.Fault, failure.Ended, failure.Began)
			}
		}
	}
}

// count compares what clients were told with what the leader has in the end.
func (s *Scene) count(ctx context.Context, saw sightings, f *Figures) {
	s.T.Helper()
	conn, err := s.leader(ctx).Connect(ctx)
	s.Must(err)
	defer farewell(conn)
	for _, c := range s.crews {
		for i, l := range c.loads {
			v, err := l.Verify(ctx, conn)
			s.Must(err)
			f.Acknowledged += v.Acknowledged
			f.Unknown += v.Unknown
			f.Lost += v.Lost
			f.Doubled += v.Doubled
			if missing := s.tail(l, v, saw.promoted); missing != nil {
				s.T.Errorf("%s: %v", c.names[i], missing)
			}
			v.Lost = 0
			if err := v.Err(); err != nil {
				s.T.Errorf("%s: %v", c.names[i], err)
			}
		}
	}
	if f.Acknowledged == 0 {
		s.T.Error("nothing was written: the drill proves nothing")
	}
}

// lateAnswer is how long after its arrival a client on a loaded machine may look at an answer.
const lateAnswer = time.Second

// tail returns an error unless the lost writes are what the new primary never received: with synchronous_mode_strict none; else, of each
// client, the last ones before the promotion, and nothing behind them that is there.
func (s *Scene) tail(l *ledger.Load, v ledger.Verdict, promoted time.Time) error {
	if v.Lost == 0 {
		return nil
	}
	if s.plan.Cluster.Synchronous == testcluster.SyncStrict || promoted.IsZero() {
		return fmt.Errorf("%d acknowledged writes are lost: %q", v.Lost, v.Examples)
	}
	first, lost := map[int]int64{}, map[string]bool{}
	for _, w := range v.Missing {
		if w.At.After(promoted.Add(lateAnswer)) {
			return fmt.Errorf("%s was acknowledged %v after another node was promoted, and is lost", w.ID, w.At.Sub(promoted))
		}
		if n, known := first[w.Client]; !known || w.Number < n {
			first[w.Client] = w.Number
		}
		lost[w.ID] = true
	}
	for _, w := range l.Acknowledged() {
		if n, some := first[w.Client]; some && w.Number > n && !lost[w.ID] && w.At.Before(promoted) {
			return fmt.Errorf("%s is there, but number %d of the same client, acknowledged before it, is lost", w.ID, n)
		}
	}
	s.Log("%d acknowledged writes lie in the tail that the new primary never received", v.Lost)
	return nil
}
