package proxy_test

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/topology"
)

// stage is a router with scripted clients in front of it and scripted servers behind it. The test's goroutine plays all of
// them, one after the other, and waits for everything that must come: so the trace has an order, and only one.
type stage struct {
	*router
	trace   *wiretest.Trace
	nodes   []*node
	clients []*actor
	servers []*actor
	over    chan struct{} // closed at the end
}

// node is a PostgreSQL server that the router knows by its name. Its connections are called NAME.1, NAME.2 …
type node struct {
	*wiretest.Server
	stage    *stage
	name     string
	settings map[string]string
	calls    chan *wiretest.Peer
	accepted int
}

// actor is a client, or a server connection.
type actor struct {
	*wiretest.Peer
	stage  *stage
	margin string                  // of its lines in the trace
	key    pgproto3.BackendKeyData // a client's
	gone   bool                    // it has seen the end, or has made it
}

// primary adds a node, and makes it the primary.
func (s *stage) primary(name string) *node {
	n := s.node(name)
	s.publishes(n)
	return n
}

// standbys adds nodes without a primary, and lets clients come in at a listener for reads.
func (s *stage) standbys(names ...string) (nodes []*node) {
	for _, name := range names {
		n := s.node(name)
		n.settings["in_hot_standby"] = "on"
		nodes = append(nodes, n)
	}
	s.publishes(nil)
	return nodes
}

// node adds a node that nobody knows yet.
func (s *stage) node(name string) *node {
	s.t.Helper()
	n := &node{stage: s, name: name, settings: wiretest.DefaultParameters(), calls: make(chan *wiretest.Peer)}
	var err error
	n.Server, err = wiretest.NewServer(func(_ int, p *wiretest.Peer) error {
		select {
		case n.calls <- p:
			<-s.over
		case <-s.over:
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.nodes = append(s.nodes, n)
	return n
}

// publishes makes a node the primary and all others its standbys; nil: there is no primary.
func (s *stage) publishes(primary *node) {
	var id topology.NodeID
	var nodes []topology.Node
	for _, n := range s.nodes {
		nodes = append(nodes, topology.Node{ID: topology.NodeID(n.name), Address: n.Addr()})
		if n == primary {
			id = topology.NodeID(n.name)
		}
	}
	s.show(id, nodes...)
}

// turns does as publishes, and says so in the trace.
func (s *stage) turns(primary *node) {
	if primary == nil {
		s.remark("there is no primary")
	} else {
		s.remark("%s is the primary", primary.name)
	}
	s.publishes(primary)
}

// comments puts a text into the trace, in lines of a fair width.
func (s *stage) comments(text string) {
	const width = 120
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+len(word) >= width {
			s.trace.Note(line)
			line = "#"
		}
		line += " " + word
	}
	s.trace.Note(line)
}

// remark is a line of the trace about what happens behind the stage.
func (s *stage) remark(format string, args ...any) {
	s.trace.Note("-- " + fmt.Sprintf(format, args...))
}

// reconfigure changes the router's configuration.
func (s *stage) reconfigure(change func(*proxy.Config)) {
	s.t.Helper()
	cfg := proxy.Defaults()
	change(&cfg)
	if err := s.proxy.Reconfigure(cfg); err != nil {
		s.t.Fatal(err)
	}
}

// awaits waits until so many clients, or logins, wait for a server.
func (s *stage) awaits(n int, who string) {
	s.t.Helper()
	s.await(who, func() bool { return s.waiting() == n })
	s.remark("%s", who)
}

// awaitsRoom waits until somebody waits for a server connection that a limit forbids. It takes an attempt to open one to find that out.
func (s *stage) awaitsRoom(who string) {
	s.t.Helper()
	s.await(who, func() bool {
		return slices.ContainsFunc(s.pool.Stats(), func(q pool.QueueStats) bool { return q.Waiting > 0 && q.Reason == event.HoldLimit })
	})
	s.remark("%s", who)
}

// client connects one that has not said anything.
func (s *stage) client(name string) *actor {
	s.t.Helper()
	p, err := wiretest.Dial(s.t.Context(), s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = p.Conn.Close() })
	p.Name, p.Trace = name, s.trace
	a := &actor{Peer: p, stage: s}
	s.clients = append(s.clients, a)
	return a
}

// greetingKinds are the messages from AuthenticationOk to ReadyForQuery.
var greetingKinds = "R" + strings.Repeat("S", len(wiretest.DefaultParameters())) + "KZ"

// startup is a client's first message, with parameters beside user and database: name, value, name, value …
func startup(parameters ...string) *pgproto3.StartupMessage {
	m := &pgproto3.StartupMessage{
		ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "app", "database": "app"},
	}
	for i := 0; i+1 < len(parameters); i += 2 {
		m.Parameters[parameters[i]] = parameters[i+1]
	}
	return m
}

// knocks connects a client that asks to be let in, off the record.
func (s *stage) knocks(name string, parameters ...string) *actor {
	s.t.Helper()
	a := s.client(name)
	a.offRecord(func() { a.says(startup(parameters...)) })
	return a
}

// isIn hears the end of the login, off the record, and returns the settings that are not as usual.
func (a *actor) isIn() (unusual []string) {
	a.stage.t.Helper()
	a.offRecord(func() {
		a.hears("R")
		usual := wiretest.DefaultParameters()
		for range usual {
			m := a.hears("S")
			if p, ok := m.Value.(*pgproto3.ParameterStatus); ok && usual[p.Name] != p.Value {
				unusual = append(unusual, m.Text)
			}
		}
		a.key = *a.hears("K").Value.(*pgproto3.BackendKeyData)
		a.hears("Z")
	})
	return unusual
}

// hearsGreeting hears the end of the login.
func (a *actor) hearsGreeting() {
	a.stage.t.Helper()
	a.records(" < ", a.isIn())
}

// admits says the end of a login.
func (a *actor) admits(n *node) {
	a.stage.t.Helper()
	var unusual []string
	for name, value := range wiretest.DefaultParameters() {
		if n.settings[name] != value {
			unusual = append(unusual, "ParameterStatus "+name+"="+n.settings[name])
		}
	}
	a.offRecord(func() { a.must(a.Admit(n.settings, pidOf(a))) })
	a.records(" > ", unusual)
}

// records puts a greeting into the trace, in short.
func (a *actor) records(arrow string, unusual []string) {
	for _, line := range slices.Concat([]string{"AuthenticationOk", "ParameterStatus … as in login.trace"}, unusual, []string{"BackendKeyData", "ReadyForQuery I"}) {
		a.Trace.Note(a.margin + a.Name + arrow + line)
	}
}

// enters logs in the first client, for which a server connection is opened.
func (s *stage) enters(name string, n *node) (client, server *actor) {
	s.t.Helper()
	client = s.knocks(name)
	server = n.opens()
	client.isIn()
	s.remark("%s has logged in; there is a connection %s", name, server.Name)
	return client, server
}

// joins logs in another client like the first. No server is asked.
func (s *stage) joins(name string) *actor {
	s.t.Helper()
	a := s.knocks(name)
	a.isIn()
	s.remark("%s has logged in", name)
	return a
}

// accepts takes the router's next connection.
func (n *node) accepts() *actor {
	n.stage.t.Helper()
	select {
	case p := <-n.calls:
		n.accepted++
		p.Name, p.Trace = fmt.Sprintf("%s.%d", n.name, n.accepted), n.stage.trace
		a := &actor{Peer: p, stage: n.stage, margin: "    "}
		n.stage.servers = append(n.stage.servers, a)
		return a
	case <-time.After(wiretest.DefaultLimit):
		n.stage.t.Fatalf("no connection came to %s", n.name)
		return nil
	}
}

// opens takes the router's next connection and lets it in, off the record.
func (n *node) opens() *actor {
	n.stage.t.Helper()
	a := n.accepts()
	a.offRecord(func() {
		a.hearsStartup()
		a.admits(n)
	})
	return a
}

// opensFor does as opens, and says so in the trace.
func (n *node) opensFor(why string) *actor {
	n.stage.t.Helper()
	a := n.opens()
	n.stage.remark("%s is opened: %s", a.Name, why)
	return a
}

func (a *actor) hearsStartup() wiretest.Message {
	a.stage.t.Helper()
	m, err := a.NextStartup()
	a.must(err)
	return m
}

// pidOf is the process id of a server connection: a number that no other has.
func pidOf(server *actor) (pid uint32) {
	for _, c := range []byte(server.Name) {
		pid = pid<<8 | uint32(c)
	}
	return pid
}

// hearsCancel takes a connection that brings a cancel request for a server connection.
func (n *node) hearsCancel(target *actor) *actor {
	n.stage.t.Helper()
	a := n.accepts()
	var m wiretest.Message
	a.offRecord(func() { m = a.hearsStartup() })
	got, ok := m.Value.(*pgproto3.CancelRequest)
	if !ok || got.ProcessID != pidOf(target) || string(got.SecretKey) != wiretest.ServerKey {
		n.stage.t.Fatalf("%s heard %s, not the cancel request for %s", a.Name, m.Text, target.Name)
	}
	a.Trace.Note(a.margin + a.Name + " < CancelRequest with the key of " + target.Name)
	return a
}

// cancels sends a cancel request with the key of a client, on a connection of its own.
func (s *stage) cancels(target *actor) *actor {
	s.t.Helper()
	c := s.client("cancel")
	request, err := (&pgproto3.CancelRequest{ProcessID: target.key.ProcessID, SecretKey: target.key.SecretKey}).Encode(nil)
	c.must(err)
	c.must(c.SendPart(request, "CancelRequest with the key of "+target.Name))
	return c
}

func (a *actor) must(err error) {
	a.stage.t.Helper()
	if err != nil {
		a.stage.t.Fatalf("%s: %v", a.Name, err)
	}
}

func (a *actor) offRecord(do func()) {
	trace := a.Trace
	a.Trace = nil
	do()
	a.Trace = trace
}

// says sends messages in one piece.
func (a *actor) says(messages ...pgproto3.Message) {
	a.stage.t.Helper()
	a.must(a.Send(messages...))
}

func (a *actor) asks(sql string) {
	a.stage.t.Helper()
	a.must(a.Query(sql))
}

// hears reads messages of these kinds and returns the last.
func (a *actor) hears(kinds string) (m wiretest.Message) {
	a.stage.t.Helper()
	for i := range len(kinds) {
		var err error
		if m, err = a.Next(); err != nil {
			a.stage.t.Fatalf("%s waits for %q: %v", a.Name, kinds[i:], err)
		}
		if m.Kind != kinds[i] {
			a.stage.t.Fatalf("%s hears %s, not %q", a.Name, m.Text, kinds[i:])
		}
	}
	return m
}

// hearsBytes reads bytes that are no whole message.
func (a *actor) hearsBytes(n int, what string) []byte {
	a.stage.t.Helper()
	b := make([]byte, n)
	a.must(a.Conn.SetReadDeadline(time.Now().Add(wiretest.DefaultLimit)))
	_, err := io.ReadFull(a.Conn, b)
	a.must(err)
	a.Trace.Note(a.margin + a.Name + " < " + what)
	return b
}

// hearsNoMore makes sure that what was heard was sent alone: the rest waits for its answer.
func (a *actor) hearsNoMore() {
	a.stage.t.Helper()
	n, err := a.Pending()
	a.must(err)
	if n > 0 {
		a.stage.t.Errorf("%s was sent %d bytes more before it has answered", a.Name, n)
	}
	a.stage.remark("%s gets no more before it has answered", a.Name)
}

// ends waits until the router has ended the connection.
func (a *actor) ends() {
	a.stage.t.Helper()
	a.must(a.ExpectEnd())
	a.gone = true
}

// saysGoodbye is what clients do, and what they hear.
func (a *actor) saysGoodbye() {
	a.stage.t.Helper()
	a.says(&pgproto3.Terminate{})
	a.ends()
}

// leaves closes the connection without a word.
func (a *actor) leaves() {
	a.stage.t.Helper()
	a.gone = true
	a.must(a.Close())
}

// resets breaks the connection.
func (a *actor) resets() {
	a.gone = true
	a.Abort()
}

// isAnswered is a whole unit of work: a client asks, and a server answers.
func (a *actor) isAnswered(server *actor, sql, value string) {
	a.stage.t.Helper()
	a.asks(sql)
	server.hears("Q")
	server.says(wiretest.Row("v", value)...)
	a.hears("TDCZ")
}

// does is a statement that a server has done.
func (a *actor) does(server *actor, sql, tag string, status byte) {
	a.stage.t.Helper()
	a.asks(sql)
	server.hears("Q")
	server.says(wiretest.Done(tag, status)...)
	a.hears("CZ")
}

// isTold hears why the router ends the connection, and its end.
func (a *actor) isTold() {
	a.stage.t.Helper()
	a.hears("E")
	a.ends()
}

// curtain ends the router, and with it makes sure that nobody was told anything that the trace does not show.
func (s *stage) curtain() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wiretest.DefaultLimit)
	defer cancel()
	if err := s.proxy.Shutdown(ctx); err != nil {
		s.t.Fatal(err)
	}
	for _, a := range s.clients {
		if !a.gone {
			a.offRecord(a.isTold)
		}
	}
	if err := s.pool.Close(ctx); err != nil {
		s.t.Fatal(err)
	}
	for _, a := range s.servers {
		if !a.gone {
			a.offRecord(func() { a.hears("X"); a.ends() })
		}
	}
	for _, n := range s.nodes {
		if n.Accepted() > n.accepted {
			s.t.Errorf("%s was connected to %d times, not %d", n.name, n.Accepted(), n.accepted)
		}
	}
}

// inOneTurn keeps the first loop busy while do is done, so that it finds all of it at once.
func (s *stage) inOneTurn(do func()) {
	s.t.Helper()
	busy, goOn := make(chan struct{}), make(chan struct{})
	defer close(goOn)
	s.reactor.Loops()[0].Post(reactor.TaskFunc(func(*reactor.Loop) { close(busy); <-goOn }))
	<-busy
	do()
}

// strike takes the stage down.
func (s *stage) strike() {
	if s.t.Failed() {
		s.t.Logf("so far:\n%s", s.trace)
	}
	close(s.over)
	for _, n := range s.nodes {
		_ = n.Close() // a connection that the router ends in the middle of a step is no fault
	}
}

// waited is what depends on the clock.
var waited = regexp.MustCompile(`Waited [0-9.]+ s`)

// timeless returns the trace without what differs from run to run.
func (s *stage) timeless() *wiretest.Trace {
	same := &wiretest.Trace{}
	same.Note(strings.TrimSuffix(waited.ReplaceAllString(s.trace.String(), "Waited … s"), "\n"))
	return same
}
