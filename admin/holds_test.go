package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/failover"
)

func (s *scene) Hold(ctx context.Context, o HoldOrder) (Held, error) {
	s.done = append(s.done, fmt.Sprintf("hold %s %s by %s for %s, wait %s, local %v", o.Cluster, o.ID, o.By, o.Lease, o.Wait, o.Local))
	if s.cancelled != nil {
		<-ctx.Done()
	}
	return s.held, s.fail
}

func (s *scene) Release(_ context.Context, o ReleaseOrder) (int, error) {
	s.done = append(s.done, fmt.Sprintf("release %q %q, local %v", o.Cluster, o.ID, o.Local))
	return s.left, s.fail
}

func (s *scene) Failover(_ context.Context, cluster, to string) error {
	s.done = append(s.done, "failover "+cluster+" "+to)
	return s.fail
}

func (s *scene) Holds() []HoldView {
	at := time.Date(2026, 11, 21, 3, 12, 0, 0, time.UTC)
	return []HoldView{{Cluster: "main", ID: "operator", By: "boss", Reason: "switchover", Since: at, Until: at.Add(time.Minute)}}
}

func (s *scene) Peers() []PeerView {
	at := time.Date(2026, 11, 21, 3, 12, 0, 0, time.UTC)
	return []PeerView{
		{Peer: "http://10.0.0.2:7000", Up: true, At: at, Since: at}, {Peer: "https://[::1]:7001", At: at, Since: at, Error: "refused"},
		{Peer: "http://10.0.0.3:7000"},
	}
}

// busyHeld is a hold that is not complete.
func busyHeld() Held {
	return Held{
		Held: failover.Held{Until: time.Date(2026, 11, 21, 3, 12, 0, 0, time.UTC), Blockers: []failover.Blocker{
			{Client: 7, Database: "voip", User: "kamailio", Application: "report", State: "active", For: 90 * time.Second},
		}},
		Peers: []failover.PeerHeld{
			{Peer: "http://10.0.0.2:7000", Held: failover.Held{Blockers: []failover.Blocker{{Client: 9, Database: "voip", User: "kamailio", State: "pinned (listen)", For: time.Second}}}},
			{Peer: "http://10.0.0.3:7000", Err: errors.New("connection refused")},
		},
	}
}

// post sends a body from the machine itself.
func post(h http.Handler, path, body string) (int, string) {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:5"
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestOrdersOverHTTPAreReadStrictlyAndBounded(t *testing.T) {
	for _, tc := range []struct {
		path, body, did string
		want            int
	}{
		{"hold", `{}`, "hold main operator by operator for 30s, wait 5s, local false", 200},
		{"hold", `{"cluster":"main","id":"x","by":"ha1:7000","lease":"1m","wait":"0s","local":true}`, "hold main x by ha1:7000 for 1m0s, wait 0s, local true", 200},
		{"hold", `{"lease":"2s"}`, "hold main operator by operator for 2s, wait 2s, local false", 200},
		{"hold", `{"lease":"0s"}`, "", 400},
		{"hold", `{"lease":"6m"}`, "", 400},
		{"hold", `{"lease":"long"}`, "", 400},
		{"hold", `{"wait":"-1s"}`, "", 400},
		{"hold", `{"lease":"2s","wait":"3s"}`, "hold main operator by operator for 2s, wait 3s, local false", 200}, // it is renewed meanwhile
		{"hold", `{"wait":"6m"}`, "", 400},
		{"hold", `{"id":"two\nlines"}`, "", 400},
		{"hold", `{"by":"` + strings.Repeat("x", 65) + `"}`, "", 400},
		{"hold", `{"until":"tomorrow"}`, "", 400},
		{"hold", `{} {}`, "", 400},
		{"hold", `[]`, "", 400},
		{"release", `{}`, `release "" "", local false`, 200},
		{"release", `{"cluster":"main","id":"x","local":true}`, `release "main" "x", local true`, 200},
		{"release", `{"id":"two\nlines"}`, "", 400},
		{"failover", `{"to":"b:5432"}`, "failover main b:5432", 200},
		{"failover", `{}`, "", 400},
		{"failover", `{"to":"b:5432","within":"1s"}`, "", 400},
		{"switchover", `{}`, "switchover main  0s", 200},
		{"switchover", `{"to":"b:5432","within":"0s"}`, "", 400},
		{"switchover", `{"within":"1h"}`, "", 400},
	} {
		s := &scene{primary: "a:5432"}
		_, h := newAdmin(t, s)
		code, said := post(h, "/api/v1/"+tc.path, tc.body)
		if did := strings.Join(s.done, ", "); code != tc.want || did != tc.did {
			t.Errorf("%s %s: %d %s, it did %q", tc.path, tc.body, code, said, did)
		}
		if code == http.StatusBadRequest && !strings.Contains(said, `"error":"`) {
			t.Errorf("%s %s does not say what is wrong: %s", tc.path, tc.body, said)
		}
	}
}

func TestEveryOrderOverHTTPIsGuarded(t *testing.T) {
	for _, path := range []string{"hold", "release", "failover", "switchover"} {
		s := &scene{primary: "a:5432"}
		_, h := newAdmin(t, s)
		for what, change := range map[string]func(*http.Request){
			"a stranger":   func(r *http.Request) { r.RemoteAddr = "10.2.2.3:5" },
			"a page":       func(r *http.Request) { r.Header.Set("Origin", "http://example.com") },
			"a form":       func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
			"another verb": func(r *http.Request) { r.Method = http.MethodGet },
		} {
			r := httptest.NewRequest(http.MethodPost, "/api/v1/"+path, strings.NewReader(`{"to":"b:5432"}`))
			r.RemoteAddr = "127.0.0.1:5"
			r.Header.Set("Content-Type", "application/json")
			change(r)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if isList := w.Code == http.StatusOK && r.Method == http.MethodGet; w.Code < 400 && !isList || len(s.done) > 0 {
				t.Errorf("%s of %s: %d, it did %v", path, what, w.Code, s.done)
			}
		}
	}
}

func TestTheAnswerToAHoldHasWhoIsInTheWayHereAndAtThePeers(t *testing.T) {
	_, h := newAdmin(t, &scene{primary: "a:5432", held: busyHeld()})
	_, said := post(h, "/api/v1/hold", `{"id":"x"}`)
	want := `{"id":"x","until":"2026-11-21T03:12:00Z","drained":false,"blockers":[{"client":7,"database":"voip","user":"kamailio","application_name":"report","state":"active","for_ns":90000000000},` +
		`{"peer":"http://10.0.0.2:7000","client":9,"database":"voip","user":"kamailio","application_name":"","state":"pinned (listen)","for_ns":1000000000}],` +
		`"peers":[{"peer":"http://10.0.0.2:7000","drained":false},` +
		`{"peer":"http://10.0.0.3:7000","drained":false,"error":"connection refused"}]}`
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestAHoldIsCompleteWhenAllKnowThatNothingRuns(t *testing.T) {
	done, busy, lost := failover.PeerHeld{Held: failover.Held{Drained: true}}, failover.PeerHeld{}, failover.PeerHeld{Held: failover.Held{Drained: true}, Err: errors.New("lost")}
	for _, tc := range []struct {
		here  bool
		peers []failover.PeerHeld
		want  bool
	}{
		{true, nil, true}, {false, nil, false}, {true, []failover.PeerHeld{done}, true}, {true, []failover.PeerHeld{done, busy}, false},
		{true, []failover.PeerHeld{lost}, false}, {false, []failover.PeerHeld{done}, false},
	} {
		h := Held{Held: failover.Held{Drained: tc.here}, Peers: tc.peers}
		if h.Everywhere() != tc.want {
			t.Errorf("%+v: not %v", tc, tc.want)
		}
	}
}

func TestABlockedSwitchoverAnswersWithWhoIsInTheWay(t *testing.T) {
	s := &scene{fail: fmt.Errorf("main: %w", &failover.BlockedError{Within: time.Second, Blockers: busyHeld().Blockers})}
	_, h := newAdmin(t, s)
	code, said := post(h, "/api/v1/switchover", `{}`)
	var answer Failure
	if err := json.Unmarshal([]byte(said), &answer); err != nil || code != http.StatusConflict {
		t.Fatalf("%d %s", code, said)
	}
	if len(answer.Blockers) != 1 || answer.Blockers[0].Client != 7 || answer.Hint == "" {
		t.Errorf("%s", said)
	}
}

func TestFailoversComeTheNewestFirst(t *testing.T) {
	_, h := newAdmin(t, &scene{primary: "a:5432", reports: []failover.Report{{Epoch: 1}, {Epoch: 2}}})
	_, said := get(h, "/api/v1/failovers")
	if newest, oldest := strings.Index(said, `"epoch":2`), strings.Index(said, `"epoch":1`); newest < 0 || newest > oldest {
		t.Error(said)
	}
	if _, said := get(h, "/api/v1/holds"); !strings.Contains(said, `"cluster":"main","id":"operator","by":"boss"`) {
		t.Error(said)
	}
}

func TestTheConsoleHoldsReleasesAndMoves(t *testing.T) {
	for _, tc := range []struct{ sql, said, did string }{
		{"hold", "HOLD\n", "hold main operator by boss for 30s, wait 5s, local false"},
		{"hold main for 2s", "HOLD\n", "hold main operator by boss for 2s, wait 2s, local false"},
		{"hold wait '1s' for '1m'", "HOLD\n", "hold main operator by boss for 1m0s, wait 1s, local false"},
		{"hold other", "ERROR:  cluster \"other\" does not exist\nDETAIL:  SHOW NODES has those that are there.\n", ""},
		{"hold for 1h", "ERROR:  invalid value for parameter \"FOR\": \"1h\"\nDETAIL:  It is a duration such as 500ms, 30s or 5m, above 0 and up to 5m.\n", ""},
		{"hold for 100ms", "ERROR:  a hold cannot last 100ms\nDETAIL:  from 1s up to 5m: nothing is held for ever\n", ""},
		{"hold main within 2s", "ERROR:  syntax error at or near \"within\"\nDETAIL:  Behind the name of a cluster may stand FOR and WAIT with a duration.\nHINT:  SHOW HELP lists the commands.\n", ""},
		{"release", "NOTICE:  nothing is held\nHINT:  A hold ends by itself when its time (FOR) is over or the primary has changed; SHOW EVENTS says when.\nRELEASE\n", `release "" "", local false`},
		{"release other", "ERROR:  cluster \"other\" does not exist\nDETAIL:  SHOW NODES has those that are there.\n", ""},
		{"release savepoint x", "RELEASE\n", ""},
		{"switchover", "SWITCHOVER\n", "switchover main  0s"},
		{"switchover main", "SWITCHOVER\n", "switchover main  0s"},
		{"switchover b:5432", "SWITCHOVER\n", "switchover main b:5432 0s"},
		{"switchover b:5432 main within '10s'", "SWITCHOVER\n", "switchover main b:5432 10s"},
		{"switchover within 10s", "SWITCHOVER\n", "switchover main  10s"},
		{"switchover b:5432 other", "ERROR:  cluster \"other\" does not exist\nDETAIL:  SHOW NODES has those that are there.\n", ""},
		{"failover b:5432", "FAILOVER\n", "failover main b:5432"},
		{"failover", "ERROR:  syntax error at or near \"failover\"\nDETAIL:  The name of a node is missing, as SHOW NODES prints it.\nHINT:  SHOW HELP lists the commands.\n", ""},
	} {
		s := &scene{primary: "a:5432", held: Held{Held: failover.Held{Drained: true}}}
		if diff := cmp.Diff(tc.said, psql(t, s, "boss", tc.sql+";\n")); diff != "" {
			t.Errorf("%s: -want +got\n%s", tc.sql, diff)
		}
		if got := strings.Join(s.done, ", "); got != tc.did {
			t.Errorf("%s: it did %q, want %q", tc.sql, got, tc.did)
		}
	}
}

func TestTheConsoleSaysWhoIsInTheWay(t *testing.T) {
	const report = "DETAIL:  client 7 (kamailio@voip, report) active for 1m30s\n"
	want := "ERROR:  running work did not end within 5s; new work is held until 2026-11-21 03:12:00 UTC\n" + report +
		"client 9 (kamailio@voip, at the router http://10.0.0.2:7000) pinned (listen) for 1s\npeer http://10.0.0.3:7000: connection refused\n" +
		"HINT:  RELEASE lets new work go on. HOLD again waits longer; KILL_CLIENT closes one of these clients.\n"
	if diff := cmp.Diff(want, psql(t, &scene{primary: "a:5432", held: busyHeld()}, "boss", "hold;\n")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	s := &scene{primary: "a:5432", fail: &failover.BlockedError{Within: time.Second, Blockers: busyHeld().Blockers}}
	want = "ERROR:  running work did not end within 1s, nothing was touched\n" + report +
		"HINT:  All goes on as before. KILL_CLIENT closes one of these clients; WITHIN gives them longer.\n"
	if diff := cmp.Diff(want, psql(t, s, "boss", "switchover;\n")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestThePageAndTheJSONTellOfHoldsAndOfPeersThatDoNotAnswer(t *testing.T) {
	_, h := newAdmin(t, &scene{primary: "a:5432"})
	_, page := get(h, "/")
	for _, want := range []string{"New work is held for", "until 03:13:00.000 at most: switchover, by boss", "Peer https://[::1]:7001: refused"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "10.0.0.2:7000") {
		t.Error("a peer that answers is on the page")
	}
	_, body := get(h, "/api/v1/cluster")
	var v View
	if err := json.Unmarshal([]byte(body), &v); err != nil || len(v.Holds) != 1 || v.Holds[0].By != "boss" || len(v.Peers) != 3 {
		t.Errorf("%+v %+v, %v", v.Holds, v.Peers, err)
	}
}

func TestWhoseEventItIsIsNotTakenForAMove(t *testing.T) {
	for want, e := range map[string]EventView{
		"": {Kind: event.NodeUp}, "boss": {Kind: event.HoldBegun, From: "boss"}, "a →": {Kind: event.LeaderKeyMoved, From: "a"}, "a → b": {From: "a", To: "b"},
	} {
		if got := strings.TrimSpace(moved(e)); got != want {
			t.Errorf("%+v: %q", e, got)
		}
	}
}
