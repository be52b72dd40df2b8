package patroni

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/topology"
)

// asking is a source that has found a site's members n1, which leads, to n3.
func asking(t *testing.T, change func(*Config)) (*Source, *site) {
	t.Helper()
	s := newSite(t, 3)
	cfg := quick(s.member(1).URL)
	if change != nil {
		change(&cfg)
	}
	source, l, _ := listen(t, cfg)
	l.leader("127.0.0.1:15431")
	return source, s
}

// takes lets a member answer an order.
func (f *fake) takes(path string, status int, text string) {
	f.does(path, func(w http.ResponseWriter, r *http.Request) {
		f.site.order(r)
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, text)
	})
}

// order notes what was ordered, in the place of what /cluster says more.
func (s *site) order(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var said map[string]string
	if err == nil {
		err = json.Unmarshal(body, &said)
	}
	user, password, _ := r.BasicAuth()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.orders = append(s.mu.orders, order{r.Method, said, user + ":" + password, err})
}

// order is what a member was ordered.
type order struct {
	method, said any
	credentials  string
	err          error
}

// ordered returns the only order that the site has got.
func (s *site) ordered(t *testing.T) order {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.orders) != 1 || s.mu.orders[0].err != nil || s.mu.orders[0].method != http.MethodPost {
		t.Fatalf("orders: %+v", s.mu.orders)
	}
	return s.mu.orders[0]
}

const n1, n2, n3 = topology.NodeID("127.0.0.1:15431"), topology.NodeID("127.0.0.1:15432"), topology.NodeID("127.0.0.1:15433")

func TestAnOrderNamesMembersAndGoesToTheLeaderFirst(t *testing.T) {
	for path, tc := range map[string]struct {
		asks  func(context.Context, *Source) error
		whom  int
		names map[string]string
	}{
		"/switchover": {func(ctx context.Context, s *Source) error { return s.Switchover(ctx, n1, n3) }, 1, map[string]string{"leader": "n1", "candidate": "n3"}},
		"/failover":   {func(ctx context.Context, s *Source) error { return s.Failover(ctx, n2) }, 1, map[string]string{"candidate": "n2"}},
	} {
		source, s := asking(t, func(c *Config) { c.Username, c.Password = "ann", "hush" })
		s.member(tc.whom).takes(path, http.StatusOK, "Successfully switched over")
		if err := tc.asks(t.Context(), source); err != nil {
			t.Error(err)
		}
		o := s.ordered(t)
		if said, is := o.said.(map[string]string); !is || !maps.Equal(said, tc.names) || o.credentials != "ann:hush" {
			t.Errorf("%s: %+v", path, o)
		}
	}
}

func TestPatroniMayChooseTheCandidate(t *testing.T) {
	source, s := asking(t, nil)
	s.lead("n2")
	s.member(2).takes("/switchover", http.StatusAccepted, "scheduled")
	if err := source.Switchover(t.Context(), n2, ""); err != nil {
		t.Error(err)
	}
	if said := fmt.Sprint(s.ordered(t).said); said != "map[leader:n2]" {
		t.Error(said)
	}
}

func TestPatronisAnswerSaysWhatHasBecomeOfAnOrder(t *testing.T) {
	for _, tc := range []struct {
		status int
		text   string
		want   OrderError
		hint   string
	}{
		{400, "Switchover could be performed only from a specific leader", OrderError{Refused: true}, "specific leader"},
		{412, "candidate does not exists", OrderError{Refused: true}, "does not exists"},
		{401, "no auth header received", OrderError{Refused: true}, "look at username"},
		{403, "<html>\nAccess is\tdenied", OrderError{Refused: true}, "<html> Access is denied"},
		{503, "Switchover failed", OrderError{Failed: true}, "Switchover failed"},
		{503, "Switchover status unknown", OrderError{}, "unknown"},
		{500, "", OrderError{}, "no text"},
	} {
		source, s := asking(t, nil)
		s.member(1).takes("/switchover", tc.status, tc.text)
		err := source.Switchover(t.Context(), n1, n2)
		got, is := errors.AsType[*OrderError](err)
		if !is || got.Refused != tc.want.Refused || got.Failed != tc.want.Failed || !strings.Contains(err.Error(), tc.hint) {
			t.Errorf("HTTP %d: %+v", tc.status, err)
		}
		s.ordered(t)
	}
}

func TestAnOrderGoesToTheNextWhereOneCannotBeReached(t *testing.T) {
	source, s := asking(t, nil)
	s.member(1).Close()
	s.member(2).takes("/switchover", http.StatusOK, "done")
	if err := source.Switchover(t.Context(), n1, n2); err != nil {
		t.Error(err)
	}
	s.ordered(t)
	s.member(2).Close()
	s.member(3).Close()
	err := source.Switchover(t.Context(), n1, n2)
	if got, is := errors.AsType[*OrderError](err); !is || !got.Refused || !strings.Contains(err.Error(), "no member of Patroni's can be reached") {
		t.Errorf("%v", err)
	}
}

func TestAnOrderThatMayHaveBeenTakenIsGivenOnce(t *testing.T) {
	for name, does := range map[string]http.HandlerFunc{"slammed": slam, "hung": hang} {
		t.Run(name, func(t *testing.T) {
			source, s := asking(t, nil)
			taken := make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			s.member(1).does("/switchover", func(w http.ResponseWriter, r *http.Request) {
				s.order(r)
				close(taken)
				does(w, r)
			})
			if name == "hung" {
				go func() {
					<-taken
					cancel()
				}()
			}
			err := source.Switchover(ctx, n1, n2)
			cancel()
			if got, is := errors.AsType[*OrderError](err); !is || got.Refused || got.Failed {
				t.Errorf("%v", err)
			}
			s.ordered(t)
		})
	}
}

func TestAnOrderForWhoIsNoMemberIsNotGiven(t *testing.T) {
	source, _ := asking(t, nil)
	for _, err := range []error{source.Switchover(t.Context(), "x:1", n2), source.Switchover(t.Context(), n1, "x:1"), source.Failover(t.Context(), "x:1")} {
		if got, is := errors.AsType[*OrderError](err); !is || !got.Refused || !strings.Contains(err.Error(), "x:1") {
			t.Errorf("%v", err)
		}
	}
}

func TestAnOrderDoesNotReachTheClusterBeforeAReload(t *testing.T) {
	source, s := asking(t, nil)
	empty := httptest.NewServer(http.HandlerFunc(slam))
	t.Cleanup(empty.Close)
	if !source.Configured() {
		t.Error("not configured")
	}
	if err := source.Reload(quick(empty.URL)); err != nil {
		t.Fatal(err)
	}
	for source.members() != nil {
		s.cluster() // until the source has begun anew
	}
	if err := source.Switchover(t.Context(), n1, n2); err == nil {
		t.Error("the former cluster was ordered")
	}
	if err := source.Reload(Defaults()); err != nil || source.Configured() {
		t.Errorf("configured without a URL, %v", err)
	}
}

// TestAnOrderReachesWhomAnotherSourceHasFound: without a URL, and without the credentials, which go over http only where a URL says so.
func TestAnOrderReachesWhomAnotherSourceHasFound(t *testing.T) {
	s := newSite(t, 2)
	cfg := quick()
	cfg.Username, cfg.Password = "ann", "hush"
	source, l, _ := listen(t, cfg)
	if source.Configured() {
		t.Error("configured without anybody to ask")
	}
	var met []discovery.AgentAddress
	for n := 1; n <= 2; n++ {
		met = append(met, discovery.AgentAddress{Name: s.member(n).name, Server: string(s.member(n).node()), URL: s.member(n).URL})
	}
	source.Introduce(met)
	l.await("it is asked of itself", func(x told) bool { return x.agent.Node == n1 })
	s.member(1).takes("/switchover", http.StatusOK, "Successfully switched over")
	if err := source.Switchover(t.Context(), n1, n2); err != nil || !source.Configured() {
		t.Fatal(err)
	}
	if got := s.ordered(t); fmt.Sprint(got.said) != "map[candidate:n2 leader:n1]" || got.credentials != ":" {
		t.Errorf("%+v", got)
	}
}
