package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/admin"
	"github.com/pgrouter/pgrouter/auth"
	"github.com/pgrouter/pgrouter/config"
	"github.com/pgrouter/pgrouter/event"
)

// The ways in which nothing is put in force.
var (
	errNothingToRead = errors.New("this router was started without a configuration that could be read again")
	errEnding        = errors.New("the router is shutting down")
)

// reload reads the configuration again and puts it in force: all of it or, when it has a fault, nothing. There is one at a time, or one
// set. It returns what has changed, and what keeps its value until a restart; the error is an *admin.ReloadError for a faulty configuration.
func (r *router) reload() (applied, pending []string, err error) {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	switch {
	case r.reloading.closed:
		return nil, nil, errEnding
	case r.read == nil:
		return nil, nil, errNothingToRead
	}
	cfg, doubts := r.read()
	applied, pending, faults := r.replace(cfg, doubts, newRegime)
	if len(faults) > 0 {
		return nil, nil, r.refuse(faults)
	}
	r.admin.Reloaded(admin.Reload{At: time.Now(), Pending: pending})
	r.events.Emit(event.Event{Kind: event.ConfigReloaded, Reason: strings.Join(applied, "; "), Count: len(applied)})
	for _, change := range pending {
		r.log.Warn("a change needs a restart", "change", change)
	}
	return applied, pending, nil
}

// reloadOnSignal is a reload whose outcome nobody waits for: all of it is in the log.
func (r *router) reloadOnSignal() {
	_, _, err := r.reload()
	if _, told := errors.AsType[*admin.ReloadError](err); err != nil && !told {
		r.log.Error("no reload", "error", err)
	}
}

// refuse tells why a configuration was not put in force.
func (r *router) refuse(faults []config.Fault) error {
	var lines []string
	for _, f := range faults {
		lines = append(lines, f.String())
		r.log.Error("the configuration has a fault", "fault", f.String())
	}
	last := r.admin.LastReload()
	r.admin.Reloaded(admin.Reload{At: time.Now(), Failed: true, Pending: last.Pending})
	r.events.Emit(event.Event{Kind: event.ConfigRefused, Reason: lines[0], Count: len(lines)})
	return &admin.ReloadError{Faults: lines}
}

// succession is a configuration that is ready to be put in force, and what was made for it.
type succession struct {
	router  *router
	regime  *regime
	changes []config.Change
	census  census

	clusters []*clusterRun // as the configuration has them
	joining  []*clusterRun // those of them that are new, not started
	leaving  []*clusterRun // that it does not have any more

	doors   []*door // as the configuration has them; the new ones listen, and nobody is let in
	closing []*door
}

// regimeMaker makes the regime of a configuration that follows another.
type regimeMaker func(cfg *config.Config, former *regime) (*regime, error)

// replace puts a configuration in force, as a whole or, when it has a fault, not at all. It returns what has changed, and what keeps its
// value until a restart; or the faults that are more than doubts.
func (r *router) replace(cfg *config.Config, doubts []config.Fault, regimeOf regimeMaker) (applied, pending []string, faults []config.Fault) {
	if config.Failed(doubts) {
		return nil, nil, slices.DeleteFunc(doubts, func(f config.Fault) bool { return f.Warning })
	}
	next, faults := r.prepare(cfg, regimeOf)
	if len(faults) > 0 {
		return nil, nil, faults
	}
	next.commit()
	for _, f := range doubts {
		r.log.Warn("the configuration is doubtful", "fault", f.String())
	}
	for _, c := range next.changes {
		if c.Restart {
			pending = append(pending, c.String())
		} else {
			applied = append(applied, c.String())
		}
	}
	return append(applied, next.census.lines()...), pending, nil
}

// prepare makes everything that may fail. Nobody sees anything of it, and with a fault nothing is left.
func (r *router) prepare(cfg *config.Config, regimeOf regimeMaker) (*succession, []config.Fault) {
	now := r.inForce.Load()
	next := &succession{router: r, changes: config.Diff(now.Config, cfg)}
	cfg.KeepUntilRestart(now.Config)
	var err error
	if next.regime, err = regimeOf(cfg, now); err != nil {
		return nil, peopleFaults(cfg, err)
	}
	next.census = next.regime.people.since(now.people)
	if faults := next.prepareClusters(); len(faults) > 0 {
		return nil, faults
	}
	if faults := next.prepareDoors(); len(faults) > 0 {
		if err := closeSockets(next.doors); err != nil {
			r.log.Warn("a listener did not close", "error", err)
		}
		return nil, faults
	}
	return next, nil
}

// peopleFaults gives the faults of a userlist their own places.
func peopleFaults(cfg *config.Config, err error) (faults []config.Fault) {
	var list auth.UserlistErrors
	if !errors.As(err, &list) {
		return []config.Fault{cfg.Fault("auth.userlist", err.Error(), "")}
	}
	for _, e := range list {
		faults = append(faults, config.Fault{File: e.File, Line: e.Line, Problem: e.Err.Error()})
	}
	return faults
}

// prepareClusters makes the clusters that are new.
func (s *succession) prepareClusters() (faults []config.Fault) {
	r, cfg := s.router, s.regime.Config
	s.leaving = slices.Clone(*r.clusters.Load())
	for i := range cfg.Clusters {
		c := &cfg.Clusters[i]
		at := slices.IndexFunc(s.leaving, func(run *clusterRun) bool { return string(run.manager.Cluster()) == c.Name })
		if at >= 0 {
			s.clusters = append(s.clusters, s.leaving[at])
			s.leaving = slices.Delete(s.leaving, at, at+1)
			continue
		}
		run, err := r.newCluster(c)
		if err != nil {
			faults = append(faults, cfg.Fault("cluster."+c.Name, err.Error(), ""))
			continue
		}
		s.clusters, s.joining = append(s.clusters, run), append(s.joining, run)
	}
	return faults
}

// prepareDoors opens the listeners that are new.
func (s *succession) prepareDoors() (faults []config.Fault) {
	cfg := s.regime.Config
	doors, err := newDoors(cfg.Listeners)
	if err != nil {
		return []config.Fault{cfg.Fault("listener", err.Error(), "")}
	}
	s.doors, s.closing = doors, slices.Clone(*s.router.doors.Load())
	for i, d := range s.doors {
		at := slices.IndexFunc(s.closing, d.isAt)
		if at >= 0 {
			d.open = s.closing[at].open
			s.closing = slices.Delete(s.closing, at, at+1)
			continue
		}
		if err := d.listen(s.router.proxy.ListenOptions()); err != nil {
			faults = append(faults, cfg.Fault(config.ListenerPath(i)+".address", err.Error(),
				"an address that a removed listener still has is free at the next reload"))
		}
	}
	return faults
}

// isAt says whether two doors are the same listener.
func (d *door) isAt(other *door) bool {
	return d.config.Network == other.config.Network && d.config.Address == other.config.Address
}

// commit puts everything in force. Clusters come before what leads to them and go after it; who is here looks at the end, when there is
// nothing half done to see. What can fail has been tried; an error that is left is logged.
func (s *succession) commit() {
	r, cfg := s.router, s.regime.Config
	note := func(what string, err error) {
		if err != nil {
			r.log.Error("reload", "part", what, "error", err)
		}
	}
	for i, c := range s.clusters {
		note("cluster", s.admitCluster(c, &cfg.Clusters[i]))
	}
	r.clusters.Store(&s.clusters)
	r.inForce.Store(s.regime)
	for _, user := range slices.Concat(s.census.removed, s.census.changed) {
		s.regime.people.ring.Forget(user)
	}
	setLevel(r.level, cfg.Log)
	note("proxy", r.proxy.Reconfigure(proxyConfig(cfg)))
	note("admin", r.admin.Reconfigure(r.adminConfig(cfg)))
	r.peers.Reload(cfg.Admin.Peers)
	r.pool.SetLimits(poolLimits(cfg))
	r.pool.Reconfigure(s.regime.poolConfig)
	for _, d := range s.doors {
		note("listener", s.admitDoor(d))
	}
	r.doors.Store(&s.doors)
	for _, d := range s.closing {
		note("listener", d.close())
	}
	r.standLocked()
	r.proxy.Renew()
	for _, c := range s.leaving {
		note("cluster", r.retire(context.Background(), c))
	}
}

// admitCluster starts a new cluster, or changes one that runs.
func (s *succession) admitCluster(c *clusterRun, cfg *config.Cluster) error {
	r := s.router
	if !slices.Contains(s.joining, c) {
		r.pool.SetReads(c.manager.Cluster(), poolReads(cfg))
		return c.reload(r.life, cfg)
	}
	r.discover(r.life, c)
	r.conduct(c)
	return r.registry.Register(c.manager.Collector(), c.conductor.Collector())
}

// admitDoor lets clients through a new door, or lets one that is open lead where it says now.
func (s *succession) admitDoor(d *door) error {
	for _, open := range d.open {
		cfg := d.config
		cfg.Address = open.Address()
		open.Change(cfg)
	}
	return s.router.serve(d)
}

func (d *door) close() (err error) {
	for _, open := range d.open {
		err = errors.Join(err, open.Close())
	}
	return err
}
