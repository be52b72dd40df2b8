package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// asked is a router that answers with what the test wants.
func asked(t *testing.T, status int, answer string) (address string, orders *[]string) {
	t.Helper()
	orders = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what could not be read is no order that the test awaits
		*orders = append(*orders, r.URL.Path+" "+string(body))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return server.URL, orders
}

// verb runs one and returns what it prints, and its error as main prints it.
func verb(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	var said bytes.Buffer
	err = run(t.Context(), args, streams{out: &said, err: &said})
	return said.String(), err
}

func TestVerbsAskTheRouter(t *testing.T) {
	for _, tc := range []struct{ line, order, answer, said string }{
		{"hold --cluster main --wait 1s --for 10s --id x --by y --local", `/api/v1/hold {"cluster":"main","id":"x","by":"y","lease":"10s","wait":"1s","local":true}`, `{"drained":true,"until":"2026-11-21T03:12:00Z"}`, "nothing runs on the primary; new work is held until "},
		{"hold", `/api/v1/hold {"lease":"30s"}`, `{"drained":true}`, "nothing runs on the primary; new work is held until "},
		{"release --id x --local", `/api/v1/release {"id":"x","local":true}`, `{"ended":2}`, "2 hold(s) ended\n"},
		{"switchover", `/api/v1/switchover {}`, `{"from":"a:1","primary":"b:1","took_seconds":2.94}`, "b:1 is the primary after 2.9 s (before: a:1)\n"},
		{"switchover --to b:1 --within 9s --cluster main", `/api/v1/switchover {"cluster":"main","to":"b:1","within":"9s"}`, `{"from":"a:1","primary":"b:1"}`, "b:1 is the primary after 0.0 s (before: a:1)\n"},
		{"failover --to b:1", `/api/v1/failover {"to":"b:1"}`, `{"from":"a:1","primary":"b:1"}`, "b:1 is the primary after 0.0 s (before: a:1)\n"},
	} {
		address, orders := asked(t, http.StatusOK, tc.answer)
		said, err := verb(t, append(strings.Fields(tc.line), "--admin", address)...)
		if err != nil || !strings.HasPrefix(said, tc.said) {
			t.Errorf("%s: %v, it says %q", tc.line, err, said)
		}
		if diff := cmp.Diff([]string{tc.order}, *orders); diff != "" {
			t.Errorf("%s: -want +got\n%s", tc.line, diff)
		}
	}
}

const blockerText = `{"client":17,"database":"app","user":"kamailio","application_name":"report","state":"active","for_ns":312300000000}`

func TestAHoldThatIsNotCompleteListsWhoIsInTheWay(t *testing.T) {
	address, _ := asked(t, http.StatusOK, `{"until":"2026-11-21T03:12:00Z","blockers":[`+blockerText+`,`+
		`{"peer":"http://ha2:7000","client":9,"database":"app","user":"app","state":"pinned (listen)","for_ns":1000000}],"peers":[{"peer":"http://ha2:7000"},{"peer":"http://ha3:7000","error":"connection refused"}]}`)
	said, err := verb(t, "hold", "--admin", address)
	want := `ROUTER           CLIENT  USER      DATABASE  APPLICATION  STATE            FOR
this one         17      kamailio  app       report       active           5m12.3s
http://ha2:7000  9       app       app       -            pinned (listen)  0s
`
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if err == nil || exitCode(err) != exitFailure || !strings.HasPrefix(err.Error(), "peer http://ha3:7000: connection refused\nnot all work is known to have ended; new work is held until ") {
		t.Errorf("%v", err)
	}
}

func TestABlockedSwitchoverListsWhoIsInTheWay(t *testing.T) {
	address, _ := asked(t, http.StatusConflict, `{"error":"units run","hint":"wait longer","blockers":[`+blockerText+`]}`)
	said, err := verb(t, "switchover", "--admin", address)
	want := "CLIENT  USER      DATABASE  APPLICATION  STATE   FOR\n17      kamailio  app       report       active  5m12.3s\n"
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if err == nil || err.Error() != "units run (wait longer)" {
		t.Errorf("%v", err)
	}
}

func TestTheRouterIsFoundInItsConfiguration(t *testing.T) {
	address, orders := asked(t, http.StatusOK, `{"ended":1}`)
	path := filepath.Join(t.TempDir(), "x.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text+"[auth]\nmethod = \"trust\"\n[cluster.main]\nnodes = [\"h\"]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("[admin]\nhttp = \"" + strings.TrimPrefix(address, "http://") + "\"\n")
	if said, err := verb(t, "release", "--config", path); err != nil || len(*orders) != 1 {
		t.Errorf("%s, %v", said, err)
	}
	write("[admin]\nhttp = \"\"\n")
	if _, err := verb(t, "release", "--config", path); err == nil || !strings.Contains(err.Error(), "has no HTTP server") {
		t.Errorf("without a server: %v", err)
	}
	write("[admin]\nhtpp = \"x\"\n")
	said, err := verb(t, "release", "--config", path)
	if _, told := errors.AsType[*toldError](err); !told || exitCode(err) != exitUsage || !strings.Contains(said, "htpp") {
		t.Errorf("a faulty one: %s, %v", said, err)
	}
}

func TestVerbsDoNotWaitForARouterThatDoesNotAnswer(t *testing.T) {
	hanging, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes connections, and nobody reads them
	if err != nil {
		t.Fatal(err)
	}
	defer hanging.Close()
	if _, err := verb(t, "hold", "--wait", "0s", "--admin", hanging.Addr().String()); err == nil || !strings.Contains(err.Error(), "does not answer: no answer in time (does it run?") {
		t.Error(err)
	}
	gone, err := testcluster.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"hold --wait 1m", "release", "switchover", "failover --to a:1"} {
		_, err := verb(t, append(strings.Fields(line), "--admin", gone)...)
		if err == nil || exitCode(err) != exitFailure || !strings.Contains(err.Error(), "connection refused (does it run?") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestFaultyCommandLinesAskNobody(t *testing.T) {
	address, orders := asked(t, http.StatusOK, "{}")
	for _, line := range []string{"hold --wait soon", "hold --for -1s", "failover", "switchover --within x", "release everything"} {
		if _, err := verb(t, append(strings.Fields(line), "--admin", address)...); err == nil || exitCode(err) != exitUsage {
			t.Errorf("%s: %v", line, err)
		}
	}
	if len(*orders) > 0 {
		t.Errorf("it is asked %v", *orders)
	}
}
