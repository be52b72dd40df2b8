package admin

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrouter/pgrouter/metrics"
	"github.com/pgrouter/pgrouter/pgwire"
)

// Reload is what has become of reading the configuration.
type Reload struct {
	At      time.Time
	Failed  bool     // the last attempt found faults, and changed nothing
	Pending []string // changes that need a restart: what they are about is as it was
}

// ReloadError says why a configuration is not in force.
type ReloadError struct{ Faults []string } // with their places, one each

// Error returns the faults, one a line.
func (e *ReloadError) Error() string { return strings.Join(e.Faults, "\n") }

// Reloaded lets people see what has become of the configuration. Any goroutine.
func (a *Admin) Reloaded(r Reload) { a.reload.Store(&r) }

// LastReload returns what Reloaded told last.
func (a *Admin) LastReload() Reload { return *a.reload.Load() }

// settings is a Config that people go by, and what is made of it. It never changes.
type settings struct {
	Config
	allow []netip.Prefix
}

// Reconfigure puts other users, networks and intervals in force: the next command and the next request go by them. Any goroutine.
func (a *Admin) Reconfigure(cfg Config) error {
	s := &settings{Config: cfg}
	for _, text := range cfg.Allow {
		p, err := parsePrefix(text)
		if err != nil {
			return err
		}
		s.allow = append(s.allow, p)
	}
	a.cfg.Store(s)
	return nil
}

// reload is the command RELOAD.
func reload(ctx context.Context, a *Admin, _ string, _ []string) (notices []*pgwire.Error, err error) {
	applied, pending, err := a.actions.Reload(ctx)
	if faulty, ok := errors.AsType[*ReloadError](err); ok {
		return nil, pgwire.ErrConsoleReload.New(faulty.Error())
	}
	if err != nil {
		return nil, err
	}
	notices = changeNotices(applied)
	for _, change := range pending {
		notices = append(notices, pgwire.NoticeRestart.New("", change))
	}
	return notices, nil
}

// changeNotices tells what is in force now.
func changeNotices(applied []string) (notices []*pgwire.Error) {
	for _, change := range applied {
		notices = append(notices, pgwire.NoticeReloaded.New("", change))
	}
	return notices
}

// reloadCollector tells what has become of the configuration.
type reloadCollector struct {
	admin                  *Admin
	success, time, pending *prometheus.Desc
}

// Collector returns the metrics of the configuration, to be registered once.
func (a *Admin) Collector() prometheus.Collector {
	return &reloadCollector{
		admin:   a,
		success: metrics.Desc("config_last_reload_success", "1 when the configuration was good that was read last, 0 when it changed nothing because of faults."),
		time:    metrics.Desc("config_last_reload_timestamp_seconds", "When that was."),
		pending: metrics.Desc("config_restart_pending", "Changes of the configuration that need a restart."),
	}
}

// Describe implements prometheus.Collector.
func (c *reloadCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.success, c.time, c.pending} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *reloadCollector) Collect(out chan<- prometheus.Metric) {
	last := c.admin.LastReload()
	success := 1.0
	if last.Failed {
		success = 0
	}
	for _, g := range []struct {
		desc  *prometheus.Desc
		value float64
	}{{c.success, success}, {c.time, float64(last.At.UnixMilli()) / float64(time.Second/time.Millisecond)}, {c.pending, float64(len(last.Pending))}} {
		//nolint:forbidigo // constant metrics of the descriptions above
		out <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.value)
	}
}
