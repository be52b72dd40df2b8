package proxy_test

import (
	"testing"
)

// TestARefusalToWriteOfThePrimaryIsTheClientsOwn: it is shown, and the server is nobody else's afterwards.
func TestARefusalToWriteOfThePrimaryIsTheClientsOwn(t *testing.T) {
	r, _ := newRouter(t, func(r *router) { r.policy.Pool.Size = 1 })
	c := r.connect(t.Context(), "")
	before, err := query(c, "select pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Exec(t.Context(), "begin read only; create table x (n int); commit").ReadAll()
	if code(err) != "25006" {
		t.Fatalf("the client was told %v", err)
	}
	if _, err := c.Exec(t.Context(), "rollback").ReadAll(); err != nil {
		t.Fatal(err)
	}
	after, err := query(c, "select pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
	if after == before {
		t.Error("the same server was handed out again")
	}
}
