package patroni

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// site is a cluster of scripted members. What each says follows from what all share, unless a test says otherwise.
type site struct {
	t *testing.T

	mu struct {
		sync.Mutex
		members []*fake
		leader  string
		extra   string // further keys of /cluster
		ttl     int
		orders  []order // see order_test.go
	}
}

// fake is the REST interface of one member.
type fake struct {
	*httptest.Server
	site *site
	name string
	port int // of its server; changed under site.mu

	mu struct {
		sync.Mutex
		script map[string]http.HandlerFunc // by path; "" = all; instead of what it says otherwise
		asked  map[string]int              // by path
		said   string                      // further keys of /leader
	}
}

// newSite starts members n1, n2…, of which the first leads.
func newSite(t *testing.T, count int) *site {
	t.Helper()
	s := &site{t: t}
	s.mu.leader, s.mu.ttl = "n1", 20
	for range count {
		s.join(httptest.NewServer)
	}
	return s
}

// join starts another member.
func (s *site) join(start func(http.Handler) *httptest.Server) *fake {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.mu.members) + 1
	f := &fake{site: s, name: fmt.Sprintf("n%d", n), port: 15430 + n}
	f.mu.script, f.mu.asked = make(map[string]http.HandlerFunc), make(map[string]int)
	f.Server = start(f)
	s.t.Cleanup(f.Close)
	s.mu.members = append(s.mu.members, f)
	return f
}

func (s *site) member(n int) *fake {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.members[n-1]
}

// drop takes a member out of what /cluster says.
func (s *site) drop(f *fake) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.members = slices.DeleteFunc(s.mu.members, func(m *fake) bool { return m == f })
}

// move gives a member's server another port.
func (s *site) move(f *fake, port int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.port = port
}

// lead gives the lock to a member; "" frees it.
func (s *site) lead(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.leader = name
}

// also lets /cluster say more.
func (s *site) also(extra string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.extra = extra
}

func (s *site) cluster() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var members []string
	for _, f := range s.mu.members {
		role := "replica"
		if f.name == s.mu.leader {
			role = "leader"
		}
		members = append(members, fmt.Sprintf(`{"name":%q,"role":%q,"state":"running","api_url":%q,"host":"127.0.0.1","port":%d,"lag":"unknown"}`,
			f.name, role, f.URL+"/patroni", f.port))
	}
	return `{"members":[` + strings.Join(members, ",") + `]` + s.mu.extra + `}`
}

func (s *site) holder() (leader string, ttl int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.leader, s.mu.ttl
}

// node is what the router calls the member's server.
func (f *fake) node() topology.NodeID { return topology.NodeID(fmt.Sprintf("127.0.0.1:%d", f.port)) }

// does replaces what the member does when it is asked; path "" = whatever it is asked, nil = as at the beginning.
func (f *fake) does(path string, instead http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.script[path] = instead
}

// says lets /leader say more.
func (f *fake) says(extra string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.said = extra
}

// count returns how often a path was asked for.
func (f *fake) count(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.asked[path]
}

// scripted notes the question and returns who answers it.
func (f *fake) scripted(path string) (instead http.HandlerFunc, said string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.asked[path]++
	if instead = f.mu.script[path]; instead == nil {
		instead = f.mu.script[""]
	}
	return instead, f.mu.said
}

// ServeHTTP answers as Patroni does.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	instead, said := f.scripted(r.URL.Path)
	if instead != nil {
		instead(w, r)
		return
	}
	leader, ttl := f.site.holder()
	switch r.URL.Path {
	case "/cluster":
		_, _ = fmt.Fprint(w, f.site.cluster())
	case "/config":
		_, _ = fmt.Fprintf(w, `{"ttl":%d,"loop_wait":10}`, ttl)
	case "/leader":
		role := "master"
		if leader != f.name {
			role = "replica"
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = fmt.Fprintf(w, `{"state":"running","role":%q,"timeline":3,"database_system_identifier":"7412","dcs_last_seen":%d%s}`,
			role, time.Now().Unix(), said)
	default:
		f.site.t.Errorf("%s is asked for", r.URL.Path)
	}
}

// hang answers never.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// slam closes the connection without an answer, as Patroni does when it does not reach its DCS.
func slam(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// told is one call of a feed.
type told struct {
	members   []topology.Member
	testimony topology.Testimony
	agent     topology.Agent
	trigger   *topology.NodeID
}

// listener is a feed that keeps what it hears until a test looks.
type listener struct {
	t      *testing.T
	heard  chan told
	wanted chan struct{}
}

func (l *listener) hear(x told) {
	select {
	case l.heard <- x:
	default:
		l.t.Error("nobody listens any more")
	}
}

// Members is part of feed.
func (l *listener) Members(m []topology.Member) {
	l.hear(told{members: append([]topology.Member{}, m...)})
}

// Testify is part of feed.
func (l *listener) Testify(t topology.Testimony) { l.hear(told{testimony: t}) }

// Report is part of feed.
func (l *listener) Report(agents ...topology.Agent) {
	for _, a := range agents {
		l.hear(told{agent: a})
	}
}

// Wanted is part of feed.
func (l *listener) Wanted() <-chan struct{} { return l.wanted }

// Trigger is part of feed.
func (l *listener) Trigger(node topology.NodeID) { l.hear(told{trigger: &node}) }

// await returns the first that it hears and a test wants.
func (l *listener) await(what string, wanted func(told) bool) told {
	l.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case x := <-l.heard:
			if wanted(x) {
				return x
			}
		case <-limit:
			l.t.Fatalf("never: %s", what)
		}
	}
}

// leader awaits a testimony for a leader.
func (l *listener) leader(node topology.NodeID) topology.Testimony {
	l.t.Helper()
	return l.await("leader "+string(node), func(x told) bool {
		return x.testimony.Source != "" && x.testimony.Problem == "" && x.testimony.Leader == node
	}).testimony
}

// problem awaits a testimony that there is no answer, for a reason.
func (l *listener) problem(why string) {
	l.t.Helper()
	l.await("a problem: "+why, func(x told) bool { return strings.Contains(x.testimony.Problem, why) })
}

// nodes awaits exactly these members.
func (l *listener) nodes(want ...topology.NodeID) {
	l.t.Helper()
	l.await(fmt.Sprint("members ", want), func(x told) bool {
		return x.members != nil && slices.EqualFunc(x.members, want, func(m topology.Member, id topology.NodeID) bool { return m.ID == id })
	})
}

// triggered awaits that probes are asked for; "" = of all nodes.
func (l *listener) triggered(node topology.NodeID) {
	l.t.Helper()
	l.await("a trigger of "+string(node), func(x told) bool { return x.trigger != nil && *x.trigger == node })
}

// events keeps the kinds of those emitted.
type events struct{ kinds chan event.Kind }

// Emit is part of event.Sink.
func (e events) Emit(what event.Event) { e.kinds <- what.Kind }

// quick asks often; its times are bounds only where something hangs.
func quick(urls ...string) Config {
	c := Defaults()
	c.URLs, c.Interval, c.Timeout = urls, 10*time.Millisecond, 5*time.Second
	return c
}

// listen runs a source until the test ends.
func listen(t *testing.T, cfg Config) (*Source, *listener, events) {
	t.Helper()
	e := events{make(chan event.Kind, 100)}
	s, err := New(cfg, Deps{Cluster: "main", Events: e})
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{t: t, heard: make(chan told, 100_000)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.run(ctx, l)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return s, l, e
}
