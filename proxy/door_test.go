package proxy_test

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/routing"
)

// TestStrangersWhoDoNotLogInHaveALimitOfTheirOwn: it is said before the start-up packet is read, and clients that are in go on.
func TestStrangersWhoDoNotLogInHaveALimitOfTheirOwn(t *testing.T) {
	r, _ := newRouter(t, nil)
	in := r.connect(context.Background(), "")
	cfg := proxy.Defaults()
	cfg.MaxLogins = 2
	if err := r.proxy.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	var strangers []net.Conn
	for range cfg.MaxLogins + 1 {
		c, err := net.Dial("tcp", r.address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		strangers = append(strangers, c)
	}
	b := firstToBeTold(t, strangers)
	f, ok, err := pgwire.PeekBackend(b)
	if !ok || err != nil || f.Kind != pgwire.KindErrorResponse || f.Len != len(b) {
		t.Fatalf("it was told %q", b)
	}
	if e, err := pgwire.ParseError(f.Body(b)); err != nil || e.Severity != "FATAL" || e.Code != "53300" || e.Hint == "" {
		t.Errorf("it was told %v, %v", e, err)
	}
	if _, err := in.Exec(context.Background(), "select 1").ReadAll(); err != nil {
		t.Error(err)
	}
	for _, c := range strangers {
		c.Close()
	}
	r.await("a place to log in", func() bool {
		c, err := pgconn.Connect(context.Background(), r.dsn(""))
		if err == nil {
			c.Close(context.Background())
		}
		return err == nil
	})
}

// firstToBeTold returns what one of them is told, whose connection is closed then: the last, or one before him while the place of who has
// just logged in is still taken.
func firstToBeTold(t *testing.T, strangers []net.Conn) []byte {
	t.Helper()
	told := make(chan []byte, len(strangers))
	for _, c := range strangers {
		go func() {
			if b, err := io.ReadAll(c); err == nil {
				told <- b
			}
		}()
	}
	select {
	case b := <-told:
		return b
	case <-time.After(patience):
		t.Fatal("nobody is told anything")
		return nil
	}
}

// TestAUnixSocketServesAsTCPDoes: the DSN of a sidecar, with psql's default of a folder as host.
func TestAUnixSocketServesAsTCPDoes(t *testing.T) {
	r, _ := newRouter(t, nil)
	dir := t.TempDir()
	path := filepath.Join(dir, ".s.PGSQL.5000")
	ln, err := reactor.Listen("unix", path, r.proxy.ListenOptions())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.proxy.Serve(ln, proxy.ListenerConfig{Network: "unix", Address: path, Cluster: cluster, Route: routing.Primary}); err != nil {
		t.Fatal(err)
	}
	c, err := pgconn.Connect(t.Context(), "host="+dir+" port=5000 user=app dbname=app sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	got, err := c.Exec(t.Context(), "select 'answered'").ReadAll()
	if err != nil || string(got[0].Rows[0][0]) != "answered" {
		t.Fatalf("%v, %v", got, err)
	}
	if info := r.proxy.Clients(); len(info) != 1 {
		t.Errorf("%d clients in the registry", len(info))
	}
}
