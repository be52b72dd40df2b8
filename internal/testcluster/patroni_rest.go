package testcluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	answerLimit = time.Second            // for one answer to a question that is asked again
	askEvery    = 100 * time.Millisecond // each look costs an agent a thread and a query
)

// PatroniStatus is what a node's agent says of itself.
type PatroniStatus struct {
	Node           *PatroniNode
	Answered       bool   // false: the rest is zero
	Leader         bool   // it holds the leader's key, by its own view
	State          string // of PostgreSQL, in Patroni's words: "running", "starting", "stopped"…
	Primary        bool   // PostgreSQL is out of recovery
	Timeline       uint32
	Paused         bool
	FailsafeActive bool      // it goes on without etcd
	StoreSeen      time.Time // when it last reached etcd, to the second
	Replicas       []PatroniReplica
}

// PatroniReplica is one row of pg_stat_replication as a primary's agent shows it.
type PatroniReplica struct {
	Name      string `json:"application_name"`
	State     string `json:"state"`      // "streaming"…
	SyncState string `json:"sync_state"` // "async", "sync"…
}

// PatroniView is what the nodes say of themselves, in their order.
type PatroniView []PatroniStatus

// Leader returns the node that holds the leader's key; with several, as when one was frozen, the one on the highest timeline. It is nil
// when none does.
func (v PatroniView) Leader() *PatroniNode {
	var best *PatroniStatus
	for i := range v {
		if v[i].Leader && v[i].Primary && (best == nil || v[i].Timeline > best.Timeline) {
			best = &v[i]
		}
	}
	if best == nil {
		return nil
	}
	return best.Node
}

// Of returns what a node says.
func (v PatroniView) Of(n *PatroniNode) PatroniStatus {
	for _, s := range v {
		if s.Node == n {
			return s
		}
	}
	return PatroniStatus{Node: n}
}

// Following counts the standbys that run and stream from the leader. A base backup streams too, under a name of its own.
func (v PatroniView) Following() int {
	n := 0
	for _, r := range v.Of(v.Leader()).Replicas {
		for _, s := range v {
			if r.Name == s.Node.name && r.State == "streaming" && s.State == "running" {
				n++
			}
		}
	}
	return n
}

// Synchronous returns a standby that commits wait for, and that may lead after a switchover; nil when there is none.
func (v PatroniView) Synchronous() *PatroniNode {
	for _, r := range v.Of(v.Leader()).Replicas {
		for _, s := range v {
			if r.Name == s.Node.name && r.SyncState == "sync" {
				return s.Node
			}
		}
	}
	return nil
}

// View asks all agents at once. Those that are frozen cost a second.
func (c *PatroniCluster) View(ctx context.Context) PatroniView {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	view := make(PatroniView, len(c.nodes))
	var group sync.WaitGroup
	for i, n := range c.nodes {
		group.Go(func() { view[i] = n.look(ctx) })
	}
	group.Wait()
	return view
}

func (n *PatroniNode) look(ctx context.Context) PatroniStatus {
	code, body, err := ask(ctx, n.client, http.MethodGet, n.url("/primary"), nil)
	var said struct {
		State    string           `json:"state"`
		Role     string           `json:"role"`
		Timeline uint32           `json:"timeline"`
		Pause    bool             `json:"pause"`
		Failsafe bool             `json:"failsafe_mode_is_active"`
		LastSeen int64            `json:"dcs_last_seen"`
		Replicas []PatroniReplica `json:"replication"`
	}
	if err != nil || json.Unmarshal(body, &said) != nil {
		return PatroniStatus{Node: n}
	}
	return PatroniStatus{
		Node: n, Answered: true, Leader: code == http.StatusOK, State: said.State,
		Primary:  said.Role == "primary" || said.Role == "master", // the second is Patroni 3's
		Timeline: said.Timeline, Paused: said.Pause, FailsafeActive: said.Failsafe,
		StoreSeen: time.Unix(said.LastSeen, 0), Replicas: said.Replicas,
	}
}

func (n *PatroniNode) url(path string) string { return "http://" + n.rest + path }

// order sends an operator's request to the node's agent.
func (n *PatroniNode) order(ctx context.Context, method, path string, request any) error {
	code, body, err := ask(ctx, n.client, method, n.url(path), request)
	if err != nil {
		return err
	}
	if code != http.StatusOK {
		return fmt.Errorf("%v: %s %s: status %d: %s", n, method, path, code, body)
	}
	return nil
}

// newClient makes a client that keeps no connection: a frozen peer would keep it alive. A dial has a limit of its own, for it outlives the
// question for which it began.
func newClient() *http.Client {
	dialer := net.Dialer{Timeout: answerLimit}
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialer.DialContext}}
}

// ask sends a request, with a body unless it is nil, and reads the answer.
func ask(ctx context.Context, client *http.Client, method, url string, body any) (int, []byte, error) {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		return 0, nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}
