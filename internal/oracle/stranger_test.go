package oracle

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

var rowsWanted = flag.Int64("rows", 500_000, "how many rows are counted")

// TestNoRowReachesAStranger lets many clients share two servers and read rows that bear their number: in transactions and outside of
// them, by simple queries, batches, statements with and without a name, portions and COPY both ways, pipelined. They cancel their
// own work, and die in the middle of it. Every row is looked at, and who has not cancelled is not cancelled.
func TestNoRowReachesAStranger(t *testing.T) {
	const clients = 24
	w := newWorld(t)
	ask(t, login(t, w.direct, transaction, nil), "create table incoming(client bigint, n bigint)")
	var all errgroup.Group
	var lives, cancels, rows atomic.Int64
	began, since := time.Now(), w.moment()
	for n := range clients {
		r := &reader{world: w, dice: rand.New(rand.NewPCG(1, uint64(n))), unit: &wiretest.Dialogue{}, lives: &lives, cancels: &cancels}
		all.Go(func() error {
			defer r.leave()
			for rows.Load() < *rowsWanted {
				read, err := r.turn()
				if err != nil {
					return fmt.Errorf("client %d: %w, in\n%s", r.number, err, strings.Join(r.unit.Lines(), "\n"))
				}
				rows.Add(read)
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		caught.note(t, fmt.Sprintf("-run Stranger -rows %d", *rowsWanted), since.excerpt(transaction)+err.Error())
		return
	}
	perSecond := float64(rows.Load()) / time.Since(began).Seconds()
	t.Logf("%d rows, none of them a stranger's, %.0f a second; %d clients, %d cancel requests", rows.Load(), perSecond, lives.Load(), cancels.Load())
	w.sound(t)
}
