package proxy_test

import (
	"slices"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// withReplication lets replication connections pass.
func withReplication(r *router) { r.policy.Replication = true }

// replicates logs in a client of the replication protocol, for which a server connection of its own is opened.
func (s *stage) replicates(name string, n *node, kind string) (client, server *actor) {
	s.t.Helper()
	client = s.knocks(name, "replication", kind)
	server = n.opens()
	client.isIn()
	s.remark("%s has logged in with replication=%s, and has %s to itself", name, kind, server.Name)
	return client, server
}

// streams begins a stream, in which both sides speak.
func (a *actor) streams(server *actor) {
	a.stage.t.Helper()
	a.asks("START_REPLICATION 0/0")
	server.hears("Q")
	server.says(&pgproto3.CopyBothResponse{})
	a.hears("W")
	server.says(wal("1"))
	a.hears("d")
	a.says(wal("received"))
	server.hears("d")
}

func wal(s string) *pgproto3.CopyData { return &pgproto3.CopyData{Data: []byte(s)} }

var replicationScenarios = []scenario{
	{"replication",
		"A client of the replication protocol gets a server connection of its own, with all of its start-up parameters. What either says " +
			"is passed on; pools know nothing of it.",
		withReplication, func(s *stage) {
			n := s.primary("n")
			a := s.client("a")
			a.says(startup("replication", "database", "application_name", "sub", "options", "-c datestyle=German", "TimeZone", "UTC"))
			n1 := n.accepts()
			n1.hearsStartup()
			n1.admits(n)
			a.hearsGreeting()
			a.isAnswered(n1, "IDENTIFY_SYSTEM", "7")
			a.streams(n1)
			if all := s.pool.Servers(); len(all) > 0 {
				s.t.Errorf("pools have %+v", all)
			}
			a.says(&pgproto3.CopyDone{})
			n1.hears("c")
			n1.says(slices.Concat([]pgproto3.Message{&pgproto3.CopyDone{}}, wiretest.Done("START_REPLICATION", 'I'))...)
			a.hears("cCZ")
			a.says(&pgproto3.Terminate{})
			n1.hears("X")
			n1.leaves()
			a.ends()
		}},
	{"replication_physical",
		"Physical replication is in no database: it is called replication, whatever the client says, as in pg_hba.conf.",
		withReplication, func(s *stage) {
			n := s.primary("n")
			a := s.client("a")
			a.says(startup("replication", "1", "database", "anything"))
			n1 := n.accepts()
			n1.hearsStartup()
			n1.admits(n)
			a.hearsGreeting()
			if got := s.proxy.Clients(); len(got) != 1 || got[0].Kind != "replication" || got[0].Database != "replication" {
				s.t.Errorf("%+v", got)
			}
		}},
	{"replication_held",
		"While no node is there the login waits. The client has not been told that it is in.",
		withReplication, func(s *stage) {
			n := s.node("n")
			s.publishes(nil)
			a := s.knocks("a", "replication", "true")
			s.await("a's login waits", func() bool { return len(s.proxy.Clients()) == 1 })
			s.remark("a's login waits")
			s.turns(n)
			n.opensFor("a")
			a.isIn()
			s.remark("a is in")
		}},
	{"replication_held_too_long",
		"No node comes within login_hold_timeout.",
		func(r *router) { withReplication(r); r.policy.LoginHoldTimeout = brief }, func(s *stage) {
			s.publishes(nil)
			s.knocks("a", "replication", "true").isTold()
		}},
	{"replication_refused_by_server",
		"What the server says to the login is the client's own affair.",
		withReplication, func(s *stage) {
			n := s.primary("n")
			a := s.knocks("a", "replication", "true")
			n1 := n.accepts()
			n1.hearsStartup()
			n1.says(wiretest.Fatal("53300", "number of requested standby connections exceeds max_wal_senders (currently 10)"))
			n1.leaves()
			a.isTold()
		}},
	{"replication_server_starts_up",
		"A server that lets nobody in yet is tried again.",
		withReplication, func(s *stage) {
			n := s.primary("n")
			a := s.knocks("a", "replication", "true")
			n1 := n.accepts()
			n1.hearsStartup()
			n1.says(wiretest.Fatal("57P03", "the database system is starting up"))
			n1.leaves()
			n.opensFor("a")
			a.isIn()
			s.remark("a is in")
		}},
	{"replication_cut",
		"Another node has become the primary: the stream of the old one ends where a message ends.",
		withReplication, func(s *stage) {
			n, m := s.primary("n"), s.node("m")
			a, n1 := s.replicates("a", n, "true")
			a.streams(n1)
			s.turns(m)
			a.isTold()
			n1.hears("X")
			n1.ends()
		}},
	{"replication_cut_in_a_message",
		"A part of a message has been passed on: nothing can be put behind it.",
		withReplication, func(s *stage) {
			n, m := s.primary("n"), s.node("m")
			a, n1 := s.replicates("a", n, "true")
			a.streams(n1)
			long, err := wal(string(make([]byte, 100000))).Encode(nil)
			n1.must(err)
			n1.must(n1.SendPart(long[:50000], "50000 bytes of CopyData"))
			a.hearsBytes(50000, "50000 bytes of CopyData")
			s.turns(m)
			a.ends()
			n1.hears("X")
			n1.ends()
		}},
	{"replication_without_primary",
		"There is no primary, but none other either: what streams goes on.",
		withReplication, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.replicates("a", n, "true")
			a.streams(n1)
			s.turns(nil)
			n1.says(wal("more"))
			a.hears("d")
			s.turns(n)
			n1.says(wal("and more"))
			a.hears("d")
		}},
	{"replication_lost",
		"The server is gone without a word.",
		withReplication, func(s *stage) {
			a, n1 := s.replicates("a", s.primary("n"), "true")
			a.streams(n1)
			n1.resets()
			a.isTold()
		}},
	{"replication_server_says_why",
		"The server says itself why it ends.",
		withReplication, func(s *stage) {
			a, n1 := s.replicates("a", s.primary("n"), "true")
			a.streams(n1)
			n1.says(wiretest.Fatal("57P01", "terminating connection due to administrator command"))
			n1.leaves()
			a.isTold()
		}},
	{"replication_half",
		"The client sends no more, and still gets what its server says.",
		withReplication, func(s *stage) {
			a, n1 := s.replicates("a", s.primary("n"), "true")
			a.asks("BASE_BACKUP")
			n1.hears("Q")
			a.CloseWrite()
			n1.must(n1.ExpectEnd())
			n1.says(wiretest.Done("SELECT", 'I')...)
			a.hears("CZ")
			n1.leaves()
			a.ends()
		}},
	{"replication_left",
		"The client is gone: its server is told so.",
		withReplication, func(s *stage) {
			a, n1 := s.replicates("a", s.primary("n"), "true")
			a.streams(n1)
			a.resets()
			n1.hears("X")
			n1.ends()
		}},
	{"replication_cancelled",
		"A cancel request reaches the client's own server, with that server's key.",
		withReplication, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.replicates("a", n, "database")
			a.asks("CREATE_REPLICATION_SLOT s LOGICAL test_decoding")
			n1.hears("Q")
			cancel := s.cancels(a)
			n.hearsCancel(n1).leaves()
			cancel.ends()
			n1.says(failure("57014", "canceling statement due to user request"), ready('I'))
			a.hears("EZ")
		}},
	{"replication_killed",
		"An operator closes the client.",
		withReplication, func(s *stage) {
			a, n1 := s.replicates("a", s.primary("n"), "database")
			a.streams(n1)
			s.kills(1)
			a.isTold()
			n1.hears("X")
			n1.ends()
		}},
	{"replication_drained",
		"At the end of the router a stream ends at once: it begins anew where it was left. A backup may end first.",
		withReplication, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.replicates("a", n, "true")
			a.streams(n1)
			b, n2 := s.replicates("b", n, "true")
			b.asks("BASE_BACKUP")
			n2.hears("Q")
			n2.says(wal("half of it"))
			b.hears("d")
			ended := s.shutsDown()
			a.isTold()
			n1.hears("X")
			n1.ends()
			n2.says(slices.Concat([]pgproto3.Message{wal("the rest")}, wiretest.Done("SELECT", 'I'))...)
			b.hears("dCZ")
			b.isTold()
			n2.hears("X")
			n2.ends()
			ended()
		}},
	{"replication_refused_anew",
		"The configuration does not pass replication on any more.",
		withReplication, func(s *stage) {
			a, n1 := s.replicates("a", s.primary("n"), "true")
			a.streams(n1)
			policy := s.policy
			policy.Replication = false
			s.later.Store(&policy)
			s.remark("the configuration is reloaded, with replication = \"refuse\"")
			s.proxy.Renew()
			a.isTold()
			n1.hears("X")
			n1.ends()
		}},
	{"replication_too_many",
		"A client of the replication protocol counts as one of its user's.",
		func(r *router) { withReplication(r); r.policy.MaxUser = 1 }, func(s *stage) {
			s.replicates("a", s.primary("n"), "true")
			s.knocks("b", "replication", "true").isTold()
		}},
}
