package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
)

var errWithin = errors.New("WITHIN is over")

// pause holds a database, or all, and answers when nothing of it is in use any more. A PAUSE that fails leaves nothing paused; only
// when its client goes away the pause stays, as in PgBouncer, up to its limit.
func pause(ctx context.Context, a *Admin, args []string) ([][]string, error) {
	order, err := ofDatabase("WITHIN", "FOR").read(args)
	database := order.name()
	if err == nil {
		err = a.ordinary("pause", database)
	}
	if err != nil {
		return nil, err
	}
	began := time.Now()
	p := a.actions.Pause(database, order.times["FOR"])
	if within := order.times["WITHIN"]; within > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, within, errWithin)
		defer stop()
	}
	err = p.Wait(ctx)
	why := context.Cause(ctx)
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, pool.ErrResumed), errors.Is(err, pool.ErrUndone):
		return nil, pgwire.ErrConsoleState.New("", "the pause was ended by a RESUME")
	case errors.Is(err, pool.ErrPauseOver), errors.Is(why, errWithin):
		err = a.busy(err, database, time.Since(began))
		p.Undo()
		return nil, err
	case errors.Is(why, errCancelled):
		p.Undo()
		return nil, pgwire.ErrCancelled.New("")
	}
	return nil, err
}

// Of the clients that keep a PAUSE waiting so many are listed, and so long they may take to answer.
const (
	listedHolders = 10
	holdersLimit  = time.Second
)

// busy says who has server connections when the time of a command is over.
func (a *Admin) busy(err error, database string, after time.Duration) error {
	ctx, stop := context.WithTimeout(context.Background(), holdersLimit)
	defer stop()
	holders := a.world.Holders(ctx, database)
	left := len(holders)
	if busy, ok := errors.AsType[*pool.BusyError](err); ok {
		left = max(left, busy.Left)
	}
	return pgwire.ErrConsoleBusy.New(describeHolders(holders, left), after.Round(time.Second/10).String(), strconv.Itoa(left))
}

// describeHolders lists those who have had their server longest. Who is not known by name is a login.
func describeHolders(holders []proxy.Holder, left int) string {
	slices.SortFunc(holders, func(x, y proxy.Holder) int { return x.Since.Compare(y.Since) })
	var lines []string
	for _, h := range holders[:min(len(holders), listedHolders)] {
		lines = append(lines, fmt.Sprintf("client %d (%s@%s from %s%s) has server process %d of %s since %s (%s)", h.Client, h.User, h.Database,
			h.Remote, application(h), h.PID, h.Node, timeText(h.Since), time.Since(h.Since).Round(time.Second)))
	}
	if more := left - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more; SHOW CLIENTS has those that are active", more))
	}
	return strings.Join(lines, "\n")
}

func application(h proxy.Holder) string {
	if h.Application == "" {
		return ""
	}
	return ", " + h.Application
}

// unasked tells who pauses or disables a database that nobody has asked for, which is of use before an upgrade, that it may be the
// wrong name.
func unasked(a *Admin, args []string) *pgwire.Error {
	if len(args)%2 == 0 { // clauses alone
		return nil
	}
	database := first(args)
	if known, paused := a.world.Database(database); known || paused || slices.Contains(a.cfg.Load().Names, database) {
		return nil
	}
	return pgwire.NoticeUnasked.New("", database)
}

// resume ends pauses. Where there is none it is an error: the pause has ended before, by itself or by somebody else, and the operator
// believes that it has held until now.
func resume(_ context.Context, a *Admin, args []string) ([][]string, error) {
	database := first(args)
	if err := a.ordinary("resume", database); err != nil {
		return nil, err
	}
	ended := a.actions.Resume(database)
	known, paused := a.world.Database(database)
	switch {
	case database != "" && paused:
		return nil, pgwire.ErrConsoleState.New("RESUME without a name ends the pause of all.",
			fmt.Sprintf("database %q is still paused, with all others", database))
	case ended:
		return nil, nil
	case database == "":
		return nil, pgwire.ErrConsoleState.New(endsByItself, "pooler is not paused/suspended")
	case !known:
		return nil, pgwire.ErrConsoleUnknown.New("It is not paused, no client has asked for it, and the configuration does not name it.",
			"database", database)
	}
	return nil, pgwire.ErrConsoleState.New(endsByItself, fmt.Sprintf("database %s is not paused", database))
}

// endsByItself is what an operator may have overlooked.
const endsByItself = "A pause ends by itself: after FOR, or [admin] pause_limit. SHOW EVENTS says when it did."

// ordinary refuses the names of the console itself, in PgBouncer's words.
func (a *Admin) ordinary(verb, database string) error {
	if slices.Contains(a.cfg.Load().Names, database) {
		return pgwire.ErrConsoleState.New("", "cannot "+verb+" admin db: "+database)
	}
	return nil
}
