//go:build etcd

package etcd

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// patience is how long a test waits for what must come.
const patience = 15 * time.Second

// server is one etcd process, with its data in a temporary directory.
type server struct {
	t    *testing.T
	name string
	args []string
	peer string
	url  string // of clients
	cmd  *exec.Cmd
	log  bytes.Buffer
}

// serve starts etcd with further arguments.
func serve(t *testing.T, more ...string) *server {
	t.Helper()
	s := prepare(t, "one", "http", more...)
	s.join([]*server{s})
	s.start()
	return s
}

// serveThree starts a cluster of three.
func serveThree(t *testing.T) []*server {
	t.Helper()
	all := []*server{prepare(t, "one", "http"), prepare(t, "two", "http"), prepare(t, "three", "http")}
	for _, s := range all {
		s.join(all)
	}
	for _, s := range all {
		s.launch()
	}
	for _, s := range all {
		s.await()
	}
	return all
}

// prepare makes a server that does not run yet.
func prepare(t *testing.T, name, scheme string, more ...string) *server {
	t.Helper()
	if _, err := exec.LookPath("etcd"); err != nil {
		t.Fatal("there is no etcd: run scripts/setup-etcd")
	}
	s := &server{t: t, name: name, peer: "http://" + freeAddress(t), url: scheme + "://" + freeAddress(t)}
	s.args = append([]string{
		"--name", name, "--data-dir", filepath.Join(t.TempDir(), name), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-peer-urls", s.peer, "--initial-advertise-peer-urls", s.peer, "--listen-client-urls", s.url, "--advertise-client-urls", s.url,
	}, more...)
	t.Cleanup(s.kill)
	return s
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := testcluster.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// join says who the cluster is made of.
func (s *server) join(all []*server) {
	var members []string
	for _, other := range all {
		members = append(members, other.name+"="+other.peer)
	}
	s.args = append(s.args, "--initial-cluster", strings.Join(members, ","))
}

// launch starts the process.
func (s *server) launch() {
	s.t.Helper()
	s.cmd = exec.Command("etcd", s.args...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) start() {
	s.t.Helper()
	s.launch()
	s.await()
}

// await waits until the server listens to clients, which is when its cluster has a leader.
func (s *server) await() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, address, _ := strings.Cut(s.url, "://")
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("etcd does not listen: %s", s.log.String())
		}
	}
}

// kill ends the process as a power cut would; it can be started again.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// signal stops the process in its tracks, or lets it go on.
func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// writer is a client that may write, as Patroni is.
type writer struct {
	t *testing.T
	*clientv3.Client
}

func newWriter(t *testing.T, spoil func(*clientv3.Config), servers ...*server) *writer {
	t.Helper()
	cfg := clientv3.Config{Logger: zap.NewNop(), DialTimeout: patience}
	for _, s := range servers {
		cfg.Endpoints = append(cfg.Endpoints, s.url)
	}
	if spoil != nil {
		spoil(&cfg)
	}
	client, err := clientv3.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return &writer{t, client}
}

// put writes keys and values below the scope's prefix.
func (w *writer) put(pairs ...string) {
	w.t.Helper()
	w.with(clientv3.NoLease, pairs...)
}

// with writes keys that hang on a lease.
func (w *writer) with(lease clientv3.LeaseID, pairs ...string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for i := 0; i < len(pairs); i += 2 {
		for done := false; !done; { // a cluster that has lost its leader refuses for a while
			_, err := w.Put(ctx, "/service/voip/"+pairs[i], pairs[i+1], clientv3.WithLease(lease))
			if done = err == nil; !done && ctx.Err() != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// lease makes a lease that does not end by itself during a test.
func (w *writer) lease() clientv3.LeaseID {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	granted, err := w.Grant(ctx, 600)
	if err != nil {
		w.t.Fatal(err)
	}
	return granted.ID
}
