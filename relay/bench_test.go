package relay

import (
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// benchClients share one server in turn, so that each unit of work is a stranger's on it.
const benchClients = 16

// BenchmarkTransaction passes plain transactions of several clients through their links, whole in one piece each way.
func BenchmarkTransaction(b *testing.B) {
	const text = "SELECT abalance FROM pgbench_accounts WHERE aid = 12345;"
	row := pgwire.AppendDataRow(pgwire.AppendRowDescription(nil, []string{"abalance"}), []string{"0"})
	row = pgwire.AppendReadyForQuery(pgwire.AppendCommandComplete(row, "SELECT 1"), StatusIdle)
	bound := pgwire.AppendBindComplete(nil)
	parsed := append(pgwire.AppendParseComplete(nil), bound...)
	batch := func(name string) []byte {
		m := pgwire.AppendDescribe(pgwire.AppendBind(nil, "", name, nil), pgwire.TargetPortal, "")
		return pgwire.AppendSync(pgwire.AppendExecute(m, "", 0))
	}
	prepare := pgwire.AppendSync(pgwire.AppendParse(nil, "P_0", text, nil))
	for _, c := range []struct {
		name         string
		first        []byte
		unit, answer []byte
	}{
		{"simple", nil, pgwire.AppendQuery(nil, text), row},
		{"extended", nil, append(pgwire.AppendParse(nil, "", text, nil), batch("")...), append(parsed, row...)},
		{"prepared", prepare, batch("P_0"), append(bound, row...)},
	} {
		b.Run(c.name, func(b *testing.B) {
			server, library := new(Prepared), new(privateLibrary)
			links := make([]Link, benchClients)
			for i := range links {
				links[i] = Link{Observer: deaf{}, Library: library}
				switch done := pgwire.AppendParseComplete(nil); {
				case c.first == nil:
				case i > 0: // the server has it
					done = pgwire.AppendCloseComplete(nil)
					fallthrough
				default:
					transaction(b, &links[i], server, c.first, pgwire.AppendReadyForQuery(done, StatusIdle))
				}
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				transaction(b, &links[i%benchClients], server, c.unit, c.answer)
			}
		})
	}
}

// transaction passes a unit of work and its answer.
func transaction(b *testing.B, l *Link, server *Prepared, unit, answer []byte) {
	b.Helper()
	if v := l.Begin(unit); v.Verb != Start {
		b.Fatalf("begin: %+v", v)
	}
	l.Prepared = server
	l.Attach(false, event.PinNone)
	l.Foreign()
	for len(unit) > 0 {
		v := l.FromClient(unit)
		unit = unit[v.N+v.Skip:]
		switch v.Verb {
		case More:
		case Replace:
			_ = l.Replacement()
		default:
			b.Fatalf("client: %+v", v)
		}
	}
	for over := false; !over; {
		v := l.FromServer(answer)
		answer = answer[v.N+v.Skip:]
		switch v.Verb {
		case Drop:
		case UnitEnd:
			over = true
		default:
			b.Fatalf("server: %+v", v)
		}
	}
	l.Tally = Tally{}
	l.Detach()
}
