package system

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// TestASwitchoverThatIsBlockedCostsNobodyHisSession: a transaction does not end, so that the primary stays. A session that keeps its
// server at rest is not in the way, and keeps it; it loses it when the switchover is really done.
func TestASwitchoverThatIsBlockedCostsNobodyHisSession(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	r := testrouter.Start(t, c, testrouter.Options{})
	knows(r, 2)
	const whoami = "select pg_backend_pid()"
	pinned, busy := connect(t, c, r.Write), connect(t, c, r.Write)
	if _, err := query(pinned, "listen news"); err != nil {
		t.Fatal(err)
	}
	pid, err := query(pinned, whoami)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := query(busy, "set application_name = 'slow'; begin"); err != nil {
		t.Fatal(err)
	}
	order := fmt.Sprintf(`{"cluster":"main","to":%q,"within":"300ms"}`, c.Standbys()[0].Addr())
	resp, err := http.Post("http://"+r.Admin+"/api/v1/switchover", "application/json", strings.NewReader(order))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(resp.Body)
	if resp.StatusCode == http.StatusOK || !strings.Contains(string(said), "nothing was touched") || strings.Count(string(said), "(app@app") != 1 {
		t.Errorf("%s: %s", resp.Status, said)
	}
	if now, err := query(pinned, whoami); err != nil || now != pid {
		t.Errorf("the pinned session has server %s instead of %s, %v", now, pid, err)
	}
	if _, err := query(busy, "commit"); err != nil {
		t.Error(err)
	}
	if err := r.Switchover(t.Context(), c.Standbys()[0].Addr()); err != nil {
		t.Error(err)
	}
	if got := lastWords(t, pinned); got != "57P01" {
		t.Errorf("the pinned session was told %q", got)
	}
	if _, err := query(busy, "select 1"); err != nil {
		t.Error(err)
	}
}
