package proxy_test

import (
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"

	"github.com/pgrouter/pgrouter/auth"
	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/proxy"
)

var loginScenarios = []scenario{
	{"login",
		"A login: encryption is declined, and AuthenticationOk comes with what a server says at its own login, not earlier.",
		nil, func(s *stage) {
			n := s.primary("n")
			a := s.client("a")
			for _, request := range []pgproto3.Message{&pgproto3.GSSEncRequest{}, &pgproto3.SSLRequest{}} {
				a.says(request)
				if answer := a.hearsBytes(1, "N: not encrypted"); answer[0] != pgwire.AnswerNone {
					s.t.Fatalf("answered %q", answer)
				}
			}
			a.says(startup("application_name", "probe"))
			n1 := n.accepts()
			n1.hearsStartup()
			n1.must(n1.Admit(n.settings, pidOf(n1)))
			a.hears(greetingKinds)
		}},
	{"login_remembered",
		"The second login asks no server: what one says is remembered until there is another primary.",
		nil, func(s *stage) {
			s.enters("a", s.primary("n"))
			b := s.client("b")
			b.says(startup())
			b.hearsGreeting()
		}},
	{"login_newer_protocol",
		"A client that asks for a protocol newer than 3.2 is told so, once, and which of its options nobody knows here.",
		nil, func(s *stage) {
			s.enters("a", s.primary("n"))
			b := s.client("b")
			wish := startup("_pq_.test_protocol_negotiation", "")
			wish.ProtocolVersion = 3<<16 | 9999 // libpq's grease
			b.says(wish)
			b.hears("v")
			b.hearsGreeting()
		}},
	{"login_unknown_option",
		"An option of the protocol that nobody knows is answered in protocol 3.0 as well.",
		nil, func(s *stage) {
			s.enters("a", s.primary("n"))
			b := s.client("b")
			b.says(startup("_pq_.grease", "1"))
			b.hears("v")
			b.hearsGreeting()
		}},
	{"login_scram",
		"SCRAM: the server's proof comes together with AuthenticationOk.",
		withUsers, func(s *stage) {
			n := s.primary("n")
			a := s.client("a")
			proof := a.provesToBe("app", "right")
			n.opensFor("a has proven who it is")
			final := a.hears("R").Value.(*pgproto3.AuthenticationSASLFinal)
			if _, err := proof.Step(string(final.Data)); err != nil || !proof.Valid() {
				s.t.Errorf("the server has not proven that it knows the password: %v", err)
			}
			a.hearsGreeting()
		}},
	{"login_scram_wrong_password",
		"A wrong password. No server is asked.",
		withUsers, func(s *stage) {
			s.primary("n")
			a := s.client("a")
			a.provesToBe("app", "wrong")
			a.isTold()
		}},
	{"login_scram_unknown_user",
		"A user that does not exist is told the same, after the same exchange.",
		withUsers, func(s *stage) {
			s.primary("n")
			a := s.client("a")
			a.provesToBe("nobody", "right")
			a.isTold()
		}},
	{"login_parameters",
		"What a client wants to have set: it can be set on any server, which the client does not see; what takes effect " +
			"only at a connection's start goes into the server's own login.",
		nil, func(s *stage) {
			n := s.primary("n")
			a := s.client("a")
			a.says(startup("TimeZone", "europe/berlin", "work_mem", "64MB", "log_connections", "on"))
			n1 := n.accepts()
			n1.hearsStartup()
			n1.admits(n)
			n1.hears("Q")
			n1.says(complete("SET"), complete("SELECT 1"), &pgproto3.ParameterStatus{Name: "TimeZone", Value: "Europe/Berlin"}, ready('I'))
			a.hearsGreeting()
		}},
	{"login_parameters_session_mode",
		"In pool mode session RESET goes back to what the client began with: all goes into the server's own login, but for the name.",
		func(r *router) { r.policy.Mode = proxy.ModeSession }, func(s *stage) {
			n := s.primary("n")
			a := s.client("a")
			a.says(startup("application_name", "psql", "DateStyle", "German", "TimeZone", "Europe/Berlin"))
			n1 := n.accepts()
			n1.hearsStartup()
			n1.admits(n)
			a.hearsGreeting()
		}},
	{"login_parameter_refused",
		"A parameter that the server refuses is the client's own fault. The server connection is not used again.",
		nil, func(s *stage) {
			n := s.primary("n")
			a := s.client("a")
			a.says(startup("TimeZone", "Nowhere"))
			n1 := n.opensFor("for a's login")
			n1.hears("Q")
			n1.says(failure("22023", `invalid value for parameter "TimeZone": "Nowhere"`), ready('I'))
			a.isTold()
			n1.ends()
		}},
	{"login_refused_by_server",
		"What a server says against this user, database or setting is passed on.",
		nil, func(s *stage) {
			n := s.primary("n")
			a := s.client("a")
			a.says(startup("database", "nowhere"))
			n1 := n.accepts()
			n1.hearsStartup()
			n1.says(wiretest.Fatal("3D000", `database "nowhere" does not exist`))
			n1.leaves()
			a.isTold()
		}},
	{"login_server_starts_up",
		"A server that lets nobody in yet is tried again. The client sees latency.",
		nil, func(s *stage) {
			n := s.primary("n")
			a := s.client("a")
			a.says(startup())
			n1 := n.accepts()
			n1.hearsStartup()
			n1.says(wiretest.Fatal("57P03", "the database system is starting up"))
			n1.leaves()
			n2 := n.accepts()
			n2.hearsStartup()
			n2.admits(n)
			a.hearsGreeting()
		}},
	{"login_server_is_a_standby",
		"A server that calls itself a standby gets no work of the primary's, whatever was believed. It is tried again.",
		nil, func(s *stage) {
			n := s.primary("n")
			n.settings["in_hot_standby"] = "on"
			a := s.client("a")
			a.says(startup())
			n1 := n.accepts()
			n1.hearsStartup()
			n1.admits(n)
			n1.ends()
			n.settings["in_hot_standby"] = "off"
			n2 := n.accepts()
			n2.hearsStartup()
			n2.admits(n)
			a.hearsGreeting()
		}},
	{"login_server_ends",
		"The server ends while it is asked for a login's sake: another is asked, as the client has seen nothing yet.",
		nil, func(s *stage) {
			n := s.primary("n")
			_, n1 := s.enters("a", n)
			b := s.client("b")
			b.says(startup("TimeZone", "Europe/Berlin"))
			n1.hears("Q")
			n1.says(goingDown)
			n1.leaves()
			n2 := n.opensFor("the login goes on there")
			n2.hears("Q")
			n2.says(set("TimeZone", "Europe/Berlin")...)
			b.hearsGreeting()
		}},
	{"login_held",
		"No node: the login waits for login_hold_timeout, and is refused before AuthenticationOk, so that libpq tries its next " +
			"host.",
		func(r *router) {
			r.policy.LoginHoldTimeout = brief
		}, func(s *stage) {
			a := s.client("a")
			a.says(startup())
			a.isTold()
		}},
	{"login_waits_too_long",
		"A login needs a server, because nobody has had its parameters, and all are taken for longer than wait_timeout.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.does(n1, "begin", "BEGIN", 'T')
			s.fromNowOn(func(p *proxy.Policy) { p.WaitTimeout = brief })
			b := s.client("b")
			b.says(startup("TimeZone", "Europe/Berlin"))
			b.isTold()
			a.does(n1, "commit", "COMMIT", 'I')
		}},
	{"login_held_and_served",
		"A node appears while a login waits: latency.",
		nil, func(s *stage) {
			n := s.node("n")
			a := s.client("a")
			a.says(startup())
			s.awaits(1, "a waits")
			s.turns(n)
			n.opensFor("for a's login")
			a.hearsGreeting()
		}},
	{"login_eager",
		`With login = "eager" nobody waits at the door: what a server said before is said again. The work waits.`,
		func(r *router) {
			r.policy.EagerLogin = true
		}, func(s *stage) {
			n := s.primary("n")
			_, n1 := s.enters("a", n)
			s.turns(nil)
			b := s.client("b")
			b.says(startup("application_name", "early"))
			b.hearsGreeting()
			b.asks("select 1")
			s.awaits(1, "b waits")
			s.turns(n)
			n1.hears("Q")
			n1.says(set("application_name", "early")...)
			n1.hears("Q")
			n1.says(wiretest.Row("v", "1")...)
			b.hears("TDCZ")
		}},
	{"login_refuses_pgrouter",
		"A server wants a proof that pgrouter cannot give: that is not the client's fault.",
		nil, func(s *stage) {
			n := s.primary("n")
			a := s.client("a")
			a.says(startup())
			n1 := n.accepts()
			n1.hearsStartup()
			n1.says(&pgproto3.AuthenticationGSS{})
			n1.ends()
			a.isTold()
		}},
	{"login_timeout",
		"A client that does not say what it wants within login_timeout.",
		nil, func(s *stage) {
			s.reconfigure(func(c *proxy.Config) { c.LoginTimeout = brief })
			a := s.client("a")
			a.must(a.SendPart([]byte{0, 0, 0, 80, 0, 3}, "6 bytes of a StartupMessage"))
			a.isTold()
		}},
	{"login_too_many_clients",
		"max_clients is 1. The place is free when its owner has gone.",
		nil, func(s *stage) {
			s.reconfigure(func(c *proxy.Config) { c.MaxClients = 1 })
			a, _ := s.enters("a", s.primary("n"))
			b := s.client("b")
			b.says(startup())
			b.isTold()
			a.saysGoodbye()
			s.await("a is gone", func() bool { return len(s.proxy.Clients()) == 0 })
			s.joins("c")
		}},
	{"login_too_many_for_database",
		"max_db_client_connections is 1. The limit says so only to who has proven who he is; the place is free when its owner has gone.",
		func(r *router) { r.policy.MaxDatabase = 1 }, func(s *stage) {
			a, _ := s.enters("a", s.primary("n"))
			b := s.client("b")
			b.says(startup("user", "other"))
			b.isTold()
			a.saysGoodbye()
			s.await("a is gone", func() bool { return len(s.proxy.Clients()) == 0 })
			s.joins("c")
		}},
	{"login_too_many_for_user",
		"max_user_client_connections is 1.",
		func(r *router) { r.policy.MaxUser = 1 }, func(s *stage) {
			s.enters("a", s.primary("n"))
			b := s.client("b")
			b.says(startup("database", "other"))
			b.isTold()
		}},
	{"login_unknown_database",
		"The configuration lists the databases, and this is none of them.",
		func(r *router) { r.refused = pgwire.ErrUnknownDatabase.New("", "other") }, func(s *stage) {
			a := s.client("a")
			a.says(startup("database", "other"))
			a.isTold()
		}},
	{"login_too_many_logins",
		"max_logins is 1, and somebody stands in the door without a word. Nobody listens to the next.",
		nil, func(s *stage) {
			s.reconfigure(func(c *proxy.Config) { c.MaxLogins = 1 })
			silent := s.client("silent")
			s.client("b").isTold()
			silent.leaves()
		}},
	{"login_replication",
		"The replication protocol is not passed on.",
		nil, func(s *stage) {
			s.primary("n")
			a := s.client("a")
			a.says(startup("replication", "database"))
			a.isTold()
		}},
	{"login_without_user",
		"As PostgreSQL says it.",
		nil, func(s *stage) {
			s.primary("n")
			a := s.client("a")
			a.says(startup("user", ""))
			a.isTold()
		}},
}

// brief is a limit that a scenario waits for.
const brief = 100 * time.Millisecond

// unhurried is one that is waited for once, and must not be over the next time.
const unhurried = 3 * time.Second

// withUsers makes the router ask for passwords: there is one user.
func withUsers(r *router) {
	list, err := auth.ParseUserlist([]byte(`"app" "right"`), auth.UserlistOptions{Seed: auth.NewSeed()})
	if err != nil {
		r.t.Fatal(err)
	}
	r.users = list
}

// provesToBe asks to be let in and tries to prove who it is with SCRAM, up to its own last message.
func (a *actor) provesToBe(user, password string) *scram.ClientConversation {
	a.stage.t.Helper()
	client, err := scram.SHA256.NewClientUnprepped("", password, "")
	a.must(err)
	proof := client.NewConversation()
	a.says(startup("user", user))
	a.hears("R")
	first, err := proof.Step("")
	a.must(err)
	a.says(&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte(first)})
	challenge := a.hears("R").Value.(*pgproto3.AuthenticationSASLContinue)
	answer, err := proof.Step(string(challenge.Data))
	a.must(err)
	a.says(&pgproto3.SASLResponse{Data: []byte(answer)})
	return proof
}

// set is a server's answer to the SET of a parameter that it reports.
func set(name, value string) []pgproto3.Message {
	return append([]pgproto3.Message{complete("SET"), &pgproto3.ParameterStatus{Name: name, Value: value}}, ready('I'))
}

func complete(tag string) *pgproto3.CommandComplete {
	return &pgproto3.CommandComplete{CommandTag: []byte(tag)}
}

func ready(status byte) *pgproto3.ReadyForQuery { return &pgproto3.ReadyForQuery{TxStatus: status} }

// failure is a server's error.
func failure(code, message string) *pgproto3.ErrorResponse {
	return &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: code, Message: message}
}
