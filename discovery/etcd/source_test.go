//go:build etcd

package etcd

import (
	"context"
	"slices"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/pgrouter/pgrouter/topology"
)

// voip writes a cluster of two, with n1 as leader.
func (w *writer) voip() {
	w.t.Helper()
	w.put("initialize", "7412345678901234567", "config", `{"ttl":20}`, "members/n1", memberOne, "members/n2", memberTwo, "leader", "n1")
}

func TestWhatStandsThereIsTold(t *testing.T) {
	t.Parallel()
	s := serve(t)
	w := newWriter(t, nil, s)
	source, h := play(t, settings(s))
	h.problem("no keys under /service/voip/")
	w.voip()
	said := h.leads(one)
	if said.Source != "etcd" || said.SystemID != 7412345678901234567 || said.Lease != 20*time.Second || said.At.After(time.Now()) {
		t.Errorf("%+v", said)
	}
	if got := h.nodes(); !slices.Equal(got, []string{string(one), string(two)}) {
		t.Errorf("%v", got)
	}
	if agents := h.mu.agents; len(agents) != 2 || !agents[1].Tags.NoLoadBalance || !agents[1].At.IsZero() {
		t.Errorf("%+v", agents)
	}
	w.put("failover", `{"leader":"n1","member":"n2"}`)
	h.await("the request", func(said topology.Testimony) bool {
		return said.Asked == topology.Request{Pending: true, From: one, To: two}
	})
	w.put("leader", "n2", "failover", "{}")
	if said = h.leads(two); said.Asked.Pending {
		h.await("the end of the request", func(said topology.Testimony) bool { return !said.Asked.Pending })
	}
	w.put("leader", "\x00garbage")
	h.leads("")
	if err := source.Reload(Defaults()); err != nil {
		t.Fatal(err)
	}
	h.problem("no endpoints")
	if got := h.nodes(); len(got) != 0 {
		t.Errorf("%v", got)
	}
	w.put("leader", "n1")
	if err := source.Reload(settings(s)); err != nil {
		t.Fatal(err)
	}
	h.leads(one)
	if got := h.nodes(); len(got) != 2 {
		t.Errorf("%v", got)
	}
}

func TestALeaseThatEndsTakesTheLeaderButNotTheNode(t *testing.T) {
	t.Parallel()
	s := serve(t)
	w := newWriter(t, nil, s)
	w.voip()
	lease := w.lease()
	w.with(lease, "members/n2", memberTwo, "leader", "n2")
	_, h := play(t, settings(s))
	h.leads(two)
	if _, err := w.Revoke(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	h.leads("")
	if got := h.nodes(); !slices.Equal(got, []string{string(one), string(two)}) {
		t.Errorf("%v", got)
	}
}

func TestAServerThatIsGoneIsAProblemUntilItIsBack(t *testing.T) {
	t.Parallel()
	s := serve(t)
	newWriter(t, nil, s).voip()
	_, h := play(t, settings(s))
	h.leads(one)
	s.kill()
	h.problem("")
	s.start()
	h.leads(one)
	newWriter(t, nil, s).put("leader", "n2")
	h.leads(two)
}

func TestAServerThatHangsIsAProblemToo(t *testing.T) {
	t.Parallel()
	s := serve(t)
	newWriter(t, nil, s).voip()
	_, h := play(t, settings(s))
	before := h.leads(one)
	s.signal(syscall.SIGSTOP)
	h.problem("no answer in 1s")
	s.signal(syscall.SIGCONT)
	if after := h.leads(one); !after.At.After(before.At) {
		t.Errorf("an answer of %s came after one of %s", after.At, before.At)
	}
}

func TestOneOfThreeMayHang(t *testing.T) {
	t.Parallel()
	all := serveThree(t)
	w := newWriter(t, nil, all...)
	w.voip()
	_, h := play(t, settings(all...))
	h.leads(one)
	all[0].signal(syscall.SIGSTOP)
	newWriter(t, nil, all[1:]...).put("leader", "n2")
	h.leads(two)
	all[1].kill()
	h.problem("") // no majority: nobody answers
	all[0].signal(syscall.SIGCONT)
	h.leads(two)
}

func TestAnotherEtcdInItsPlaceIsNotBelieved(t *testing.T) {
	t.Parallel()
	s := serve(t)
	newWriter(t, nil, s).voip()
	_, h := play(t, settings(s))
	h.leads(one)
	s.kill()
	other := prepare(t, "other", "http", "--listen-client-urls", s.url)
	other.url = s.url
	other.join([]*server{other})
	other.start()
	w := newWriter(t, nil, other)
	w.voip()
	w.put("leader", "n2")
	h.problem("of the etcd cluster")
}

func TestAWatchThatIsCompactedAwayIsOpenedAnew(t *testing.T) {
	t.Parallel()
	s := serve(t)
	w := newWriter(t, nil, s)
	w.voip()
	cfg := settings(s)
	source, err := New(cfg, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client, err := dial(ctx, &cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	r := &reader{source: source, feed: &hearer{t: t, news: make(chan struct{}, 1)}, roll: make(roll)}
	if err := r.read(ctx, client, &cfg, time.Now()); err != nil {
		t.Fatal(err)
	}
	known := r.past.revision
	for range 3 {
		w.put("status", "{}")
	}
	if _, err := w.Compact(ctx, known+2); err != nil {
		t.Fatal(err)
	}
	r.open(ctx, client, cfg.prefix(), known)
	if !r.rest(ctx, cfg.prefix(), time.Now().Add(time.Hour)) || r.watch != nil {
		t.Fatal("a compacted watch is kept")
	}
	if err := r.read(ctx, client, &cfg, time.Now()); err != nil || r.past.revision != known+3 {
		t.Fatalf("%+v, %v", r.past, err)
	}
}

func TestARoleThatMayReadIsEnough(t *testing.T) {
	t.Parallel()
	s := serve(t, "--auth-token-ttl", "1")
	w := newWriter(t, nil, s)
	w.voip()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const prefix = "/service/voip/"
	for _, step := range []func() error{
		func() error { _, err := w.UserAdd(ctx, "root", "rootpw"); return err },
		func() error { _, err := w.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := w.RoleAdd(ctx, "reader"); return err },
		func() error {
			_, err := w.RoleGrantPermission(ctx, "reader", prefix, clientv3.GetPrefixRangeEnd(prefix), clientv3.PermissionType(clientv3.PermRead))
			return err
		},
		func() error { _, err := w.UserAdd(ctx, "pgrouter", "secret"); return err },
		func() error { _, err := w.AuthEnable(ctx); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	root := func(c *clientv3.Config) { c.Username, c.Password = "root", "rootpw" }
	as := func(user func(*clientv3.Config)) *writer { return newWriter(t, user, s) }
	cfg := settings(s)
	source, h := play(t, cfg)
	h.problem("user name is empty")
	cfg.Username, cfg.Password = "pgrouter", "wrong"
	if err := source.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	h.problem("authentication failed")
	cfg.Password = "secret"
	if err := source.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	h.problem("permission denied")
	if _, err := as(root).UserGrantRole(ctx, "pgrouter", "reader"); err != nil {
		t.Fatal(err)
	}
	h.leads(one)
	// The token ends between any two reads.
	_, count := h.heard()
	h.await("further answers", func(said topology.Testimony) bool {
		_, now := h.heard()
		return now >= count+3 && said.Problem == ""
	})
	as(root).put("leader", "n2")
	h.leads(two)
}
