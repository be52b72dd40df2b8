package oracle

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"golang.org/x/sync/errgroup"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

var (
	streamTime = flag.Duration("stream-time", time.Second, "how long random streams are sent")
	seed       = flag.Uint64("seed", 0, "of the random streams; 0: by the clock, and told")
)

// streamLimit bounds each wait: the two others may keep both servers for the whole of their sessions.
const streamLimit = time.Minute

// TestRandomStreamsAreAnsweredAsByPostgreSQL lets three clients share two servers. Each sends a random stream through the router, and
// the same one directly; the answers are the same, and every row is its own.
func TestRandomStreamsAreAnsweredAsByPostgreSQL(t *testing.T) {
	const clients = 3
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", *seed)
	w := newWorld(t)
	until, since := time.Now().Add(*streamTime), w.moment()
	var all errgroup.Group
	var over atomic.Bool
	var units, rows atomic.Int64
	for n := range clients {
		s := &stream{
			world: w, walk: walk{name: "c" + strconv.Itoa(n), dice: rand.New(rand.NewPCG(*seed, uint64(n)))}, units: &units, rows: &rows,
		}
		all.Go(func() error {
			defer over.Store(true)
			for time.Now().Before(until) && !over.Load() {
				if err := s.session(); err != nil {
					return fmt.Errorf("client %s: %w", s.name, err)
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		caught.note(t, fmt.Sprintf("-run Streams -seed %d -stream-time %v", *seed, *streamTime), since.excerpt(transaction)+err.Error())
	}
	t.Logf("%d units of messages, %d rows", units.Load(), rows.Load())
	w.sound(t)
}

// stream is one client on two connections.
type stream struct {
	*world
	walk
	units, rows     *atomic.Int64
	through, beside *wiretest.Peer
	seen            int                // the number of the last row that was read
	last            *wiretest.Dialogue // the unit before
}

// session is a login, some units and an end.
func (s *stream) session() (err error) {
	parameters := map[string]string{}
	if s.dice.IntN(3) > 0 {
		parameters["application_name"] = s.name
	}
	if s.through, err = enter(s.router, transaction, parameters); err != nil {
		return err
	}
	defer s.through.Conn.Close()
	if s.beside, err = enter(s.direct, transaction, parameters); err != nil {
		return err
	}
	defer s.beside.Conn.Close()
	s.through.Limit, s.beside.Limit = streamLimit, streamLimit
	s.through.Chunk = []int{0, 0, 17, 1}[s.dice.IntN(4)]
	s.status, s.skipping, s.open, s.unnamed, s.named = idle, false, false, false, s.dice.IntN(2) == 0
	s.last = &wiretest.Dialogue{}
	for range 1 + s.dice.IntN(30) {
		if err := s.exchange(); err != nil {
			return err
		}
	}
	return s.end()
}

var errDiffers = errors.New("the router answers something else")

// exchange sends a unit on both connections and compares what comes back.
func (s *stream) exchange() error {
	messages, owed := s.unit()
	s.units.Add(1)
	direct, err := converse(s.beside, messages, wiretest.Ready(owed))
	before := s.last
	s.last = direct
	if err == nil && direct.Lines()[len(direct.Lines())-1] != " < ReadyForQuery "+string(s.status) {
		err = fmt.Errorf("status %c was expected", s.status)
	}
	if err != nil {
		return fmt.Errorf("directly, so that the test is wrong: %w\n%s", err, before.Beside("the unit before", direct, "this one"))
	}
	got, err := converse(s.through, messages, wiretest.Ready(owed))
	if err == nil {
		err = s.own(got)
	}
	if err != nil || !same(direct, got) {
		return fmt.Errorf("%w, behind\n%s\n%s", cmp.Or(err, errDiffers), strings.Join(before.Lines(), "\n"), direct.Beside("direct", got, "through the router"))
	}
	return nil
}

func converse(p *wiretest.Peer, messages []message, wait wiretest.Step) (*wiretest.Dialogue, error) {
	d := p.Record()
	return d, p.Play(wiretest.Send(messages...), wait)
}

// own checks that every row bears the client's own name, and a number that is not below the last one's.
func (s *stream) own(d *wiretest.Dialogue) error {
	for _, line := range d.Lines() {
		text, isRow := strings.CutPrefix(line, ` < DataRow "`)
		if !isRow {
			text, isRow = strings.CutPrefix(line, ` < CopyData "`)
		}
		if !isRow {
			continue
		}
		s.rows.Add(1)
		name, rest, _ := strings.Cut(text, ":")
		end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		number, err := strconv.Atoi(rest[:max(end, 0)])
		if err != nil || name != s.name || number < s.seen || number > s.row {
			return fmt.Errorf("client %s, whose last row was %d of %d, reads %s", s.name, s.seen, s.row, line)
		}
		s.seen = number
	}
	return nil
}

// end ends both connections in one of the ways that there are.
func (s *stream) end() error {
	switch s.dice.IntN(5) {
	case 0: // in the middle of an answer
		messages, _ := s.unit()
		for _, p := range []*wiretest.Peer{s.through, s.beside} {
			if err := p.Send(messages...); err != nil {
				return err
			}
			p.Abort()
		}
		return nil
	case 1: // with what is no message
		return s.farewell(frame('?', "what"))
	case 2:
		return s.farewell(cut(query("select "+s.id()), 7+s.dice.IntN(10)), wiretest.CloseWriting())
	default:
		return s.farewell(&pgproto3.Terminate{})
	}
}

// farewell sends some messages more, and behind them what ends the connection, all at once. Who is sent what is no message may end it
// before the last byte is written.
func (s *stream) farewell(last message, more ...wiretest.Step) error {
	messages, _ := s.unit()
	farewell := append([]wiretest.Step{wiretest.Send(append(messages, last)...)}, append(more, wiretest.HearEnd())...)
	direct, got := s.beside.Converse(farewell...), s.through.Converse(farewell...)
	if !same(direct, got) {
		return fmt.Errorf("at the end, behind\n%s\n%s", strings.Join(s.last.Lines(), "\n"), direct.Beside("direct", got, "through the router"))
	}
	return nil
}
