package main

import (
	"errors"
	"strings"

	"github.com/pgrouter/pgrouter/admin"
	"github.com/pgrouter/pgrouter/config"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// set changes one setting of the configuration in force, as a reload of a file that says so would. The next reload takes it back. It returns
// what has changed; the error is a *pgwire.Error when nothing has.
func (r *router) set(order admin.SettingOrder) (applied []string, err error) {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	if r.reloading.closed {
		return nil, errEnding
	}
	cfg, doubts, err := r.inForce.Load().With(order.Key, order.Value)
	if err != nil {
		return nil, unsettable(err)
	}
	applied, _, faults := r.replace(cfg, doubts, amendedRegime)
	if len(faults) > 0 {
		return nil, faultyValue(order, faults)
	}
	if len(applied) > 0 {
		r.events.Emit(event.Event{Kind: event.ConfigSet, Reason: strings.Join(applied, "; ") + ", by " + order.By, Count: len(applied)})
	}
	return applied, nil
}

// unsettable is what a console is told of a setting that no value changes.
func unsettable(err error) error {
	refused, ok := errors.AsType[*config.SettingError](err)
	if !ok {
		return err
	}
	switch refused.Why {
	case config.OnlyReadWhole:
		return pgwire.ErrConsoleFileOnly.New("", refused.Key)
	case config.NeedsRestart:
		return pgwire.ErrConsoleRestart.New("", refused.Key)
	case config.UnknownSetting:
	}
	return pgwire.ErrConsoleSetting.New(refused.Hint, refused.Key)
}

// faultyValue is what a console is told of a value that cannot be. What is wrong elsewhere, because of it, has its place.
func faultyValue(order admin.SettingOrder, faults []config.Fault) error {
	lines := make([]string, len(faults))
	for i, f := range faults {
		lines[i] = f.String()
		if f.Key == order.Key {
			lines[i] = f.Text()
		}
	}
	return pgwire.ErrConsoleValue.New(strings.Join(lines, "\n"), order.Key, order.Value)
}
