package oracle

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// program is what one client says in its life.
type program struct {
	parameters map[string]string // of its start-up packet
	acts       []act
}

// act is sent in one write, and answered by so many ReadyForQuery.
type act struct {
	messages []message
	owed     int
}

// theatre is where programs are played: a database of its own, directly and through the router.
type theatre struct {
	*world
	t        *told
	database string
	clerk    *wiretest.Peer       // a direct connection of a superuser
	strict   bool                 // nothing is forgiven
	scene    []*wiretest.Dialogue // what is played now, or was last
}

func newTheatre(t testing.TB, w *world, database string) *theatre {
	t.Helper()
	return &theatre{world: w, t: &told{TB: t}, database: database, clerk: login(t, w.direct, database, map[string]string{"user": "boss"})}
}

// scenery is what a program finds. The locks wait for the end of whoever had them.
var scenery = strings.Join([]string{
	"set lock_timeout = '1min'; set client_min_messages = 'error'",
	"select pg_advisory_lock(1), pg_advisory_lock(2), pg_advisory_lock(1, 1), pg_advisory_lock(1, 2), pg_advisory_unlock_all()",
	"drop table if exists w, d, extra cascade; drop sequence if exists numbers; drop schema if exists other cascade",
	"set role app; create table w(n int primary key, s text); insert into w values (1, 'one'), (2, 'two'), (3, 'three')",
	"create table d(n int unique deferrable initially deferred); create sequence numbers; reset role",
	"create schema other; create table other.w(n int, m int); grant all on schema other to public; grant select on other.w to public",
}, "; ")

// difference returns what is not the same through the router as it is directly; "" when all is.
func (h *theatre) difference(p program) string {
	h.t.Helper()
	direct := h.play(p, h.direct, func(*wiretest.Peer, *wiretest.Dialogue) {})
	thieves := newThievesOf(h.t, h.world, h.database, p.parameters)
	port := ""
	got := h.play(p, h.router, func(client *wiretest.Peer, d *wiretest.Dialogue) {
		if port == "" {
			port = portOf(client)
		}
		if lines := d.Lines(); lines[len(lines)-1] == " < ReadyForQuery I" {
			thieves.swap(port)
		}
	})
	thieves.leave()
	for i := range direct {
		switch {
		case i < len(got) && same(direct[i], got[i]):
		case !h.strict && isForgiven(direct[i]):
			return ""
		default:
			return beside(direct, got, i)
		}
	}
	return ""
}

func isForgiven(direct *wiretest.Dialogue) bool {
	return slices.ContainsFunc(direct.Lines(), func(line string) bool {
		for _, f := range forgiven {
			if strings.Contains(line, f.direct) {
				return true
			}
		}
		return false
	})
}

// play plays a program on a connection of its own. It returns a dialogue of the login, and one of each act up to the first that
// does not come to its end; between does something after each.
func (h *theatre) play(p program, address string, between func(*wiretest.Peer, *wiretest.Dialogue)) []*wiretest.Dialogue {
	h.t.Helper()
	ask(h.t, h.clerk, scenery)
	client := dial(h.t, address)
	defer client.Conn.Close()
	h.scene = []*wiretest.Dialogue{client.Record()}
	err := client.Play(wiretest.Send(startup(h.database, p.parameters)), ready(1))
	for _, a := range p.acts {
		if err != nil {
			break
		}
		between(client, h.scene[len(h.scene)-1])
		h.scene = append(h.scene, client.Record())
		err = client.Play(wiretest.Send(a.messages...), ready(a.owed))
	}
	if err == nil {
		leave(h.t, client)
	} else if !errors.Is(err, io.EOF) {
		h.t.Logf("%s: act %d: %v", address, len(h.scene)-1, err)
	}
	return h.scene
}

// beside shows the acts up to the one that differs.
func beside(direct, got []*wiretest.Dialogue, at int) string {
	last := &wiretest.Dialogue{}
	if at < len(got) {
		last = got[at]
	}
	return lines(direct[1:max(1, at)]) + direct[at].Beside("direct", last, "through the router")
}

// lines shows dialogues one behind the other.
func lines(all []*wiretest.Dialogue) string {
	var b strings.Builder
	for _, d := range all {
		fmt.Fprintln(&b, strings.Join(d.Lines(), "\n"))
	}
	return b.String()
}

// shrunk leaves out what is not needed for a program to differ, and says how the shortest one does, on servers that nobody has used. Of
// a program that does not differ there nothing is left out: what differs is another client's affair too.
func (h *theatre) shrunk(p program) (program, string) {
	const maxPlays = 300
	shortest, plays := "", 0
	try := func(shorter program) {
		if plays++; plays > maxPlays {
			return
		}
		h.reconnect(h.t)
		if why := h.difference(shorter); why != "" {
			p, shortest = shorter, why
		}
	}
	if try(p); shortest == "" {
		return p, ""
	}
	try(program{acts: p.acts})
	for size := len(p.acts) / 2; size > 0; size /= 2 {
		for from := len(p.acts) - size; from >= 0; from-- {
			try(program{parameters: p.parameters, acts: slices.Delete(slices.Clone(p.acts), from, from+size)})
			from = min(from, len(p.acts)-size+1)
		}
	}
	return p, shortest
}
