package dns

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listener is the Manager and the sink of events, as the test looks at them.
type listener struct {
	t  *testing.T
	mu struct {
		sync.Mutex
		members []string
		told    int
		events  []event.Event
	}
}

// Members is part of feed.
func (l *listener) Members(members []topology.Member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.told++
	l.mu.members = nil
	for _, m := range members {
		text := string(m.ID)
		if m.Address != text {
			text += " at " + m.Address
		}
		if m.Resolved != (m.Address != string(m.ID)) {
			text += ", wrongly marked"
		}
		l.mu.members = append(l.mu.members, text)
	}
}

// Emit is part of event.Sink.
func (l *listener) Emit(e event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.events = append(l.mu.events, e)
}

func (l *listener) await(what string, is func() bool) {
	l.t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		l.mu.Lock()
		done, members, events := is(), l.mu.members, l.mu.events
		l.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(end) {
			l.t.Fatalf("%s: not so; members %q, events %+v", what, members, events)
		}
		wait(5 * time.Millisecond)
	}
}

func wait(d time.Duration) { <-time.After(d) }

// knows waits until the members are these.
func (l *listener) knows(members ...string) {
	l.t.Helper()
	l.await("members "+strings.Join(members, ", "), func() bool { return slices.Equal(l.mu.members, members) })
}

// hears waits for an event about a name.
func (l *listener) hears(kind event.Kind, about string) {
	l.t.Helper()
	l.await(string(kind)+" "+about, func() bool {
		return slices.ContainsFunc(l.mu.events, func(e event.Event) bool {
			return e.Kind == kind && e.From == Name && e.Cluster == "main" && strings.Contains(e.Reason, about)
		})
	})
}

// follow runs a source.
func follow(t *testing.T, cfg Config) (*Source, *listener) {
	t.Helper()
	l := &listener{t: t}
	s, err := New(cfg, Deps{Cluster: "main", Events: l})
	if err != nil {
		t.Fatal(err)
	}
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
	return s, l
}

func config(server *wiretest.DNS) Config {
	cfg := Defaults()
	cfg.Server = server.Addr
	return cfg
}

// The names are rooted, so that the search list of the machine plays no part.
const (
	db  = "db.test."
	set = "set.test."
	srv = "_postgresql._tcp.set.test."
)

func TestANodeIsFollowedToWhereItsNameLeads(t *testing.T) {
	server := wiretest.ServeDNS(t)
	server.Set(db, wiretest.DNSAnswer{TTL: 1, IPs: []string{"127.0.0.7"}})
	cfg := config(server)
	cfg.Nodes = []string{"DB.test.:5432", "10.0.0.1:5432", "/run/pg:5432", "[::1]:5432"}
	_, l := follow(t, cfg)
	l.knows("db.test.:5432 at 127.0.0.7:5432")
	server.Set(db, wiretest.DNSAnswer{TTL: 1, IPs: []string{"127.0.0.9", "127.0.0.7"}})
	asked := server.Asked(db)
	l.await("it is asked for again", func() bool { return server.Asked(db) > asked+4 })
	l.knows("db.test.:5432 at 127.0.0.7:5432") // the name leads there still
	server.Set(db, wiretest.DNSAnswer{TTL: 1, IPs: []string{"127.0.0.9"}})
	l.knows("db.test.:5432 at 127.0.0.9:5432")
}

func TestEachAddressOfANameIsANode(t *testing.T) {
	server := wiretest.ServeDNS(t)
	server.Set(set, wiretest.DNSAnswer{TTL: 1, IPs: []string{"127.0.0.2", "127.0.0.1", "::1", "127.0.0.2"}})
	cfg := config(server)
	cfg.Names, cfg.ForgetAfter = []string{"set.test.:5433"}, 0
	s, l := follow(t, cfg)
	l.knows("127.0.0.1:5433", "127.0.0.2:5433")
	server.Set(set, wiretest.DNSAnswer{TTL: 1, IPs: []string{"127.0.0.2", "127.0.0.3"}})
	l.knows("127.0.0.2:5433", "127.0.0.3:5433")
	cfg.Family = FamilyIPv6
	server.Set(set, wiretest.DNSAnswer{TTL: 1, IPs: []string{"127.0.0.2", "::1"}})
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	l.knows("[::1]:5433")
	cfg.Names = nil
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	l.knows()
}

func TestANodeThatNoAnswerNamesIsKeptForAWhile(t *testing.T) {
	server := wiretest.ServeDNS(t)
	server.Set(set, wiretest.DNSAnswer{TTL: 1, IPs: []string{"127.0.0.1", "127.0.0.2"}})
	cfg := config(server)
	cfg.Names = []string{"set.test.:5432"}
	s, l := follow(t, cfg)
	l.knows("127.0.0.1:5432", "127.0.0.2:5432")
	server.Set(set, wiretest.DNSAnswer{TTL: 1, IPs: []string{"127.0.0.3"}})
	l.knows("127.0.0.1:5432", "127.0.0.2:5432", "127.0.0.3:5432")
	cfg.ForgetAfter = time.Millisecond
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	l.knows("127.0.0.3:5432")
}

func TestAReloadAsksAtOnceAndLeavesNoNodeOfTheOtherFamily(t *testing.T) {
	server := wiretest.ServeDNS(t)
	server.Set(set, wiretest.DNSAnswer{TTL: 86400, IPs: []string{"127.0.0.1", "::1"}})
	server.Set(db, wiretest.DNSAnswer{TTL: 86400, IPs: []string{"127.0.0.1"}})
	cfg := config(server)
	cfg.Nodes, cfg.Names, cfg.MaxTTL, cfg.ForgetAfter = []string{"db.test.:5432"}, []string{"set.test.:5432"}, 24*time.Hour, time.Hour
	s, l := follow(t, cfg)
	l.knows("127.0.0.1:5432", "db.test.:5432 at 127.0.0.1:5432")
	server.Set(db, wiretest.DNSAnswer{TTL: 86400, IPs: []string{"127.0.0.2"}})
	cfg.Family = FamilyIPv6
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	l.knows("[::1]:5432", "db.test.:5432 at 127.0.0.2:5432")
}

func TestServicesHaveTheirTargetsForNodes(t *testing.T) {
	server := wiretest.ServeDNS(t)
	server.Set(srv, wiretest.DNSAnswer{TTL: 1, SRV: map[string]uint16{"pg-0.test": 5432, "pg-1.test": 5433}})
	server.Set("pg-0.test", wiretest.DNSAnswer{TTL: 1, IPs: []string{"127.0.0.1"}})
	server.Set("pg-1.test", wiretest.DNSAnswer{TTL: 1, IPs: []string{"127.0.0.2"}})
	cfg := config(server)
	cfg.Names, cfg.ForgetAfter = []string{srv}, 0
	_, l := follow(t, cfg)
	l.knows("pg-0.test:5432 at 127.0.0.1:5432", "pg-1.test:5433 at 127.0.0.2:5433")
	server.Set("pg-1.test", wiretest.DNSAnswer{TTL: 1, IPs: []string{"127.0.0.3"}})
	l.knows("pg-0.test:5432 at 127.0.0.1:5432", "pg-1.test:5433 at 127.0.0.3:5433")
	server.Set(srv, wiretest.DNSAnswer{TTL: 1, SRV: map[string]uint16{"pg-1.test": 5433}})
	l.knows("pg-1.test:5433 at 127.0.0.3:5433")
}

func TestAResolverThatFailsTakesNothingAway(t *testing.T) {
	for name, failure := range map[string]struct {
		answer wiretest.DNSAnswer
		reason string
	}{
		"the server fails":   {wiretest.DNSAnswer{Code: dnsmessage.RCodeServerFailure}, "DNS fails: server misbehaving"},
		"the name is gone":   {wiretest.DNSAnswer{Code: dnsmessage.RCodeNameError}, "DNS has no such name"},
		"it has no address":  {wiretest.DNSAnswer{}, "DNS has no such name, or no address for it"},
		"there is no answer": {wiretest.DNSAnswer{Silent: true}, "no DNS server answers in time"},
		"there are too many": {wiretest.DNSAnswer{Long: true, TTL: 1, IPs: many(maxAnswers + 1)}, "65 addresses are more than 64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := wiretest.ServeDNS(t)
			good := wiretest.DNSAnswer{TTL: 1, IPs: []string{"127.0.0.1"}}
			server.Set(set, good)
			cfg := config(server)
			cfg.Names, cfg.ForgetAfter, cfg.Timeout = []string{"set.test.:5432"}, 0, 500*time.Millisecond
			s, l := follow(t, cfg)
			l.knows("127.0.0.1:5432")
			server.Set(set, failure.answer)
			l.hears(event.SourceSilent, "set.test.:5432: "+failure.reason)
			l.knows("127.0.0.1:5432")
			l.await("the page says why", func() bool { return strings.Contains(s.Hosts()[0].Problem, failure.reason) })
			server.Set(set, good)
			l.hears(event.SourceBack, "set.test.:5432")
			l.await("it was told once", func() bool { return l.mu.told == 2 }) // nobody, then the node
		})
	}
}

// many makes addresses.
func many(n int) (all []string) {
	for i := range n {
		all = append(all, netip.AddrFrom4([4]byte{127, 0, 1, byte(i)}).String())
	}
	return all
}

func TestANameIsAskedForAgainWhenItsAnswerHasExpired(t *testing.T) {
	for name, tc := range map[string]struct {
		answer wiretest.DNSAnswer
		want   time.Duration
	}{
		"as long as the TTL says":                    {wiretest.DNSAnswer{TTL: 7, IPs: []string{"127.0.0.1"}}, 7 * time.Second},
		"by TCP as by UDP":                           {wiretest.DNSAnswer{TTL: 7, IPs: []string{"127.0.0.1"}, Long: true}, 7 * time.Second},
		"no later than max_ttl":                      {wiretest.DNSAnswer{TTL: 86400, IPs: []string{"127.0.0.1"}}, DefaultMaxTTL},
		"no sooner than bearable":                    {wiretest.DNSAnswer{TTL: 0, IPs: []string{"127.0.0.1"}}, minPause},
		"a name that is not there, as its zone says": {wiretest.DNSAnswer{Code: dnsmessage.RCodeNameError}, time.Second},
		"after a failure, soon":                      {wiretest.DNSAnswer{Code: dnsmessage.RCodeServerFailure}, failPause},
	} {
		t.Run(name, func(t *testing.T) {
			server := wiretest.ServeDNS(t)
			server.Set(db, tc.answer)
			cfg := config(server)
			a, err := cfg.lookup(t.Context(), nameOf(t, "db.test.:5432"))
			if a.pause != tc.want || (err != nil) != (tc.answer.Code != 0) {
				t.Errorf("asked again after %v, %v", a.pause, err)
			}
		})
	}
	cfg := Defaults()
	if a, err := cfg.lookup(t.Context(), nameOf(t, "localhost:5432")); err != nil || a.pause != hostsPause || len(a.addresses) == 0 {
		t.Errorf("a name of /etc/hosts: %+v, %v", a, err)
	}
	for range 1000 {
		if d := spreadOut(time.Second); d < time.Second || d > 1100*time.Millisecond {
			t.Fatalf("spread to %v", d)
		}
	}
}

func nameOf(t *testing.T, text string) name {
	t.Helper()
	n, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestANameOfSeveralAddressesIsLeftToTheDialler(t *testing.T) {
	r := newRoster(Deps{}, nil)
	e := &entry{name: name{host: "db", port: "5432"}, at: "db:5432"}
	for _, step := range []struct{ addresses, want string }{
		{"10.0.0.1 10.0.0.2", "db:5432"},
		{"10.0.0.2", "db:5432"}, // a part of what it was: no reason to take it for another machine
		{"10.0.0.1 10.0.0.2", "db:5432"},
		{"10.0.0.3", "10.0.0.3:5432"},
		{"10.0.0.3 10.0.0.4", "10.0.0.3:5432"},
		{"10.0.0.4 10.0.0.5", "db:5432"},
	} {
		addresses := addressesOf(t, step.addresses)
		e.at = r.lead(e, addresses)
		e.addresses = addresses
		if e.at != step.want {
			t.Errorf("%s: it is reached at %s", step.addresses, e.at)
		}
	}
}

func TestAFaultyConfigurationIsRefused(t *testing.T) {
	for _, spoil := range []func(*Config){
		func(c *Config) { c.Nodes = []string{"db:0"} },
		func(c *Config) { c.Names = []string{"10.0.0.1:5432"} },
		func(c *Config) { c.Names = []string{"_postgresql._tcp.db:5432"} },
		func(c *Config) { c.Server = "dns.example:53" },
		func(c *Config) { c.Family = "both" },
		func(c *Config) { c.Timeout = 0 },
		func(c *Config) { c.MaxTTL = time.Millisecond },
		func(c *Config) { c.ForgetAfter = -1 },
	} {
		cfg := Defaults()
		spoil(&cfg)
		if s, err := New(cfg, Deps{}); err == nil {
			t.Errorf("%+v is taken: %v", cfg, s)
		}
	}
	if err := Defaults().Validate(); err != nil {
		t.Error(err)
	}
}
