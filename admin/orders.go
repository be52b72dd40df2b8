package admin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
)

// killLimit bounds how long KILL waits for the ends of clients that are closed: their event loops have no more to do than that.
const killLimit = 10 * time.Second

// kill closes all clients and servers of a database, or of all, which is paused afterwards.
func kill(ctx context.Context, a *Admin, args []string) ([][]string, error) {
	order, err := ofDatabase("FOR").read(args)
	if err == nil {
		err = a.ordinary("kill", order.name())
	}
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, killLimit)
	defer stop()
	return nil, a.actions.Kill(ctx, order.name(), order.times["FOR"])
}

// killClient closes one client.
func killClient(_ context.Context, a *Admin, args []string) ([][]string, error) {
	text := first(args)
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil, pgwire.ErrConsoleSyntax.New("KILL_CLIENT takes the number that SHOW CLIENTS has in the column id.", text)
	}
	if !a.actions.KillClient(id) {
		return nil, pgwire.ErrConsoleUnknown.New("SHOW CLIENTS has those that are there, in the column id.", "client", text)
	}
	return nil, nil
}

// disable lets nobody in to a database any more.
func disable(_ context.Context, a *Admin, args []string) ([][]string, error) {
	database, err := a.named("disable", args)
	if err == nil {
		a.actions.Disable(database)
	}
	return nil, err
}

// enable lets clients in again. Where nobody was kept out, and nobody is known, it is the wrong name.
func enable(_ context.Context, a *Admin, args []string) ([][]string, error) {
	database, err := a.named("enable", args)
	if err != nil || a.actions.Enable(database) {
		return nil, err
	}
	return nil, a.known(database)
}

// named reads the name of a database that must be there.
func (a *Admin) named(verb string, args []string) (string, error) {
	database := first(args)
	if database == "" {
		return "", pgwire.ErrConsoleSyntax.New("The name of a database is missing.", verb)
	}
	return database, a.ordinary(verb, database)
}

// known refuses the name of a database that nobody has heard of.
func (a *Admin) known(database string) error {
	if known, _ := a.world.Database(database); !known {
		return pgwire.ErrConsoleUnknown.New("No client has asked for it, and the configuration does not name it.", "database", database)
	}
	return nil
}

// reconnect lets the server connections of a database, or of all, be opened anew.
func reconnect(_ context.Context, a *Admin, args []string) ([][]string, error) {
	database := first(args)
	err := a.ordinary("reconnect", database)
	if err == nil {
		err = a.known(database)
	}
	if err == nil {
		a.actions.Reconnect(database)
	}
	return nil, err
}

// waitCloseLimit bounds WAIT_CLOSE.
const waitCloseLimit = 5 * time.Minute

var errWaitCloseLimit = errors.New("waited too long")

// waitClose answers when the server connections are gone that a RECONNECT has found.
func waitClose(ctx context.Context, a *Admin, args []string) ([][]string, error) {
	database := first(args)
	if err := a.known(database); err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeoutCause(ctx, a.patience, errWaitCloseLimit)
	defer stop()
	err := a.actions.WaitClose(ctx, database)
	busy, left := errors.AsType[*pool.BusyError](err)
	switch why := context.Cause(ctx); {
	case left && errors.Is(why, errCancelled):
		return nil, pgwire.ErrCancelled.New("")
	case left && errors.Is(why, errWaitCloseLimit):
		return nil, pgwire.ErrConsoleState.New("They are closed when they are released. WAIT_CLOSE waits again, SHOW CLIENTS shows who is active.",
			fmt.Sprintf("%d server connections are still to be closed after %s", busy.Left, a.patience))
	}
	return nil, err
}

// suspend says what serves instead.
func suspend(context.Context, *Admin, []string) ([][]string, error) {
	return nil, pgwire.ErrConsoleSuspend.New("")
}
