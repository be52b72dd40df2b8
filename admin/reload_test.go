package admin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrouter/pgrouter/proxy"
)

// operator serves one console client over a pipe.
func operator(t *testing.T, a *Admin, user string) *pgproto3.Frontend {
	t.Helper()
	near, far := net.Pipe()
	over := make(chan error, 1)
	go func() {
		over <- a.Console().Serve(context.Background(), far, proxy.Login{User: user})
		far.Close()
	}()
	t.Cleanup(func() {
		near.Close()
		<-over
	})
	near.SetDeadline(time.Now().Add(time.Minute))
	return pgproto3.NewFrontend(near, near)
}

// told runs a command and returns all that is said: severities, messages and DETAIL, or the tag.
func told(t *testing.T, f *pgproto3.Frontend, sql string) (said []string) {
	t.Helper()
	send(t, f, sql)
	for {
		msg, err := f.Receive()
		if err != nil {
			t.Fatal(err)
		}
		switch m := msg.(type) {
		case *pgproto3.NoticeResponse:
			said = append(said, m.Severity+" "+m.Message+" | "+m.Hint)
		case *pgproto3.ErrorResponse:
			said = append(said, m.Code+" "+m.Message+" | "+m.Detail+" | "+m.Hint)
		case *pgproto3.CommandComplete:
			said = append(said, string(m.CommandTag))
		case *pgproto3.ReadyForQuery:
			return said
		}
	}
}

func TestReloadTellsWhatHasChangedWhatNeedsARestartAndWhatIsWrong(t *testing.T) {
	s := &scene{}
	a, _ := newAdmin(t, s)
	f := operator(t, a, "boss")
	want := []string{
		"NOTICE pool.size: 20 → 30 | ",
		"NOTICE limits.loops: 1 → 2 | The old value stays in force until pgrouter is restarted.",
		"RELOAD",
	}
	if diff := cmp.Diff(want, told(t, f, "reload;")); diff != "" {
		t.Error(diff)
	}
	s.fail = &ReloadError{Faults: []string{"x.toml:3: pool.size: must be at least 1", "x.toml:9: unknown key"}}
	want = []string{"F0000 the configuration has faults, nothing was changed | x.toml:3: pool.size: must be at least 1\nx.toml:9: unknown key | " +
		"Correct them and RELOAD again. pgrouter check finds them as well."}
	if diff := cmp.Diff(want, told(t, f, "RELOAD")); diff != "" {
		t.Error(diff)
	}
	s.fail = errors.New("the router is shutting down")
	if got := told(t, f, "RELOAD"); len(got) != 1 || !strings.Contains(got[0], "shutting down") {
		t.Errorf("another failure: %q", got)
	}
	if got := told(t, operator(t, a, "watcher"), "RELOAD"); len(got) != 1 || !strings.HasPrefix(got[0], "42501") {
		t.Errorf("who may only look: %q", got)
	}
}

// TestAnotherConfigurationCountsFromTheNextCommandOn: who is in the console loses or gains rights there.
func TestAnotherConfigurationCountsFromTheNextCommandOn(t *testing.T) {
	s := &scene{primary: "a:5432"}
	a, h := newAdmin(t, s)
	boss, watcher := operator(t, a, "boss"), operator(t, a, "watcher")
	told(t, boss, "SHOW VERSION")
	cfg := a.cfg.Load().Config
	cfg.Users, cfg.StatsUsers, cfg.Allow = []string{"watcher"}, nil, []string{"10.2.0.0/16"}
	if err := a.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	if got := told(t, boss, "RECONNECT"); !strings.HasPrefix(got[0], "42501") {
		t.Errorf("who is no operator any more: %q", got)
	}
	if got := told(t, watcher, "RECONNECT"); got[0] != "RECONNECT" {
		t.Errorf("who has become one: %q", got)
	}
	for from, want := range map[string]int{"10.1.2.3:5": http.StatusForbidden, "10.2.2.3:5": http.StatusOK} {
		if got := switchoverFrom(h, from); got != want {
			t.Errorf("from %s: %d", from, got)
		}
	}
	cfg.Allow = []string{"nonsense"}
	if err := a.Reconfigure(cfg); err == nil {
		t.Error("a network that is none is accepted")
	}
}

func TestTheLastReloadIsSeenInMetricsAndJSON(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	s := &scene{}
	a, err := New(Config{}, s, s, NewJournal(log), log)
	if err != nil {
		t.Fatal(err)
	}
	at := time.UnixMilli(1700000000500)
	for _, tc := range []struct {
		reload Reload
		want   map[string]float64
	}{
		{Reload{At: at, Pending: []string{"limits.loops: 1 → 2"}}, map[string]float64{"success": 1, "timestamp_seconds": 1700000000.5, "pending": 1}},
		{Reload{At: at, Failed: true}, map[string]float64{"success": 0, "timestamp_seconds": 1700000000.5, "pending": 0}},
	} {
		a.Reloaded(tc.reload)
		if diff := cmp.Diff(tc.want, gauges(t, a)); diff != "" {
			t.Error(diff)
		}
		if got := a.View().Config; got.Failed != tc.reload.Failed || !got.ReadAt.Equal(at) || len(got.RestartPending) != len(tc.reload.Pending) {
			t.Errorf("%+v", got)
		}
	}
}

// switchoverFrom asks for a switchover over HTTP.
func switchoverFrom(h http.Handler, address string) int {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/switchover", strings.NewReader(`{"to":"b:5432"}`))
	r.RemoteAddr = address
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// gauges reads the metrics of the configuration, by the ends of their names.
func gauges(t *testing.T, a *Admin) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(a.Collector()); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		for _, end := range []string{"success", "timestamp_seconds", "pending"} {
			if strings.HasSuffix(f.GetName(), end) {
				all[end] = f.GetMetric()[0].GetGauge().GetValue()
			}
		}
	}
	return all
}
