package patroni

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// The statuses of answers that say something. A member that does not hold the lock answers GET /leader with the second.
const (
	statusOK       = http.StatusOK
	statusNoLeader = http.StatusServiceUnavailable
)

// status asks a member of itself. GET /leader has the body of GET /patroni, and its HTTP status says what that body does not: whether
// the member holds the leader lock, as far as it knows.
func (c *client) status(ctx context.Context, base string) (reply, status, error) {
	r, err := c.get(ctx, base, "/leader", statusOK, statusNoLeader)
	if err != nil {
		return r, status{}, err
	}
	s, err := parseStatus(r.body, r.status == statusOK)
	if err != nil {
		return r, status{}, fmt.Errorf("%s/leader: %w", base, err)
	}
	return r, s, nil
}

// agent asks one member of itself, on a goroutine of its own.
type agent struct {
	client   *client
	base     string
	node     topology.NodeID
	interval time.Duration
	feed     feed
	nudged   chan<- struct{}
	log      *slog.Logger

	last topology.Agent
}

func (a *agent) run(ctx context.Context) {
	for ctx.Err() == nil {
		a.report(ctx)
		wait(ctx, jittered(a.interval))
	}
}

// report asks once and tells. What changes at one node may change the cluster: that is looked at without waiting.
func (a *agent) report(ctx context.Context) {
	now := topology.Agent{Node: a.node, At: time.Now()}
	r, said, err := a.client.status(ctx, a.base)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		now.Problem = err.Error()
	} else {
		now.Leads, now.State, now.Timeline, now.Tags = r.status == statusOK, said.state, said.timeline, said.tags
	}
	a.feed.Report(now)
	former := a.last
	a.last = now
	if former.At.IsZero() && err == nil {
		return
	}
	if (now.Problem == "") != (former.Problem == "") {
		a.log.Info("a Patroni agent answers, or does so no more", "node", string(a.node), "problem", now.Problem)
	}
	if now.Leads != former.Leads || now.State != former.State {
		a.feed.Trigger(a.node)
		select {
		case a.nudged <- struct{}{}:
		default:
		}
	}
}
