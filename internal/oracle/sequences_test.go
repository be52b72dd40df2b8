package oracle

import (
	"net"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// said runs a query and returns the values of its rows' first columns, and the SQLSTATE of its error if there is one.
func said(t *testing.T, p *wiretest.Peer, sql string) (values []string) {
	t.Helper()
	if err := p.Query(sql); err != nil {
		t.Fatal(err)
	}
	all, err := p.Until('Z')
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		switch v := m.Value.(type) {
		case *pgproto3.DataRow:
			values = append(values, string(v.Values[0]))
		case *pgproto3.ErrorResponse:
			values = append(values, v.Code)
		}
	}
	return values
}

// TestNobodyIsToldAStrangersNumber: a stranger draws numbers on every server before each history. Its client is told its own, or what
// PostgreSQL tells who has drawn none.
func TestNobodyIsToldAStrangersNumber(t *testing.T) {
	const none = "55000"
	w := newWorld(t)
	ask(t, login(t, w.direct, transaction, nil), "create sequence s; create table serials(n serial); grant all on sequence s, serials_n_seq to public")
	for name, history := range map[string][]struct {
		sql  string
		want []string
		pin  string
	}{
		"it has drawn none":            {{"select currval('s')", []string{none}, "sequence"}},
		"nor any at all":               {{"SELECT LastVal()", []string{none}, "sequence"}},
		"none in a block":              {{"begin", nil, ""}, {"select currval('s')", []string{none}, ""}, {"rollback", nil, "sequence"}},
		"its own":                      {{"select setval('s', 1000)", []string{"1000"}, ""}, {"select currval('s')", []string{"1000"}, "sequence"}},
		"its own, in a block":          {{"begin", nil, ""}, {"select setval('s', 2000)", []string{"2000"}, ""}, {"select currval('s')", []string{"2000"}, ""}},
		"its own, in one text":         {{"select setval('s', 3000); select currval('s')", []string{"3000", "3000"}, ""}},
		"its own, of a table's column": {{"insert into serials default values; select lastval() = max(n) from serials", []string{"t"}, ""}},
		"it keeps its server for them": {{"select currval('s')", []string{none}, "sequence"}, {"select setval('s', 4000)", []string{"4000"}, "sequence"},
			{"select currval('s')", []string{"4000"}, "sequence"}},
		"it keeps its server for something else": {{"listen x", nil, "listen"}, {"select setval('s', 5000)", []string{"5000"}, "listen"},
			{"select currval('s')", []string{"5000"}, "listen"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newThieves(t, w, transaction)
			for _, thief := range []*wiretest.Peer{h.holding, h.free} { // each on a server of its own
				if thief == h.holding {
					h.giveBack(thief)
				}
				ask(t, thief, "select nextval('s'), nextval('serials_n_seq')")
				h.take(thief)
			}
			h.giveBack(h.free)
			p := login(t, w.router, transaction, nil)
			_, port, _ := net.SplitHostPort(p.Conn.LocalAddr().String())
			for _, step := range history {
				if got := said(t, p, step.sql); !slices.Equal(got, step.want) {
					t.Errorf("%s: %q, want %q", step.sql, got, step.want)
				}
				if got := h.pin(port); got != step.pin {
					t.Errorf("%s: pinned for %q, want %q", step.sql, got, step.pin)
				}
			}
			said(t, p, "rollback")
			leave(t, p)
			h.leave()
		})
	}
	w.sound(t)
}

// TestAnotherServerHasNoNumbers: whose server was taken by somebody else is told that there are none, not theirs.
func TestAnotherServerHasNoNumbers(t *testing.T) {
	w := newWorld(t)
	ask(t, login(t, w.direct, transaction, nil), "create sequence s; grant all on sequence s to public")
	h := newThieves(t, w, transaction)
	p := login(t, w.router, transaction, nil)
	h.follow(p)
	ask(t, p, "select nextval('s')")
	mark(t, p)
	if got := said(t, p, "select currval('s')"); !slices.Equal(got, []string{"55000"}) {
		t.Errorf("%q", got)
	}
	leave(t, p)
	h.leave()
	w.sound(t)
}

// TestASessionOfItsOwnKeepsItsNumbers where a stranger had its server before.
func TestASessionOfItsOwnKeepsItsNumbers(t *testing.T) {
	w := newWorld(t)
	ask(t, login(t, w.direct, session, nil), "create sequence s; grant all on sequence s to public")
	for range 3 {
		p := login(t, w.router, session, nil)
		for _, step := range [][2]string{
			{"select currval('s')", "55000"}, {"select setval('s', 7000)", "7000"}, {"select currval('s')", "7000"},
			{"select nextval('s')", "7001"}, {"select lastval()", "7001"},
		} {
			if got := said(t, p, step[0]); !slices.Equal(got, []string{step[1]}) {
				t.Errorf("%s: %q, want %q", step[0], got, step[1])
			}
		}
		leave(t, p)
		p = login(t, w.router, session, nil)
		for _, step := range [][2]string{{"select setval('s', 8000)", "8000"}, {"select currval('s')", "8000"}} {
			if got := said(t, p, step[0]); !slices.Equal(got, []string{step[1]}) {
				t.Errorf("%s: %q, want %q", step[0], got, step[1])
			}
		}
		leave(t, p)
	}
	w.sound(t)
}
