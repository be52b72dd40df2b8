package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
)

// pauseLimit bounds how long PAUSE waits for running work.
const pauseLimit = 5 * time.Minute

var errPauseLimit = errors.New("waited too long")

// pause holds a database, or all, and answers when nothing of it is in use any more. As in PgBouncer the pause stays when the
// client goes away, and ends when the client cancels it.
func pause(ctx context.Context, a *Admin, args []string) ([][]string, error) {
	database := first(args)
	ctx, stop := context.WithTimeoutCause(ctx, a.patience, errPauseLimit)
	defer stop()
	err := a.actions.Pause(ctx, database)
	why := context.Cause(ctx)
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, pool.ErrResumed):
		return nil, pgwire.ErrConsoleState.New("", "the pause was ended by a RESUME")
	case errors.Is(why, errCancelled):
		if err := a.actions.Resume(database); err != nil {
			return nil, err
		}
		return nil, pgwire.ErrCancelled.New("")
	case errors.Is(why, errPauseLimit):
		what := err.Error()
		if busy, ok := errors.AsType[*pool.BusyError](err); ok {
			what = fmt.Sprintf("%d server connections are still in use after %s", busy.Left, a.patience)
		}
		return nil, pgwire.ErrConsoleState.New("The pause stays in force. PAUSE waits again, RESUME ends it, SHOW CLIENTS shows who is at work.", what)
	}
	return nil, err
}

// pausedAhead tells who pauses a database that nobody has asked for, which is of use before an upgrade, that it may be the wrong
// name.
func pausedAhead(a *Admin, args []string) *pgwire.Error {
	database := first(args)
	if known, paused := a.world.Database(database); known || paused {
		return nil
	}
	return pgwire.NoticePausedAhead.New("", database)
}

// resume ends pauses. Where it would change nothing for anybody it is an error: the operator believes that clients go on.
func resume(_ context.Context, a *Admin, args []string) ([][]string, error) {
	database := first(args)
	if known, paused := a.world.Database(database); !known && !paused {
		return nil, pgwire.ErrConsoleUnknown.New("It is not paused, no client has asked for it, and the configuration does not name it.",
			"database", database)
	}
	if err := a.actions.Resume(database); err != nil {
		return nil, err
	}
	if _, paused := a.world.Database(database); paused {
		return nil, pgwire.ErrConsoleState.New("RESUME without a name ends the pause of all.",
			fmt.Sprintf("database %q is still paused, with all others", database))
	}
	return nil, nil
}
