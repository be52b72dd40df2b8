package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"

	"github.com/pgrouter/pgrouter/admin"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/proxy"
)

// endingsKept is how many signals, or orders of the console, wait to be heard.
const endingsKept = 8

// finale leads the router to its end. What is asked for while it is under way can only bring it nearer.
type finale struct {
	router  *router
	signals <-chan os.Signal
	how     admin.Ending
}

// hear does what a signal asks of a router that runs.
func (f *finale) hear(sig os.Signal) {
	f.router.log.Info("signal", "signal", sig.String())
	switch sig {
	case syscall.SIGUSR1:
		(&orders{f.router}).Pause("", 0)
	case syscall.SIGUSR2:
		(&orders{f.router}).Resume("")
	default:
		f.how = f.asked(sig)
	}
}

// asked says how a signal wants the router to end. One more SIGTERM or SIGINT ends a drain.
func (f *finale) asked(sig os.Signal) admin.Ending {
	switch {
	case sig == syscall.SIGQUIT, f.how >= admin.EndWaitForServers && (sig == syscall.SIGTERM || sig == syscall.SIGINT):
		return admin.EndNow
	case sig == syscall.SIGTERM, sig == syscall.SIGINT:
		return admin.EndWaitForServers
	}
	return admin.EndNot
}

// await waits until done is closed. It returns false when the router is to end sooner than it was until now.
func (f *finale) await(done <-chan struct{}) bool {
	for {
		var next admin.Ending
		select {
		case <-done:
			return true
		case sig := <-f.signals:
			next = f.asked(sig)
		case next = <-f.router.endings:
		}
		if next > f.how {
			f.announce(next)
			return false
		}
	}
}

// announce tells how the router ends from now on.
func (f *finale) announce(how admin.Ending) {
	f.how = how
	f.router.events.Emit(event.Event{Kind: event.ShutdownBegun, Reason: how.String()})
}

// run ends the router.
func (f *finale) run() error {
	r := f.router
	r.admin.Leave()
	f.announce(f.how)
	f.delay()
	if f.how == admin.EndWaitForClients {
		r.proxy.StopAccepting()
		if f.await(r.proxy.Gone()) {
			f.how = admin.EndWaitForServers
		}
	}
	err := f.drain()
	r.log.Info("pgrouter ended")
	return err
}

// delay gives who sends clients here the time to see that this is over.
func (f *finale) delay() {
	ctx, cancel := context.WithTimeout(context.Background(), f.router.inForce.Load().Limits.DrainDelay)
	defer cancel()
	for f.how < admin.EndNow && !f.await(ctx.Done()) {
	}
}

// drain lets running work end within shutdown_timeout. It is degraded when work is cut off.
func (f *finale) drain() error {
	patient := f.how < admin.EndNow
	ctx, cancel := context.WithTimeout(context.Background(), f.router.inForce.Load().Limits.ShutdownTimeout)
	defer cancel()
	if !patient {
		cancel()
	}
	var hearing sync.WaitGroup
	hearing.Go(func() { f.hearTheEnd(ctx, cancel) })
	err := f.router.close(ctx)
	cancel()
	hearing.Wait()
	if err != nil {
		f.router.log.Warn("shutdown was not clean", "error", err)
	}
	if busy, ok := errors.AsType[*proxy.BusyError](err); ok && patient {
		return &toldError{&degradedError{busy}}
	}
	return nil
}

// hearTheEnd ends the drain when that is asked for.
func (f *finale) hearTheEnd(ctx context.Context, cancel context.CancelFunc) {
	if !f.await(ctx.Done()) {
		cancel()
	}
}
