//go:build etcd

package etcd

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// hearer is a feed that remembers the last of each.
type hearer struct {
	t    *testing.T
	news chan struct{} // has a token after each report
	mu   struct {
		sync.Mutex
		members []topology.Member
		agents  []topology.Agent
		said    topology.Testimony
		count   int
	}
}

// Members is part of feed.
func (h *hearer) Members(members []topology.Member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.members = slices.Clone(members)
}

// Report is part of feed.
func (h *hearer) Report(agents ...topology.Agent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.agents = slices.Clone(agents)
}

// Testify is part of feed.
func (h *hearer) Testify(said topology.Testimony) {
	h.mu.Lock()
	h.mu.said = said
	h.mu.count++
	h.mu.Unlock()
	select {
	case h.news <- struct{}{}:
	default:
	}
}

// heard returns the last testimony, and how many there were.
func (h *hearer) heard() (said topology.Testimony, count int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.said, h.mu.count
}

// nodes returns the members that were told, by name.
func (h *hearer) nodes() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var ids []string
	for _, m := range h.mu.members {
		ids = append(ids, string(m.ID))
	}
	return ids
}

// await waits for a testimony that is as wanted, and returns it.
func (h *hearer) await(what string, wanted func(topology.Testimony) bool) topology.Testimony {
	h.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		said, _ := h.heard()
		if wanted(said) {
			return said
		}
		select {
		case <-h.news:
		case <-timer.C:
			h.t.Fatalf("waited in vain for %s; the last was %+v", what, said)
		}
	}
}

// leads waits until a node leads, "" for nobody.
func (h *hearer) leads(id topology.NodeID) topology.Testimony {
	h.t.Helper()
	return h.await("the leader "+string(id), func(said topology.Testimony) bool {
		return !said.At.IsZero() && said.Problem == "" && said.Leader == id
	})
}

// problem waits for a problem that has a text in it.
func (h *hearer) problem(text string) {
	h.t.Helper()
	h.await("the problem "+text, func(said topology.Testimony) bool { return said.Problem != "" && strings.Contains(said.Problem, text) })
}

// settings are those of a source of the scope voip.
func settings(servers ...*server) Config {
	cfg := Defaults()
	cfg.Scope = "voip"
	for _, s := range servers {
		cfg.Endpoints = append(cfg.Endpoints, s.url)
	}
	return cfg
}

// play runs a source until the test ends.
func play(t *testing.T, cfg Config) (*Source, *hearer) {
	t.Helper()
	source, err := New(cfg, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	h := &hearer{t: t, news: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		source.run(ctx, h)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return source, h
}
