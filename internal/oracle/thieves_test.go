package oracle

import (
	"errors"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// thieves are two clients of the queue of a script's client, which has two servers. At each mark the
// one that holds nothing takes the only server that is free, which is the one that the script's client has used last; then
// the other one gives up the server that it has held. Nothing is left to chance.
type thieves struct {
	t       testing.TB
	w       *world
	console *wiretest.Peer
	holding *wiretest.Peer
	free    *wiretest.Peer
	kept    []string // why the client kept its server, mark by mark; "" where it did not
}

// thief is the name of their application.
const thief = "thief"

// newThieves lets each of the two use one of the two servers before the script begins, and one keep its own. What they leave behind on
// a server is not what the script's client has: another role, another search path, settings of every kind that moves.
func newThieves(t testing.TB, w *world, mode string) *thieves {
	t.Helper()
	return newThievesOf(t, w, mode, nil)
}

// newThievesOf is newThieves for a client with these start-up parameters: of its user, who has servers of its own.
func newThievesOf(t testing.TB, w *world, mode string, parameters map[string]string) *thieves {
	t.Helper()
	parameters = onlyUser(parameters)
	h := &thieves{
		t: t, w: w, console: login(t, w.router, "pgrouter", nil), holding: login(t, w.router, mode, parameters), free: login(t, w.router, mode, parameters),
	}
	for _, p := range []*wiretest.Peer{h.holding, h.free} {
		ask(t, p, "set application_name = '"+thief+"'; set datestyle = 'German'; set timezone = 'Asia/Kathmandu'; set intervalstyle = 'iso_8601'")
		ask(t, p, "set work_mem = '77kB'; set search_path = public; set bytea_output = 'escape'; set extra_float_digits = -3; set my.name = 'thief'")
		ask(t, p, "set statement_timeout = '1h'; set default_transaction_isolation = 'serializable'; set xmlbinary = 'hex'; set role other")
	}
	h.take(h.holding)
	h.take(h.free)
	h.giveBack(h.free)
	return h
}

// take begins a COPY: in every pool mode that keeps a server until it ends. Who has to wait for one on a busy machine is told so.
func (h *thieves) take(p *wiretest.Peer) {
	h.t.Helper()
	err := p.Send(query("copy public.sink from stdin"))
	var m wiretest.Message
	for err == nil && m.Kind != 'G' {
		if m, err = p.Next(); m.Kind == 'E' {
			err = errors.New(m.Text)
		}
	}
	if err != nil {
		h.t.Fatalf("a thief: %v", err)
	}
}

func (h *thieves) giveBack(p *wiretest.Peer) {
	h.t.Helper()
	err := p.Play(wiretest.Send(&pgproto3.CopyFail{Message: "enough"}), wiretest.Expect("ErrorResponse…", "ReadyForQuery I"))
	if err != nil {
		h.t.Fatalf("a thief: %v", err)
	}
}

// follow gives the thieves a client to steal from. Its script has not begun.
func (h *thieves) follow(p *wiretest.Peer) {
	port := portOf(p)
	p.Mark = func() error { h.swap(port); return nil }
}

// portOf is how the console knows a client.
func portOf(p *wiretest.Peer) string {
	_, port, _ := net.SplitHostPort(p.Conn.LocalAddr().String())
	return port
}

// swap takes the last server from the client with that port, unless it keeps its server for itself.
func (h *thieves) swap(port string) {
	h.t.Helper()
	why := h.pin(port)
	h.kept = append(h.kept, why)
	if why != "" {
		return
	}
	h.take(h.free)
	h.giveBack(h.holding)
	h.holding, h.free = h.free, h.holding
}

// pin asks the console why a client keeps its server; "" when it does not.
func (h *thieves) pin(port string) string {
	h.t.Helper()
	for _, row := range ask(h.t, h.console, "show clients") {
		if row["port"] == port {
			return row["pinned"]
		}
	}
	h.t.Fatalf("the console does not know the client with port %s", port)
	return ""
}

func (h *thieves) leave() {
	h.t.Helper()
	h.giveBack(h.holding)
	for _, p := range []*wiretest.Peer{h.holding, h.free, h.console} {
		leave(h.t, p)
	}
}

// TestAMarkGivesTheClientAnotherServer shows that the thieves can do what they are for.
func TestAMarkGivesTheClientAnotherServer(t *testing.T) {
	w := newWorld(t)
	for _, mode := range []string{transaction, statement} {
		h := newThieves(t, w, mode)
		p := login(t, w.router, mode, nil)
		h.follow(p)
		var last string
		for n := range 5 {
			pid := ask(t, p, "select pg_backend_pid() as pid")[0]["pid"]
			if n > 0 && pid == last {
				t.Errorf("%s: the client kept server %s at mark %d", mode, pid, n)
			}
			last = pid
			mark(t, p)
		}
		ask(t, p, "listen x")
		mark(t, p)
		if want := "listen"; h.kept[5] != want {
			t.Errorf("%s: the client that listens keeps its server for %q, want %q", mode, h.kept[5], want)
		}
		leave(t, p)
		h.leave()
	}
}

func mark(t *testing.T, p *wiretest.Peer) {
	t.Helper()
	if err := p.Play(wiretest.Mark()); err != nil {
		t.Fatal(err)
	}
}
