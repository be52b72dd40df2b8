package drill

import (
	"sync"
	"testing"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// Network is what lies between the routers and the nodes, and between the nodes and etcd. What nodes say to each other does not pass it.
type Network struct {
	t testing.TB

	mu struct {
		sync.Mutex
		nodes map[string]*wiretest.Proxy // between routers and what a node announces, by that
		etcd  []*wiretest.Proxy          // between the i-th node and etcd, the only member
	}
}

func newNetwork(t testing.TB) *Network {
	t.Helper()
	n := &Network{t: t}
	n.mu.nodes = map[string]*wiretest.Proxy{}
	return n
}

// via returns where routers reach what a node announces.
func (n *Network) via(announced string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.nodes[announced] == nil {
		n.mu.nodes[announced] = n.proxy(announced)
	}
	return n.mu.nodes[announced].Addr()
}

// etcdOf returns where a node reaches etcd. Nodes ask in their order.
func (n *Network) etcdOf(node int, member string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(n.mu.etcd) <= node {
		n.mu.etcd = append(n.mu.etcd, n.proxy(member))
	}
	return n.mu.etcd[node].Addr()
}

// proxy makes a proxy that lives as long as the test.
func (n *Network) proxy(target string) *wiretest.Proxy {
	p, err := wiretest.NewProxy(target)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = p.Close() })
	return p
}

// FromRouters lets nothing pass between the routers and a node, in silence, or lets it pass again: what was said meanwhile then arrives.
func (n *Network) FromRouters(node *testcluster.PatroniNode, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, announced := range []string{node.Addr(), node.RESTAddr()} {
		n.mu.nodes[announced].SetBoth(wiretest.Fault{Hole: cut})
	}
}

// FromEtcd does the same between the i-th node and etcd.
func (n *Network) FromEtcd(node int, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.etcd[node].SetBoth(wiretest.Fault{Hole: cut})
}
